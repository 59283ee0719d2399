"""What is read of one call from its tables."""

from typing import cast

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.record import CALL, Entry, Line, Record, Role, Stored
from bot.tables import CALLS, JOURNAL, TRANSCRIPT


async def load(connection: AsyncConnection, sid: str) -> Stored | None:
    """The call as it is now; None for one that is not in the record."""
    wanted = sa.select(CALLS.c.state, CALLS.c.version, CALLS.c.conversation).where(CALLS.c.sid == sid)
    row = (await connection.execute(wanted)).one_or_none()
    return None if row is None else Stored(CALL.validate_python(row.state), row.version, row.conversation)


async def read_record(connection: AsyncConnection, sid: str) -> Record | None:
    """Everything that is kept of a call; None for one that is not in the record."""
    stored = await load(connection, sid)
    if stored is None:
        return None
    journal = sa.select(JOURNAL).where(JOURNAL.c.call_sid == sid).order_by(JOURNAL.c.id)
    transcript = sa.select(TRANSCRIPT).where(TRANSCRIPT.c.call_sid == sid).order_by(TRANSCRIPT.c.at, TRANSCRIPT.c.id)
    entries = (await connection.execute(journal)).all()
    lines = (await connection.execute(transcript)).all()
    return Record(
        stored,
        [Entry(row.at, row.event, row.data, row.phase, row.changed, row.late) for row in entries],
        [Line(row.leg, row.at, cast(Role, row.role), row.text) for row in lines],
    )
