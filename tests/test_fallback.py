"""The first model is gone in mid-sentence: another pipeline goes on with the conversation, in the same call."""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from serving import serving

from sandbox.check import Played, problems
from sandbox.scene import Note
from sandbox.stage import Stage
from sandbox.story import Story

SILENCE_SECONDS = 3.0

SAYS = "Your order left our warehouse on Monday, and you will have it by Thursday."


def story(goes_on: str, **then: object) -> Story:
    return Story.model_validate(
        {
            "title": "The model dies in mid-sentence and cannot be reached again",
            "script": [
                {"bot": "Northwind Outfitters, hello!"},
                {"caller": "Where is my order?"},
                {"bot": [{"say": SAYS}, {"fault": "abort"}]},
                {"bot": goes_on},
                {"caller": "A person, please."},
                {
                    "bot": [
                        {"say": "I am putting you through."},
                        {"call": "hand_off", "with": {"target": "front_desk", "reason": "asked", "summary": "Order."}},
                    ]
                },
            ],
            "people": {"+12025550143": [{"behaviour": "answer", "after": 0.5, "hangs_up_after": 1.0}]},
            "then": {
                "end": "put_through",
                "attempts": [{"number": "+12025550143", "outcome": "answered"}],
                "redirects": 1,
                "knows": ["They are still hearing you say", "Thursday"],
                "says": [goes_on, "Thursday"],
                "dead_air": SILENCE_SECONDS,
                **then,
            },
        }
    )


async def played(folder: Path, first: str, second: str, told: Story, **refusals: object) -> Played:
    """The story on a pipeline with one fallback; the first model takes nobody any more once it has begun to answer."""
    path = folder / "shop.yaml"
    path.write_text(f"extends: {first}\nfallback: [{second}]\n")
    async with AsyncExitStack() as stack:
        stage = await stack.enter_async_context(Stage())
        await stack.enter_async_context(serving(stage, folder, PIPELINE=str(path)))

        def refuse(note: Note) -> None:
            if note.what == "says" and note.data["text"] == SAYS:
                stage.model.refuse = refusals.get("realtime")  # type: ignore[assignment]
                stage.openai.refuse.update(refusals.get("http", {}))  # type: ignore[call-overload]

        stage.journal.subscribe(refuse)
        return await stage.play("fallback", told)


@pytest.mark.parametrize("refusal", [503, 401, "never"])
async def test_a_cascade_goes_on_where_the_realtime_model_stopped(tmp_path, refusal):
    result = await played(tmp_path, "openai_realtime", "cascade_openai", story("It comes."), realtime=refusal)
    assert problems(result, on_time=False) == []
    assert result.dead_air <= SILENCE_SECONDS
    assert [fall["rung"] for fall in result.record["falls"]] == ["new_session", "another_model"]


async def test_the_realtime_model_goes_on_where_a_cascade_stopped(tmp_path):
    told = story("It comes.")
    result = await played(tmp_path, "cascade_openai", "openai_realtime", told, http={"completions": "abort"})
    assert problems(result, on_time=False) == []
    assert result.dead_air <= SILENCE_SECONDS
    assert result.record["falls"][-1]["rung"] == "another_model"


async def test_a_person_takes_over_when_the_other_model_is_gone_too(tmp_path):
    told = story("never said", says=["Thursday"], knows=[], without_goodbye=True)
    result = await played(tmp_path, "openai_realtime", "cascade_openai", told, realtime=503, http={"completions": 401})
    assert result.record["end"] == "put_through"
    assert [fall["rung"] for fall in result.record["falls"]] == ["new_session", "another_model", "person"]
