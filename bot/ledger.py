"""The durable record of calls, and the compare-and-set that makes every step happen once.

Three tables: `calls` has one row per call, the whole pure `Call` with a version; `journal` has what happened, in order,
and is only ever appended to; `transcript` has what was said. A step writes the row and its journal entry in one
transaction, and only if nobody else made a step since the row was read.

SQLite by default. Nothing in the schema or in the statements is SQLite's own, so that another database needs another
address and no other code.
"""

import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, Literal, ParamSpec, Self, TypeVar, cast

import sqlalchemy as sa
from pydantic import TypeAdapter, ValidationError
from sqlalchemy.event import listen
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool
from sqlalchemy.schema import CreateIndex, CreateTable

from bot.call import Call
from bot.events import Event
from bot.law import EVENTS
from bot.loop_thread import LoopThread

BUSY_SECONDS = 5.0
"""How long SQLite waits while another process writes to the file."""

CLOSE_SECONDS = 5.0
"""How long closing waits for what is still to be written."""

Role = Literal["caller", "bot", "tool"]
"""Who said a line of the transcript."""

P = ParamSpec("P")
T = TypeVar("T")


class LedgerError(Exception):
    """The record could not be read or written; calls go on without it. Its text holds no data of a call."""


# --- what the ledger gives and takes -----------------------------------------------------------------

_CALL = TypeAdapter(Call)
_EVENTS: dict[str, TypeAdapter[Event]] = {kind.__name__: TypeAdapter(kind) for kind in EVENTS}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a call's journal: a fact, or an order that the session gave."""

    at: float
    """Unix seconds."""

    event: str
    """The event's name, e.g. `GoodbyeHeard`; for an order, the order's."""

    data: dict[str, Any]
    """The event's other fields, as JSON."""

    phase: str
    """Who had the caller afterwards."""

    changed: bool
    """The call is another one since: the entry was written by `add` or `save`, not by `note`."""

    @classmethod
    def of(cls, event: Event, call_after: Call, changed: bool) -> Self:
        """The entry of an event and what it led to."""
        name = type(event).__name__
        data = _EVENTS[name].dump_python(event, mode="json", exclude={"at"})
        return cls(event.at, name, data, call_after.phase, changed)


def event_from(entry: Entry) -> Event | None:
    """The event that an entry tells of; None where it tells of something else, such as an order.

    The events of the entries that changed the call, in the journal's order, lead from the first `Call` to the stored
    one. The other entries need not stand at their place: two processes may have told of them.

    Raises:
        LedgerError: The entry has not the fields of its event.
    """
    adapter = _EVENTS.get(entry.event)
    try:
        return adapter.validate_python({**entry.data, "at": entry.at}) if adapter else None
    except ValidationError as error:
        raise LedgerError(f"the journal's {entry.event} cannot be read") from error


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a call's transcript."""

    leg: int
    """Which media stream of the call it was said on, from 1."""

    at: float
    """Unix seconds."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class Stored:
    """A call as its row has it."""

    call: Call
    version: int
    """How many steps the row has seen, from 1. `save` wants it back."""

    conversation: list[dict[str, Any]] | None = None
    """The messages with which the call's next pipeline goes on."""


@dataclass(frozen=True, slots=True)
class Record:
    """Everything that is kept of a call."""

    stored: Stored
    journal: list[Entry]
    """In the order of writing."""

    transcript: list[Line]
    """In the order of speaking: a caller's words are written down after the bot has begun to answer."""


# --- the tables --------------------------------------------------------------------------------------


