"""The documents that Twilio gets."""

import dataclasses
import re
from urllib.parse import parse_qsl
from xml.etree import ElementTree

import pytest
from calls import CALLER, POLICY, SID, US, Story
from hypothesis import given, strategies as st

from bot import effects as ef, events as ev, twiml
from bot.briefing import for_person, for_returning_bot
from bot.call import Call
from bot.carried import Carried
from bot.phrases import LANGUAGES
from bot.routing import OURS, Endpoint, Mode, Order, Policy, allowed_numbers, shown_number
from bot.sip import SIP_LIMIT, sip_uri
from bot.tokens import Seal
from bot.xml_text import INLINE_LIMIT, SAY_LIMIT

AT = twiml.Addresses("https://bot.example")
RESCUED = dataclasses.replace(POLICY, rescue=True)


def url(tail: str) -> str:
    """An address of ours, as it stands in a document."""
    return f"https://bot.example/twilio/{tail}#ct=1000&rt=5000&tt=14000&rc=3&rp=5xx,ct,rt"


def xml(order: ef.Document, call: Call, policy: Policy = POLICY) -> ElementTree.Element:
    """The document as Twilio reads it."""
    text = twiml.document(order, call, policy, AT, token="t0k3n")
    assert text.startswith("<?xml")
    assert len(text) < INLINE_LIMIT
    return ElementTree.fromstring(text)


def test_the_opening_document_opens_the_stream_with_its_token():
    stream = xml(ef.ConnectBot(1), Story().call).find("Connect/Stream")
    assert stream is not None
    assert stream.get("url") == "wss://bot.example/twilio/media"
    parameters = {p.get("name"): p.get("value") for p in stream.findall("Parameter")}
    assert parameters == {"token": "t0k3n"}


def test_callers_are_told_once_that_somebody_may_listen_and_only_where_somebody_may():
    notice = "Tom & Ann may listen."
    listening = dataclasses.replace(POLICY, listen_in=True, listen_in_notice=notice)
    first = list(xml(ef.ConnectBot(1), Story(listening).call, listening))
    assert [first[0].tag, first[0].text, first[1].tag] == ["Say", notice, "Connect"]
    for policy, leg in ((listening, 2), (dataclasses.replace(listening, listen_in=False), 1), (POLICY, 1)):
        assert xml(ef.ConnectBot(leg), Story(policy).call, policy)[0].tag == "Connect"


def test_a_vanished_server_means_a_person_and_then_the_recorder():
    document = xml(ef.ConnectBot(1), Story().call)
    connect, dial, say, record, hang_up = list(document)
    assert [connect.tag, dial.tag, say.tag, record.tag, hang_up.tag] == ["Connect", "Dial", "Say", "Record", "Hangup"]
    assert record.get("action") == url("voicemail?failsafe=1")
    assert connect.get("action") is None  # so Twilio goes on to the next verb
    assert dial.get("action") is None  # so it needs no server of ours
    assert [n.text for n in dial.findall("Number")] == ["+442079460101", "+442079460102"]
    assert dial.get("timeout") == "25"


def test_where_several_processes_answer_a_vanished_one_means_a_question_to_any_of_them():
    connect, redirect = list(xml(ef.ConnectBot(2), Story(RESCUED).call, RESCUED))
    assert (connect.tag, redirect.tag) == ("Connect", "Redirect")
    assert redirect.text == url("rescue?leg=2")


@pytest.mark.parametrize("kind", ["number", "sip"])
@pytest.mark.parametrize("order", Order)
def test_the_longest_document_fits_into_a_redirect(order: Order, kind: str):
    address = "+4420794601{:02}" if kind == "number" else "sip:somebody.{:02}@a-contact-centre.example.com"
    people = tuple(Endpoint(address.format(n), 20) for n in range(10))
    billing = dataclasses.replace(
        POLICY.targets["billing"], key="k" * 60, endpoints=people, order=order, caller_id="+442079460199"
    )
    policy = dataclasses.replace(POLICY, targets={**POLICY.targets, "k" * 60: billing})
    story = Story(policy).with_bot()
    story.happens(ev.HandoffRequested, target="k" * 60, reason="ß" * 300, summary="<&>" * 500)
    story.happens(ev.GoodbyeHeard, handoff=1)
    call = dataclasses.replace(story.call, caller="sip:" + "c" * 200, called="d" * 200)
    state = Carried.of(call).seal(call.sid, Seal.from_auth_token("secret", "callback"))
    at = twiml.Addresses("https://" + "b" * 60 + ".example", state)
    text = twiml.document(ef.DialPerson(1), call, policy, at)
    assert len(text) < INLINE_LIMIT
    nouns = list(ElementTree.fromstring(text)[0])
    assert len(nouns) == (10 if order is Order.ALL else 1)


