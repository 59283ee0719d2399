"""Text messages to people who are rung: who gets one, what it says, and what a refusal changes."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from calls import POLICY, Story
from serving import serving

from bot import briefing, effects as ef, events as ev
from bot.law import answer_without_bot
from bot.routing import Endpoint, Policy, Target
from sandbox.check import problems
from sandbox.stage import OUR_NUMBER, Stage
from sandbox.story import load

KIM = "+12025550155"


def texting(key: str) -> Policy:
    """Our policy, where this target's people get messages."""
    return replace(POLICY, targets={**POLICY.targets, key: replace(POLICY.targets[key], sms=True)})


def texted(story: Story) -> list[int]:
    return [effect.attempt for effect in story.all_effects if isinstance(effect, ef.TextPerson)]


@pytest.mark.parametrize(("target", "numbers"), [("desk", [1, 2]), ("billing", [])])
def test_each_person_who_is_rung_gets_one_message_where_the_target_says_so(target: str, numbers: list[int]):
    story = Story(texting("desk")).ringing(target)
    for n in (1, 2)[: len(POLICY.targets[target].endpoints)]:
        story.ends(n, "busy").ends(n, "busy")
    assert texted(story) == numbers


def test_people_who_are_called_while_the_bot_stays_get_theirs_as_their_phone_is_rung():
    story = Story(texting("doctor")).seeking()
    assert texted(story) == [1]
    assert texted(story.leg_ends(1, "busy")) == [1, 2]


def test_all_who_are_rung_at_once_get_one_each():
    assert texted(Story(texting("crew")).seeking("crew")) == [1, 2]


def test_whom_twilio_dials_by_itself_gets_none():
    story = Story(texting("desk")).with_bot().happens(ev.StreamEnded, leg=1, stopped=False)
    assert texted(story) == []


def test_who_is_rung_because_the_bot_takes_no_calls_gets_one_too():
    _, effects = answer_without_bot("CA1", "+442079460100", "+442079460199", 1.0, texting("desk"), "switched off")
    assert ef.TextPerson(1) in effects


def test_the_message_is_in_the_person_s_language_and_short_enough_for_any_reason():
    story = Story().with_bot().happens(ev.HandoffRequested, target="desk", reason="x" * 5000, summary="")
    desk = Target("desk", "", (Endpoint("+4930123456", 20),), language="de")
    text = briefing.text_message(story.call, desk, "https://bot.example/handoff/token")
    assert text.startswith("Ein Anrufer mit der Nummer +442079460100")
    assert text.endswith(" https://bot.example/handoff/token")
    assert len(text) < 320


async def play(stage: Stage) -> list[dict[str, Any]]:
    """The story of a manager who is called. Returns what the record says of text messages."""
    played = await stage.play("attended", load("attended"))
    assert problems(played, on_time=False) == []
    return [entry["data"] for entry in played.record["timeline"] if entry["event"] == "PersonTexted"]


async def test_the_link_opens_the_person_s_page(tmp_path: Path):
    async with Stage() as stage, serving(stage, tmp_path) as url:
        assert await play(stage) == [{"attempt": 1, "number": KIM, "failure": None}]
        [message] = stage.network.messages
        assert (message.to, message.from_) == (KIM, OUR_NUMBER)
        assert "a fire" in message.body
        path = re.sub(r"^.*https://[^/]+", "", message.body)
        async with aiohttp.ClientSession() as http, http.get(url + path) as answer:
            assert "The tent of order 1042" in await answer.text()


async def test_a_message_that_twilio_does_not_send_changes_nothing_but_the_record(tmp_path: Path):
    async with Stage() as stage, serving(stage, tmp_path):
        stage.network.numbers[OUR_NUMBER] = replace(stage.network.numbers[OUR_NUMBER], sms=False)
        [note] = await play(stage)
        assert "21606" in note["failure"]
        assert stage.network.messages == []
