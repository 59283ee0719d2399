"""HAProxy before two replicas, with the configuration that is shipped."""

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sandbox.process import free_port

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "haproxy.cfg"
PROGRAM = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")
START_SECONDS = 10.0


@asynccontextmanager
async def haproxy(one: str, two: str, folder: Path) -> AsyncIterator[str]:
    """Run it. Yields its address.

    Args:
        one: Host and port of a replica.
        two: The same of the other.
        folder: Where its log goes.
    """
    assert PROGRAM is not None, "HAProxy is not installed (Debian: apt-get install haproxy)"
    port = free_port()
    listen = f"127.0.0.1:{port}"
    with (folder / "haproxy.log").open("w") as log:
        process = await asyncio.create_subprocess_exec(
            PROGRAM, "-db", "-f", str(CONFIGURATION), stdout=log, stderr=log,
            env={**os.environ, "LISTEN": listen, "ONE": one, "TWO": two},
        )  # fmt: skip
    try:
        await _listens(port)
        yield f"http://{listen}"
    finally:
        process.kill()
        await process.wait()


async def _listens(port: int) -> None:
    async with asyncio.timeout(START_SECONDS):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port, family=socket.AF_INET)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return
