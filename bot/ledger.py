"""The durable record of calls, and the compare-and-set that makes every step happen once.

A step writes the call's row and its journal entry in one transaction, and only if nobody else made a step since the row
was read. That decides between processes, as long as the database answers; what happens when it does not is told in
`bot/writer.py`.
"""

from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot import database
from bot.call import STREAM_PHASES, Call, Phase
from bot.loop_thread import LoopThread
from bot.patience import Patience
from bot.readings import load, read_record
from bot.record import CALL, Entry, LedgerError, Line, Record, Role, Stored, Switch, Traffic, Waiting, event_from
from bot.tables import ANSWERS, CALLS, JOURNAL, OUTBOX, SWITCHES, TRANSCRIPT
from bot.writer import Writer
from bot.writings import Answered, Begin, Note, Outcome, Said, Step, Talked

__all__ = ["Entry", "Ledger", "LedgerError", "Line", "Record", "Role", "Stored", "event_from"]

CLOSE_SECONDS = 5.0
"""How long closing waits for what is still to be written, and then for what is still to be shipped."""

ANSWERS_REMEMBERED = 1000
"""Answers to webhooks that are remembered without the database."""

P = ParamSpec("P")
T = TypeVar("T")


@asynccontextmanager
async def _as_ledger_error(url: str) -> AsyncIterator[None]:
    """What a database, its driver, an unreadable row or data that is no JSON raises comes out as `LedgerError`."""
    try:
        yield
    except (*database.FAULTS, TypeError, ValueError) as error:
        raise LedgerError(database.in_words(error, url)) from error


