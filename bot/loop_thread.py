"""An event loop in a thread of its own, for work of many small waits that must not queue up behind the media's.

A database driver waits a dozen times for one statement. On the loop that carries calls, each of those waits lasts until
every call's audio has had its turn; here it lasts as long as the database.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from uvicorn.loops.auto import auto_loop_factory

T = TypeVar("T")


class LoopThread:
    """Runs coroutines elsewhere. Whoever stops waiting for one has not stopped it."""

    def __init__(self, name: str) -> None:
        """Start the thread.

        Args:
            name: The thread's.
        """
        self._loop = auto_loop_factory()()
        self._running: set[asyncio.Task[Any]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    @property
    def closed(self) -> bool:
        """Whether the thread has ended."""
        return self._loop.is_closed()

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run it to its end and return what it returns. Work is begun in the order in which it is given."""
        done = asyncio.run_coroutine_threadsafe(self._kept(work), self._loop)
        return await asyncio.shield(asyncio.wrap_future(done))

    def call_soon(self, callback: Callable[..., object], *args: object) -> None:
        """Call it there, after what was asked for before; nothing when the thread has ended."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback, *args)

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Let it run there until it ends or `close` cancels it."""
        asyncio.run_coroutine_threadsafe(self._kept(work), self._loop)

    async def close(self, seconds: float, *, last: Callable[[], Awaitable[None]]) -> None:
        """Wait so long for what is running, cancel the rest, do the last thing, and end the thread. Idempotent."""
        if not self.closed:
            await self.run(self._finish(seconds, last))
            self._loop.call_soon_threadsafe(self._loop.stop)
            await asyncio.to_thread(self._thread.join)
            self._loop.close()

    async def _kept(self, work: Coroutine[Any, Any, T]) -> T:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type checker: a coroutine runs in a task
        self._running.add(task)
        try:
            return await work
        finally:
            self._running.discard(task)

    async def _finish(self, seconds: float, last: Callable[[], Awaitable[None]]) -> None:
        others = self._running - {asyncio.current_task()}
        if others:
            _, late = await asyncio.wait(others, timeout=seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await last()
