"""Model sessions that are opened ahead: taken once, dropped in time, and told what they are for once."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from serving import serving
from streams import settled, until
from twilio.request_validator import RequestValidator

from bot import anteroom
from bot.anteroom import Anteroom
from pipelines.legs import Leg
from sandbox.stage import AUTH_TOKEN, OUR_NUMBER, PUBLIC_URL, Stage
from sandbox.story import load
from sandbox.view import ClientEvent, SessionView

SID = "CA" + "c3" * 16
SIGN = RequestValidator(AUTH_TOKEN).compute_signature


class Visitor:
    """A `Leg` as the anteroom sees it."""

    def __init__(self, mistake: Exception | None = None, *, slow: bool = False) -> None:
        self.opened = self.closed = 0
        self._mistake = mistake
        self._slow = slow

    async def open(self) -> None:
        self.opened += 1
        if self._slow:
            await asyncio.Event().wait()
        if self._mistake is not None:
            raise self._mistake

    async def close(self) -> None:
        self.closed += 1


class Rooms:
    """An anteroom and all the legs that were built for it."""

    def __init__(self, *, places: int = 50, **manner: Any) -> None:
        self.built: list[Visitor] = []
        self._manner = manner
        self.room = Anteroom(places=places)

    def build(self) -> Leg:
        self.built.append(Visitor(**self._manner))
        return self.built[-1]  # type: ignore[return-value]


async def test_a_leg_that_waits_is_open_and_taken_once():
    rooms = Rooms()
    rooms.room.prepare(SID, 1, rooms.build)
    await settled()
    [waiting] = rooms.built
    assert waiting.opened == 1
    assert rooms.room.take(SID, 1, rooms.build) is waiting
    other = rooms.room.take(SID, 1, rooms.build)
    assert other is rooms.built[1]
    assert other.opened == 0  # type: ignore[attr-defined]
    await rooms.room.close()
    assert [leg.closed for leg in rooms.built] == [0, 0]


async def test_a_stream_that_is_announced_twice_has_one_leg():
    rooms = Rooms()
    for _ in range(3):
        rooms.room.prepare(SID, 1, rooms.build)
    assert len(rooms.built) == 1
    await rooms.room.close()


async def test_every_stream_of_every_call_has_its_own():
    rooms = Rooms()
    for key in ((SID, 1), (SID, 2), ("CA" + "d4" * 16, 1)):
        rooms.room.prepare(*key, rooms.build)
    legs = [
        rooms.room.take("CA" + "d4" * 16, 1, rooms.build),
        rooms.room.take(SID, 2, rooms.build),
        rooms.room.take(SID, 1, rooms.build),
    ]
    assert legs == rooms.built[::-1]


async def test_a_leg_that_nobody_takes_is_closed_in_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(anteroom, "WAIT_SECONDS", 0.05)
    rooms = Rooms()
    rooms.room.prepare(SID, 1, rooms.build)
    rooms.room.prepare(SID, 2, rooms.build)
    taken = rooms.room.take(SID, 2, rooms.build)
    await until(lambda: rooms.built[0].closed)
    await asyncio.sleep(0.1)
    assert rooms.built[0].closed == 1
    assert taken.closed == 0  # type: ignore[attr-defined]
    assert rooms.room.take(SID, 1, rooms.build) is rooms.built[2]


async def test_places_are_bounded_and_free_again_when_their_leg_was_taken_or_dropped():
    rooms = Rooms(places=2)
    for number in range(5):
        rooms.room.prepare(SID, number, rooms.build)
    assert len(rooms.built) == 2
    rooms.room.take(SID, 0, rooms.build)
    rooms.room.drop(SID, 1)
    for number in range(5, 9):
        rooms.room.prepare(SID, number, rooms.build)
    assert len(rooms.built) == 4
    rooms.room.take(SID, 99, rooms.build)  # beyond the places, a stream still has its leg
    assert len(rooms.built) == 5
    await rooms.room.close()


async def test_closing_drops_all_that_wait():
    rooms = Rooms(slow=True)
    for number in range(5):
        rooms.room.prepare(SID, number, rooms.build)
    rooms.room.take(SID, 0, rooms.build)
    await rooms.room.close()
    assert [leg.closed for leg in rooms.built] == [0, 1, 1, 1, 1]
    rooms.room.drop(SID, 3)
    await rooms.room.close()
    assert [leg.closed for leg in rooms.built] == [0, 1, 1, 1, 1]


@pytest.mark.parametrize("mistake", [TimeoutError(), ConnectionError("refused"), RuntimeError("anything")])
async def test_a_leg_that_cannot_be_opened_is_handed_out_all_the_same(mistake: Exception):
    rooms = Rooms(mistake=mistake)
    rooms.room.prepare(SID, 1, rooms.build)
    await settled()
    assert rooms.room.take(SID, 1, rooms.build) is rooms.built[0]


# --- with the real model leg, server and network ----------------------------------------------------------


def configured(session: SessionView) -> list[ClientEvent]:
    """The updates that say something; an empty one only asks whether the model lives."""
    return [event for event in session.sent("session.update") if event.payload["session"].keys() != {"type"}]


@pytest.mark.parametrize(("name", "sessions"), [("next_number", 1), ("put_through", 2)])
async def test_every_session_waits_for_its_stream_and_is_configured_once_also_that_of_a_returning_bot(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, sessions: int
):
    waited: list[bool] = []
    take = Anteroom.take

    def watched(self: Anteroom, sid: str, number: int, build: Callable[[], Leg]) -> Leg:
        waited.append((sid, number) in self._waiting)
        return take(self, sid, number, build)

    monkeypatch.setattr(Anteroom, "take", watched)
    async with serving(stage, tmp_path):
        played = await stage.play(name, load(name))
    assert waited == [True] * sessions
    assert len(played.sessions) == len(stage.model.sessions) == sessions  # none was opened for nothing
    for session in played.sessions:
        assert len(configured(session)) == 1
        assert session.client_events[0].type == "session.update"
        assert session.instructions
        assert "hand_off" in [tool["name"] for tool in session.tools]
        assert session.closed


async def test_a_session_is_configured_before_its_stream_starts(stage: Stage, tmp_path: Path):
    async with serving(stage, tmp_path) as url, aiohttp.ClientSession() as http:
        token = await announced(http, url)
        await until(lambda: stage.model.sessions and stage.model.sessions[0].client_events)
        [session] = stage.model.sessions
        assert session.client_events[0].type == "session.update"
        headers = {"x-twilio-signature": SIGN(f"{PUBLIC_URL.replace('https', 'wss')}/twilio/media", {})}
        async with http.ws_connect(f"{url}/twilio/media", headers=headers) as socket:
            told = {"streamSid": "MZ" + "d4" * 16, "callSid": SID, "customParameters": {"token": token}}
            await socket.send_str(json.dumps({"event": "start", "start": told}))
            await socket.receive()  # the greeting
        await until(lambda: session.closed)
        assert len(configured(session)) == 1
        assert session.response_count == 1
    assert stage.model.sessions == [session]


async def announced(http: aiohttp.ClientSession, url: str) -> str:
    """A call comes in, whose stream is still to come. Returns the stream's token."""
    form = {"CallSid": SID, "From": "+442079460123", "To": OUR_NUMBER, "CallStatus": "ringing"}
    headers = {"X-Twilio-Signature": SIGN(f"{PUBLIC_URL}/twilio/voice", form)}
    async with http.post(f"{url}/twilio/voice", data=form, headers=headers) as answer:
        assert answer.status == 200
        return (await answer.text()).partition('name="token" value="')[2].partition('"')[0]


async def test_a_session_that_no_stream_comes_for_is_closed(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(anteroom, "WAIT_SECONDS", 0.3)
    async with serving(stage, tmp_path) as url, aiohttp.ClientSession() as http:
        await announced(http, url)
        await until(lambda: stage.model.sessions)
        [session] = stage.model.sessions
        await until(lambda: session.closed)
        assert session.response_count == 0


async def test_a_server_that_ends_closes_the_sessions_that_wait(stage: Stage, tmp_path: Path):
    async with serving(stage, tmp_path) as url, aiohttp.ClientSession() as http:
        await announced(http, url)
        await until(lambda: stage.model.sessions)
    await until(lambda: all(session.closed for session in stage.model.sessions))