def _to_its_end(
    method: Callable[Concatenate["Ledger", P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate["Ledger", P], Coroutine[Any, Any, T]]:
    """Run a method on the ledger's own thread, so that nobody who stops waiting for it stops it halfway."""

    @wraps(method)
    async def run(ledger: "Ledger", *args: P.args, **kwargs: P.kwargs) -> T:
        async def work() -> T:
            async with _as_ledger_error(ledger.url):
                return await method(ledger, *args, **kwargs)

        if ledger._thread.closed:
            raise LedgerError("the record is closed")
        return await ledger._thread.run(work())

    return run


class Ledger:
    """The record of all calls. Safe for any number of tasks; every method raises `LedgerError`.

    Whoever stops waiting (a time limit, a task that is cancelled) has not taken back what was asked for: it is written
    later. What is written of one call is written in the order in which it was given.
    """

    def __init__(self, url: str, writer: Writer) -> None:
        """Use `Ledger.open`, which also brings the tables up to date."""
        self.url = url
        self.patience = Patience()
        """How long a call waits for it."""

        self._writer = writer
        self._thread = LoopThread("ledger")
        self._answers: OrderedDict[tuple[str, str], str] = OrderedDict()

    @classmethod
    async def open(cls, url: str, spool: Path | None = None) -> Self:
        """Open the record, bring its tables up to date, and begin to ship what earlier processes left in the spool.

        A database that is out of reach does not keep calls from being taken: it is told in the log, and looked for
        again and again.

        Args:
            url: The database, as SQLAlchemy writes it, e.g. `sqlite+aiosqlite:///calls.db` or
                `postgresql://user:password@host/calls`. The folder of an SQLite file must exist.
            spool: The folder of the spool; by default `database.default_spool`.

        Raises:
            LedgerError: The address, the database or the spool's folder is one that nothing will come of.
        """
        async with _as_ledger_error(url):
            writer = Writer(url, spool or database.default_spool(url))
        ledger = cls(url, writer)
        try:
            await ledger._start()
        except BaseException:
            await ledger.close()
            raise
        return ledger

    @property
    def spooled(self) -> int:
        """How many writings wait in the spool."""
        return 0 if self._writer.spool is None else len(self._writer.spool)

    def behind(self, sid: str) -> bool:
        """Whether something about this call waits in the spool."""
        return self._writer.spool is not None and self._writer.spool.holds(sid)

    def outrun(self, sid: str) -> bool:
        """Whether another process went on with this call before what waited in the spool was written."""
        return self._writer.spool is not None and self._writer.spool.is_outrun(sid)

    async def close(self) -> None:
        """Write and ship what is still to be, as far as `CLOSE_SECONDS` allow; the rest waits in the spool."""
        await self._thread.close(CLOSE_SECONDS, last=lambda: self._writer.close(CLOSE_SECONDS))

    @_to_its_end
    async def _start(self) -> None:
        await self._writer.start()

    # --- writing -----------------------------------------------------------------------------------

    @_to_its_end
    async def add(self, call: Call, entry: Entry) -> bool:
        """Write a call's first row, with version 1, and its journal entry.

        Returns:
            False when the call is there already (a retried webhook); nothing is written then.
        """
        return await self._writer.write(Begin(call, entry)) is Outcome.WRITTEN

    @_to_its_end
    async def save(self, call: Call, version: int, entry: Entry) -> bool:
        """Write a step, if the row still has this version; the row's version is one more afterwards.

        Returns:
            False when somebody else was first, or the call has no row; nothing is written then.
        """
        return await self._writer.write(Step(call, version, entry)) is Outcome.WRITTEN

    @_to_its_end
    async def note(self, sid: str, entry: Entry) -> None:
        """Journal what changed nothing: a late or repeated event, or an order of the session and how it went."""
        await self._writer.write(Note(sid, entry))

    @_to_its_end
    async def add_line(self, sid: str, leg: int, role: Role, text: str, at: float) -> None:
        """Append a line to the transcript.

        Args:
            sid: Twilio's CallSid.
            leg: Which media stream of the call it was said on, from 1.
            role: Who said it.
            text: What was said.
            at: Unix seconds.
        """
        await self._writer.write(Said(sid, Line(leg, at, role, text)))

    @_to_its_end
    async def keep_conversation(self, sid: str, messages: list[dict[str, Any]], leg: int = 1) -> None:
        """Replace the messages with which the call's next pipeline goes on, unless a later leg's are there."""
        await self._writer.write(Talked(sid, leg, messages))

    @_to_its_end
    async def remember(self, sid: str, token: str, document: str) -> str:
        """Keep what a webhook is answered with.

        Args:
            sid: Twilio's CallSid.
            token: What Twilio repeats when it asks again.
            document: The answer.

        Returns:
            The answer that stands: the first, where the webhook came twice at the same time.
        """
        if await self._writer.write(Answered(sid, token, document)) is Outcome.OUTRUN:
            with suppress(LedgerError, *database.FAULTS):
                document = await self._find_answer(sid, token) or document
        self._answers[sid, token] = document
        if len(self._answers) > ANSWERS_REMEMBERED:
            self._answers.popitem(last=False)
        return document

    # --- reading -----------------------------------------------------------------------------------

    @_to_its_end
    async def recall(self, sid: str, token: str) -> str | None:
        """What a webhook has been answered with; None for one that comes for the first time."""
        return self._answers.get((sid, token)) or await self._find_answer(sid, token)

    @_to_its_end
    async def load(self, sid: str) -> Stored | None:
        """A call as it is now; None for one that is not in the record."""
        await self._writer.settle(sid)
        here = self._writer.spool.load(sid) if self._writer.spool is not None else None
        if here is None:
            return await self._writer.read(lambda connection: load(connection, sid))
        if here.conversation is None:
            with suppress(LedgerError, *database.FAULTS):
                there = await self._writer.read(lambda connection: load(connection, sid))
                here = replace(here, conversation=there.conversation if there else None)
        return here

    @_to_its_end
    async def calls(self, *, limit: int = 50, before: float | None = None, phase: str | None = None) -> list[Stored]:
        """The newest calls, newest first, without their conversations.

        Args:
            limit: The most that are wanted.
            before: Only calls that began earlier. Unix seconds.
            phase: Only calls in this phase.
        """
        wanted = sa.select(CALLS.c.state, CALLS.c.version)
        wanted = wanted.order_by(CALLS.c.started_at.desc(), CALLS.c.sid).limit(limit)
        if before is not None:
            wanted = wanted.where(CALLS.c.started_at < before)
        if phase is not None:
            wanted = wanted.where(CALLS.c.phase == phase)

        async def read(connection: AsyncConnection) -> list[Stored]:
            rows = (await connection.execute(wanted)).all()
            return [Stored(CALL.validate_python(row.state), row.version) for row in rows]

        return await self._writer.read(read, patiently=True)

    @_to_its_end
    async def record(self, sid: str) -> Record | None:
        """Everything that is kept of a call; None for one that is not in the record."""
        await self._writer.settle(sid)
        return await self._writer.read(lambda connection: read_record(connection, sid), patiently=True)

    @_to_its_end
    async def quiet(self, since: float, *, limit: int = 50) -> list[str]:
        """The CallSids of calls without an end of which nothing was written since then, oldest first.

        Args:
            since: Unix seconds.
            limit: The most that are wanted.
        """
        heard = sa.select(JOURNAL.c.id).where(JOURNAL.c.call_sid == CALLS.c.sid, JOURNAL.c.at >= since)
        said = sa.select(TRANSCRIPT.c.id).where(TRANSCRIPT.c.call_sid == CALLS.c.sid, TRANSCRIPT.c.at >= since)
        wanted = sa.select(CALLS.c.sid).where(CALLS.c.ended_at.is_(None), CALLS.c.started_at < since)
        wanted = wanted.where(~heard.exists(), ~said.exists()).order_by(CALLS.c.started_at).limit(limit)

        async def read(connection: AsyncConnection) -> list[str]:
            return [*(await connection.execute(wanted)).scalars()]

        return await self._writer.read(read)

    # --- what is to be told ------------------------------------------------------------------------

    @_to_its_end
    async def take_notices(self, now: float, lease: float, *, limit: int = 20) -> list[Waiting]:
        """Take what is due to be told: of each call the oldest, so that its notices are told in order.

        Args:
            now: Unix seconds.
            lease: For so long nobody else takes them. Seconds.
            limit: The most that are wanted.
        """
        first = sa.select(sa.func.min(OUTBOX.c.id)).where(OUTBOX.c.done_at.is_(None)).group_by(OUTBOX.c.call_sid)
        due = sa.select(OUTBOX).where(OUTBOX.c.id.in_(first), OUTBOX.c.due_at <= now).order_by(OUTBOX.c.id).limit(limit)

        async def take(connection: AsyncConnection) -> list[Waiting]:
            taken: list[Waiting] = []
            for row in (await connection.execute(due)).all():
                mine = sa.update(OUTBOX).where(OUTBOX.c.id == row.id, OUTBOX.c.due_at == row.due_at)
                mine = mine.where(OUTBOX.c.done_at.is_(None)).values(due_at=now + lease)
                if (await connection.execute(mine)).rowcount:
                    taken.append(Waiting(row.uid, row.call_sid, row.type, row.at, row.data, row.tries))
            return taken

        return await self._writer.read(take)

    @_to_its_end
    async def told(self, uid: str, at: float, failure: str | None = None) -> None:
        """It was told, or, with a failure, is given up. `at`: Unix seconds."""
        done = sa.update(OUTBOX).where(OUTBOX.c.uid == uid).values(done_at=at, failure=failure)
        await self._writer.read(lambda connection: _execute(connection, done))

    @_to_its_end
    async def put_off(self, uid: str, due_at: float, failure: str) -> None:
        """It was sent in vain, and is due again. `due_at`: Unix seconds."""
        later = sa.update(OUTBOX).where(OUTBOX.c.uid == uid)
        later = later.values(due_at=due_at, failure=failure, tries=OUTBOX.c.tries + 1)
        await self._writer.read(lambda connection: _execute(connection, later))

    @_to_its_end
    async def traffic(self, switch: str, *, caller: str | None, since: float, together: bool) -> Traffic:
        """What all processes' calls are at.

        Args:
            switch: The name of the switch that is asked for.
            caller: The number whose calls are to be counted; None for no number.
            since: Only calls of the caller that began later. Unix seconds.
            together: Whether to count the calls with a bot.
        """
        turned = sa.select(SWITCHES.c.on, SWITCHES.c.reason, SWITCHES.c.at).where(SWITCHES.c.name == switch)
        count = sa.select(sa.func.count()).select_from(CALLS)
        with_bot = count.where(CALLS.c.ended_at.is_(None), CALLS.c.phase.in_((Phase.CONNECTING, *STREAM_PHASES)))
        of_caller = count.where(CALLS.c.caller == caller, CALLS.c.started_at > since)

        async def read(connection: AsyncConnection) -> Traffic:
            row = (await connection.execute(turned)).one_or_none()
            return Traffic(
                Switch(row.on, row.reason, row.at) if row else None,
                (await connection.execute(with_bot)).scalar_one() if together else 0,
                (await connection.execute(of_caller)).scalar_one() if caller is not None else 0,
            )

        return await self._writer.read(read)

    @_to_its_end
    async def turn(self, name: str, switch: Switch) -> None:
        """Turn a switch for all processes. Unlike what happens to calls, this is not spooled."""
        values = {"on": switch.on, "reason": switch.reason, "at": switch.at}
        older = sa.update(SWITCHES).where(SWITCHES.c.name == name, SWITCHES.c.at <= switch.at).values(**values)
        known = sa.select(SWITCHES.c.name).where(SWITCHES.c.name == name)

        async def turn(connection: AsyncConnection) -> None:
            if (await connection.execute(older)).rowcount == 0 and (await connection.execute(known)).first() is None:
                await connection.execute(sa.insert(SWITCHES).values(name=name, **values))

        await self._writer.read(turn)

    @_to_its_end
    async def transact(self, work: Callable[[AsyncConnection], Coroutine[Any, Any, T]]) -> T:
        """Do something in one transaction, now or not at all: for what is no fact about a call."""
        return await self._writer.read(work)

    async def _find_answer(self, sid: str, token: str) -> str | None:
        wanted = sa.select(ANSWERS.c.document).where(ANSWERS.c.call_sid == sid, ANSWERS.c.token == token)

        async def read(connection: AsyncConnection) -> str | None:
            return (await connection.execute(wanted)).scalar_one_or_none()

        return await self._writer.read(read)


async def _execute(connection: AsyncConnection, statement: sa.Executable) -> None:
    await connection.execute(statement)
