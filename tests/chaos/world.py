"""What stories are played in: network and model, the way to REST, and the servers."""

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from chaos.play import Player
from chaos.rest import RestProxy
from sandbox.process import server_process
from sandbox.stage import Stage


@dataclass(frozen=True, slots=True)
class World:
    """One process with SQLite, on a stage of its own."""

    stage: Stage
    rest: RestProxy
    player: Player
    urls: list[str]
    """Where the record can be read."""


@asynccontextmanager
async def one_process(folder: Path) -> AsyncIterator[World]:
    """One process with SQLite, behind which Twilio holds a document with a person.

    Args:
        folder: Where its record and its log go.
    """
    async with contextlib.AsyncExitStack() as stack:
        stage = await stack.enter_async_context(Stage())
        rest = await stack.enter_async_context(RestProxy(lambda: stage.network.rest_url))
        server = await stack.enter_async_context(
            server_process(stage, folder, TWILIO_API_URL=rest.url, MAX_CALLS="1000", LOG_LEVEL="INFO")
        )
        yield World(stage, rest, Player(stage, rest), [server.url])
