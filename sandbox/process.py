"""The real server in a process of its own: `python server.py`, told to live on a stage."""

import asyncio
import contextlib
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Mapping
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
    """A server that has been started."""

    url: str
    process: asyncio.subprocess.Process
    log: Path

    async def ready(self) -> None:
        """Wait until it takes calls.

        Raises:
            RuntimeError: It ended before; its log is in the message.
            TimeoutError: It did not in `START_SECONDS`.
        """
        deadline = time.monotonic() + START_SECONDS
        async with aiohttp.ClientSession() as http:
            while time.monotonic() < deadline:
                if self.process.returncode is not None:
                    raise RuntimeError(f"the server ended with {self.process.returncode}:\n{self.log.read_text()}")
                with contextlib.suppress(aiohttp.ClientError):
                    async with http.get(f"{self.url}/ready") as answer:
                        if answer.status == 200:
                            return
                await asyncio.sleep(0.1)
        raise TimeoutError(f"the server was not ready in {START_SECONDS:.0f} s:\n{self.log.read_text()}")

    async def kill(self) -> None:
        """End it at once, as a crash would (SIGKILL)."""
        self.process.kill()
        await self.process.wait()

    async def stop(self) -> None:
        """Ask it to end, and end it when it does not."""
        if self.process.returncode is None:
            self.process.terminate()
            try:
                await asyncio.wait_for(self.process.wait(), STOP_SECONDS)
            except TimeoutError:
                await self.kill()


async def start_server(
    stage: Stage, folder: Path, settings: Mapping[str, str], *, port: int = 0, program: str = "server.py"
) -> ServerProcess:
    """Start the server.

    Args:
        stage: The network and the model it lives with.
        folder: Where its record (`calls.db`) and its log (`server.log`) go.
        settings: More of its environment.
        port: Where it listens; a free port by default.
        program: What is run.
    """
    port = port or free_port()
    environment = {
        **os.environ,
        **stage.environment,
        "PORT": str(port),
        "DRAIN_SECONDS": "0",
        "DATABASE_URL": f"sqlite+aiosqlite:///{folder.resolve() / 'calls.db'}",
        **settings,
    }
    log = folder / "server.log"
    with log.open("a") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, program, env=environment, stdout=output, stderr=output
        )
    return ServerProcess(f"http://127.0.0.1:{port}", process, log)


@asynccontextmanager
async def server_process(stage: Stage, folder: Path, **settings: str) -> AsyncIterator[ServerProcess]:
    """Start the server, connect the stage with it, and end it afterwards.

    Args:
        stage: The network and the model it lives with.
        folder: See `start_server`.
        **settings: More of its environment.

    Raises:
        RuntimeError: It ended before it was ready; its log is in the message.
        TimeoutError: It was not ready in `START_SECONDS`.
    """
    server = await start_server(stage, folder, settings)
    try:
        await server.ready()
        stage.connect(server.url)
        yield server
    finally:
        await server.stop()


def free_port() -> int:
    """A port of loopback on which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
