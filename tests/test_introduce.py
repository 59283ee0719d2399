"""Mode `introduce`: when the two are together, both hear who the other is; once, and they talk in any case."""

from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from calls import POLICY, SID, Story
from fakes import ScriptedTelephony

from bot import briefing, effects as ef, events as ev, person_events as pe, twiml
from bot.addresses import Addresses
from bot.call import Outcome, Phase
from bot.orders import Orders
from bot.people import People
from bot.phrases import LANGUAGES
from bot.routing import Mode, Policy
from bot.telephony import Ambiguous, CallGone, Refused, TelephonyError, Unavailable
from bot.tokens import PersonPages, Seal
from bot.tools import LONGEST_INTRODUCTION, call_tools, requested
from bot.xml_text import SAY_LIMIT

CONFERENCE = f"CF{7:032x}"
DOCTOR = replace(POLICY.targets["doctor"], mode=Mode.INTRODUCE)
INTRODUCES = replace(POLICY, targets={**POLICY.targets, "doctor": DOCTOR})
AT = Addresses("https://bot.example")
WORDS = "Doctor, this is Sam."


def meeting(introduction: str = WORDS) -> Story:
    """The person has taken the call, and the caller is moved to them."""
    story = Story(INTRODUCES).with_bot()
    story.happens(ev.HandoffRequested, target="doctor", reason="a cough", summary="Coughs.", introduction=introduction)
    story.called(1).accepts(1).happens(ev.GoodbyeHeard, handoff=1)
    return story.happens(ev.StreamEnded, leg=1, stopped=True)


def together(introduction: str = WORDS) -> Story:
    return meeting(introduction).happens(ev.Bridged, attempt=1, conference=CONFERENCE)


# --- the law ------------------------------------------------------------------------------------------------


def test_both_are_introduced_as_soon_as_they_are_together():
    story = meeting()
    assert not any(isinstance(effect, ef.Introduce) for effect in story.all_effects)
    story.happens(ev.Bridged, attempt=1, conference=CONFERENCE)
    assert story.effects == (ef.Introduce(1, CONFERENCE),)
    assert story.call.phase is Phase.PERSON


@pytest.mark.parametrize("again", ["told twice", "back in the conference"])
def test_they_are_introduced_once(again: str):
    story = together()
    if again == "back in the conference":
        story.policy = replace(INTRODUCES, back_key=True)
        story.ends(1, "answered").happens(ev.PersonSteppedIn, attempt=1).ends(1, "", held=1)
        assert story.documents == [ef.MeetPerson(1)]
    story.happens(ev.Bridged, attempt=1, conference=f"CF{8:032x}")
    assert not any(isinstance(effect, ef.Introduce) for effect in story.effects)


def test_nobody_is_introduced_in_another_mode_or_where_twilio_names_no_conference():
    attended = Story().seeking().accepts(1).happens(ev.GoodbyeHeard, handoff=1)
    attended.happens(ev.Bridged, attempt=1, conference=CONFERENCE)
    unnamed = meeting().happens(ev.Bridged, attempt=1)
    assert attended.effects == unnamed.effects == ()


@pytest.mark.parametrize("said", [True, False])
def test_the_record_says_whether_they_heard_it_and_they_talk_either_way(said: bool):
    story = together().happens(pe.IntroductionEnded, attempt=1, said=said)
    assert (story.call.attempts[0].introduced, story.call.phase, story.effects) == (said, Phase.PERSON, ())
    before = story.call
    assert story.happens(pe.IntroductionEnded, attempt=1, said=not said).call == before, "told twice"
    story.ends(1, "answered")
    assert story.call.attempts[0].outcome is Outcome.ANSWERED


def test_an_introduction_that_is_told_of_after_the_end_changes_nothing():
    story = together().ends(1, "answered")
    before = story.call
    assert story.happens(pe.IntroductionEnded, attempt=1, said=True).call == before


def test_an_introduction_of_nobody_is_impossible():
    with pytest.raises(ev.ImpossibleEvent):
        together().happens(pe.IntroductionEnded, attempt=3, said=True)


# --- what is said ---------------------------------------------------------------------------------------------


def test_the_model_writes_what_both_hear_where_a_target_introduces():
    [hand_off, *_] = call_tools(INTRODUCES)
    assert "introduction" in hand_off.properties
    assert "introduction" not in hand_off.required
    assert "doctor (you stay, and introduce both)" in hand_off.properties["target"]["description"]
    [plain, *_] = call_tools(POLICY)
    assert "introduction" not in plain.properties


@pytest.mark.parametrize("given", [None, 7, ["x"], "x" * 5000])
def test_whatever_the_model_gives_for_an_introduction_is_text_of_limited_length(given: object):
    event = requested("hand_off", {"target": "doctor", "introduction": given}, 1.0)
    assert isinstance(event, ev.HandoffRequested)
    assert isinstance(event.introduction, str)
    assert len(event.introduction) <= LONGEST_INTRODUCTION


@pytest.mark.parametrize("text", ["<Hangup/> & \x00\x08 \ud800", "a" * 5000, "</Say></Response>"])
def test_hostile_words_are_words_in_the_announcement(text: str):
    story = together(text)
    document = twiml.introduction(briefing.introduction(story.call, DOCTOR, 1), "en")
    [said] = ET.fromstring(document)
    assert said.tag == "Say"
    assert len(said) == 0
    assert len(said.text or "") <= SAY_LIMIT


@pytest.mark.parametrize("language", LANGUAGES)
def test_without_words_of_the_model_s_they_are_told_that_they_are_together_and_why(language: str):
    target = replace(DOCTOR, language=language)
    said = briefing.introduction(together("  ").call, target, 1)
    assert said.startswith(LANGUAGES[language].together)
    assert "a cough" in said
    assert "Coughs." not in said, "the summary is for the person alone"


@pytest.mark.parametrize(("policy", "events"), [(INTRODUCES, "start end announcement"), (POLICY, "start end")])
def test_twilio_tells_how_an_introduction_went(policy: Policy, events: str):
    story = meeting()
    for document in (
        twiml.document(ef.MeetPerson(1), story.call, policy, AT),
        twiml.await_caller(1, story.call, policy, "en", AT),
    ):
        [conference] = ET.fromstring(document).iter("Conference")
        assert conference.get("statusCallbackEvent") == events


# --- the order ------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("error", "failed"),
    [
        (None, False),
        (Ambiguous(None, None, "no answer"), False),
        (CallGone(20404, 404, "gone"), True),
        (Refused(21205, 400, "no"), True),
        (Unavailable(20429, 429, "busy"), True),
    ],
)
async def test_only_an_introduction_that_will_not_come_is_told_as_failed(error: TelephonyError | None, failed: bool):
    telephony = ScriptedTelephony(answers=[error])
    people = People(INTRODUCES, lambda call: AT, PersonPages(Seal(b"secret")), lambda: 5.0)
    orders = Orders(telephony, lambda document, call: "", people, lambda: 5.0)
    event = await orders.introduce(together().call, 1, CONFERENCE)
    [(what, url)] = telephony.orders
    assert what == "announce", "asked once, whatever the answer"
    assert url.startswith(f"https://bot.example/twilio/person/introduction?attempt=1&call={SID}")
    assert event == (pe.IntroductionEnded(at=5.0, attempt=1, said=False) if failed else None)
