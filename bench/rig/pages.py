"""Who looks at the console: see `bench/rig/browsers.py`, which runs in a process of its own."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bench.rig.browsers import SENT, WANTED, Sent, Wanted
from bench.servers import ROOT


@asynccontextmanager
async def open_pages(wanted: Wanted) -> AsyncIterator[Sent]:
    """Keep pages open. Yields what becomes, with the last of them closed, what all have been sent.

    Raises:
        RuntimeError: The server does not show its console; the cause is on standard error.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "bench.rig.browsers"),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None  # noqa: S101 - for the type checker
    assert process.stdout is not None  # noqa: S101 - for the type checker
    try:
        process.stdin.write(WANTED.dump_json(wanted) + b"\n")
        sent = _read(await process.stdout.readline())
        yield sent
        process.stdin.close()
        last = _read(await process.stdout.readline())
        sent.patches, sent.heard, sent.lost = last.patches, last.heard, last.lost
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _read(line: bytes) -> Sent:
    if not line:
        raise RuntimeError("the pages of the console could not be opened, or not be kept open")
    return SENT.validate_json(line)
