"""The processes in which live pages are made, as the system tells of them (proc(5))."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def page_processes(server: int | None = None) -> set[int]:
    """Those that a server has begun. Args: server: its process; this one by default."""
    return {pid for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))) if _is_one(pid, server or os.getpid())}


def _is_one(pid: int, server: int) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:  # it has ended meanwhile
        return False
    return b"web.console.live" in command and parent == server


def lives(pid: int) -> bool:
    """Whether it runs, or could: whoever has ended and was not asked for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def ended(pid: int) -> None:
    """Wait until it has."""
    async with asyncio.timeout(10):
        while lives(pid):
            await asyncio.sleep(0.02)
