"""Documents, and the verbs beside `<Connect>` and `<Dial>`."""

import asyncio

import pytest
from aiohttp import web
from our_server import CALLER, OURS, PUBLIC, STREAM, document, world

from sandbox.documents import DocumentRefused, parse
from sandbox.interpreter import APPLICATION_ERROR
from sandbox.network import Line
from sandbox.sound import tone


async def test_the_end_of_a_document_is_the_end_of_the_call():
    async with world() as w:
        w.server.documents["/voice"] = document("<Say>Hello.</Say>")
        call = await w.call()
        await call.ended()
        assert call.status == "completed"
        assert call.answered_at is not None


async def test_a_redirect_verb_asks_for_the_next_document():
    async with world() as w:
        w.server.documents |= {"/voice": document("<Redirect>/next?a=1</Redirect>"), "/next": document("<Hangup/>")}
        call = await w.call()
        await call.ended()
        assert [(asked.query, asked.signed) for asked in w.server.asked_for("/next")] == [("a=1", True)]


async def test_a_rejected_call_is_never_answered():
    async with world() as w:
        w.server.documents["/voice"] = document('<Reject reason="busy"/>')
        call = await w.call()
        await call.ended()
        assert (call.status, call.answered_at) == ("busy", None)


async def test_a_pause_does_not_answer_the_call():
    async with world() as w:
        w.server.documents["/voice"] = document("<Pause length='1'/><Reject/>")
        call = await w.call()
        await call.ended()
        assert call.answered_at is None


async def test_keys_are_gathered_until_there_are_enough():
    async with world() as w:
        gather = '<Gather numDigits="2" action="/keys"><Say>Your choice, please, and take your time.</Say></Gather>'
        w.server.documents |= {"/voice": document(gather), "/keys": document("")}
        call = await w.call()
        await call.until("says")
        await call.press("4")
        await call.press("2")
        await call.ended()
        assert w.server.asked_for("/keys")[0].form["Digits"] == "42"


async def test_the_finishing_key_ends_a_gather_and_is_not_one_of_its_digits():
    async with world() as w:
        w.server.documents |= {"/voice": document('<Gather action="/keys"/>'), "/keys": document("")}
        call = await w.call()
        await call.until("verb")
        await asyncio.sleep(0.05)
        for digit in "12#":
            await call.press(digit)
        await call.ended()
        assert w.server.asked_for("/keys")[0].form["Digits"] == "12"


async def test_a_gather_without_keys_goes_on_to_the_next_verb():
    async with world() as w:
        w.server.documents["/voice"] = document('<Gather timeout="1" action="/keys"/><Say>Goodbye.</Say>')
        call = await w.call()
        await call.until("says")
        await call.ended()
        assert not w.server.asked_for("/keys")


RECORD = '<Say>Speak.</Say><Record action="/recorded" timeout="1" finishOnKey="#"/><Say>Nothing.</Say>'


async def test_a_message_is_recorded_until_the_caller_is_silent():
    async with world() as w:
        w.server.documents |= {"/voice": document(RECORD), "/recorded": document("<Hangup/>")}
        call = await w.call()
        await call.until("recording")
        await call.say(tone(300, seconds=0.7))
        await call.ended()
        form = w.server.asked_for("/recorded")[0].form
        recording = w.net.recordings[form["RecordingSid"]]
        assert form["RecordingUrl"].endswith(f"/Recordings/{recording.sid}")
        assert int(form["RecordingDuration"]) >= 2
        assert form["Digits"] == ""
        assert call.silences == []


async def test_a_message_whose_caller_hangs_up_is_reported_with_hangup():
    async with world() as w:
        w.server.documents |= {"/voice": document(RECORD), "/recorded": document("<Say>Never said.</Say>")}
        call = await w.call()
        await call.until("recording")
        await call.say(tone(300, seconds=0.3))
        await call.hang_up()
        await call.ended()
        form = w.server.asked_for("/recorded")[0].form
        assert (form["Digits"], form["CallStatus"]) == ("hangup", "completed")
        assert [n.data["text"] for n in w.journal.of(call.sid) if n.what == "says"] == ["Speak."]


async def test_an_empty_recording_is_none_and_the_next_verb_follows():
    async with world() as w:
        w.server.documents["/voice"] = document(RECORD)
        call = await w.call()
        await call.until(lambda note: note.what == "says" and note.data["text"] == "Nothing.")
        await call.ended()
        assert not w.server.asked_for("/recorded")


