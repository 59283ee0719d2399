"""The book of callbacks, in the record: each function is one transaction's work.

A callback is written with a compare-and-set, together with what is to be told of it: whoever wins carries out what
follows.
"""

from dataclasses import replace

import sqlalchemy as sa
from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.callback import Callback, State
from bot.notices import Notice
from bot.tables import CALLBACKS, CALLS, OUTBOX
from bot.writings import insert_new

CALLBACK: TypeAdapter[Callback] = TypeAdapter(Callback)
"""A callback as JSON and back."""

Kept = tuple[Callback, int]
"""A callback and the version of its row."""


async def enter(connection: AsyncConnection, callback: Callback, notices: tuple[Notice, ...]) -> Callback:
    """Take a callback, unless it is there, or its number is to be called back already. Returns the one that holds."""
    same = sa.select(CALLBACKS.c.state).where(CALLBACKS.c.number == callback.number, CALLBACKS.c.done_at.is_(None))
    for row in (await connection.execute(same)).all():
        if (other := CALLBACK.validate_python(row.state)).called == callback.called:
            return other
    row = {"uid": callback.uid, "version": 1, "call_sid": callback.call_sid, "number": callback.number}
    row |= {"asked_at": callback.asked_at, **_columns(callback)}
    if await insert_new(connection, CALLBACKS, row):
        await _tell(connection, callback, 1, notices)
        return callback
    kept = await read(connection, callback.uid)
    return kept[0] if kept is not None else callback


async def read(connection: AsyncConnection, uid: str) -> Kept | None:
    """A callback as it is now."""
    wanted = sa.select(CALLBACKS.c.state, CALLBACKS.c.version).where(CALLBACKS.c.uid == uid)
    row = (await connection.execute(wanted)).one_or_none()
    return None if row is None else (CALLBACK.validate_python(row.state), row.version)


async def save(
    connection: AsyncConnection, callback: Callback, version: int, at: float, notices: tuple[Notice, ...]
) -> bool:
    """Write a step, if the row still has this version. Returns False when somebody else was first."""
    mine = sa.update(CALLBACKS).where(CALLBACKS.c.uid == callback.uid, CALLBACKS.c.version == version)
    written = await connection.execute(mine.values(version=version + 1, **_columns(callback)))
    if written.rowcount == 0:
        return False
    await _tell(connection, callback, version + 1, notices, at)
    return True


async def due(connection: AsyncConnection, now: float, limit: int = 20, *, begun_only: bool = False) -> list[str]:
    """The ids of callbacks that are to go on, the longest waiting first. A caller who is still on the line waits.

    Args:
        connection: In a transaction.
        now: Unix seconds.
        limit: The most that are wanted.
        begun_only: Only those for which somebody is being called.
    """
    talking = sa.select(CALLS.c.sid).where(CALLS.c.sid == CALLBACKS.c.call_sid, CALLS.c.ended_at.is_(None))
    wanted = sa.select(CALLBACKS.c.uid).where(CALLBACKS.c.done_at.is_(None), CALLBACKS.c.due_at <= now)
    wanted = wanted.where(~talking.exists())
    if begun_only:
        wanted = wanted.where(CALLBACKS.c.state["state"].as_string() != State.WAITING)
    return [*(await connection.execute(wanted.order_by(CALLBACKS.c.due_at).limit(limit))).scalars()]


async def open_by_state(connection: AsyncConnection) -> dict[str, int]:
    """How many are not over, by their state."""
    state = CALLBACKS.c.state["state"].as_string()
    wanted = sa.select(state, sa.func.count()).where(CALLBACKS.c.done_at.is_(None)).group_by(state)
    return {row[0]: row[1] for row in (await connection.execute(wanted)).all()}


async def some(
    connection: AsyncConnection, *, open_only: bool, call_sid: str | None, limit: int, before: float | None
) -> list[Callback]:
    """Callbacks, the newest first."""
    wanted = sa.select(CALLBACKS.c.state).order_by(CALLBACKS.c.asked_at.desc(), CALLBACKS.c.uid).limit(limit)
    if open_only:
        wanted = wanted.where(CALLBACKS.c.done_at.is_(None))
    if call_sid is not None:
        wanted = wanted.where(CALLBACKS.c.call_sid == call_sid)
    if before is not None:
        wanted = wanted.where(CALLBACKS.c.asked_at < before)
    return [CALLBACK.validate_python(row.state) for row in (await connection.execute(wanted)).all()]


async def forget(connection: AsyncConnection, call_sid: str) -> None:
    """Forget what was said of the callbacks of a call that are over; the others are still to be made."""
    wanted = sa.select(CALLBACKS.c.uid, CALLBACKS.c.state, CALLBACKS.c.version)
    wanted = wanted.where(CALLBACKS.c.call_sid == call_sid, CALLBACKS.c.done_at.is_not(None))
    for row in (await connection.execute(wanted)).all():
        without = replace(CALLBACK.validate_python(row.state), reason="", summary="")
        same = sa.update(CALLBACKS).where(CALLBACKS.c.uid == row.uid, CALLBACKS.c.version == row.version)
        await connection.execute(same.values(**_columns(without)))


def _columns(callback: Callback) -> dict[str, object]:
    state = CALLBACK.dump_python(callback, mode="json")
    return {"due_at": callback.due_at, "done_at": callback.done_at, "state": state}


async def _tell(
    connection: AsyncConnection,
    callback: Callback,
    version: int,
    notices: tuple[Notice, ...],
    at: float | None = None,
) -> None:
    """What is to be told, in the same transaction; in order with what is told of the call."""
    for n, notice in enumerate(notices):
        row = {"uid": f"{callback.uid}.{version}.{n}", "call_sid": callback.call_sid, "type": notice.type}
        row |= {"at": callback.asked_at if at is None else at, "data": notice.data, "tries": 0, "due_at": 0.0}
        await insert_new(connection, OUTBOX, row)
