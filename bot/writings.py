"""What is written of a call, as values: the same one is written at once, or spooled and shipped later.

Each has an id of its own. Whatever happens between a writing and its answer, to write it again changes nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from functools import cache
from typing import Annotated, Any, Literal
from uuid import uuid4

import sqlalchemy as sa
from pydantic import Field, TypeAdapter
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.accounts import combined
from bot.call import Call, Phase
from bot.record import CALL, Entry, Line, to_json
from bot.tables import ANSWERS, CALLS, JOURNAL, OUTBOX, TRANSCRIPT


def _uid() -> str:
    return uuid4().hex


@dataclass(frozen=True, slots=True)
class Begin:
    """A call's first row, with version 1."""

    call: Call
    entry: Entry
    uid: str = field(default_factory=_uid)
    kind: Literal["begin"] = "begin"

    @property
    def sid(self) -> str:
        """Twilio's CallSid."""
        return self.call.sid


@dataclass(frozen=True, slots=True)
class Step:
    """A step: the call as it is afterwards."""

    call: Call
    version: int
    """Of the row that it is made on."""

    entry: Entry
    after: str | None = None
    """The step on which it was made, where that was still in the spool: the same version of somebody else is another
    row."""

    uid: str = field(default_factory=_uid)
    kind: Literal["step"] = "step"

    @property
    def sid(self) -> str:
        """Twilio's CallSid."""
        return self.call.sid


@dataclass(frozen=True, slots=True)
class Note:
    """A line of the journal that changed nothing."""

    sid: str
    entry: Entry
    uid: str = field(default_factory=_uid)
    kind: Literal["note"] = "note"


@dataclass(frozen=True, slots=True)
class Said:
    """A line of the transcript."""

    sid: str
    line: Line
    uid: str = field(default_factory=_uid)
    kind: Literal["said"] = "said"


@dataclass(frozen=True, slots=True)
class Talked:
    """The messages with which the call's next pipeline goes on."""

    sid: str
    leg: int
    messages: list[dict[str, Any]]
    uid: str = field(default_factory=_uid)
    kind: Literal["talked"] = "talked"


@dataclass(frozen=True, slots=True)
class Answered:
    """What a webhook was answered with."""

    sid: str
    token: str
    document: str
    uid: str = field(default_factory=_uid)
    kind: Literal["answered"] = "answered"


Writing = Begin | Step | Note | Said | Talked | Answered
_WRITING: TypeAdapter[Writing] = TypeAdapter(Annotated[Writing, Field(discriminator="kind")])


def dump(writing: Writing) -> bytes:
    """The writing as a line of JSON.

    Raises:
        TypeError, ValueError: It holds what is not JSON.
    """
    return to_json(_WRITING.dump_python(writing, mode="json")).encode() + b"\n"


def read(line: bytes) -> Writing:
    """The writing of such a line.

    Raises:
        ValueError: The line is none.
    """
    return _WRITING.validate_json(line)


# What is written at every turn of every call is made once: to make a statement takes as long as to carry it out, and
# leaves what only Python's collector of garbage takes away, while all calls wait.
_LEG = sa.bindparam("leg", type_=sa.Integer())
_TALKED = (
    sa.update(CALLS)
    .where(CALLS.c.sid == sa.bindparam("call"), sa.func.coalesce(CALLS.c.conversation_leg, 0) <= _LEG)
    .values(conversation=sa.bindparam("messages", type_=CALLS.c.conversation.type), conversation_leg=_LEG)
)


class Outcome(Enum):
    """What became of a writing."""

    WRITTEN = auto()
    """It is in the record, since now or since earlier."""

    OUTRUN = auto()
    """Somebody else was first; nothing is written, or, when it was shipped, a late entry."""


async def write(connection: AsyncConnection, writing: Writing) -> Outcome:
    """Write it in the connection's transaction, unless it is there already."""
    match writing:
        case Begin(call, entry, uid):
            row = {"sid": call.sid, "version": 1, **_columns(call)}
            if not await insert_new(connection, CALLS, row):
                return Outcome.OUTRUN
            await insert_new(connection, JOURNAL, _journal_row(call.sid, entry, uid))
            await _put_out(connection, call.sid, entry, uid)
        case Step(call, _, entry, _, uid):
            # The row first: whoever has it locked also appends next, so the journal is in the order of versions.
            if not await _compare_and_set(connection, writing):
                return Outcome.OUTRUN
            await insert_new(connection, JOURNAL, _journal_row(call.sid, entry, uid))
            await _put_out(connection, call.sid, entry, uid)
        case Note(sid, entry, uid):
            await insert_new(connection, JOURNAL, _journal_row(sid, entry, uid))
        case Said():
            await insert_new(connection, TRANSCRIPT, _transcript_row(writing))
        case Talked(sid, leg, messages):
            await connection.execute(_TALKED, {"call": sid, "leg": leg, "messages": messages})
        case Answered(sid, token, document):
            row = {"call_sid": sid, "token": token, "document": document}
            if not await insert_new(connection, ANSWERS, row):
                return Outcome.OUTRUN
    return Outcome.WRITTEN


