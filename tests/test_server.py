"""The real server from outside: who gets in, what a stranger gets, and what the caller gets when things break."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest
from serving import ROOT, serving
from twilio.request_validator import RequestValidator

import server
from sandbox.check import problems
from sandbox.network import RestFault
from sandbox.people import Person
from sandbox.process import server_process
from sandbox.scene import Note
from sandbox.stage import ACCOUNT_SID, AUTH_TOKEN, OUR_NUMBER, PUBLIC_URL, Stage
from sandbox.story import Step, Story, Then, load

SID = "CA" + "c3" * 16
FORM = {"CallSid": SID, "From": "+442079460123", "To": OUR_NUMBER, "CallStatus": "ringing"}
FRONT_DESK = "+12025550143"
SECOND_DESK = "+12025550178"
SIGN = RequestValidator(AUTH_TOKEN).compute_signature


@pytest.fixture
async def url(stage: Stage, tmp_path: Path) -> AsyncIterator[str]:
    async with serving(stage, tmp_path) as address:
        yield address


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def story(*script: dict[str, object], people: dict[str, list[Person]] | None = None) -> Story:
    """A story of the main kind, with what comes after the hand-off."""
    said = load("next_number")
    return replace_story(said, script=[*said.script, *(Step.model_validate(step) for step in script)], people=people)


def replace_story(said: Story, **changes: object) -> Story:
    return said.model_copy(update={key: value for key, value in changes.items() if value is not None})


ANSWERS = {FRONT_DESK: [Person(after=0.3, hangs_up_after=0.7)], SECOND_DESK: [Person(behaviour="no_answer")]}


# --- who gets in --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/twilio/voice",
        "/twilio/handoff/dialed?attempt=1",
        "/twilio/handoff/progress?attempt=1",
        "/twilio/handoff/whisper?attempt=1",
        "/twilio/handoff/key?attempt=1",
        "/twilio/voicemail",
    ],
)
@pytest.mark.parametrize("signature", [None, "", "bm90IHR3aWxpbw==", "another address"])
async def test_a_webhook_that_twilio_did_not_sign_gets_403(
    stage: Stage, url: str, http: aiohttp.ClientSession, path: str, signature: str | None
):
    if signature == "another address":
        signature = SIGN(f"https://elsewhere.example{path}", FORM)
    headers = {} if signature is None else {"X-Twilio-Signature": signature}
    async with http.post(url + path, data=FORM, headers=headers) as answer:
        assert answer.status == 403
    assert (await (await http.get(f"{url}/api/calls")).json())["calls"] == []


@pytest.mark.parametrize("signed_over", [None, "https://elsewhere.example/twilio/media", f"{PUBLIC_URL}/twilio/media"])
async def test_an_upgrade_that_twilio_did_not_sign_is_refused_before_it_is_accepted(
    stage: Stage, url: str, http: aiohttp.ClientSession, signed_over: str | None
):
    headers = {"x-twilio-signature": SIGN(signed_over, {})} if signed_over else {}
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await http.ws_connect(f"{url}/twilio/media", headers=headers)
    assert refused.value.status == 403
    assert stage.model.sessions == []


def upgrade_headers() -> dict[str, str]:
    return {"x-twilio-signature": SIGN(f"{PUBLIC_URL.replace('https', 'wss')}/twilio/media", {})}


def start(call_sid: str, token: str) -> str:
    stream_sid = "MZ" + "d4" * 16
    media_format = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
    told = {
        "accountSid": ACCOUNT_SID,
        "streamSid": stream_sid,
        "callSid": call_sid,
        "tracks": ["inbound"],
        "customParameters": {"token": token},
        "mediaFormat": media_format,
    }
    return json.dumps({"event": "start", "sequenceNumber": "1", "streamSid": stream_sid, "start": told})


async def token_for(url: str, http: aiohttp.ClientSession, call_sid: str = SID) -> str:
    form = FORM | {"CallSid": call_sid}
    headers = {"X-Twilio-Signature": SIGN(f"{PUBLIC_URL}/twilio/voice", form)}
    async with http.post(f"{url}/twilio/voice", data=form, headers=headers) as answer:
        assert answer.status == 200
        assert answer.content_type == "text/xml"
        return (await answer.text()).partition('name="token" value="')[2].partition('"')[0]


async def stream_is_refused(url: str, http: aiohttp.ClientSession, *messages: str | bytes) -> bool:
    async with http.ws_connect(f"{url}/twilio/media", headers=upgrade_headers()) as socket:
        for message in messages:
            await (socket.send_bytes(message) if isinstance(message, bytes) else socket.send_str(message))
        return (await socket.receive()).type is aiohttp.WSMsgType.CLOSE


async def test_a_stream_without_its_token_is_refused(stage: Stage, url: str, http: aiohttp.ClientSession):
    token = await token_for(url, http)
    assert await stream_is_refused(url, http, start(SID, ""))
    assert await stream_is_refused(url, http, start(SID, token[:-1] + "x"))
    assert await stream_is_refused(url, http, start("CA" + "e5" * 16, token))
    # The one session is the one that the signed webhook had opened ahead. Nobody talks to it.
    assert [session.response_count for session in stage.model.sessions] == [0]


async def test_a_token_opens_one_stream(stage: Stage, url: str, http: aiohttp.ClientSession):
    token = await token_for(url, http)
    async with http.ws_connect(f"{url}/twilio/media", headers=upgrade_headers()) as socket:
        await socket.send_str(start(SID, token))
        assert json.loads((await socket.receive()).data)["event"] == "media"
        assert await stream_is_refused(url, http, start(SID, token))
    assert len(stage.model.sessions) == 1


@pytest.mark.parametrize(
    "message", ["[]", "null", "{", b"\xff", '{"event": "start"}', '{"event": "start", "start": 7}', "x" * 100_000]
)
async def test_nonsense_before_the_start_opens_nothing(
    stage: Stage, url: str, http: aiohttp.ClientSession, message: str | bytes
):
    no_start = json.dumps({"event": "start", "start": {"streamSid": "MZ", "callSid": "CA"}})
    assert await stream_is_refused(url, http, message, no_start)
    assert stage.model.sessions == []


# --- the process --------------------------------------------------------------------------------------


def test_an_incomplete_environment_is_told_at_once_and_exits_2(capsys: pytest.CaptureFixture[str]):
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            patch.delenv(name)
        patch.chdir(ROOT)
        assert server.main([]) == 2
    told = capsys.readouterr().err
    for name in ("PUBLIC_URL", "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "OPENAI_API_KEY"):
        assert name in told


async def test_a_server_that_is_killed_leaves_the_caller_to_a_person(stage: Stage, tmp_path: Path):
    async with server_process(stage, tmp_path) as process:
        call = await stage.network.call("+442079460123", OUR_NUMBER, people=ANSWERS)
        await call.until("speech started", timeout=30)
        await process.kill()
        await call.until("bridged", timeout=30)
        assert call.bridged_to == FRONT_DESK
        await call.ended()


# --- what Twilio's REST does ----------------------------------------------------------------------------


async def test_a_redirect_that_twilio_refuses_brings_the_failsafe_person(stage: Stage, url: str):
    stage.network.rest_faults.append(RestFault("401"))
    played = await stage.play("refused", story(people=ANSWERS))
    assert played.call.bridged_to == FRONT_DESK
    assert [a["outcome"] for a in played.record["attempts"]] == ["failed", "answered"]
    assert played.record["attempts"][0]["code"] == 20003
    assert played.record["attempts"][1]["failsafe"]
    assert played.record["end"] == "put_through"


async def test_a_redirect_that_was_turned_away_for_the_moment_is_ordered_again(stage: Stage, url: str):
    stage.network.rest_faults.append(RestFault("429"))
    played = await stage.play("429", story(people=ANSWERS))
    assert played.record["end"] == "put_through"
    assert len(played.redirects) == 1
    assert not played.record["attempts"][0]["failsafe"]


async def test_a_redirect_whose_answer_is_lost_is_not_ordered_again(stage: Stage, url: str):
    stage.network.rest_faults.append(RestFault("apply_then_hang"))
    played = await stage.play("lost", story(people=ANSWERS))
    assert played.record["end"] == "put_through"
    assert [a["outcome"] for a in played.record["attempts"]] == ["answered"]
    assert len([r for r in stage.network.rest_log if "Twiml" in r.form]) == 1


async def test_a_redirect_that_fails_ambiguously_and_did_not_happen_brings_the_failsafe_person(stage: Stage, url: str):
    stage.network.rest_faults.append(RestFault("500"))
    played = await stage.play("500", story(people=ANSWERS))
    assert played.call.bridged_to == FRONT_DESK
    assert played.record["attempts"][-1]["failsafe"]
    assert len([r for r in stage.network.rest_log if "Twiml" in r.form]) == 1


# --- the model ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 403, 429, 503])
async def test_a_model_that_cannot_be_reached_means_a_person(stage: Stage, url: str, status: int):
    stage.model.refuse = status
    call = await stage.network.call("+442079460123", OUR_NUMBER, people=ANSWERS)
    await call.until("bridged", timeout=20)
    assert call.bridged_to == FRONT_DESK
    await call.ended()


def of_dialed(what: str) -> Callable[[Note], bool]:
    """Notes about the request to our Dial's action."""
    return lambda note: note.what == what and "/handoff/dialed" in note.data["url"]


