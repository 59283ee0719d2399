"""Who writes the record: to the database as long as that answers, else to the spool, which is shipped later.

When the database is gone, slow, or takes no writes, calls go on, and this process is the only judge of the calls that
it holds. Only the first to find out waits for it, `ANSWER_SECONDS`; after that, writings go to the spool at once, until
the one task that ships the spool finds the database well again. A spooled step is written if the row stands where this
process left it, or is not as far as the step. Otherwise it becomes a late entry of the journal, and whoever goes on
with the call here is told that somebody else was first. Nothing is lost, and nothing is written twice.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from loguru import logger
from sqlalchemy.ext.asyncio import AsyncConnection

from bot import database
from bot.batches import Batches
from bot.record import LedgerError
from bot.schema import migrate
from bot.spool import Spool
from bot.writings import Begin, Note, Outcome, Said, Step, Talked, Writing, ship, write

ANSWER_SECONDS = 1.5
"""How long a writing waits for the database before it goes to the spool; less than anybody waits for the ledger."""

QUICK_SECONDS = 0.5
"""A database that takes longer for a spooled writing is not well yet: new ones go on going to the spool."""

FIRST_PROBE_SECONDS = 0.25
LAST_PROBE_SECONDS = 5.0
"""How long the shipping of the spool waits after a failure; twice as long after each, up to the last."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Turn:
    """A writing that is under way."""

    writing: Writing
    task: asyncio.Task[Outcome]
    placed: asyncio.Event = field(default_factory=asyncio.Event)
    """It is gathered with others, or at its end: what comes behind it need not wait to be gathered, too."""


