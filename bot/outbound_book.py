"""The book of calls that the bot is to make, in the record: each function is one transaction's work.

Which process makes a call, and when, is decided here: an order is taken by putting it off, and the pace is one row that
is moved on by whoever may make the next call.
"""

from dataclasses import dataclass
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.tables import CALLS, OUTBOUND, SWITCHES

PACE = "the pace of our calls"
"""The row in `switches` that says when the last call was made, by whichever process."""

PACE_SECONDS = 1.0
"""Between two calls (Twilio: one call a second by default)."""


@dataclass(frozen=True, slots=True)
class Order:
    """Somebody is to be called."""

    uid: str
    callee: str
    number: str
    purpose: str
    asked_at: float
    """Unix seconds, as all times here."""

    tries: int
    due_at: float
    call_sid: str | None
    """The latest call."""

    done_at: float | None
    outcome: str | None
    """How the last call ended (`bot.call.End`), or why there is none: `refused`, `unknown`. None while it goes on."""


@dataclass(frozen=True, slots=True)
class Ended:
    """An order whose latest call is over."""

    order: Order
    end: str
    at: float


async def enter(connection: AsyncConnection, callee: str, number: str, purpose: str, now: float) -> str:
    """Take an order. Returns its id."""
    uid = uuid4().hex
    row = {"uid": uid, "callee": callee, "number": number, "purpose": purpose, "asked_at": now, "tries": 0}
    await connection.execute(sa.insert(OUTBOUND).values(**row, due_at=now))
    return uid


async def read(connection: AsyncConnection, uid: str) -> Order | None:
    """An order as it is now."""
    row = (await connection.execute(sa.select(OUTBOUND).where(OUTBOUND.c.uid == uid))).one_or_none()
    return None if row is None else _order(row)


async def due(connection: AsyncConnection, now: float, limit: int = 20) -> list[Order]:
    """Orders whose next call is due, the longest waiting first."""
    wanted = sa.select(OUTBOUND).where(OUTBOUND.c.done_at.is_(None), OUTBOUND.c.call_sid.is_(None))
    wanted = wanted.where(OUTBOUND.c.due_at <= now).order_by(OUTBOUND.c.due_at, OUTBOUND.c.id).limit(limit)
    return [_order(row) for row in (await connection.execute(wanted)).all()]


async def take(connection: AsyncConnection, order: Order, now: float, until: float) -> bool:
    """Take an order for its next call, unless another process has, or the pace does not allow a call yet.

    Args:
        connection: In a transaction.
        order: As it was read.
        now: When the call is made.
        until: Until then nobody else takes it.
    """
    mine = sa.update(OUTBOUND).where(OUTBOUND.c.uid == order.uid, OUTBOUND.c.due_at == order.due_at)
    mine = mine.where(OUTBOUND.c.call_sid.is_(None), OUTBOUND.c.done_at.is_(None))
    if not await in_pace(connection, now):
        return False
    return (await connection.execute(mine.values(tries=order.tries + 1, due_at=until))).rowcount > 0


async def in_pace(connection: AsyncConnection, now: float) -> bool:
    """Whether a call may be made now. If so, it is ours to make, and the next one is `PACE_SECONDS` later."""
    moved = sa.update(SWITCHES).where(SWITCHES.c.name == PACE, SWITCHES.c.at <= now - PACE_SECONDS).values(at=now)
    if (await connection.execute(moved)).rowcount:
        return True
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    first = insert(SWITCHES).values(name=PACE, on=True, reason="", at=now).on_conflict_do_nothing()
    return (await connection.execute(first)).rowcount > 0


async def put_off(connection: AsyncConnection, order: Order, until: float, *, tries: int) -> None:
    """No call was made. `tries`: how many count."""
    later = sa.update(OUTBOUND).where(OUTBOUND.c.uid == order.uid, OUTBOUND.c.call_sid.is_(None))
    await connection.execute(later.values(due_at=until, tries=tries))


async def link(connection: AsyncConnection, uid: str, sid: str) -> Order | None:
    """This is the order's call. Returns the order; None for one that nobody gave."""
    open_ = sa.update(OUTBOUND).where(OUTBOUND.c.uid == uid, OUTBOUND.c.done_at.is_(None))
    await connection.execute(open_.values(call_sid=sid))
    return await read(connection, uid)


async def ended(connection: AsyncConnection) -> list[Ended]:
    """Orders whose call is over."""
    wanted = sa.select(OUTBOUND, CALLS.c.end, CALLS.c.ended_at).join(CALLS, CALLS.c.sid == OUTBOUND.c.call_sid)
    wanted = wanted.where(OUTBOUND.c.done_at.is_(None), CALLS.c.ended_at.is_not(None))
    return [Ended(_order(row), row.end, row.ended_at) for row in (await connection.execute(wanted)).all()]


async def again(connection: AsyncConnection, order: Order, at: float) -> None:
    """The call was in vain, and the next one is due then."""
    same = sa.update(OUTBOUND).where(OUTBOUND.c.uid == order.uid, OUTBOUND.c.call_sid == order.call_sid)
    await connection.execute(same.values(call_sid=None, due_at=at))


async def close(connection: AsyncConnection, order: Order, outcome: str, at: float) -> None:
    """Nothing more is to be done; what the call was for is forgotten here."""
    open_ = sa.update(OUTBOUND).where(OUTBOUND.c.uid == order.uid, OUTBOUND.c.done_at.is_(None))
    await connection.execute(open_.values(done_at=at, outcome=outcome, purpose=""))


def _order(row: sa.Row[tuple[object, ...]]) -> Order:
    return Order(**{name: getattr(row, name) for name in Order.__slots__})
