"""Talking with the caller in the bot's place, on the real server: who hears whom, how it ends, what is kept of it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
from serving import serving
from test_listen import CALLER, PASSWORD, SUPERVISOR, VIEWERS, Heard, greeted, logged_in, refused

from sandbox.caller import CallerLeg
from sandbox.codec import Pcm, encode
from sandbox.people import Person
from sandbox.process import server_process
from sandbox.stage import OUR_NUMBER, Stage
from sandbox.voice import speak

FRAME = 160
"""Bytes: 20 ms."""

TONE = 1230.0
"""Hz. Nobody else in a call makes it."""


class Anna:
    """A supervisor's browser: her microphone hears a tone, or silence, all the time."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.heard = Heard()
        self.speaks = False
        turns = np.arange(8000) * TONE / 8000
        self.tone = encode((12_000 * np.sin(2 * np.pi * turns)).astype(np.int16))
        self._silence = encode(np.zeros(8000, np.int16))
        self._at = 0
        self.hearing = asyncio.create_task(self.heard.follow(socket))
        self._sending = asyncio.create_task(self._send())

    async def _send(self) -> None:
        clock = asyncio.get_running_loop().time
        due = clock()
        while not self.socket.closed:
            sound = self.tone if self.speaks else self._silence
            await self.socket.send_bytes(sound[self._at : self._at + FRAME])
            self._at = (self._at + FRAME) % 8000
            due += 0.02
            await asyncio.sleep(due - clock())

    def fall_silent(self) -> None:
        """Her network stands still: nothing comes from her any more."""
        self._sending.cancel()

    async def close(self) -> None:
        self._sending.cancel()
        await self.socket.close()
        self.hearing.cancel()
        await asyncio.gather(self._sending, self.hearing, return_exceptions=True)


def tone_seconds(heard: Pcm) -> float:
    """For how long the tone is in a sound."""
    step = 800
    found = 0
    for at in range(0, len(heard) - step, step):
        spectrum = np.abs(np.fft.rfft(heard[at : at + step].astype(float)))
        found += int(spectrum.argmax() == round(TONE * step / 8000) and spectrum.max() > 100_000)
    return found * step / 8000


async def hears_tone(call: CallerLeg, seconds: float) -> None:
    async with asyncio.timeout(20):
        while tone_seconds(call.heard) < seconds:
            await asyncio.sleep(0.1)


async def state(stage: Stage, sid: str, wanted: str) -> dict[str, Any]:
    """The call's record, when it is in this state."""
    async with asyncio.timeout(20):
        while (record := await stage.record_now(sid))["state"] != wanted:
            await asyncio.sleep(0.05)
    return record


@asynccontextmanager
async def talking(http: aiohttp.ClientSession, url: str, sid: str) -> AsyncIterator[Anna]:
    async with http.ws_connect(f"{url}/console/calls/{sid}/join") as socket:
        anna = Anna(socket)
        try:
            yield anna
        finally:
            await anna.close()


async def act(http: aiohttp.ClientSession, page: str, what: str, **fields: str) -> int:
    async with http.get(page) as answer:
        token = (await answer.text()).split('name="form-token" content="')[1].split('"')[0]
    form = {"form": token, **fields}
    async with http.post(f"{page}/{what}", data=form, headers={"Accept": "application/json"}) as answer:
        return answer.status


def bot_words(record: dict[str, Any]) -> list[str]:
    return [line["text"] for line in record["transcript"] if line["role"] == "bot"]


async def test_caller_and_supervisor_hear_each_other_and_the_bot_comes_back(
    stage: Stage, tmp_path: Path, http: aiohttp.ClientSession
):
    async with serving(stage, tmp_path) as url:
        call = await stage.network.call(CALLER, OUR_NUMBER)
        await greeted(call)
        async with talking(http, url, call.sid) as anna:
            await state(stage, call.sid, "joined")
            anna.speaks = True
            await hears_tone(call, 1.0)
            assert len(stage.model.sessions) == 1
            await call.say(speak("I want my money back!"))
            await anna.heard.until("c", 0.5)
            assert anna.heard.loud["b"] == 0.0  # nobody is sent their own voice
            async with http.get(f"{url}/console/calls/{call.sid}") as page:
                assert "talks with the caller" in await page.text()
        await state(stage, call.sid, "bot")
        await call.until("speech stopped", timeout=20)  # the bot says that it is there again
        await call.say(speak("Where is my order?"))
        await call.until("speech stopped", timeout=20)
        await call.hang_up()
        await call.ended()
        record = await stage.record(call.sid)
        [join] = record["joins"]
        assert (join["who"], join["leg"], record["end"]) == ("this machine", 1, "caller_hung_up")
        assert join["started_at"] < join["ended_at"]
        events = [entry["event"] for entry in record["timeline"]]
        assert events.index("SupervisorJoined") < events.index("SupervisorLeft")
        assert len(stage.model.sessions) == 2
        told = json.dumps(stage.model.sessions[1].items)
        assert "colleague" in told
        assert bot_words(record)[0][:20] in told  # and the conversation before
        assert "money back" not in told  # nobody listened to what was said meanwhile