def dialled(*people: Endpoint, **changes: object) -> ElementTree.Element:
    """The `<Dial>` of a target with these people."""
    desk = dataclasses.replace(POLICY.targets["desk"], endpoints=people, **changes)  # type: ignore[arg-type]
    policy = dataclasses.replace(POLICY, targets={**POLICY.targets, "desk": desk})
    found = xml(ef.DialPerson(1), Story(policy).ringing().call, policy).find("Dial")
    assert found is not None
    return found


def test_a_sip_telephone_gets_what_it_shall_know_in_its_headers():
    [noun] = dialled(Endpoint("sip:robin@pbx.example", 20))
    assert noun.tag == "Sip"
    address, _, headers = (noun.text or "").partition("?")
    assert address == "sip:robin@pbx.example"
    told = dict(parse_qsl(headers))
    assert told["X-Call-Sid"] == SID
    assert told["X-Summary"] == "Wants money."
    assert bytes.fromhex(told["User-to-User"].removesuffix(";encoding=hex")).decode() == SID


@given(st.text(max_size=5000), st.text(max_size=5000))
def test_whatever_the_model_writes_a_sip_address_is_short_enough_and_holds_one_address(reason: str, summary: str):
    story = Story().with_bot().happens(ev.HandoffRequested, target="desk", reason=reason, summary=summary)
    address = sip_uri(Endpoint("sip:robin@pbx.example", 20), story.call)
    assert len(address) <= SIP_LIMIT
    assert re.fullmatch(r"sip:robin@pbx\.example\?[A-Za-z0-9_.~%&=;-]*", address)


def test_a_client_is_rung_by_its_identity():
    [noun] = dialled(Endpoint("client:robin", 20))
    assert (noun.tag, noun.text) == ("Client", "robin")


def test_an_extension_is_dialled_behind_the_number():
    [noun] = dialled(Endpoint("+442079460101", 20, digits="ww42"))
    assert noun.get("sendDigits") == "ww42"


def test_twilio_looks_for_a_machine_where_the_policy_says_so():
    [noun] = dialled(Endpoint("+442079460101", 20), mode=Mode.SCREENED, machine_detection=True)
    assert noun.get("machineDetection") == "Enable"


def test_people_who_are_rung_at_once_stand_in_one_dial():
    dial = dialled(Endpoint("+442079460101", 20), Endpoint("client:robin", 30), order=Order.ALL)
    assert [noun.tag for noun in dial] == ["Number", "Client"]
    assert dial.get("timeout") == "30"


@pytest.mark.parametrize(
    ("caller_id", "caller", "shown"),
    [
        (None, CALLER, None),
        (None, "anonymous", US),
        (None, "+266696687", None),
        (OURS, CALLER, US),
        ("+442079460199", "anonymous", "+442079460199"),
    ],
)
def test_a_caller_whose_number_is_none_is_shown_as_ours(caller_id: str | None, caller: str, shown: str | None):
    target = dataclasses.replace(POLICY.targets["desk"], caller_id=caller_id)
    assert shown_number(target, caller, US) == shown


def test_the_caller_and_the_person_meet_in_a_conference_of_their_own():
    story = Story().meeting()
    meet = xml(ef.MeetPerson(1), story.call).find("Dial")
    wait = ElementTree.fromstring(twiml.await_caller(1, story.call, POLICY, "en", AT)).find("Dial")
    assert meet is not None
    assert wait is not None
    assert meet.get("action") == url("handoff/dialed?attempt=1")
    for dial in (meet, wait):
        [conference] = dial
        assert (conference.tag, conference.text) == ("Conference", SID)
        assert conference.get("endConferenceOnExit") == "true"
        assert conference.get("statusCallback") == url(f"person/conference?attempt=1&call={SID}")