class Writer:
    """Reads and writes one database. For one event loop; its methods raise `LedgerError` and `database.FAULTS`."""

    def __init__(self, url: str, spool: Path | None) -> None:
        """Nothing is connected before `start`.

        Args:
            url: The database.
            spool: The folder in which writings wait; without one they fail.
        """
        self._url = url
        self._engine = database.create_engine(url)
        self.spool = None if spool is None else Spool(spool)
        self._migrated = False
        self._takes_writes = True
        self._answers_reads = True
        self._batches = Batches(self._engine)
        self._turns: dict[str, _Turn] = {}
        """The last writing of each call that is under way."""

        self._under_way: set[asyncio.Task[Any]] = set()
        self._wake = asyncio.Event()
        """There is something to ship, or to probe for."""

        self._caught_up = asyncio.Event()

    async def start(self) -> None:
        """Bring the tables up to date, now or when the database is there, and begin to ship the spool."""
        try:
            await self._migrate()
        except database.FAULTS as error:
            if self.spool is None or database.is_mistake(error):
                raise
            self._is_in_trouble(error)
        if self.spool:
            self._wake.set()
        self._track(asyncio.create_task(self._ship_for_ever()))

    async def close(self, seconds: float) -> None:
        """Ship for so long what can be shipped; leave the rest, give the connections back."""
        if self._takes_writes and self.spool and not self._caught_up.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._caught_up.wait(), seconds)
        under_way = [*self._under_way]
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        await self._batches.close()
        await self._engine.dispose()
        if self.spool is not None:
            self.spool.close()

    # --- writing and reading -----------------------------------------------------------------------

    async def write(self, writing: Writing) -> Outcome:
        """Write it to the database or, where that does not answer, to the spool."""
        spool = self.spool
        if isinstance(writing, Begin | Step) and spool is not None and spool.was_outrun(writing.sid):
            return Outcome.OUTRUN
        try:
            if self._takes_writes and not self._waits(writing.sid):
                turn = self._take_turn(writing)
                done, _ = await asyncio.wait({turn}, timeout=ANSWER_SECONDS)
                if not done:
                    raise TimeoutError
                return turn.result()
        except (LedgerError, *database.FAULTS) as error:
            if spool is None or database.is_refusal(error):
                raise
            if not isinstance(error, LedgerError):
                self._is_in_trouble(error)
        except asyncio.CancelledError:
            if spool is not None:
                spool.append(writing, sync=False)  # the process is closing, which syncs
            raise
        if spool is None:
            raise LedgerError("the database does not answer")
        outcome = spool.append(writing, sync=isinstance(writing, Begin | Step))
        self._caught_up.clear()
        self._wake.set()
        return outcome

    async def settle(self, sid: str) -> None:
        """Wait for what is being written of a call, so that whoever reads next finds it, unless it takes its time."""
        if (turn := self._turns.get(sid)) is not None:
            with self._batches.hurrying(sid):
                await asyncio.wait({turn.task}, timeout=ANSWER_SECONDS)

    async def read(self, work: Callable[[AsyncConnection], Awaitable[T]], *, patiently: bool = False) -> T:
        """Read from the database, if it answers; patiently: for as long as the database's own limits allow."""
        if not (self._answers_reads and self._migrated):
            raise LedgerError("the database does not answer")

        async def read() -> T:
            async with self._engine.begin() as connection:
                return await work(connection)

        reading = asyncio.create_task(read())
        self._track(reading)
        done, _ = await asyncio.wait({reading}, timeout=None if patiently else ANSWER_SECONDS)
        try:
            if not done:
                raise TimeoutError
            return reading.result()
        except database.FAULTS as error:
            if self.spool is not None and not database.is_refusal(error):
                self._answers_reads = False
                self._wake.set()
            raise

    def _waits(self, sid: str) -> bool:
        return self.spool is not None and self.spool.holds(sid)

    def _take_turn(self, writing: Writing) -> asyncio.Task[Outcome]:
        """Begin to write to the database, after what is being written of the same call."""
        before = self._turns.get(writing.sid)

        async def write_in_turn() -> Outcome:
            patient = isinstance(writing, Note | Said | Talked)
            if before is not None and patient:
                await before.placed.wait()
                if not self._batches.gathers(before.writing):
                    await asyncio.wait({before.task})
            elif before is not None:
                with self._batches.hurrying(writing.sid):
                    await asyncio.wait({before.task})
            if self._waits(writing.sid):
                raise LedgerError("what comes before it is in the spool")
            if isinstance(writing, Note | Said | Talked):
                turn.placed.set()
                return await self._batches.write(writing)
            async with self._engine.begin() as connection:
                return await write(connection, writing)

        def forget(_: asyncio.Task[Outcome]) -> None:
            turn.placed.set()
            if self._turns.get(writing.sid) is turn:
                del self._turns[writing.sid]

        turn = self._turns[writing.sid] = _Turn(writing, asyncio.create_task(write_in_turn()))
        turn.task.add_done_callback(forget)
        self._track(turn.task)
        return turn.task

    def _track(self, task: asyncio.Task[Any]) -> None:
        def forget(done: asyncio.Task[Any]) -> None:
            self._under_way.discard(done)
            if not done.cancelled():
                done.exception()  # nobody may be waiting any more

        self._under_way.add(task)
        task.add_done_callback(forget)

    # --- trouble, and afterwards -------------------------------------------------------------------

    def _is_in_trouble(self, error: BaseException) -> None:
        if self._takes_writes:
            logger.error("{}. Calls go on; their record goes to the spool", database.in_words(error, self._url))
        self._takes_writes = False
        if not database.can_be_read(error):
            self._answers_reads = False
        self._wake.set()

    async def _migrate(self) -> None:
        await migrate(self._url, self._engine)
        self._migrated = True

    async def _ship_for_ever(self) -> None:
        pause = FIRST_PROBE_SECONDS
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._catch_up()
            except (*database.FAULTS, TypeError, ValueError) as error:
                self._is_in_trouble(error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, LAST_PROBE_SECONDS)
            else:
                pause = FIRST_PROBE_SECONDS
                self._caught_up.set()

    async def _catch_up(self) -> None:
        """Find the database well again and ship the whole spool. Raises when that does not succeed."""
        if not self._migrated:
            await self._migrate()
        if not self._answers_reads:
            async with self._engine.begin() as connection:
                await connection.execute(sa.select(1))
            self._answers_reads = True
        shipped = 0
        while self.spool is not None and (writing := self.spool.first()) is not None:
            began = asyncio.get_running_loop().time()
            await self._ship(self.spool, writing)
            shipped += 1
            self._takes_writes = asyncio.get_running_loop().time() - began < QUICK_SECONDS
        if shipped:
            logger.info("the record has caught up: {} writings came from the spool", shipped)
        else:
            self._takes_writes = True

    async def _ship(self, spool: Spool, writing: Writing) -> None:
        try:
            async with self._engine.begin() as connection:
                outcome = await ship(connection, writing)
        except (*database.FAULTS, TypeError, ValueError) as error:
            if not database.is_refusal(error):
                raise
            spool.refused(writing)
            return
        spool.shipped(writing)
        if outcome is Outcome.OUTRUN:
            with logger.contextualize(call_sid=writing.sid):
                logger.warning("another process went on with the call: a step of ours is a late entry of its journal")
            spool.outrun(writing.sid)
