"""Messages that callers left are written down: once, after faults, and with a name for what came of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import httpx2
import pytest
from aiohttp import web
from calls import POLICY, SID, Story
from serving import serving

from bot import events as ev, transcript_book as book
from bot.call import Call, End, Phase
from bot.events import ImpossibleEvent
from bot.law import step
from bot.ledger import Entry, Ledger
from bot.notices import notices
from bot.policy_file import load_policy
from bot.retention import without_words
from bot.settings import load_all
from bot.voicemail import Message, Transcription
from pipelines.problems import ConfigurationError
from sandbox.brain import StockBrain
from sandbox.stage import Stage
from sandbox.story import load

WRITTEN = ev.MessageTranscribed(at=2000.0, transcription=Transcription.WRITTEN, text="Please send me the catalogue.")


def left() -> Call:
    story = Story().ringing(None).happens(ev.MessageRecorded, url="https://api.example/RE1", seconds=7)
    assert story.call.end is End.MESSAGE_LEFT
    return story.call


# --- the law -------------------------------------------------------------------------------------------


def test_what_came_of_it_is_known_of_the_call_that_is_over_and_the_first_who_tells_is_right():
    call, effects = step(left(), WRITTEN, POLICY)
    assert call.message == Message("https://api.example/RE1", 7, Transcription.WRITTEN, WRITTEN.text)
    assert (call.phase, call.end, effects) == (Phase.ENDED, End.MESSAGE_LEFT, ())
    again = ev.MessageTranscribed(at=2001.0, transcription=Transcription.UNAVAILABLE)
    assert step(call, again, POLICY) == (call, ())


def test_what_has_been_forgotten_is_not_written_down_any_more():
    call, _ = step(left(), WRITTEN, POLICY)
    forgotten = without_words(call)
    assert forgotten.message is not None
    assert (forgotten.message.url, forgotten.message.text) == ("", "")
    before = without_words(left())
    assert step(before, WRITTEN, POLICY) == (before, ())


def test_a_call_without_a_message_has_none_to_be_written_down():
    with pytest.raises(ImpossibleEvent):
        step(Story().with_bot().call, WRITTEN, POLICY)


def test_the_operators_systems_are_told_what_came_of_it_once():
    before = left()
    after, _ = step(before, WRITTEN, POLICY)
    [told] = notices(before, after)
    assert told.type == "voicemail.transcribed"
    assert (told.data["transcription"], told.data["text"], told.data["message_seconds"]) == (
        "written",
        WRITTEN.text,
        7,
    )
    assert notices(after, after) == ()


# --- the book ------------------------------------------------------------------------------------------


@pytest.fixture
async def ledger(url: str, spool: Path) -> AsyncIterator[Ledger]:
    ledger = await Ledger.open(url, spool)
    ended = replace(left(), sid=SID, ended_at=1000.0)
    await ledger.add(ended, Entry(1000.0, "CallEnded", {}, Phase.ENDED, True))
    talked = replace(ended, sid="CA" + "7" * 32, end=End.PUT_THROUGH, message=None)
    await ledger.add(talked, Entry(1000.0, "CallEnded", {}, Phase.ENDED, True))
    yield ledger
    await ledger.close()


async def due(ledger: Ledger, now: float, since: float = 0.0) -> list[book.Task]:
    return await ledger.transact(lambda connection: book.due(connection, now, since, 10))


async def test_of_many_who_look_one_takes_a_message_and_another_when_that_one_has_died(ledger: Ledger):
    [task] = await due(ledger, 1001.0)
    assert task == book.Task(SID, 0, None)
    took = await asyncio.gather(
        *(ledger.transact(lambda connection: book.take(connection, task, 1180.0)) for _ in range(5))
    )
    assert sum(took) == 1
    assert await due(ledger, 1179.0) == []
    [task] = await due(ledger, 1180.0)
    assert task == book.Task(SID, 1, 1180.0)
    took = await asyncio.gather(
        *(ledger.transact(lambda connection: book.take(connection, task, 1360.0)) for _ in range(5))
    )
    assert sum(took) == 1
    await ledger.transact(lambda connection: book.close(connection, SID, 1200.0))
    assert await due(ledger, 9999.0) == []


async def test_messages_of_long_ago_are_not_looked_for(ledger: Ledger):
    assert await due(ledger, 1e6, since=1000.0) == []
    assert len(await due(ledger, 1e6, since=999.0)) == 1


# --- what the operator says ----------------------------------------------------------------------------


def rules(folder: Path, *more: str) -> Path:
    """The sandbox's policy, with a recorder whose messages are written down."""
    path = folder / "handoff.yaml"
    before, recorder, after = Path("sandbox/handoff.yaml").read_text().partition("  max_seconds: 20\n")
    assert recorder
    path.write_text(before + "".join(f"  {line}\n" for line in ("transcribe: true", *more)) + recorder + after)
    return path


def test_the_file_says_whether_and_by_which_model(tmp_path: Path):
    assert load_policy(rules(tmp_path)).voicemail.transcriber == "gpt-4o-mini-transcribe"
    other = rules(tmp_path, "transcribe_model: whisper-1")
    assert load_policy(other).voicemail.transcriber == "whisper-1"
    assert load_policy(Path("sandbox/handoff.yaml")).voicemail.transcriber is None


