"""What was said in a call is not kept for longer than the operator wants: transcripts and recordings have an end.

What stays is what the figures are made of: who called when, who was tried, and how it ended. Of several processes each
does this by itself; to do it twice changes nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from loguru import logger
from sqlalchemy.ext.asyncio import AsyncConnection

from bot import callback_book as book, database
from bot.call import Call
from bot.record import CALL, LedgerError
from bot.recordings import Recordings
from bot.tables import ANSWERS, CALLS, JOURNAL, MESSAGES, OUTBOX, TRANSCRIPT
from bot.telephony import TelephonyError

DAY = 86_400.0

LOOK_SECONDS = 3600.0
"""How often a process looks for what is to be forgotten."""

AT_ONCE = 50
"""So many calls are looked up together; each is forgotten in a transaction of its own."""

WORDS = ("reason", "summary", "text", "url")
"""The facts of the journal that hold what somebody said, or where it is."""


class Retention:
    """Forgets what is too old. Lives on the thread beside the calls."""

    def __init__(
        self,
        url: str,
        recordings: Recordings,
        *,
        days: int,
        clock: Callable[[], float],
        forgot: Callable[[str], None] = lambda sid: None,
    ) -> None:
        """Nothing is forgotten before `run`.

        Args:
            url: The record's database.
            recordings: Where callers' messages and the recordings of calls are.
            days: How long after a call's end its words are kept.
            clock: Unix seconds.
            forgot: Told the SID of each call whose words are gone.
        """
        self._url = url
        self._engine = database.create_engine(url)
        self._recordings = recordings
        self._days = days
        self._clock = clock
        self._forgot = forgot

    async def close(self) -> None:
        """Give the connections back."""
        await self._engine.dispose()

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Look for ever."""
        while True:
            try:
                count = await self.sweep()
                if count:
                    logger.info("the words of {} calls are forgotten: they are {} days old", count, self._days)
            except LedgerError as error:
                logger.warning("nothing is forgotten while the record does not answer: {}", error)
            await sleep(LOOK_SECONDS)

    async def sweep(self) -> int:
        """Forget everything that is due. Returns of how many calls.

        A call whose recording Twilio does not delete waits, whole, for the next time.

        Raises:
            LedgerError: The record cannot be read or written.
        """
        try:
            forgotten, waiting = 0, set[str]()
            while due := [sid for sid in await self._due(AT_ONCE + len(waiting)) if sid not in waiting]:
                for sid in due:
                    if await self._forget(sid):
                        forgotten += 1
                    else:
                        waiting.add(sid)
        except (*database.FAULTS, TypeError, ValueError) as error:
            raise LedgerError(database.in_words(error, self._url)) from error
        return forgotten

    async def _due(self, limit: int) -> list[str]:
        said = sa.select(TRANSCRIPT.c.id).where(TRANSCRIPT.c.call_sid == CALLS.c.sid)
        recorded = sa.cast(CALLS.c.state, sa.Text).like("%/Recordings/RE%")
        wanted = sa.select(CALLS.c.sid).where(CALLS.c.ended_at < self._clock() - self._days * DAY)
        wanted = wanted.where(CALLS.c.conversation.is_not(None) | said.exists() | recorded)
        async with self._engine.connect() as connection:
            return [*(await connection.execute(wanted.order_by(CALLS.c.ended_at).limit(limit))).scalars()]

    async def _forget(self, sid: str) -> bool:
        """Forget the words of one call. Returns False when its recording is still there."""
        async with self._engine.connect() as connection:
            row = (
                await connection.execute(sa.select(CALLS.c.state, CALLS.c.version).where(CALLS.c.sid == sid))
            ).one_or_none()
        if row is None:
            return False
        call = CALL.validate_python(row.state)
        try:
            for address in _recorded(call):
                await self._recordings.delete(address)
        except TelephonyError as error:
            logger.warning("a recording that is to be forgotten is still there: {}", error)
            return False
        async with self._engine.begin() as connection:
            kept = {"conversation": None, "state": CALL.dump_python(without_words(call), mode="json")}
            same = sa.update(CALLS).where(CALLS.c.sid == sid, CALLS.c.version == row.version)
            if (await connection.execute(same.values(**kept))).rowcount == 0:
                return False  # somebody has just told a late fact of it
            await connection.execute(sa.delete(TRANSCRIPT).where(TRANSCRIPT.c.call_sid == sid))
            await connection.execute(sa.delete(ANSWERS).where(ANSWERS.c.call_sid == sid))
            await connection.execute(sa.delete(OUTBOX).where(OUTBOX.c.call_sid == sid))
            await connection.execute(sa.delete(MESSAGES).where(MESSAGES.c.call_sid == sid))
            await _clean_journal(connection, sid)
            await book.forget(connection, sid)
        self._forgot(sid)
        return True


def without_words(call: Call) -> Call:
    """The call without what anybody said."""
    handoffs = tuple(replace(handoff, reason="", summary="") for handoff in call.handoffs)
    message = None if call.message is None else replace(call.message, url="", text="")
    wishes = tuple(replace(wish, reason="", summary="") for wish in call.wishes)
    recordings = tuple(replace(recording, url="") for recording in call.recordings)
    return replace(call, handoffs=handoffs, message=message, purpose="", wishes=wishes, recordings=recordings)


def _recorded(call: Call) -> list[str]:
    """The addresses of everything that Twilio has recorded of a call."""
    message = [call.message.url] if call.message is not None else []
    return [url for url in (*message, *(recording.url for recording in call.recordings)) if url]


async def _clean_journal(connection: AsyncConnection, sid: str) -> None:
    entries = sa.select(JOURNAL.c.id, JOURNAL.c.data).where(JOURNAL.c.call_sid == sid)
    for entry in (await connection.execute(entries)).all():
        data: dict[str, Any] = {key: "" if key in WORDS and value else value for key, value in entry.data.items()}
        if data != entry.data:
            await connection.execute(sa.update(JOURNAL).where(JOURNAL.c.id == entry.id).values(data=data))
