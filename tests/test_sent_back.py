"""A person in the conference presses `*` twice, once, or hangs up; and the caller stays or leaves."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
import pytest_asyncio
from calls import POLICY, SID, Story
from serving import serving

from bot import effects as ef, events as ev, twiml
from bot.briefing import for_returning_bot
from bot.call import Call, End, Outcome, Phase
from bot.law import standing_document
from bot.policy_file import load_policy
from bot.sent_back import HOLD_SECONDS
from sandbox.check import Played, problems
from sandbox.people import Person
from sandbox.stage import Stage
from sandbox.story import Act, Step, Story as Scene, Then, load

WITH_KEY = dataclasses.replace(POLICY, back_key=True)
AT = twiml.Addresses("https://bot.example.com")


def together() -> Story:
    return Story(WITH_KEY).meeting().happens(ev.Bridged, attempt=1)


def stepped_out() -> Story:
    """The person pressed the first star, so the conference is over; the caller is held."""
    story = together().ends(1, "answered")
    assert story.effects == (ef.HoldCaller(1, 1),)
    assert story.call.phase is Phase.PERSON
    assert standing_document(story.call) == ef.HoldCaller(1, 1)
    return story


def held(story: Story, seconds: int = 1) -> Story:
    """The caller's wait is over."""
    return story.ends(1, "", held=seconds)


def outcome(story: Story) -> Outcome | None:
    return story.call.attempts[0].outcome


@pytest.mark.parametrize("order", ["the key first", "the caller's question first"])
def test_the_second_star_gives_the_caller_back_to_the_bot_with_an_answer(order: str):
    story = together()
    if order == "the key first":
        story.happens(ev.PersonSentBack, attempt=1).ends(1, "answered")
    else:
        held(story.ends(1, "answered").happens(ev.PersonSentBack, attempt=1))
    assert story.documents == [ef.ConnectBot(2)]
    assert (story.call.phase, outcome(story)) == (Phase.CONNECTING, Outcome.ANSWERED)
    assert story.call.attempts[0].sent_back
    assert story.call.nobody == 0, "somebody did take the call"
    told = for_returning_bot(story.with_bot().call, WITH_KEY)
    assert told is not None
    assert "doctor has talked with them and sent them back" in told
    story.leg_ends(1, "completed")
    assert story.effects == ()
    assert story.call.phase is Phase.BOT
    assert story.asks("doctor").call.phase is Phase.SEEKING, "and they may be put through again"


def test_a_question_that_is_asked_again_has_the_same_answer():
    story = held(stepped_out().happens(ev.PersonSentBack, attempt=1))
    assert held(story).effects == ()
    assert standing_document(story.call) == ef.ConnectBot(2)
    assert story.happens(ev.PersonSentBack, attempt=1).effects == ()


def test_without_a_second_star_both_are_in_the_conference_again():
    story = held(stepped_out().happens(ev.PersonSteppedIn, attempt=1))
    assert story.documents == [ef.MeetPerson(1)]
    story.happens(ev.Bridged, attempt=1)
    assert not story.call.attempts[0].waits
    assert story.leg_ends(1, "completed").effects == ()
    story.ends(1, "answered")
    assert (story.call.end, story.effects) == (End.PUT_THROUGH, (ef.HangUp(),))


def test_both_steps_may_be_taken_again():
    story = held(stepped_out().happens(ev.PersonSteppedIn, attempt=1)).happens(ev.Bridged, attempt=1)
    assert story.ends(1, "answered").documents == [ef.HoldCaller(1, 1)]
    assert held(story.happens(ev.PersonSentBack, attempt=1)).documents == [ef.ConnectBot(2)]


@pytest.mark.parametrize("order", ["their leg first", "the caller's question first"])
def test_a_person_who_hangs_up_ends_the_call(order: str):
    story = together()
    if order == "their leg first":
        story.leg_ends(1, "completed").ends(1, "answered")
    else:
        held(story.ends(1, "answered").leg_ends(1, "completed"))
    assert (story.call.end, story.effects) == (End.PUT_THROUGH, (ef.HangUp(),))
    assert story.call.attempts[0].ended_by == "person"


def test_a_caller_is_not_held_for_ever():
    story = stepped_out()
    for seconds in range(1, HOLD_SECONDS):
        assert held(story, seconds).documents == [ef.HoldCaller(1, seconds + 1)]
    assert held(story, HOLD_SECONDS).documents == [ef.HangUp()]
    assert story.call.end is End.PUT_THROUGH


def test_a_person_who_steps_in_and_hangs_up_leaves_nobody_alone():
    story = held(stepped_out().happens(ev.PersonSteppedIn, attempt=1)).leg_ends(1, "completed")
    assert story.documents == [ef.ConnectBot(2)]
    assert outcome(story) is Outcome.ANSWERED