# --- callbacks ------------------------------------------------------------------------------------------


async def test_a_callback_told_twice_changes_nothing_and_gets_the_same_answer(
    stage: Stage, url: str, http: aiohttp.ClientSession
):
    people = {FRONT_DESK: [Person(behaviour="busy")], SECOND_DESK: [Person(after=0.5, hangs_up_after=1.5)]}
    said = story(people=people)
    answers: list[str] = []

    async def repeat(call_sid: str) -> None:
        note = await stage.journal.until(
            lambda n: n.what == "answered" and "dialed" in n.data["url"], call_sid=call_sid, timeout=30
        )
        asked = await stage.journal.until(lambda n: n.what == "asks" and "dialed" in n.data["url"], call_sid=call_sid)
        signature = SIGN(asked.data["url"], asked.data["form"])
        target = url + asked.data["url"].removeprefix(PUBLIC_URL)
        for _ in range(2):
            async with http.post(target, data=asked.data["form"], headers={"X-Twilio-Signature": signature}) as answer:
                answers.append(await answer.text())
        assert note.data["status"] == 200

    repeating: list[asyncio.Task[None]] = []
    played = await stage.play("twice", said, begun=lambda call: repeating.append(asyncio.create_task(repeat(call.sid))))
    await repeating[0]
    assert answers[0] == answers[1]
    assert SECOND_DESK in answers[0]
    assert [a["outcome"] for a in played.record["attempts"]] == ["busy", "answered"]
    assert len(played.redirects) == 1


