"""What stories are played in: network and model, the way to REST, and the servers."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from postgres import Cluster

from chaos.plan import Weather
from chaos.play import Player
from chaos.proxy import haproxy
from chaos.replica import Replica
from chaos.rest import RestProxy
from chaos.weather import Elements, ModelWeather, ServerWeather, befallen
from sandbox.process import server_process
from sandbox.stage import Stage


@dataclass(frozen=True, slots=True)
class World:
    """A stage of its own, with servers on it."""

    stage: Stage
    rest: RestProxy
    player: Player
    urls: list[str]
    """Where the record can be read."""

    elements: Elements

    def in_(self, weather: Weather | None) -> AbstractAsyncContextManager[None]:
        """Let it come and go."""
        return befallen(self.elements, weather)


@asynccontextmanager
async def one_process(folder: Path) -> AsyncIterator[World]:
    """One process with SQLite, behind which Twilio holds a document with a person.

    Args:
        folder: Where its record and its log go.
    """
    async with AsyncExitStack() as stack:
        stage = await stack.enter_async_context(Stage())
        rest = await stack.enter_async_context(RestProxy(lambda: stage.network.rest_url))
        server = await stack.enter_async_context(
            server_process(stage, folder, TWILIO_API_URL=rest.url, MAX_CALLS="1000", LOG_LEVEL="INFO")
        )
        yield World(stage, rest, Player(stage, rest), [server.url], ModelWeather(stage))


@dataclass(frozen=True, slots=True)
class Replicas(World):
    """Two processes with PostgreSQL behind HAProxy: any of them takes back a caller whose stream is lost."""

    one: Replica
    two: Replica


@asynccontextmanager
async def two_replicas(folder: Path, cluster: Cluster, **settings: str) -> AsyncIterator[Replicas]:
    """Two processes with one record.

    Args:
        folder: Where their logs and spools go.
        cluster: Where the record is.
        **settings: More of their environment.
    """
    address = cluster.create_database()
    async with AsyncExitStack() as stack:
        stage = await stack.enter_async_context(Stage())
        rest = await stack.enter_async_context(RestProxy(lambda: stage.network.rest_url))
        shared = {"DATABASE_URL": address, "TWILIO_API_URL": rest.url, **settings}
        one, two = (Replica(stage, folder / name, **shared) for name in ("one", "two"))
        for replica in (one, two):
            stack.push_async_callback(replica.stop)
            await replica.is_up()
        stage.connect(await stack.enter_async_context(haproxy(one.address, two.address, folder)))
        weather = ServerWeather((one, two), cluster, address.rpartition("/")[2])
        yield Replicas(stage, rest, Player(stage, rest), [one.url, two.url], weather, one, two)
