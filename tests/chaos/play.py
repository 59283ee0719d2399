"""One story from the first ring to the record's last word."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from chaos.caller import Caller
from chaos.mind import Mind
from chaos.plan import Story
from chaos.rest import Order, RestProxy
from sandbox.caller import CallerLeg
from sandbox.hum import Hum, hum_for
from sandbox.scene import Note
from sandbox.sound import Span
from sandbox.stage import OUR_NUMBER, Stage

SETTLE_SECONDS = 120.0
"""How long the record may take to know that a call is over: a row whose end nobody was there to hear of is asked about
when nothing was written of it for a while, see `bot/sweeper.py`."""


LET_GO_SECONDS = 40.0
"""After which whoever was called for a caller is off the phone, whatever broke: their telephone rings for five seconds,
and the question in their ear, asked without an answer, has an end."""


@dataclass(slots=True)
class Outcome:
    """A story as it went."""

    story: Story
    call: CallerLeg
    caller: Caller
    notes: Sequence[Note]
    silences: Sequence[Span]
    """Dead air as the caller heard it. Seconds on the journal's clock."""

    sessions: int
    """How many sessions of the model there were."""

    orders: Sequence[Order]
    record: dict[str, Any] = field(default_factory=dict[str, Any])
    """What `GET /api/calls/{call_sid}` says."""

    @property
    def dead_air(self) -> float:
        """The longest silence. Seconds."""
        return max((span.end - span.start for span in self.silences), default=0.0)

    def of(self, lane: str, what: str) -> list[Note]:
        """The notes of one kind."""
        return [note for note in self.notes if note.lane == lane and note.what == what]

    def written_down(self) -> str:
        """What the network saw and what the record says, line by line."""
        began = self.notes[0].at
        seen = [f"{note.at - began:7.2f} {note.lane:9} {note.what:18} {note.data}" for note in self.notes]
        known = [str(entry) for entry in self.record.get("timeline", ())]
        return "\n".join([str(self.story), *seen, "", "The record:", *known, ""])


class Player:
    """Plays stories on one stage, any number at once."""

    def __init__(self, stage: Stage, rest: RestProxy) -> None:
        """Args: stage: network and model. rest: the server's way to the network's REST."""
        self._stage = stage
        self._rest = rest
        self._lines = itertools.count()

    async def play(self, story: Story) -> Outcome:
        """Play one story to the call's end. The record's word is still to come: see `settle`."""
        stage, number = self._stage, next(self._lines)
        mind = Mind(story, stage.model)
        hum: Hum = hum_for(number)
        stage.model.lines[hum] = mind
        people = dict(story.people)
        call = await stage.network.call(f"+4420794{60000 + number:05d}", OUR_NUMBER, hum=hum, people=people)
        mind.call_sid, mind.call = call.sid, call
        if story.rest is not None:
            self._rest.faults[call.sid] = story.rest
        self._rest.on_redirect[call.sid] = lambda: mind.moment_comes("redirect")
        caller = Caller(story, mind, call)
        try:
            await caller.live()
            await call.ended()
            await _let_go(call)
        finally:
            await call.hang_up()
            await call.settle()
            del stage.model.lines[hum]
            self._rest.forget(call.sid)
        views = stage.model.sessions
        sessions = sum(view.hum == hum for view in views)
        views[:] = [view for view in views if view.hum != hum and not (view.hum is None and view.closed)]
        orders = [order for order in self._rest.orders if order.call_sid == call.sid]
        return Outcome(story, call, caller, stage.journal.of(call.sid), call.silences, sessions, orders)


async def _let_go(call: CallerLeg) -> None:
    """Wait until nobody is on the phone for the caller any more, or should have been told long ago."""
    deadline = asyncio.get_running_loop().time() + LET_GO_SECONDS
    while any(leg.live for leg in call.called) and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.1)


async def settle(outcome: Outcome, urls: Sequence[str], http: aiohttp.ClientSession) -> None:
    """Wait until the record says that the call is over and no server has anything left to write, and keep what it says.

    Args:
        outcome: The story as it went.
        urls: Where a server is that can be asked; the first that answers is.
        http: The connections.
    """
    deadline = asyncio.get_running_loop().time() + SETTLE_SECONDS
    while asyncio.get_running_loop().time() < deadline:
        shipped = not any([await _spools(url, http) for url in urls])
        for url in urls:
            record = await _get(f"{url}/api/calls/{outcome.call.sid}", http)
            if record is not None:
                outcome.record = json.loads(record)
                break
        if shipped and outcome.record.get("state") == "ended":
            return
        await asyncio.sleep(0.3)


async def _spools(url: str, http: aiohttp.ClientSession) -> bool:
    """Whether a server keeps something that the record does not have yet."""
    figures = await _get(f"{url}/metrics", http) or ""
    waiting = [line.split()[1] for line in figures.splitlines() if line.startswith("putthrough_spooled_writings ")]
    return any(float(number) > 0 for number in waiting)


async def _get(url: str, http: aiohttp.ClientSession) -> str | None:
    with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
        async with http.get(url, timeout=aiohttp.ClientTimeout(total=3.0)) as answer:
            if answer.status == 200:
                return await answer.text()
    return None