async def test_the_api_puts_a_caller_through(stage: Stage, url: str, http: aiohttp.ClientSession):
    said = replace_story(load("next_number"), script=load("next_number").script[:1], people=ANSWERS)

    async def ask(call_sid: str) -> None:
        await stage.journal.until("speech stopped", call_sid=call_sid, timeout=30)
        order = {"target": "front_desk", "reason": "asked by the operator"}
        async with http.post(f"{url}/api/calls/{call_sid}/handoff", json=order) as answer:
            assert answer.status == 202
        async with http.post(f"{url}/api/calls/{call_sid}/handoff", json=order) as answer:
            assert answer.status == 409

    asking: list[asyncio.Task[None]] = []
    played = await stage.play("api", said, begun=lambda call: asking.append(asyncio.create_task(ask(call.sid))))
    await asking[0]
    assert played.record["end"] == "put_through"
    assert played.record["handoffs"][0]["by"] == "api"
    assert any("One moment please." in note.data["text"] for note in played.of("model", "says"))


async def test_the_record_tells_the_whole_story(stage: Stage, url: str):
    said = load("next_number")
    played = await stage.play("next_number", said)
    assert problems(played, on_time=False) == []
    first, second = played.record["attempts"]
    assert first["started_at"] < first["ended_at"] <= second["started_at"]
    assert second["answered_at"] <= second["accepted_at"] < second["ended_at"]
    assert [line["role"] for line in played.record["transcript"]] == ["bot", "caller", "bot", "tool"]
    events = [entry["event"] for entry in played.record["timeline"] if entry["changed"]]
    assert events[:4] == ["CallAnswered", "StreamStarted", "HandoffRequested", "GoodbyeHeard"]
    assert events[-1] == "DialEnded"


def test_what_must_be_true_is_checked():
    with pytest.raises(ValueError, match="redirects"):
        Then.model_validate({"end": "put_through"})
