"""The real server, for tests, on a real port of this machine; the simulated network and the client that use it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
import uvicorn

from bot.line import open_line
from bot.settings import load_all
from sandbox.stage import Stage
from web.app import create_app
from web.draining import DrainingServer

ROOT = Path(__file__).parent.parent


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """The simulated network, model and people."""
    async with Stage() as opened:
        yield opened


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """Somebody at the console: a client that keeps cookies of this machine, too."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield session


@asynccontextmanager
async def serving(stage: Stage, folder: Path, **settings: str) -> AsyncIterator[str]:
    """The server in this process, connected with the stage. Yields its address."""
    environ = {**stage.environment, "DATABASE_URL": f"sqlite+aiosqlite:///{folder}/calls.db", **settings}
    async with open_line(load_all(environ, None)) as line:
        app = create_app(line)
        config = uvicorn.Config(app, port=0, log_config=None, access_log=False)
        server = DrainingServer(config, line.switchboard, drain_seconds=0, before_end=app.state.console.close)
        running = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        stage.connect(url)
        try:
            yield url
        finally:
            server.should_exit = True
            await running
