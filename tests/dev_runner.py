"""Pipecat's development runner with our bot, in a process of its own."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sandbox.stage import Stage


@asynccontextmanager
async def dev_runner(stage: Stage, folder: Path, *arguments: str, **settings: str) -> AsyncIterator[str]:
    """Start `python -m bot`, and end it afterwards. Yields its host and port.

    Args:
        stage: Whose model it talks with.
        folder: Where its log goes.
        *arguments: For the command.
        **settings: More of its environment.
    """
    port = _free_port()
    told = {name: value for name, value in stage.environment.items() if not name.startswith(("TWILIO", "PUBLIC"))}
    log = folder / "runner.log"
    with log.open("w") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bot", "--host", "127.0.0.1", "--port", str(port), *arguments),
            env={**os.environ, **told, **settings},
            stdout=output,
            stderr=output,
        )
    try:
        while not _listens(port):
            assert process.returncode is None, log.read_text()
            await asyncio.sleep(0.1)
        yield f"127.0.0.1:{port}"
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
