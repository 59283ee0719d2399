"""One of a cascade's three services fails in mid-call: the caller is told to wait, and the bot goes on."""

from pathlib import Path

import pytest
from serving import serving

from sandbox.check import Played
from sandbox.openai_http import Refusal
from sandbox.stage import Stage
from sandbox.story import Story

SAID = "It left our warehouse on Monday."


def story(answers: int) -> Story:
    """The model answers so often until the caller has heard it."""
    return Story.model_validate(
        {
            "title": "A service fails for a while",
            "script": [
                {"bot": "Northwind Outfitters, hello!"},
                {"caller": "Where is my order, please?"},
                *[{"bot": SAID}] * answers,
                {"hang_up": True, "after": 2.0},  # what they wait for may be the end of "One moment, please"
            ],
            "then": {"end": "caller_hung_up", "redirects": 0},
        }
    )


async def played(folder: Path, service: str, refusal: Refusal, *, requests: int) -> Played:
    """The story, in which one service leaves so many requests without an answer, once the caller has spoken."""
    async with Stage() as stage, serving(stage, folder, PIPELINE="cascade_openai"):
        stage.openai.refuse_next = (service, refusal, requests)
        return await stage.play("service", story(2 if service == "speech" else 1))


@pytest.mark.parametrize(
    ("service", "refusal", "requests"),
    [
        ("speech", "hang", 1),
        ("speech", 500, 3),  # the client asks twice more by itself
        ("completions", "hang", 1),
        ("completions", 503, 3),
    ],
)
async def test_an_answer_that_nobody_heard_is_asked_for_again(tmp_path, service, refusal, requests):
    result = await played(tmp_path, service, refusal, requests=requests)
    assert [fall["rung"] for fall in result.record["falls"]] == ["new_session"]
    assert SAID in " ".join(line["text"] for line in result.record["transcript"] if line["role"] == "bot")
    assert result.record["end"] == "caller_hung_up"


async def test_a_caller_who_is_not_understood_is_asked_to_say_it_again(tmp_path):
    result = await played(tmp_path, "transcriptions", "hang", requests=1)
    assert result.record["falls"][0]["rung"] == "new_session"
    assert result.sessions[-1].text.count("ask them to say it again")
