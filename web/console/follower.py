"""One browser that follows a live page, on the loop that serves it."""

import asyncio
from collections import deque
from contextlib import suppress

WAITING = 100
"""So many patches may wait for a browser; one that is further behind begins anew."""

QUIET_SECONDS = 15.0
"""A browser that was sent nothing for so long is sent a sign of life: proxies close what is silent."""


class Follower:
    """What it is sent is made elsewhere."""

    def __init__(self, nonce: str = "") -> None:
        """Args: nonce: the session's own."""
        self.nonce = nonce
        self._loop = asyncio.get_running_loop()
        self._patches: deque[str] = deque()
        self._news = asyncio.Event()
        self._over = False

    def send(self, text: str) -> None:
        """Send it, from any thread."""
        with suppress(RuntimeError):  # the server is gone
            self._loop.call_soon_threadsafe(self._take, text)

    def end(self) -> None:
        """Nothing more comes, from any thread."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._finish)

    async def next(self) -> str | None:
        """The next patch; empty when there has been none for a while; None at the end."""
        while not self._patches and not self._over:
            self._news.clear()
            try:
                async with asyncio.timeout(QUIET_SECONDS):
                    await self._news.wait()
            except TimeoutError:
                return ""
        return self._patches.popleft() if self._patches else None

    def _take(self, text: str) -> None:
        if len(self._patches) >= WAITING:
            self._patches.clear()
            self._finish()  # its browser comes back and is sent the whole page
        elif not self._over:
            self._patches.append(text)
            self._news.set()

    def _finish(self) -> None:
        self._over = True
        self._news.set()
