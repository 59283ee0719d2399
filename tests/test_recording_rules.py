"""Recording as an operator writes it down, and as it stands in the documents that Twilio gets."""

import dataclasses
from pathlib import Path
from xml.etree import ElementTree

import pytest
from calls import POLICY, SID, Story

from bot import effects as ef, events as ev, twiml
from bot.call import By, Call
from bot.carried import Carried
from bot.law import answer_without_bot
from bot.policy_file import load_policy
from bot.recorded import RecordingRules
from bot.routing import Endpoint, Order, Policy
from bot.tokens import Seal
from pipelines.problems import ConfigurationError

SMALLEST = """\
targets:
  desk:
    description: Everything.
    numbers: ["+442079460101"]
default: desk
"""
TOLD = "This call is recorded."
AT = twiml.Addresses("https://bot.example")
RULES = {
    "off": RecordingRules(),
    "bot": RecordingRules(bot=True, announcement=TOLD),
    "person": RecordingRules(person=True, announcement=TOLD),
    "both": RecordingRules(bot=True, person=True, announcement=TOLD),
}
MODES = list(RULES)


def load(folder: Path, more: str) -> Policy:
    path = folder / "handoff.yaml"
    path.write_text(SMALLEST + more)
    return load_policy(path, {})


def recording(mode: str, **changes: object) -> Policy:
    return dataclasses.replace(POLICY, recording=RULES[mode], **changes)  # type: ignore[arg-type]


def xml(order: ef.Document, call: Call, policy: Policy) -> ElementTree.Element:
    """The document as Twilio reads it."""
    text = twiml.document(order, call, policy, AT, token="t0k3n")
    assert len(text) < twiml.INLINE_LIMIT
    return ElementTree.fromstring(text)


# --- the file ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_the_modes_are_what_they_say(tmp_path: Path, mode: str):
    told = "" if mode == "off" else f", announcement: {TOLD}"
    assert load(tmp_path, f"recording: {{mode: {mode}{told}}}\n").recording == RULES[mode]


def test_nothing_is_recorded_unless_it_is_said(tmp_path: Path):
    assert load(tmp_path, "").recording == RULES["off"]


def test_callers_who_are_told_elsewhere_are_not_told_here(tmp_path: Path):
    rules = load(tmp_path, "recording: {mode: both, announced_elsewhere: true}\n").recording
    assert (rules.bot, rules.person, rules.announcement) == (True, True, "")


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ("{mode: both}", "records callers and does not tell them"),
        ('{mode: bot, announcement: " "}', "records callers and does not tell them"),
        (f"{{announcement: {TOLD}}}", "is announced and records nothing"),
        (f"{{mode: bot, announced_elsewhere: true, announcement: {TOLD}}}", "is announced here and elsewhere"),
        ("{mode: all}", "mode"),
        (f"{{mode: bot, language: tlh, announcement: {TOLD}}}", "is `tlh`, in which we have no words"),
    ],
)
def test_a_mistake_is_told(tmp_path: Path, wrong: str, what: str):
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, f"recording: {wrong}\n")
    [problem] = caught.value.problems
    assert what in problem.what or what in problem.where


# --- the documents -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("story", [Story, Story.calling], ids=["they call", "we call"])
def test_callers_are_told_once_before_the_bot_is_there(mode: str, story: object):
    policy = recording(mode)
    call = story(policy).call  # type: ignore[operator]
    first = xml(ef.ConnectBot(1), call, policy)[0]
    assert (first.tag, first.text, first.get("language")) == (
        ("Connect", None, None) if mode == "off" else ("Say", TOLD, "en-US")
    )
    assert xml(ef.ConnectBot(2), call, policy)[0].tag == "Connect"


def test_the_announcement_is_in_its_language():
    rules = RecordingRules(bot=True, announcement="Dieser Anruf wird aufgezeichnet.", language="de")
    policy = dataclasses.replace(POLICY, recording=rules)
    assert xml(ef.ConnectBot(1), Story(policy).call, policy)[0].get("language") == "de-DE"