class _Plain(sa.TypeDecorator[str]):
    """Text that every database takes: no NUL, which PostgreSQL refuses, and no half of a surrogate pair."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        return None if value is None else _encodable(value.replace("\0", ""))


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _to_json(value: Any) -> str:
    return _encodable(json.dumps(value, ensure_ascii=False))


_METADATA = sa.MetaData()
_COUNTED = sa.BigInteger().with_variant(sa.Integer, "sqlite")  # SQLite counts up a primary key of the type INTEGER only

_CALLS = sa.Table(
    "calls",
    _METADATA,
    sa.Column("sid", _Plain, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("phase", _Plain, nullable=False),
    sa.Column("caller", _Plain, nullable=False),
    sa.Column("called", _Plain, nullable=False),
    sa.Column("started_at", sa.Double, nullable=False),
    sa.Column("ended_at", sa.Double),
    sa.Column("end", _Plain),
    sa.Column("state", sa.JSON, nullable=False),
    sa.Column("conversation", sa.JSON(none_as_null=True)),
    sa.Index("calls_by_start", "started_at"),
    sa.Index("calls_by_phase", "phase", "started_at"),
)

# No foreign keys: what happens to a call whose first row could not be written is kept all the same.
_JOURNAL = sa.Table(
    "journal",
    _METADATA,
    sa.Column("id", _COUNTED, primary_key=True),
    sa.Column("call_sid", _Plain, nullable=False),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("event", _Plain, nullable=False),
    sa.Column("data", sa.JSON, nullable=False),
    sa.Column("phase", _Plain, nullable=False),
    sa.Column("changed", sa.Boolean, nullable=False),
    sa.Index("journal_by_call", "call_sid", "id"),
)

_TRANSCRIPT = sa.Table(
    "transcript",
    _METADATA,
    sa.Column("id", _COUNTED, primary_key=True),
    sa.Column("call_sid", _Plain, nullable=False),
    sa.Column("leg", sa.Integer, nullable=False),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("role", _Plain, nullable=False),
    sa.Column("text", _Plain, nullable=False),
    sa.Index("transcript_by_call", "call_sid", "id"),
)


# --- the ledger --------------------------------------------------------------------------------------


@asynccontextmanager
async def _as_ledger_error() -> AsyncIterator[None]:
    """What a database, its driver, an unreadable row or data that is no JSON raises comes out as `LedgerError`."""
    try:
        yield
    except (SQLAlchemyError, OSError, ImportError, TypeError, ValueError) as error:
        # The first line names the fault; statements, rows and values follow it.
        raise LedgerError(str(error).partition("\n")[0] or type(error).__name__) from error


def _to_its_end(
    method: Callable[Concatenate["Ledger", P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate["Ledger", P], Coroutine[Any, Any, T]]:
    """Run a method on the ledger's own thread, so that nobody who stops waiting for it stops it halfway."""
    work = _as_ledger_error()(method)

    @wraps(method)
    async def run(ledger: "Ledger", *args: P.args, **kwargs: P.kwargs) -> T:
        if ledger._thread.closed:
            raise LedgerError("the record is closed")
        return await ledger._thread.run(work(ledger, *args, **kwargs))

    return run


