"""What befalls every call of a round at once: it comes, and it goes."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol

from postgres import Cluster

from chaos.plan import Weather
from chaos.replica import BLOCKS, Replica
from sandbox.stage import Stage

RESTART_SECONDS = 1.0
"""How long a supervisor takes to start a process again that has ended."""

SLOW = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_sleep(0.7); RETURN NEW; END $$;
CREATE TRIGGER slow BEFORE INSERT OR UPDATE ON calls FOR EACH ROW EXECUTE FUNCTION slow()
"""
QUICK_AGAIN = "DROP TRIGGER slow ON calls; DROP FUNCTION slow()"


class Elements(Protocol):
    """What has weather."""

    async def befall(self, weather: Weather) -> None:
        """Let it come and, after its time, go."""

    async def clear_up(self) -> None:
        """Let everything be as it was."""


@asynccontextmanager
async def befallen(elements: Elements, weather: Weather | None) -> AsyncIterator[None]:
    """The weather comes and goes while the round is played."""
    if weather is None:
        yield
        return
    coming = asyncio.create_task(elements.befall(weather))
    try:
        yield
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)
        await elements.clear_up()


class ModelWeather:
    """The model refuses everybody, or takes its time."""

    def __init__(self, stage: Stage) -> None:
        """Args: stage: whose model it is."""
        self._model = stage.model

    async def befall(self, weather: Weather) -> None:
        """See `Elements`."""
        model = self._model
        await asyncio.sleep(weather.at)
        match weather.kind:
            case "model refuses: 401":
                model.refuse = 401
            case "model refuses: 429":
                model.refuse = 429
            case "model refuses: 503":
                model.refuse = 503
            case "model refuses: never":
                model.refuse = "never"
            case _:
                model.handshake_seconds = 2.0
        for session in list(model.open)[::2]:  # half of them have to come back in this weather
            session.break_now("close")
        await asyncio.sleep(weather.lasts)
        await self.clear_up()

    async def clear_up(self) -> None:
        """See `Elements`."""
        self._model.refuse, self._model.handshake_seconds = None, 0.0


class ServerWeather:
    """A replica is gone or stands still, or the database is."""

    def __init__(self, replicas: tuple[Replica, Replica], cluster: Cluster, database: str) -> None:
        """Args: replicas: the servers. cluster: their PostgreSQL. database: which of its databases."""
        self._replicas = replicas
        self._cluster = cluster
        self._database = database
        self._turn = 0
        self._undo: Callable[[], Any] | None = None

    async def befall(self, weather: Weather) -> None:
        """See `Elements`. The replicas take turns."""
        self._turn += 1
        replica = self._replicas[self._turn % 2]
        await asyncio.sleep(weather.at)
        match weather.kind:
            case "SIGKILL":
                await self._ends(replica, signal.SIGKILL)
            case "SIGTERM":
                await self._ends(replica, signal.SIGTERM)
            case "blocked loop":
                await self._ends(replica, BLOCKS)
            case "SIGSTOP":
                self._undo = lambda: replica.befalls(signal.SIGCONT)
                replica.befalls(signal.SIGSTOP)
            case "database stopped":
                self._undo = self._cluster.start
                await asyncio.to_thread(self._cluster.stop)
            case "database frozen":
                self._undo = self._cluster.thaw
                self._cluster.freeze()
            case "database read-only":
                self._undo = lambda: self._default("off")
                await asyncio.to_thread(self._default, "on")
            case _:
                self._undo = lambda: self._cluster.sql(QUICK_AGAIN, self._database)
                await asyncio.to_thread(self._cluster.sql, SLOW, self._database)
        await asyncio.sleep(weather.lasts)
        await self.clear_up()

    async def clear_up(self) -> None:
        """See `Elements`."""
        undo, self._undo = self._undo, None
        if undo is not None:
            await asyncio.to_thread(undo)
        for replica in self._replicas:
            await replica.is_up()

    async def _ends(self, replica: Replica, signal_: signal.Signals) -> None:
        replica.befalls(signal_)
        await replica.ended()
        await asyncio.sleep(RESTART_SECONDS)
        await replica.is_up()

    def _default(self, read_only: str) -> None:
        self._cluster.sql(f"ALTER SYSTEM SET default_transaction_read_only = {read_only}")
        self._cluster.sql("SELECT pg_reload_conf()")
