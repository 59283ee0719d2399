"""The documents that Twilio gets."""

import dataclasses
from xml.etree import ElementTree

import pytest
from calls import CALLER, POLICY, Story
from hypothesis import given
from hypothesis import strategies as st

from bot import events as ev
from bot import twiml
from bot.briefing import for_person, for_returning_bot
from bot.call import Call
from bot.carried import Carried
from bot.routing import Number, Policy, allowed_numbers
from bot.tokens import Seal

AT = twiml.Addresses("https://bot.example")
RESCUED = dataclasses.replace(POLICY, rescue=True)


def url(tail: str) -> str:
    """An address of ours, as it stands in a document."""
    return f"https://bot.example/twilio/{tail}#ct=1000&rt=5000&tt=14000&rc=3&rp=5xx,ct,rt"


def xml(order: ev.Document, call: Call, policy: Policy = POLICY) -> ElementTree.Element:
    """The document as Twilio reads it."""
    text = twiml.document(order, call, policy, AT, token="t0k3n")
    assert text.startswith("<?xml")
    assert len(text) < twiml.INLINE_LIMIT
    return ElementTree.fromstring(text)


def test_the_opening_document_opens_the_stream_with_its_token():
    stream = xml(ev.ConnectBot(1), Story().call).find("Connect/Stream")
    assert stream is not None
    assert stream.get("url") == "wss://bot.example/twilio/media"
    parameters = {p.get("name"): p.get("value") for p in stream.findall("Parameter")}
    assert parameters == {"token": "t0k3n"}


def test_a_vanished_server_means_a_person_and_then_the_recorder():
    document = xml(ev.ConnectBot(1), Story().call)
    connect, dial, say, record, hang_up = list(document)
    assert [connect.tag, dial.tag, say.tag, record.tag, hang_up.tag] == ["Connect", "Dial", "Say", "Record", "Hangup"]
    assert record.get("action") == url("voicemail?failsafe=1")
    assert connect.get("action") is None  # so Twilio goes on to the next verb
    assert dial.get("action") is None  # so it needs no server of ours
    assert [n.text for n in dial.findall("Number")] == ["+442079460101", "+442079460102"]
    assert dial.get("timeout") == "25"


def test_where_several_processes_answer_a_vanished_one_means_a_question_to_any_of_them():
    connect, redirect = list(xml(ev.ConnectBot(2), Story(RESCUED).call, RESCUED))
    assert (connect.tag, redirect.tag) == ("Connect", "Redirect")
    assert redirect.text == url("rescue?leg=2")


def test_the_longest_document_fits_into_a_redirect():
    numbers = tuple(Number(f"+4420794601{n:02}", 20) for n in range(30))
    billing = dataclasses.replace(POLICY.targets["billing"], key="k" * 60, numbers=numbers, caller_id="+442079460199")
    policy = dataclasses.replace(POLICY, targets={**POLICY.targets, "k" * 60: billing})
    call = dataclasses.replace(Story(policy).ringing("k" * 60).call, caller="sip:" + "c" * 200, called="d" * 200)
    state = Carried.of(call).seal(call.sid, Seal.from_auth_token("secret", "callback"))
    at = twiml.Addresses("https://" + "b" * 60 + ".example", state)
    assert len(twiml.document(ev.DialPerson(1), call, policy, at)) < twiml.INLINE_LIMIT


def test_an_http_address_opens_a_plain_socket():
    assert twiml.Addresses("http://127.0.0.1:8000").media == "ws://127.0.0.1:8000/twilio/media"


def test_a_dial_tells_of_its_end_and_of_each_step_of_the_person_s_leg():
    dial = xml(ev.DialPerson(1), Story().ringing().call).find("Dial")
    assert dial is not None
    assert dial.get("action") == url("handoff/dialed?attempt=1")
    assert dial.get("timeout") == "20"
    number = dial.find("Number")
    assert number is not None
    assert number.text == "+442079460101"
    assert number.get("url") is None
    assert number.get("statusCallback") == url("handoff/progress?attempt=1")
    assert number.get("statusCallbackEvent") == "initiated ringing answered completed"


def test_a_screened_target_is_whispered_to():
    number = xml(ev.DialPerson(1), Story().ringing("billing").call).find("Dial/Number")
    assert number is not None
    assert number.get("url") == url("handoff/whisper?attempt=1")


def test_the_operator_s_caller_id_is_shown():
    desk = dataclasses.replace(POLICY.targets["desk"], caller_id="+442079460199")
    policy = dataclasses.replace(POLICY, targets={**POLICY.targets, "desk": desk})
    dial = xml(ev.DialPerson(1), Story(policy).ringing().call, policy).find("Dial")
    assert dial is not None
    assert dial.get("callerId") == "+442079460199"


def test_the_recorder_greets_and_tells_where_the_message_is():
    document = xml(ev.TakeMessage(), Story().ringing(None).call)
    say, record, hangup = list(document)
    assert (say.text, record.tag, hangup.tag) == ("Please leave a message.", "Record", "Hangup")
    assert record.get("action") == url("voicemail")
    assert record.get("maxLength") == "60"


def test_a_whisper_without_the_key_does_not_connect():
    document = ElementTree.fromstring(twiml.whisper("A caller.", 1, AT))
    gather, hangup = list(document)
    assert (gather.tag, hangup.tag) == ("Gather", "Hangup")
    assert gather.get("action") == url("handoff/key?attempt=1")
    assert gather.get("numDigits") == "1"
    assert not list(ElementTree.fromstring(twiml.connect_person()))
    assert ElementTree.fromstring(twiml.decline_person()).find("Hangup") is not None


@given(st.text(max_size=6000))
def test_whatever_the_model_writes_the_whisper_is_a_document(text: str):
    document = ElementTree.fromstring(twiml.whisper(text, 1, AT))
    said = document.find("Gather/Say")
    assert said is not None
    assert len(said.text or "") <= twiml.SAY_LIMIT
    assert len(twiml.whisper(text, 1, AT)) < 64_000


@pytest.mark.parametrize("text", ["\x07bell", "null\x00", "\ud800", "<Hangup/>", "a & b", "\ufffe"])
def test_hostile_text_is_spoken_as_text(text: str):
    document = ElementTree.fromstring(twiml.whisper(text, 1, AT))
    assert [element.tag for element in document.iter()] == ["Response", "Gather", "Say", "Say", "Hangup"]


@given(target=st.text(), reason=st.text(), summary=st.text())
def test_only_the_operator_s_numbers_are_dialled(target: str, reason: str, summary: str):
    story = Story().with_bot()
    story.happens(ev.HandoffRequested, target=target, reason=reason, summary=summary)
    story.happens(ev.GoodbyeHeard, handoff=1)
    numbers = [n.text for n in xml(ev.DialPerson(1), story.call).iter("Number")]
    assert set(numbers) <= allowed_numbers(POLICY)


def test_the_person_hears_who_and_why():
    words = for_person(Story().ringing("billing").call)
    assert CALLER in words
    assert "refund" in words
    assert "Wants money." in words


def test_the_returning_bot_knows_what_happened():
    assert for_returning_bot(Story().call, POLICY) is None
    note = for_returning_bot(Story().nobody().call, POLICY)
    assert note is not None
    assert "was busy" in note
    assert "did not answer" in note
    assert "refund" in note
