"""How long a call waits for the record: two seconds, and hardly at all for one that has just let it down.

A step waits for the record because the record decides whose step it is. When not even the spool takes anything (a disk
that hangs), each step of a call would wait in vain for as long: together that is a silence that the caller hears.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

SECONDS = 2.0
"""The longest that a call waits for the record, spool and all. Past it the call goes on without."""

HASTY_SECONDS = 0.25
"""The same while the record is known to be slow."""

SLOW_FOR_SECONDS = 10.0
"""For so long a record that did not answer in time is taken to be slow, unless it answers before."""


class Patience:
    """Of all calls of one process with one record."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin patiently. Args: clock: seconds."""
        self._clock = clock
        self._slow_until = float("-inf")

    @property
    def seconds(self) -> float:
        """How long to wait now."""
        return HASTY_SECONDS if self._clock() < self._slow_until else SECONDS

    @asynccontextmanager
    async def wait(self) -> AsyncIterator[None]:
        """Wait for the record within this context.

        Raises:
            TimeoutError: It did not answer in time.
        """
        try:
            async with asyncio.timeout(self.seconds):
                yield
        except TimeoutError:
            self._slow_until = self._clock() + SLOW_FOR_SECONDS
            raise
        self._slow_until = float("-inf")
