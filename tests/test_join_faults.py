"""Who has the caller when something goes wrong just as a supervisor comes or goes."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest
from serving import serving
from test_join import CALLER, greeted, hears_tone, talking

from bot.lending import Lending
from pipelines.model_socket import ModelSocket
from sandbox.stage import OUR_NUMBER, Stage


class Line:
    """A media socket: what comes, until it ends."""

    def __init__(self) -> None:
        self.coming: asyncio.Queue[str | None] = asyncio.Queue()
        self.sent: list[str] = []

    async def receive(self, take: Callable[[str | bytes], None]) -> None:
        while (message := await self.coming.get()) is not None:
            take(message)

    def send(self, message: str) -> None:
        self.sent.append(message)

    async def close(self) -> None:
        self.coming.put_nowait(None)


async def test_what_came_while_nobody_had_the_socket_is_read_after_its_end():
    line = Line()
    async with Lending(line) as lending:
        first = lending.lend()
        reading = asyncio.create_task(first.receive(lambda _: None))
        await asyncio.sleep(0)
        first.give_back()
        await reading
        line.coming.put_nowait("stop")
        line.coming.put_nowait(None)
        while not lending.over:
            await asyncio.sleep(0)
        read: list[str | bytes] = []
        await lending.lend().receive(read.append)
        assert read == ["stop"]


async def test_who_gave_the_socket_back_before_reading_takes_nothing_from_who_comes_next():
    line = Line()
    async with Lending(line) as lending:
        line.coming.put_nowait("hello")
        while not line.coming.empty():
            await asyncio.sleep(0)
        first = lending.lend()
        first.give_back()
        taken: list[str | bytes] = []
        await first.receive(taken.append)
        line.coming.put_nowait(None)
        read: list[str | bytes] = []
        await lending.lend().receive(read.append)
        assert (taken, read) == ([], ["hello"])


async def test_nobody_waits_for_a_model_that_does_not_let_go(
    stage: Stage, tmp_path: Path, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
):
    released = asyncio.Event()

    async def hangs(self: ModelSocket) -> None:
        await released.wait()

    async with serving(stage, tmp_path) as url:
        call = await stage.network.call(CALLER, OUR_NUMBER)
        await greeted(call)
        monkeypatch.setattr(ModelSocket, "close", hangs)
        try:
            async with talking(http, url, call.sid) as anna:
                anna.speaks = True
                await hears_tone(call, 0.2)
            async with asyncio.timeout(15):
                while len(stage.model.sessions) < 2 or not stage.model.sessions[1].items:  # nor does the next bot wait
                    await asyncio.sleep(0.05)
        finally:
            released.set()
        await call.hang_up()
        await call.ended()