@pytest.mark.parametrize("language", LANGUAGES)
def test_people_are_spoken_to_in_their_language(language: str):
    document = ElementTree.fromstring(twiml.whisper("Summary.", language, "https://bot.example/key"))
    voices = {say.get("language") for say in document.iter("Say")}
    assert voices == {LANGUAGES[language].voice}
    assert "1" in LANGUAGES[language].keys
    assert "2" in LANGUAGES[language].keys


def test_an_http_address_opens_a_plain_socket():
    assert twiml.Addresses("http://127.0.0.1:8000").media == "ws://127.0.0.1:8000/twilio/media"


def test_a_dial_tells_of_its_end_and_of_each_step_of_the_person_s_leg():
    dial = xml(ef.DialPerson(1), Story().ringing().call).find("Dial")
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
    number = xml(ef.DialPerson(1), Story().ringing("billing").call).find("Dial/Number")
    assert number is not None
    assert number.get("url") == url("handoff/whisper?attempt=1")


def test_the_operator_s_caller_id_is_shown():
    desk = dataclasses.replace(POLICY.targets["desk"], caller_id="+442079460199")
    policy = dataclasses.replace(POLICY, targets={**POLICY.targets, "desk": desk})
    dial = xml(ef.DialPerson(1), Story(policy).ringing().call, policy).find("Dial")
    assert dial is not None
    assert dial.get("callerId") == "+442079460199"


def test_the_recorder_greets_and_tells_where_the_message_is():
    document = xml(ef.TakeMessage(), Story().ringing(None).call)
    say, record, hangup = list(document)
    assert (say.text, record.tag, hangup.tag) == ("Please leave a message.", "Record", "Hangup")
    assert record.get("action") == url("voicemail")
    assert record.get("maxLength") == "60"


def test_a_whisper_without_the_key_does_not_connect():
    document = ElementTree.fromstring(twiml.whisper("A caller.", "en", AT.callback("key", 1)))
    gather, hangup = list(document)
    assert (gather.tag, hangup.tag) == ("Gather", "Hangup")
    assert gather.get("action") == url("handoff/key?attempt=1")
    assert gather.get("numDigits") == "1"
    assert not list(ElementTree.fromstring(twiml.connect_person()))
    assert ElementTree.fromstring(twiml.decline_person()).find("Hangup") is not None


@given(st.text(max_size=6000))
def test_whatever_the_model_writes_the_whisper_is_a_document(text: str):
    document = ElementTree.fromstring(twiml.whisper(text, "en", AT.callback("key", 1)))
    said = document.find("Gather/Say")
    assert said is not None
    assert len(said.text or "") <= SAY_LIMIT
    assert len(twiml.whisper(text, "en", AT.callback("key", 1))) < 64_000


@pytest.mark.parametrize("text", ["\x07bell", "null\x00", "\ud800", "<Hangup/>", "a & b", "\ufffe"])
def test_hostile_text_is_spoken_as_text(text: str):
    document = ElementTree.fromstring(twiml.whisper(text, "en", AT.callback("key", 1)))
    assert [element.tag for element in document.iter()] == ["Response", "Gather", "Say", "Say", "Hangup"]


@given(target=st.text(), reason=st.text(), summary=st.text())
def test_only_the_operator_s_numbers_are_dialled(target: str, reason: str, summary: str):
    story = Story().with_bot()
    story.happens(ev.HandoffRequested, target=target, reason=reason, summary=summary)
    story.happens(ev.GoodbyeHeard, handoff=1)
    numbers = [n.text for n in xml(ef.DialPerson(1), story.call).iter("Number")]
    assert set(numbers) <= allowed_numbers(POLICY)


def test_the_person_hears_who_and_why():
    words = for_person(Story().ringing("billing").call, POLICY.targets["billing"])
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
