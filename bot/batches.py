"""What nobody waits for is written together: lines, notes and conversations of many calls in one transaction.

While people talk, every turn of every call leaves some of these, and a transaction for each of them costs several times
the processor time of what it writes, on the calls' processor.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncEngine

from bot import database
from bot.writings import Note, Outcome, Said, Talked, Writing, write, write_all

GATHER_SECONDS = 0.1
"""What comes within this time is written together, unless somebody is in a hurry."""

Patient = Note | Said | Talked
"""What can wait so long."""


@dataclass(eq=False)
class _Batch:
    writings: dict[str, Patient] = field(default_factory=dict[str, Patient])
    """By their ids, in the order in which they came."""

    hurry: asyncio.Event = field(default_factory=asyncio.Event)
    writing: asyncio.Task[dict[str, BaseException]] | None = None
    """Ends with those that could not be written; raises what none of them could be written for."""


class Batches:
    """See the module. For one event loop."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Args: engine: the record's."""
        self._engine = engine
        self._open: _Batch | None = None
        self._hurried = Counter[str]()
        """The calls for whose writings somebody waits."""

        self._writing: set[asyncio.Task[dict[str, BaseException]]] = set()

    def gathers(self, writing: Writing) -> bool:
        """Whether it is waiting here for others: what comes now is written with it."""
        return self._open is not None and writing.uid in self._open.writings

    @contextmanager
    def hurrying(self, sid: str) -> Iterator[None]:
        """Somebody waits for what is written of a call: what is gathered, and what comes meanwhile."""
        if self._open is not None and any(writing.sid == sid for writing in self._open.writings.values()):
            self._open.hurry.set()
        self._hurried[sid] += 1
        try:
            yield
        finally:
            self._hurried[sid] -= 1
            if not self._hurried[sid]:
                del self._hurried[sid]

    async def write(self, writing: Patient) -> Outcome:
        """Write it together with others, after those that came before it. Raises what the database does."""
        batch = self._open
        if batch is None:
            batch = self._open = _Batch()
            batch.writing = asyncio.create_task(self._write(batch))
            self._writing.add(batch.writing)
            batch.writing.add_done_callback(self._forget)
        batch.writings[writing.uid] = writing
        if writing.sid in self._hurried:
            batch.hurry.set()
        assert batch.writing is not None  # noqa: S101 - for the type checker: it was begun with the batch
        failed = await asyncio.shield(batch.writing)
        if (error := failed.get(writing.uid)) is not None:
            raise error
        return Outcome.WRITTEN

    async def close(self) -> None:
        """Let go of what is not written: nobody waits for it any more."""
        for writing in self._writing:
            writing.cancel()
        await asyncio.gather(*self._writing, return_exceptions=True)

    def _forget(self, writing: asyncio.Task[dict[str, BaseException]]) -> None:
        self._writing.discard(writing)
        if not writing.cancelled():
            writing.exception()  # nobody may be waiting any more

    async def _write(self, batch: _Batch) -> dict[str, BaseException]:
        try:
            async with asyncio.timeout(GATHER_SECONDS):
                await batch.hurry.wait()
        except TimeoutError:
            pass
        self._open = None
        writings = [*batch.writings.values()]
        try:
            async with self._engine.begin() as connection:
                await write_all(connection, writings)
        except (*database.FAULTS, TypeError, ValueError) as error:
            if len(writings) == 1 or not (isinstance(error, TypeError | ValueError) or database.is_refusal(error)):
                raise
        else:
            return {}
        return await self._write_each(writings)

    async def _write_each(self, writings: list[Patient]) -> dict[str, BaseException]:
        """One of them is refused, and the others must not be lost with it."""
        failed: dict[str, BaseException] = {}
        for writing in writings:
            try:
                async with self._engine.begin() as connection:
                    await write(connection, writing)
            except (*database.FAULTS, TypeError, ValueError) as error:
                failed[writing.uid] = error
        return failed