async def write_all(connection: AsyncConnection, writings: Iterable[Note | Said | Talked]) -> None:
    """The same for many that change no call, in their order."""
    journal: list[dict[str, Any]] = []
    transcript: list[dict[str, Any]] = []
    talked: dict[tuple[str, int], dict[str, Any]] = {}
    """By call and leg; the latest is what counts."""

    for writing in writings:
        match writing:
            case Note(sid, entry, uid):
                journal.append(_journal_row(sid, entry, uid))
            case Said():
                transcript.append(_transcript_row(writing))
            case Talked(sid, leg, messages):
                talked[sid, leg] = {"call": sid, "leg": leg, "messages": messages}
    for table, rows in ((JOURNAL, journal), (TRANSCRIPT, transcript)):
        if rows:
            await connection.execute(_insertion(connection.dialect.name, table), rows)
    if talked:
        in_order = [talked[key] for key in sorted(talked)]  # as everybody locks their rows: nobody waits in a circle
        await connection.execute(_TALKED, in_order)


async def ship(connection: AsyncConnection, writing: Writing) -> Outcome:
    """Write what comes from a spool: it may be there already, and what is outrun is told all the same."""
    outcome = await write(connection, writing)
    if outcome is Outcome.WRITTEN or not isinstance(writing, Begin | Step):
        return Outcome.WRITTEN  # the first answer to a webhook stands
    there = sa.select(JOURNAL.c.late).where(JOURNAL.c.uid == writing.uid)
    late = (await connection.execute(there)).scalar_one_or_none()
    if late is None:
        if isinstance(writing, Step) and await _overtake(connection, writing):
            return Outcome.WRITTEN
        entry = replace(writing.entry, changed=False, late=True)
        await insert_new(connection, JOURNAL, _journal_row(writing.sid, entry, writing.uid))
    return Outcome.WRITTEN if late is False else Outcome.OUTRUN


async def _overtake(connection: AsyncConnection, step: Step) -> bool:
    """Write a step that was made on another row than there is, if it adds to what the row says of the call."""
    wanted = sa.select(CALLS.c.state, CALLS.c.version).where(CALLS.c.sid == step.sid)
    row = (await connection.execute(wanted)).one_or_none()
    if row is None:
        return False
    known: Call = CALL.validate_python(row.state)
    call = combined(step.call, known)
    if call == known:
        return False
    if not await _compare_and_set(connection, replace(step, call=call, version=row.version, after=None)):
        return False
    entry = replace(step.entry, late=True)
    await insert_new(connection, JOURNAL, _journal_row(step.sid, entry, step.uid))
    await _put_out(connection, step.sid, entry, step.uid)
    return True


async def _compare_and_set(connection: AsyncConnection, step: Step) -> bool:
    row = sa.update(CALLS).where(CALLS.c.sid == step.sid, CALLS.c.version == step.version)
    if step.call.phase is not Phase.ENDED:
        row = row.where(CALLS.c.phase != Phase.ENDED)  # it may have ended in another account
    if step.after is not None:
        last = sa.select(JOURNAL.c.uid).where(JOURNAL.c.call_sid == step.sid, JOURNAL.c.changed)
        row = row.where(last.order_by(JOURNAL.c.id.desc()).limit(1).scalar_subquery() == step.after)
    result = await connection.execute(row.values(version=step.version + 1, **_columns(step.call)))
    return result.rowcount > 0


async def insert_new(connection: AsyncConnection, table: sa.Table, row: dict[str, Any]) -> bool:
    """Insert a row unless one with its key is there. PostgreSQL waits for whoever is inserting the same one."""
    result = await connection.execute(_insertion(connection.dialect.name, table), row)
    return result.rowcount > 0


@cache
def _insertion(dialect: str, table: sa.Table) -> sa.Executable:
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return insert(table).on_conflict_do_nothing()


async def _put_out(connection: AsyncConnection, sid: str, entry: Entry, uid: str) -> None:
    """What the step has to tell, in its transaction: it is told if, and only if, the step was made."""
    for n, notice in enumerate(entry.notices):
        row = {"uid": f"{uid}.{n}", "call_sid": sid, "type": notice.type, "at": entry.at, "data": notice.data}
        await insert_new(connection, OUTBOX, {**row, "tries": 0, "due_at": 0.0})


def _columns(call: Call) -> dict[str, Any]:
    """The call, whole, and beside it what rows are found and sorted by."""
    return {
        "phase": call.phase,
        "caller": call.caller,
        "called": call.called,
        "started_at": call.started_at,
        "ended_at": call.ended_at,
        "end": call.end,
        "state": CALL.dump_python(call, mode="json"),
    }


def _transcript_row(said: Said) -> dict[str, Any]:
    line = said.line
    row = {"call_sid": said.sid, "leg": line.leg, "at": line.at, "role": line.role, "text": line.text}
    return {**row, "uid": said.uid}


def _journal_row(sid: str, entry: Entry, uid: str) -> dict[str, Any]:
    return {
        "call_sid": sid,
        "at": entry.at,
        "event": entry.event,
        "data": entry.data,
        "phase": entry.phase,
        "changed": entry.changed,
        "late": entry.late,
        "uid": uid,
    }
