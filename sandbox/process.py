"""The real server in a process of its own: `python server.py`, told to live on a stage."""

import asyncio
import contextlib
import os
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from sandbox.stage import Stage

START_SECONDS = 60.0
"""The longest wait for the server to be ready."""

STOP_SECONDS = 10.0
"""The longest wait for it to end when asked; then it is killed."""


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """A server that is ready."""

    url: str
    process: asyncio.subprocess.Process

    async def kill(self) -> None:
        """End it at once, as a crash would (SIGKILL)."""
        self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def server_process(stage: Stage, folder: Path, **settings: str) -> AsyncIterator[ServerProcess]:
    """Start the server, connect the stage with it, and end it afterwards.

    Args:
        stage: The network and the model it lives with.
        folder: Where its record (`calls.db`) and its log (`server.log`) go.
        **settings: More of its environment.

    Raises:
        RuntimeError: It ended before it was ready; its log is in the message.
        TimeoutError: It was not ready in `START_SECONDS`.
    """
    port = _free_port()
    environment = {
        **os.environ,
        **stage.environment,
        "PORT": str(port),
        "DRAIN_SECONDS": "0",
        "DATABASE_URL": f"sqlite+aiosqlite:///{folder.resolve() / 'calls.db'}",
        **settings,
    }
    log = folder / "server.log"
    with log.open("w") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "server.py", env=environment, stdout=output, stderr=output
        )
    server = ServerProcess(f"http://127.0.0.1:{port}", process)
    try:
        await _ready(server, log)
        stage.connect(server.url)
        yield server
    finally:
        await _stop(process)


async def _ready(server: ServerProcess, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    async with aiohttp.ClientSession() as http:
        while time.monotonic() < deadline:
            if server.process.returncode is not None:
                raise RuntimeError(f"the server ended with {server.process.returncode}:\n{log.read_text()}")
            with contextlib.suppress(aiohttp.ClientError):
                async with http.get(f"{server.url}/ready") as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.1)
    raise TimeoutError(f"the server was not ready in {START_SECONDS:.0f} s:\n{log.read_text()}")


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