async def test_a_bot_that_was_speaking_is_cut_off_and_only_what_was_heard_is_written_down(
    stage: Stage, tmp_path: Path, http: aiohttp.ClientSession
):
    async with serving(stage, tmp_path) as url:
        call = await stage.network.call(CALLER, OUR_NUMBER)
        await greeted(call)
        await call.say(speak("Where is my order?"))
        await call.until("speech started", timeout=20)
        async with talking(http, url, call.sid) as anna:
            anna.speaks = True
            await hears_tone(call, 0.5)
            assert not any(note.what == "speech stopped" for note in stage.journal.of(call.sid)[-3:])
            await call.hang_up()
            await anna.hearing
            assert "with you no more" in anna.heard.words
        await call.ended()
        record = await state(stage, call.sid, "ended")
        assert record["end"] == "put_through"
        assert len(bot_words(record)[-1]) < len("Your order left our warehouse yesterday and arrives tomorrow.")


async def test_who_has_joined_puts_the_caller_through(stage: Stage, tmp_path: Path, http: aiohttp.ClientSession):
    people = {"+12025550199": Person(after=0.4, hangs_up_after=1.0)}
    async with serving(stage, tmp_path) as url:
        call = await stage.network.call(CALLER, OUR_NUMBER, people=people)
        await greeted(call)
        async with talking(http, url, call.sid) as anna:
            await state(stage, call.sid, "joined")
            anna.speaks = True
            await hears_tone(call, 0.3)
            page = f"{url}/console/calls/{call.sid}"
            assert await act(http, page, "put-through", target="billing") == 200
            await anna.hearing
            assert "with you no more" in anna.heard.words
        await call.ended()
        record = await stage.record(call.sid)
        assert (record["end"], record["attempts"][-1]["outcome"]) == ("put_through", "answered")
        assert record["joins"][0]["ended_at"] <= record["attempts"][0]["started_at"]
        assert len(stage.model.sessions) == 1  # no bot was asked for a goodbye


async def test_who_has_joined_ends_the_call(stage: Stage, tmp_path: Path, http: aiohttp.ClientSession):
    async with serving(stage, tmp_path) as url:
        call = await stage.network.call(CALLER, OUR_NUMBER)
        await greeted(call)
        async with talking(http, url, call.sid) as anna:
            await state(stage, call.sid, "joined")
            anna.speaks = True
            await hears_tone(call, 0.3)
            assert await act(http, f"{url}/console/calls/{call.sid}", "hang-up") == 200
            await call.ended()
            await anna.hearing
        record = await state(stage, call.sid, "ended")
        assert record["end"] == "bot_hung_up"


async def test_a_browser_from_which_nothing_comes_has_left(stage: Stage, tmp_path: Path, http: aiohttp.ClientSession):
    async with serving(stage, tmp_path) as url:
        call = await stage.network.call(CALLER, OUR_NUMBER)
        await greeted(call)
        async with talking(http, url, call.sid) as anna:
            await state(stage, call.sid, "joined")
            anna.fall_silent()
            await state(stage, call.sid, "bot")
            await call.until("speech stopped", timeout=20)
        await call.hang_up()
        await call.ended()


async def test_speech_that_piled_up_is_not_heard_late(stage: Stage, tmp_path: Path, http: aiohttp.ClientSession):
    async with serving(stage, tmp_path) as url:
        call = await stage.network.call(CALLER, OUR_NUMBER)
        await greeted(call)
        async with talking(http, url, call.sid) as anna:
            await state(stage, call.sid, "joined")
            socket = anna.socket
            for at in range(0, 32_000, FRAME):  # four seconds at once
                await socket.send_bytes(anna.tone[at % 8000 :][:FRAME])
            await hears_tone(call, 0.2)
            await asyncio.sleep(1.0)
            assert tone_seconds(call.heard) < 1.0
            await socket.send_str("not sound")
            await socket.send_bytes(b"\x00" * 100_000)
            await socket.send_bytes(b"")
            anna.speaks = True
            await hears_tone(call, 1.2)
            await call.hang_up()
        await call.ended()


