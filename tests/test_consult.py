"""Mode `consult`: a person talks with the bot about the caller before they decide. The law, the words, the tools."""

from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from calls import POLICY, SID, Story, leg

from bot import briefing, effects as ef, events as ev, person_events as pe, twiml
from bot.addresses import Addresses
from bot.attended import KEY_SECONDS, wait_for
from bot.call import Outcome, Phase
from bot.consultation import CONSULT_SECONDS
from bot.consulting_tools import CONSULTING_TOOLS, LONGEST_MESSAGE, decided, pressed
from bot.phrases import LANGUAGES
from bot.routing import Mode
from bot.tools import LONGEST_REASON

DOCTOR = replace(POLICY.targets["doctor"], mode=Mode.CONSULT)
CONSULTS = replace(POLICY, targets={**POLICY.targets, "doctor": DOCTOR})


def talking() -> Story:
    """The person has picked up, and talks with the bot."""
    return Story(CONSULTS).seeking("doctor").picked_up(1).happens(pe.ConsultationStarted, attempt=1)


# --- the law --------------------------------------------------------------------------------------------------


def test_the_caller_s_bot_knows_of_the_talk_and_stays_with_the_caller():
    story = talking()
    [told] = story.effects
    assert isinstance(told, ef.TellBot)
    assert (story.call.phase, story.documents) == (Phase.SEEKING, [])
    assert story.call.attempts[0].consulted_at == story.at


def test_an_attempt_has_one_talk():
    story = talking()
    before = story.call
    story.happens(pe.ConsultationStarted, attempt=1)
    assert (story.call, story.effects) == (before, ())


@pytest.mark.parametrize("when", ["accepted", "declined", "caller gone", "nobody's"])
def test_who_has_decided_or_has_no_caller_does_not_talk(when: str):
    story = Story(CONSULTS).seeking("doctor").picked_up(1)
    match when:
        case "accepted":
            story.happens(ev.PersonAccepted, attempt=1)
        case "declined":
            story.happens(ev.PersonDeclined, attempt=1)
        case "caller gone":
            story.happens(ev.StreamEnded, leg=1, stopped=True)
        case _:
            with pytest.raises(ev.ImpossibleEvent):
                story.happens(pe.ConsultationStarted, attempt=7)
            return
    before = story.call
    assert story.happens(pe.ConsultationStarted, attempt=1).call == before


def test_the_talk_s_end_decides_nothing():
    story = talking().happens(pe.ConsultationEnded, attempt=1)
    assert (story.call.phase, story.effects) == (Phase.SEEKING, ())
    assert story.call.attempts[0].consulted_until == story.at
    before = story.call
    assert story.happens(pe.ConsultationEnded, attempt=1).call == before
    story.happens(ev.PersonAccepted, attempt=1)  # the key, after all
    assert story.call.phase is Phase.LEAVING


def test_who_takes_the_call_in_words_gets_the_caller_as_by_the_key():
    story = talking().happens(ev.PersonAccepted, attempt=1)
    assert story.effects[0] == ef.SayGoodbye(1)
    assert not any(isinstance(effect, ef.BringPerson) for effect in story.effects), "their own document brings them"
    story.happens(ev.GoodbyeHeard, handoff=1)
    assert story.documents == [ef.MeetPerson(1)]


def test_a_reason_is_kept_and_told_and_the_next_one_is_called():
    story = talking().happens(ev.PersonDeclined, attempt=1, reason="in surgery")
    told = [effect for effect in story.effects if isinstance(effect, ef.TellBot)]
    assert "in surgery" in told[0].text
    assert (story.call.attempts[0].why, story.call.attempts[0].outcome) == ("in surgery", Outcome.DECLINED)
    assert ef.CallPerson(2) in story.effects


def test_a_message_is_said_to_the_caller_at_once_and_the_next_one_is_called():
    story = talking().happens(ev.PersonDeclined, attempt=1, message="Take an aspirin.")
    [said] = [effect for effect in story.effects if isinstance(effect, ef.ListenAgain)]
    assert "Take an aspirin." in said.advice
    assert story.call.attempts[0].message == "Take an aspirin."
    assert (story.call.phase, ef.CallPerson(2) in story.effects) == (Phase.SEEKING, True)


