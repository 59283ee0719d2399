"""The record for people who read it: the console's searches and figures, on a connection and a thread of their own.

Nothing that is asked here makes a call's next step wait: on SQLite a reader does not hold up the one who writes.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot import database
from bot.call import Call
from bot.readings import read_record
from bot.record import CALL, Entry, LedgerError, Record, Switch
from bot.tables import CALLS, JOURNAL, SWITCHES

T = TypeVar("T")

MOST_LIVE = 2000
"""Calls that are shown as going on."""

MOST_OF_A_DAY = 20_000
"""Calls of one day that are counted."""

LOOKED_THROUGH = 2000
"""Calls that one search reads."""

CONSOLE = "console"
"""In the place of a CallSid: the journal of what was done at the console to no call in particular."""


@dataclass(frozen=True, slots=True)
class Search:
    """Which calls are looked for. What is not given does not matter."""

    since: float | None = None
    until: float | None = None
    """Began in this time. Unix seconds."""

    digits: str = ""
    """The caller's number ends with them."""

    outcome: str = ""
    """How the call, or one of its attempts, ended."""

    target: str = ""
    """A hand-off led there, or was to."""

    def fits(self, call: Call) -> bool:
        """Whether a call that began in the right time, from the right number, is one of them."""
        ends = {call.end, *(attempt.outcome for attempt in call.attempts)}
        targets = {*(handoff.target for handoff in call.handoffs), *(attempt.target for attempt in call.attempts)}
        return (not self.outcome or self.outcome in ends) and (not self.target or self.target in targets)


@dataclass(frozen=True, slots=True)
class Found:
    """What a search came to."""

    calls: list[Call]
    """Newest first."""

    next_before: float | None
    """Where to go on: calls that began earlier have not been looked at. None when there are none."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What the journals of some calls measured."""

    responses: list[float]
    """How long the bot took to begin an answer. Seconds."""

    silences: list[float]
    """The longest silence on each media stream. Seconds."""


class Archive:
    """Reads the record. Its methods are to be called on the archive's thread, and raise `LedgerError`."""

    def __init__(self, url: str) -> None:
        """Args: url: the record's database, whose tables are there already."""
        self._url = url
        self._engine = database.create_engine(url)

    async def close(self) -> None:
        """Give the connections back."""
        await self._engine.dispose()

    async def live(self) -> list[Call]:
        """The calls that have no end, oldest first."""
        wanted = sa.select(CALLS.c.state).where(CALLS.c.ended_at.is_(None))
        return await self._calls(wanted.order_by(CALLS.c.started_at).limit(MOST_LIVE))

    async def begun(self, since: float) -> list[Call]:
        """The calls that began then or later. Unix seconds."""
        wanted = sa.select(CALLS.c.state).where(CALLS.c.started_at >= since)
        return await self._calls(wanted.order_by(CALLS.c.started_at.desc()).limit(MOST_OF_A_DAY))

    async def some(self, sids: Iterable[str]) -> list[Call]:
        """These calls, as far as they are in the record."""
        return await self._calls(sa.select(CALLS.c.state).where(CALLS.c.sid.in_([*sids])))

    async def record(self, sid: str) -> Record | None:
        """Everything that is kept of a call; None for one that is not in the record."""
        return await self._read(lambda connection: read_record(connection, sid))

    async def phases_since(self, sids: Iterable[str]) -> dict[str, float]:
        """Since when each of these calls is in its phase. Unix seconds."""
        wanted = sa.select(JOURNAL.c.call_sid, JOURNAL.c.at, JOURNAL.c.phase)
        wanted = wanted.where(JOURNAL.c.call_sid.in_([*sids]), JOURNAL.c.changed).order_by(JOURNAL.c.id)

        async def read(connection: AsyncConnection) -> dict[str, float]:
            since: dict[str, tuple[str, float]] = {}
            for sid, at, phase in (await connection.execute(wanted)).all():
                if sid not in since or since[sid][0] != phase:
                    since[sid] = (phase, at)
            return {sid: at for sid, (_, at) in since.items()}

        return await self._read(read)

    async def measured(self, since: float) -> Measured:
        """What the journals of calls that began since then have measured. Unix seconds."""
        of_them = sa.select(CALLS.c.sid).where(CALLS.c.started_at >= since)
        wanted = sa.select(JOURNAL.c.event, JOURNAL.c.data).where(JOURNAL.c.call_sid.in_(of_them))
        wanted = wanted.where(JOURNAL.c.event.in_(("Spoke", "StreamMeasured"))).limit(10 * MOST_OF_A_DAY)

        async def read(connection: AsyncConnection) -> Measured:
            measured = Measured([], [])
            for event, data in (await connection.execute(wanted)).all():
                if event == "Spoke" and "response_ms" in data:
                    measured.responses.append(data["response_ms"] / 1000)
                elif event == "StreamMeasured":
                    measured.silences.append(data["longest_silence_ms"] / 1000)
            return measured

        return await self._read(read)

    async def switch(self, name: str) -> Switch | None:
        """A switch as it was last turned; None for one that never was."""
        wanted = sa.select(SWITCHES.c.on, SWITCHES.c.reason, SWITCHES.c.at).where(SWITCHES.c.name == name)

        async def read(connection: AsyncConnection) -> Switch | None:
            row = (await connection.execute(wanted)).one_or_none()
            return Switch(row.on, row.reason, row.at) if row else None

        return await self._read(read)

    async def acts(self, limit: int = 20) -> list[Entry]:
        """What was done at the console to no call in particular, newest first."""
        wanted = sa.select(JOURNAL).where(JOURNAL.c.call_sid == CONSOLE).order_by(JOURNAL.c.id.desc()).limit(limit)

        async def read(connection: AsyncConnection) -> list[Entry]:
            rows = (await connection.execute(wanted)).all()
            return [Entry(row.at, row.event, row.data, row.phase, row.changed, row.late) for row in rows]

        return await self._read(read)

    async def search(self, search: Search, *, limit: int, before: float | None = None) -> Found:
        """The newest calls that fit.

        Args:
            search: Which.
            limit: The most that are wanted.
            before: Only calls that began earlier. Unix seconds.
        """
        wanted = sa.select(CALLS.c.state)
        if search.since is not None:
            wanted = wanted.where(CALLS.c.started_at >= search.since)
        if search.until is not None:
            wanted = wanted.where(CALLS.c.started_at < search.until)
        if before is not None:
            wanted = wanted.where(CALLS.c.started_at < before)
        if search.digits:
            wanted = wanted.where(CALLS.c.caller.endswith(search.digits, autoescape=True))
        looked_through = await self._calls(wanted.order_by(CALLS.c.started_at.desc()).limit(LOOKED_THROUGH))
        fitting = [call for call in looked_through if search.fits(call)]
        found = fitting[:limit]
        if len(fitting) > limit:
            return Found(found, found[-1].started_at)
        return Found(found, looked_through[-1].started_at if len(looked_through) == LOOKED_THROUGH else None)

    async def _calls(self, wanted: sa.Select[Any]) -> list[Call]:
        async def read(connection: AsyncConnection) -> Sequence[Any]:
            return (await connection.execute(wanted)).scalars().all()

        return [CALL.validate_python(state) for state in await self._read(read)]

    async def _read(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        try:
            async with self._engine.connect() as connection:
                return await work(connection)
        except (*database.FAULTS, TypeError, ValueError) as error:
            raise LedgerError(database.in_words(error, self._url)) from error