def test_a_model_without_a_key_is_a_mistake_of_the_configuration(tmp_path: Path):
    pipeline = tmp_path / "here.yaml"
    pipeline.write_text("extends: openai_realtime\nurl: ws://127.0.0.1:1/v1/realtime\n")  # which needs none
    environ = {
        "PUBLIC_URL": "https://bot.example.com",
        "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
        "TWILIO_AUTH_TOKEN": "0" * 32,
        "HANDOFF_POLICY": str(rules(tmp_path)),
        "PIPELINE": str(pipeline),
    }
    with pytest.raises(ConfigurationError, match="`voicemail` has `transcribe`"):
        load_all(environ, None)


# --- on the line ---------------------------------------------------------------------------------------

SAID = "Please send me the catalogue."


class Understands(StockBrain):
    def transcript(self) -> str:
        return SAID


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.transcripts.LOOK_SECONDS", 0.1)
    monkeypatch.setattr("bot.transcripts.RETRY_SECONDS", 0.01)


@asynccontextmanager
async def spoken(folder: Path, refuse: int | None = None, **settings: str) -> AsyncIterator[tuple[Stage, str, str]]:
    """A caller has left a message. Yields the server's address and the call's SID."""
    async with (
        Stage(brain=Understands()) as stage,
        serving(stage, folder, HANDOFF_POLICY=str(rules(folder)), **settings) as url,
    ):
        if refuse is not None:
            stage.openai.refuse["transcriptions"] = refuse  # type: ignore[assignment] - one of its numbers
        played = await stage.play("message", load("message"))
        yield stage, url, played.call.sid


async def message(url: str, sid: str) -> dict[str, Any]:
    async with asyncio.timeout(30), aiohttp.ClientSession() as http:
        while True:
            async with http.get(f"{url}/api/calls/{sid}") as answer:
                told = (await answer.json())["message"]
            if told["transcription"] is not None:
                return told
            await asyncio.sleep(0.1)


def asked(stage: Stage) -> int:
    return sum(note.what == "hears" and note.data.get("language", 0) is None for note in stage.journal.notes)


async def test_what_the_caller_said_is_in_the_record_and_on_the_calls_page(tmp_path: Path):
    async with spoken(tmp_path) as (stage, url, sid), httpx2.AsyncClient(base_url=url) as client:
        told = await message(url, sid)
        assert (told["transcription"], told["text"]) == ("written", SAID)
        assert SAID in (await client.get(f"/console/calls/{sid}")).text
        await asyncio.sleep(0.5)
        assert asked(stage) == 1, "it is asked once"


async def test_two_processes_ask_the_model_once(tmp_path: Path):
    async with spoken(tmp_path) as (stage, url, sid):
        async with serving(stage, tmp_path, HANDOFF_POLICY=str(rules(tmp_path))):
            assert (await message(url, sid))["text"] == SAID
            await asyncio.sleep(0.5)
        assert asked(stage) == 1


async def test_it_is_tried_again_until_the_model_answers(tmp_path: Path):
    async with spoken(tmp_path, refuse=503) as (stage, url, sid):
        await asyncio.sleep(0.3)
        del stage.openai.refuse["transcriptions"]
        assert (await message(url, sid))["transcription"] == "written"


@pytest.mark.parametrize(("refuse", "came_of_it"), [(503, "unavailable"), (401, "refused")])
async def test_that_it_is_given_up_has_a_name_and_the_page_says_it(tmp_path: Path, refuse: int, came_of_it: str):
    async with spoken(tmp_path, refuse=refuse) as (_, url, sid), httpx2.AsyncClient(base_url=url) as client:
        told = await message(url, sid)
        assert (told["transcription"], told["text"]) == (came_of_it, "")
        assert f"was not written down: {came_of_it}" in (await client.get(f"/console/calls/{sid}")).text


async def test_an_answer_that_is_no_text_is_none(tmp_path: Path):
    async def say(request: web.Request) -> web.Response:
        return web.Response(text="<html>Welcome to the hotel's WLAN</html>", content_type="text/html")

    app = web.Application()
    app.router.add_post("/{any:.*}", say)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    elsewhere = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    async with spoken(tmp_path, OPENAI_BASE_URL=elsewhere) as (_, url, sid):
        assert (await message(url, sid))["transcription"] == "unavailable"
    await runner.cleanup()


async def test_a_recording_that_twilio_does_not_have_has_a_name_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("bot.transcripts.TRIES", 2)
    monkeypatch.setattr("bot.transcripts.RETRY_SECONDS", 0.05)
    monkeypatch.setattr("bot.recordings.FETCH_SECONDS", 0.0001)
    async with spoken(tmp_path) as (_, url, sid):
        assert (await message(url, sid))["transcription"] == "no_recording"


async def test_where_it_is_not_wanted_nothing_is_sent(tmp_path: Path):
    async with Stage() as stage, serving(stage, tmp_path) as url:
        played = await stage.play("message", load("message"))
        await asyncio.sleep(0.5)
        async with aiohttp.ClientSession() as http, http.get(f"{url}/api/calls/{played.call.sid}") as answer:
            assert (await answer.json())["message"]["transcription"] is None
        assert asked(stage) == 0