def test_a_caller_who_leaves_ends_the_talk():
    story = talking().happens(ev.StreamEnded, leg=1, stopped=True)
    assert story.effects == (ef.ReleasePerson(1),)
    assert story.call.attempts[0].outcome is Outcome.CALLER_GONE


def test_a_person_who_is_never_heard_of_again_is_given_the_time_of_a_talk():
    story = Story(CONSULTS).seeking("doctor")
    assert wait_for(story.call, 1, CONSULTS).seconds == 20 + KEY_SECONDS + CONSULT_SECONDS
    assert wait_for(story.call, 1, POLICY).seconds == 20 + KEY_SECONDS
    story.picked_up(1).happens(pe.ConsultationStarted, attempt=1)
    story.happens(ev.TimerFired, timer=ef.Timer.PERSON, number=1)
    assert story.call.attempts[0].outcome is Outcome.NO_ANSWER
    assert ef.ReleasePerson(1) in story.effects


# --- what the person says -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arguments", "event"),
    [
        ("connect_caller", {}, ev.PersonAccepted(at=5.0, attempt=2)),
        ("decline", {"reason": "lunch"}, ev.PersonDeclined(at=5.0, attempt=2, reason="lunch")),
        ("decline", {"reason": ["x"]}, ev.PersonDeclined(at=5.0, attempt=2)),
        ("decline", {"reason": "x" * 9999}, ev.PersonDeclined(at=5.0, attempt=2, reason="x" * LONGEST_REASON)),
        ("take_message", {"text": "y" * 9999}, ev.PersonDeclined(at=5.0, attempt=2, message="y" * LONGEST_MESSAGE)),
        ("take_message", {}, ev.PersonDeclined(at=5.0, attempt=2)),
        ("hand_off", {"target": "desk"}, None),
        ("", {}, None),
    ],
)
def test_a_function_call_is_a_decision_of_the_person_s_own_attempt(name: str, arguments: dict, event: ev.Event | None):
    assert decided(name, arguments, 2, 5.0) == event


@pytest.mark.parametrize("key", "0123456789*#")
def test_two_keys_decide_and_no_other(key: str):
    event = pressed(key, 2, 5.0)
    assert type(event) is {"1": ev.PersonAccepted, "2": ev.PersonDeclined}.get(key, type(None))


def test_the_bot_can_do_nothing_else_for_a_person():
    names = {tool.name for tool in CONSULTING_TOOLS.standard_tools}
    assert names == {"connect_caller", "decline", "take_message"}


# --- what the bot knows -------------------------------------------------------------------------------------------


def test_the_bot_knows_the_conversation_and_begins_with_who_calls_and_the_keys():
    messages = [
        {"role": "developer", "content": "secret instruction"},
        {"role": "user", "content": "My head hurts."},
        {"role": "assistant", "content": "Since when?"},
        {"role": "assistant", "tool_calls": []},
        "nonsense",
        {"role": "user", "content": [{"type": "image"}]},
    ]
    told = briefing.for_consulting_bot(talking().call, replace(DOCTOR, language="de"), messages)
    assert "caller: My head hurts.\nyou: Since when?" in told
    assert "secret instruction" not in told
    assert "in German" in told
    assert LANGUAGES["de"].keys in told
    assert "Wants money." in told


def test_of_a_long_conversation_the_bot_knows_the_latest():
    messages = [{"role": "user", "content": f"{n} " + "x" * 500} for n in range(50)]
    told = briefing.for_consulting_bot(talking().call, DOCTOR, messages)
    assert "49 xxx" in told
    assert "caller: 3 xxx" not in told
    assert len(told) < briefing.TOLD_OF_CONVERSATION + 2000


def test_behind_the_person_s_stream_twilio_asks_what_they_have_decided():
    at = Addresses("https://bot.example", state="s" * 100)
    connect, redirect = ET.fromstring(twiml.consult(2, SID, "t.o.k", at))
    [stream] = connect
    assert connect.get("action") is None
    assert stream.get("url") == "wss://bot.example/twilio/media"
    parameters = {each.get("name"): each.get("value") for each in stream}
    assert parameters == {"consultation": "t.o.k", "call": SID, "state": "s" * 100}
    assert (redirect.text or "").startswith(f"https://bot.example/twilio/person/consulted?attempt=2&call={SID}")


def test_the_person_s_leg_is_known_when_they_talk():
    assert talking().call.attempts[0].leg_sid == leg(1)