@pytest.mark.parametrize("mode", MODES)
def test_callers_whom_the_bot_does_not_take_are_told_before_the_phone_rings(mode: str):
    policy = recording(mode)
    call, (document, *_) = answer_without_bot(SID, "+442079460100", "+442079460199", 1000.0, policy, "an outage")
    assert call.handoffs[0].by is By.CLOSED
    assert isinstance(document, ef.DialPerson)
    first = xml(document, call, policy)[0]
    assert (first.tag == "Say") is (mode in ("person", "both"))
    story = Story(policy)
    story.call = call
    story.ends(1, "busy")
    assert xml(ef.DialPerson(2), story.call, policy)[0].tag == "Dial", "once"


@pytest.mark.parametrize("mode", MODES)
def test_a_dial_records_the_two_from_the_answer_on_where_the_person_s_part_is_wanted(mode: str):
    policy = recording(mode)
    dial = xml(ef.DialPerson(1), Story(policy).ringing().call, policy)[0]
    callback = dial.get("recordingStatusCallback", "")
    if mode in ("off", "bot"):
        assert (dial.get("record"), callback) == (None, "")
    else:
        assert (dial.get("record"), dial.get("trim")) == ("record-from-answer-dual", "do-not-trim")
        assert callback.startswith(f"https://bot.example/twilio/recording?part=person&call={SID}&attempt=1")


def test_a_dial_with_a_whisper_does_not_record_by_itself():
    policy = recording("both")
    assert xml(ef.DialPerson(1), Story(policy).ringing("billing").call, policy)[0].get("record") is None


@pytest.mark.parametrize("mode", MODES)
def test_a_conference_records_from_its_start_on_whoever_is_there_first(mode: str):
    policy = recording(mode)
    call = Story(policy).meeting().call
    caller = xml(ef.MeetPerson(1), call, policy).find("Dial/Conference")
    person = ElementTree.fromstring(twiml.await_caller(1, call, policy, "en", AT)).find("Dial/Conference")
    assert caller is not None
    assert person is not None
    attributes = ("record", "trim", "recordingStatusCallback", "recordingStatusCallbackEvent")
    told = [[each.get(name) for name in attributes] for each in (caller, person)]
    assert told[0] == told[1]
    assert told[0][0] == ("record-from-start" if mode in ("person", "both") else None)


def test_the_dial_that_twilio_holds_records_too():
    policy = recording("person")
    dial = xml(ef.ConnectBot(1), Story(policy).call, policy).find("Dial")
    assert dial is not None
    assert "attempt=0" in dial.get("recordingStatusCallback", "")
    assert "record" not in ElementTree.fromstring(twiml.hosted_fallback(policy, "https://x.example/after"))[0].attrib


@pytest.mark.parametrize("address", ["+4420794601{:02}", "sip:somebody.{:02}@a-contact-centre.example.com"])
@pytest.mark.parametrize("order", list(Order))
def test_the_longest_document_still_fits_into_a_redirect(order: Order, address: str):
    people = tuple(Endpoint(address.format(n), 20) for n in range(10))
    desk = dataclasses.replace(POLICY.targets["desk"], endpoints=people, order=order, caller_id="+442079460199")
    policy = recording("both", targets={**POLICY.targets, "desk": desk})
    story = Story(policy).with_bot()
    story.happens(ev.HandoffRequested, target="desk", reason="ß" * 300, summary="<&>" * 500)
    call = dataclasses.replace(story.happens(ev.GoodbyeHeard, handoff=1).call, caller="sip:" + "c" * 200)
    sealed = Carried.of(call).seal(SID, Seal.from_auth_token("secret", "callback"))
    at = twiml.Addresses("https://" + "b" * 60 + ".example", sealed)
    assert len(twiml.document(ef.DialPerson(1), call, policy, at)) < twiml.INLINE_LIMIT
