"""The book of messages that are to be written down, in the record: each function is one transaction's work.

A message is there as soon as its call is: who looks finds it, whichever process took it and whenever that reached the
record. A row here says who is at it, and when it is tried again.
"""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.call import End
from bot.tables import CALLS, MESSAGES
from bot.writings import insert_new


@dataclass(frozen=True, slots=True)
class Task:
    """A message that is to be written down."""

    call_sid: str
    tries: int
    """How often it has been tried."""

    due_at: float | None
    """Unix seconds; None where nobody has begun yet."""


async def due(connection: AsyncConnection, now: float, since: float, limit: int) -> list[Task]:
    """Messages that are to be written down now, the oldest first.

    Args:
        connection: In a transaction.
        now: Unix seconds.
        since: Only those of calls that ended later.
        limit: The most that are wanted.
    """
    known = CALLS.outerjoin(MESSAGES, MESSAGES.c.call_sid == CALLS.c.sid)
    wanted = sa.select(CALLS.c.sid, MESSAGES.c.tries, MESSAGES.c.due_at).select_from(known)
    left = sa.bindparam("left", End.MESSAGE_LEFT.value, literal_execute=True)  # a partial index wants it in the text
    wanted = wanted.where(CALLS.c.end == left, CALLS.c.ended_at > since, MESSAGES.c.done_at.is_(None))
    wanted = wanted.where(MESSAGES.c.call_sid.is_(None) | (MESSAGES.c.due_at <= now))
    rows = (await connection.execute(wanted.order_by(CALLS.c.ended_at).limit(limit))).all()
    return [Task(row.sid, row.tries or 0, row.due_at) for row in rows]


async def take(connection: AsyncConnection, task: Task, until: float) -> bool:
    """Take one for the next try, unless another process has. `until`: nobody else takes it before. Unix seconds."""
    if task.due_at is None:
        row = {"call_sid": task.call_sid, "tries": 1, "due_at": until}
        return await insert_new(connection, MESSAGES, row)
    mine = sa.update(MESSAGES).where(MESSAGES.c.call_sid == task.call_sid, MESSAGES.c.due_at == task.due_at)
    mine = mine.where(MESSAGES.c.done_at.is_(None)).values(tries=task.tries + 1, due_at=until)
    return (await connection.execute(mine)).rowcount > 0


async def put_off(connection: AsyncConnection, call_sid: str, until: float) -> None:
    """It is tried again then. Unix seconds."""
    await connection.execute(sa.update(MESSAGES).where(MESSAGES.c.call_sid == call_sid).values(due_at=until))


async def close(connection: AsyncConnection, call_sid: str, at: float) -> None:
    """Nothing more is to be done. `at`: Unix seconds."""
    await connection.execute(sa.update(MESSAGES).where(MESSAGES.c.call_sid == call_sid).values(done_at=at))