async def test_a_recording_tells_its_status_callback():
    async with world() as w:
        record = f'<Record action="/recorded" timeout="1" recordingStatusCallback="{PUBLIC}/kept"/>'
        w.server.documents |= {"/voice": document(record), "/recorded": document(""), "/kept": document("")}
        call = await w.call()
        await call.until("recording")
        await call.say(tone(300, seconds=0.2))
        await call.press("1")
        await call.ended()
        assert w.server.asked_for("/recorded")[0].form["Digits"] == "1"
        assert w.server.asked_for("/kept")[0].form["RecordingStatus"] == "completed"


@pytest.mark.parametrize(
    ("verbs", "problem"),
    [
        ("<Sing/>", "<Response> may not hold <Sing>"),
        ('<Dial answerOnBrigde="true">+12025550111</Dial>', "<Dial> has no attribute answerOnBrigde"),
        ("<Gather><Dial>+1</Dial></Gather>", "<Gather> may not hold <Dial>"),
        ("<Connect>text<Stream url='wss://bot.example/media'/></Connect>", "<Connect> holds text"),
    ],
)
def test_what_twilio_ignores_is_a_problem_of_the_document(verbs: str, problem: str):
    assert parse(document(verbs), None).problems == [problem]


async def test_a_problem_is_an_error_in_strict_mode_and_a_warning_otherwise():
    for strict in (True, False):
        async with world(strict=strict) as w:
            w.server.documents["/voice"] = document("<Sing/><Hangup/>")
            call = await w.call()
            await call.ended()
            found = call.errors if strict else call.warnings
            assert found == [(12200, "<Response> may not hold <Sing>")]


@pytest.mark.parametrize("text", ["", " <?xml version='1.0'?><Response/>", "<Response>", "<response/>", "hello"])
def test_what_is_no_document_is_12100(text: str):
    with pytest.raises(DocumentRefused) as refused:
        parse(text, None)
    assert refused.value.code == 12100


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (web.Response(status=500), 11200),
        (web.Response(status=302, headers={"Location": "/next"}), 11200),
        (web.Response(text=document(""), content_type="application/json"), 12300),
        (web.Response(status=204), 12300),
        (web.Response(text=document("<Say>x</Say>" * 6000), content_type="text/xml"), 11750),
        (web.Response(text="<Respons/>", content_type="text/xml"), 12100),
    ],
)
async def test_without_a_document_the_caller_hears_an_error_and_is_hung_up(answer: web.Response, code: int):
    async with world() as w:
        w.server.documents["/voice"] = lambda asked: answer
        call = await w.call()
        await call.ended()
        assert [c for c, _ in call.errors] == [code]
        assert call.status == "completed"
        assert len(call.heard) > 8000 * 0.05 * len(APPLICATION_ERROR) / 2


async def test_the_fallback_is_asked_when_the_document_cannot_be_had():
    async with world() as w:
        w.net.numbers[OURS] = Line(f"{PUBLIC}/voice", fallback_url=f"{PUBLIC}/fallback")
        w.server.documents |= {"/voice": web.Response(status=500), "/fallback": document("<Hangup/>")}
        call = await w.call()
        await call.ended()
        form = w.server.asked_for("/fallback")[0].form
        assert (form["ErrorCode"], form["ErrorUrl"]) == ("11200", f"{PUBLIC}/voice")


async def test_a_webhook_that_takes_too_long_is_11200():
    async with world(webhook_seconds=0.2) as w:
        w.server.documents["/voice"] = lambda asked: asyncio.sleep(5, document(""))
        call = await w.call()
        await call.ended()
        assert [code for code, _ in call.errors] == [11200]


async def test_an_address_outside_this_machine_is_never_dialled():
    async with world() as w:
        w.server.documents["/voice"] = document("<Redirect>https://elsewhere.example/x</Redirect>")
        call = await w.call()
        await call.ended()
        assert [code for code, _ in call.errors] == [21205]


async def test_the_number_s_status_callback_is_told_of_the_end():
    async with world() as w:
        w.net.numbers[OURS] = Line(f"{PUBLIC}/voice", status_callback=f"{PUBLIC}/status")
        w.server.documents |= {"/voice": document(STREAM), "/status": web.Response(status=204)}
        call, _ = await w.stream()
        await call.hang_up()
        await call.ended()
        form = w.server.asked_for("/status")[0].form
        assert (form["CallStatus"], form["CallSid"], form["From"]) == ("completed", call.sid, CALLER)
        assert int(form["CallDuration"]) >= 1
        assert call.warnings == []


async def test_taking_the_network_down_ends_every_call_whatever_our_server_does():
    async with world() as w:
        w.server.documents |= {"/voice": document('<Dial action="/dialed">+12025550111</Dial>')}
        w.server.documents["/dialed"] = lambda asked: asyncio.sleep(10, document(""))
        call = await w.call()
        await call.until("bridged")
    assert call.status == "completed"
    assert call.life is not None
    assert call.life.done()