class Ledger:
    """The record of all calls. Safe for any number of tasks; every method raises `LedgerError`.

    Whoever stops waiting (a time limit, a task that is cancelled) has not taken back what was asked for: it is written
    later, in its turn, if the database allows.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        """Use `Ledger.open`, which also creates the tables."""
        self._engine = engine
        self._thread = LoopThread("ledger")

    @classmethod
    @_as_ledger_error()
    async def open(cls, url: str) -> Self:
        """Open the record and create the tables that are missing.

        Args:
            url: The database, as SQLAlchemy writes it with an async driver, e.g. `sqlite+aiosqlite:///calls.db`. The
                folder of an SQLite file must exist.
        """
        ledger = cls(_engine(url))
        try:
            await ledger._create_tables()
        except BaseException:
            await ledger.close()
            raise
        return ledger

    async def close(self) -> None:
        """Write what is still to be written, as far as `CLOSE_SECONDS` allow, and give the connections back."""
        await self._thread.close(CLOSE_SECONDS, last=self._engine.dispose)

    @_to_its_end
    async def _create_tables(self) -> None:
        async with self._engine.begin() as connection:
            # IF NOT EXISTS, rather than looking first: several processes may start at once.
            for table in _METADATA.sorted_tables:
                await connection.execute(CreateTable(table, if_not_exists=True))
                for index in table.indexes:
                    await connection.execute(CreateIndex(index, if_not_exists=True))

    @_to_its_end
    async def load(self, sid: str) -> Stored | None:
        """A call as it is now; None for one that is not in the record."""
        async with self._engine.begin() as connection:
            return await _load(connection, sid)

    @_to_its_end
    async def add(self, call: Call, entry: Entry) -> bool:
        """Write a call's first row, with version 1, and its journal entry.

        Returns:
            False when the call is there already (a retried webhook); nothing is written then.
        """
        try:
            async with self._engine.begin() as connection:
                await connection.execute(sa.insert(_CALLS).values(sid=call.sid, version=1, **_columns(call)))
                await connection.execute(_journal_row(call.sid, entry))
        except IntegrityError:
            return False
        return True

    @_to_its_end
    async def save(self, call: Call, version: int, entry: Entry) -> bool:
        """Write a step, if the row still has this version; the row's version is one more afterwards.

        Returns:
            False when somebody else was first, or the call has no row; nothing is written then.
        """
        row = sa.update(_CALLS).where(_CALLS.c.sid == call.sid, _CALLS.c.version == version)
        async with self._engine.begin() as connection:
            # The row first: whoever has it locked also appends next, so the journal is in the order of versions.
            result = await connection.execute(row.values(version=version + 1, **_columns(call)))
            if result.rowcount == 0:
                return False
            await connection.execute(_journal_row(call.sid, entry))
        return True

    @_to_its_end
    async def note(self, sid: str, entry: Entry) -> None:
        """Journal what changed nothing: a late or repeated event, or an order of the session and how it went."""
        async with self._engine.begin() as connection:
            await connection.execute(_journal_row(sid, entry))

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
        line = sa.insert(_TRANSCRIPT).values(call_sid=sid, leg=leg, at=at, role=role, text=text)
        async with self._engine.begin() as connection:
            await connection.execute(line)

    @_to_its_end
    async def keep_conversation(self, sid: str, messages: list[dict[str, Any]]) -> None:
        """Replace the messages with which the call's next pipeline goes on. Makes no new version."""
        row = sa.update(_CALLS).where(_CALLS.c.sid == sid)
        async with self._engine.begin() as connection:
            await connection.execute(row.values(conversation=messages))

    @_to_its_end
    async def calls(self, *, limit: int = 50, before: float | None = None, phase: str | None = None) -> list[Stored]:
        """The newest calls, newest first, without their conversations.

        Args:
            limit: The most that are wanted.
            before: Only calls that began earlier. Unix seconds.
            phase: Only calls in this phase.
        """
        wanted = sa.select(_CALLS.c.state, _CALLS.c.version)
        wanted = wanted.order_by(_CALLS.c.started_at.desc(), _CALLS.c.sid).limit(limit)
        if before is not None:
            wanted = wanted.where(_CALLS.c.started_at < before)
        if phase is not None:
            wanted = wanted.where(_CALLS.c.phase == phase)
        async with self._engine.begin() as connection:
            rows = (await connection.execute(wanted)).all()
        return [Stored(_CALL.validate_python(row.state), row.version) for row in rows]

    @_to_its_end
    async def record(self, sid: str) -> Record | None:
        """Everything that is kept of a call; None for one that is not in the record."""
        journal = sa.select(_JOURNAL).where(_JOURNAL.c.call_sid == sid).order_by(_JOURNAL.c.id)
        transcript = (
            sa.select(_TRANSCRIPT).where(_TRANSCRIPT.c.call_sid == sid).order_by(_TRANSCRIPT.c.at, _TRANSCRIPT.c.id)
        )
        async with self._engine.begin() as connection:
            stored = await _load(connection, sid)
            if stored is None:
                return None
            entries = (await connection.execute(journal)).all()
            lines = (await connection.execute(transcript)).all()
        return Record(
            stored,
            [Entry(row.at, row.event, row.data, row.phase, row.changed) for row in entries],
            [Line(row.leg, row.at, cast(Role, row.role), row.text) for row in lines],
        )


async def _load(connection: AsyncConnection, sid: str) -> Stored | None:
    wanted = sa.select(_CALLS.c.state, _CALLS.c.version, _CALLS.c.conversation).where(_CALLS.c.sid == sid)
    row = (await connection.execute(wanted)).one_or_none()
    return None if row is None else Stored(_CALL.validate_python(row.state), row.version, row.conversation)


def _columns(call: Call) -> dict[str, Any]:
    """The call, whole, and beside it what rows are found and sorted by."""
    return {
        "phase": call.phase,
        "caller": call.caller,
        "called": call.called,
        "started_at": call.started_at,
        "ended_at": call.ended_at,
        "end": call.end,
        "state": _CALL.dump_python(call, mode="json"),
    }


def _journal_row(sid: str, entry: Entry) -> Any:
    return sa.insert(_JOURNAL).values(
        call_sid=sid, at=entry.at, event=entry.event, data=entry.data, phase=entry.phase, changed=entry.changed
    )


def _engine(url: str) -> AsyncEngine:
    # Errors are logged, so they must not quote the calls' data.
    common: dict[str, Any] = {"json_serializer": _to_json, "hide_parameters": True}
    address = sa.make_url(url)
    if address.get_backend_name() != "sqlite":
        return create_async_engine(url, pool_pre_ping=True, **common)  # the server may have been restarted
    folder = Path(address.database or "").parent
    if not folder.is_dir():
        raise LedgerError(f"the folder {folder} does not exist")
    # SQLite has one writer at a time. One connection, for which tasks queue up in order, never finds its own process
    # holding the lock.
    engine = create_async_engine(url, poolclass=AsyncAdaptedQueuePool, pool_size=1, max_overflow=0, **common)
    listen(engine.sync_engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000:.0f}")
    # Processes that switch a new file over at the same time refuse each other without waiting: once is enough.
    with suppress(sqlite3.OperationalError):
        cursor.execute("PRAGMA journal_mode = WAL")
    cursor.close()
