"""Many calls at once: the beat that sends their frames, the way in and out, and the server's health meanwhile."""

import asyncio
import os
import random
import signal
from collections.abc import Callable
from urllib.parse import urlsplit

import aiohttp

from bench.rig.caller import ANSWER_SECONDS, Caller
from bench.rig.model import Model
from bench.rig.notes import Notes, now
from bench.rig.script import Script

SLOTS = 20
"""Callers are spread over this many moments of every 20 ms."""

HEALTH_EVERY = 0.1
"""Seconds between two `GET /health`."""


class Load:
    """Calls on one server. `async with`; everything ends with it."""

    def __init__(self, model: Model, url: str, *, seed: int = 0) -> None:
        """Prepare.

        Args:
            model: What the server talks to; it is open.
            url: The server.
            seed: For the callers' decisions.
        """
        self.notes = model.notes
        self.live = 0
        """Calls whose greeting has begun."""

        self._model = model
        self._url = url
        self._chance = random.Random(seed)  # noqa: S311 - decisions of simulated callers, the same in every run
        self._slots: list[list[Caller]] = [[] for _ in range(SLOTS)]
        self._calls: list[asyncio.Task[None]] = []
        self._background: list[asyncio.Task[None]] = []
        self._dialled = 0

    async def __aenter__(self) -> "Load":
        self._http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        self._background = [asyncio.create_task(self._beat()), asyncio.create_task(self._ask_health())]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.hang_up()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self._http.close()

    # --- calls ---

    async def add(self, calls: int, *, per_second: float = 10.0) -> None:
        """Dial more calls, spread over time, and wait until they are up or have failed."""
        before, failed = self.live, len(self.notes.failed_calls)
        for _ in range(calls):
            script = Script(self._caller(), self.notes, random.Random(self._chance.random()))  # noqa: S311 - as above
            self._calls.append(asyncio.create_task(script.perform(self._begun)))
            await asyncio.sleep(1 / per_second)
        deadline = now() + ANSWER_SECONDS + 1
        while self.live - before + len(self.notes.failed_calls) - failed < calls and now() < deadline:
            await asyncio.sleep(0.02)

    async def one_after_the_other(self, calls: int, *, at_once: int, seconds: float) -> None:
        """Short calls, so many at once, until there were so many in all."""
        left = calls

        async def line() -> None:
            nonlocal left
            while left > 0:
                left -= 1
                caller = self._caller()
                await Script(caller, self.notes, self._chance).perform_briefly(seconds)
                for slot in self._slots:
                    if caller in slot:
                        slot.remove(caller)

        await asyncio.gather(*(line() for _ in range(at_once)))

    @property
    def sids(self) -> list[str]:
        """The CallSids of the calls that are up."""
        return [caller.call_sid for slot in self._slots for caller in slot if caller.session is not None]

    async def hang_up(self) -> None:
        """End every call, and wait until they are gone."""
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)
        self._calls.clear()
        self.live = 0
        for slot in self._slots:
            slot.clear()

    def lost_probes(self) -> int:
        """Bursts that were sent over a second ago and have not been heard."""
        since = now() - 1.0
        callers = [caller for slot in self._slots for caller in slot if caller.session is not None]
        return sum(sum(at < since for at in caller.session.probes) for caller in callers if caller.session)

    def _caller(self) -> Caller:
        caller = Caller(self._model, self._url, self._http, phase=self._dialled * 7)
        self._slots[self._dialled % SLOTS].append(caller)
        self._dialled += 1
        return caller

    def _begun(self) -> None:
        self.live += 1

    # --- the beat ---

    async def _beat(self) -> None:
        """Every caller's frame, every 20 ms; what is late is caught up with."""
        slot_seconds = 0.02 / SLOTS
        began, beat = now(), 0
        while True:
            beat += 1
            due = began + beat * slot_seconds
            wait = due - now()
            if wait > 0:
                await asyncio.sleep(max(wait, 0.001))
            if self.notes.on:
                self.notes.rig_lag.append(max(0.0, now() - due))
            for caller in tuple(self._slots[beat % SLOTS]):
                caller.tick()
            if wait < -0.05 and beat % 50 == 0:
                await asyncio.sleep(0)  # far behind: let what has arrived be read

    # --- the server's health ---

    async def _ask_health(self) -> None:
        """`GET /health` on one kept connection: what another request waits for is the server's lag."""
        parts = urlsplit(self._url)
        request = f"GET /health HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
        while True:
            try:
                reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            except OSError:
                await asyncio.sleep(HEALTH_EVERY)
                continue
            try:
                while True:
                    began = now()
                    writer.write(request)
                    head = await reader.readuntil(b"\r\n\r\n")
                    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                    await reader.readexactly(length)
                    if self.notes.on:
                        self.notes.health.append(now() - began)
                    await asyncio.sleep(HEALTH_EVERY)
            except (asyncio.IncompleteReadError, OSError):
                pass
            finally:
                writer.close()


async def stopping(pid: int, notes: Notes, *, seconds: float = 0.4, every: float = 1.0) -> None:
    """Stop a process for a while, again and again, as a blocked loop would, until cancelled."""
    run: Callable[[int], None] = lambda which: os.kill(pid, which)  # noqa: E731 - a name for one expression
    try:
        while True:
            await asyncio.sleep(every - seconds)
            began = now()
            run(signal.SIGSTOP)
            await asyncio.sleep(seconds)
            run(signal.SIGCONT)
            notes.stops.append((began, now()))
    finally:
        run(signal.SIGCONT)