@pytest.mark.parametrize("moment", ["together", "held", "the person waits", "on the way back in", "sent back"])
@pytest.mark.parametrize("told", ["call ended", "dial ended"])
def test_a_caller_who_leaves_leaves_nobody_waiting(moment: str, told: str):
    story = together() if moment == "together" else stepped_out()
    waits = moment in ("the person waits", "on the way back in")
    if waits:
        story.happens(ev.PersonSteppedIn, attempt=1)
    if moment == "on the way back in":
        held(story)
    if moment == "sent back":
        story.happens(ev.PersonSentBack, attempt=1)
    if told == "call ended":
        story.happens(ev.CallEnded)
    else:
        story.ends(1, "completed", caller_gone=True)
    assert (story.call.phase, outcome(story)) == (Phase.ENDED, Outcome.ANSWERED)
    assert (ef.ReleasePerson(1) in story.effects) is waits
    for late in (ev.PersonSentBack, ev.PersonSteppedIn):
        before = story.call
        story.happens(late, attempt=1)
        assert story.call == before


@pytest.mark.parametrize("fact", [ev.PersonSentBack, ev.PersonSteppedIn])
def test_who_does_not_have_the_caller_sends_nobody_back(fact: type[ev.Event]):
    for story in (Story(WITH_KEY).seeking(), Story(WITH_KEY).seeking().accepts(1), Story(WITH_KEY).meeting()):
        before: Call = story.call
        assert story.happens(fact, attempt=1).call == before
    with pytest.raises(ev.ImpossibleEvent):
        Story(WITH_KEY).with_bot().happens(fact, attempt=1)


def test_without_the_key_the_end_of_the_conference_is_the_end():
    story = Story().meeting().happens(ev.Bridged, attempt=1).ends(1, "answered")
    assert story.call.end is End.PUT_THROUGH


def test_the_person_s_way_into_the_conference_has_a_star_where_the_operator_wants_it():
    call = together().call
    for policy in (WITH_KEY, POLICY):
        for text in (twiml.await_caller(1, call, policy, "en", AT), twiml.return_to_caller(1, call, policy, AT)):
            dial = ElementTree.fromstring(text).find("Dial")
            assert dial is not None
            assert (dial.get("hangupOnStar") == "true") is policy.back_key
            assert bool(dial.get("action")) is policy.back_key


def test_the_question_for_the_second_star_takes_a_star():
    gather, redirect = ElementTree.fromstring(twiml.second_key(1, SID, AT))
    assert (gather.get("numDigits"), gather.get("timeout"), gather.get("finishOnKey")) == ("1", "2", "")
    assert gather.get("action") == redirect.text


def test_the_operator_can_turn_it_off(tmp_path: Path):
    shipped = Path("handoff.yaml")
    assert load_policy(shipped, {}).back_key
    without = tmp_path / "handoff.yaml"
    without.write_text(shipped.read_text().replace('back_key: "**"', 'back_key: ""'))
    assert not load_policy(without, {}).back_key


# --- on the line -------------------------------------------------------------------------------------------------


def scene(person: Person, *then: Step) -> Scene:
    asked = [Act(say="Right away."), Act.model_validate({"call": "hand_off", "with": {"target": "manager"}})]
    return Scene(
        title="star",
        script=[Step(bot="Hello!"), Step(caller="A person, please."), Step(bot=asked), *then],
        people={"+12025550155": [person]},
        then=Then(end="", redirects=1),
    )


SCENES = {
    "twice": load("sent_back"),
    "once": scene(Person("answer", after=0.3, stars=1, hangs_up_after=1.0)),
    "once, and the caller leaves": scene(
        Person("answer", after=0.3, stars=1), Step(hang_up=True, when="leaves", after=1.0)
    ),
    "hangs up": scene(Person("answer", after=0.3, hangs_up_after=1.0)),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def played(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, Played]]:
    async with Stage() as stage, serving(stage, tmp_path_factory.mktemp("star"), LOG_LEVEL="WARNING"):
        results = await asyncio.gather(*(stage.play(name, one) for name, one in SCENES.items()))
        for result in results:
            async with asyncio.timeout(20):
                while any(one.live for one in result.call.called):
                    await asyncio.sleep(0.05)
        yield {result.name: result for result in results}


@pytest.mark.timeout(90)
def test_the_story_holds(played: dict[str, Played]):
    assert problems(played["twice"], on_time=False) == []
    assert played["twice"].record["attempts"][0]["sent_back"] is True


def test_one_star_is_a_mistake(played: dict[str, Played]):
    result = played["once"]
    assert len(result.of("person", "bridged")) == 2
    assert result.record["end"] == "put_through"
    assert result.record["attempts"][0]["sent_back"] is False


@pytest.mark.parametrize("name", ["once, and the caller leaves", "hangs up"])
def test_neither_is_left_alone(played: dict[str, Played], name: str):
    assert played[name].record["end"] == "put_through"
    assert not any(one.live for one in (played[name].call, *played[name].call.called))