async def test_one_supervisor_at_a_time_and_no_viewer(stage: Stage, tmp_path: Path, http: aiohttp.ClientSession):
    async with serving(stage, tmp_path, CONSOLE_PASSWORD=PASSWORD, CONSOLE_VIEWER_PASSWORD=VIEWERS) as url:
        call = await stage.network.call(CALLER, OUR_NUMBER)
        await greeted(call)
        address = f"{url}/console/calls/{call.sid}/join"

        assert await refused(http, address)
        await logged_in(http, url, VIEWERS)
        assert await refused(http, address)
        await logged_in(http, url)
        assert await refused(http, address, Origin="https://elsewhere.example")
        async with talking(http, url, call.sid):
            async with asyncio.timeout(20):
                while True:
                    async with http.ws_connect(address) as second:
                        words = (await second.receive_json())["words"]
                    if "already" in words:
                        break
            assert words == "Anna talks with the caller already."
        await call.hang_up()
        await call.ended()
        async with http.ws_connect(address) as late:
            assert "not with the bot" in (await late.receive_json())["words"]


async def test_who_logs_out_has_left_and_hears_no_more(stage: Stage, tmp_path: Path, http: aiohttp.ClientSession):
    async with serving(stage, tmp_path, CONSOLE_PASSWORD=PASSWORD) as url:
        await logged_in(http, url)
        call = await stage.network.call(CALLER, OUR_NUMBER)
        await greeted(call)
        listener = Heard()
        async with http.ws_connect(f"{url}/console/calls/{call.sid}/listen") as socket:
            following = asyncio.create_task(listener.follow(socket))
            async with talking(http, url, call.sid) as anna:
                anna.speaks = True
                await hears_tone(call, 0.2)
                assert await act(http, f"{url}/console", "logout") == 200
                await anna.hearing
                await following
        assert anna.heard.words == listener.words == "Your session is over. Log in again."
        await call.until("speech stopped", timeout=20)  # the bot says that it is there again
        await call.hang_up()
        await call.ended()


async def test_another_server_says_which_one_carries_the_call(
    stage: Stage, tmp_path: Path, postgresql: str, http: aiohttp.ClientSession
):
    async with AsyncExitStack() as stack:
        urls = []
        for name in ("a", "b"):  # the last one that comes up has the calls
            settings = {"DATABASE_URL": postgresql, "SPOOL": str(tmp_path / name)}
            urls.append(await stack.enter_async_context(serving(stage, tmp_path, **settings)))
        call = await stage.network.call(CALLER, OUR_NUMBER)
        await greeted(call)
        async with http.ws_connect(f"{urls[0]}/console/calls/{call.sid}/join") as socket:
            assert "is carried by" in (await socket.receive_json())["words"]
        assert (await stage.record(call.sid))["state"] == "bot"
        async with talking(http, urls[1], call.sid):
            await state(stage, call.sid, "joined")
            # An order at any page finds its way, as always.
            assert await act(http, f"{urls[0]}/console/calls/{call.sid}", "hang-up") == 200
            await call.ended()


async def test_listeners_hear_the_supervisor_too(stage: Stage, tmp_path: Path, http: aiohttp.ClientSession):
    async with serving(stage, tmp_path) as url:
        call = await stage.network.call(CALLER, OUR_NUMBER)
        await greeted(call)
        listener = Heard()
        async with http.ws_connect(f"{url}/console/calls/{call.sid}/listen") as socket:
            following = asyncio.create_task(listener.follow(socket))
            async with talking(http, url, call.sid) as anna:
                await state(stage, call.sid, "joined")
                anna.speaks = True
                await listener.until("b", 0.5)
            await call.until("speech stopped", timeout=20)  # the same listener hears the bot that is back
            await call.hang_up()
            await following
        await call.ended()


async def test_a_server_that_is_killed_meanwhile_leaves_the_caller_to_the_failsafe_target(
    stage: Stage, tmp_path: Path, http: aiohttp.ClientSession
):
    people = {"+12025550143": Person(after=0.4, hangs_up_after=1.0)}
    async with server_process(stage, tmp_path) as server:
        call = await stage.network.call(CALLER, OUR_NUMBER, people=people)
        await greeted(call)
        async with talking(http, server.url, call.sid):
            await state(stage, call.sid, "joined")
            await server.kill()
            await call.ended()
    assert call.bridged_to == "+12025550143"


async def test_the_phone_of_a_supervisor_is_rung_all_the_same(
    stage: Stage, tmp_path: Path, http: aiohttp.ClientSession
):
    people = {SUPERVISOR: Person(after=0.4, hangs_up_after=1.0)}
    async with serving(stage, tmp_path) as url:
        call = await stage.network.call(CALLER, OUR_NUMBER, people=people)
        await greeted(call)
        async with talking(http, url, call.sid):
            await state(stage, call.sid, "joined")
            assert await act(http, f"{url}/console/calls/{call.sid}", "take-over") == 200
            await call.ended()
        assert call.bridged_to == SUPERVISOR
