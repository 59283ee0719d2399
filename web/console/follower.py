"""The browsers that follow a live page, on the loop that serves them."""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from math import ceil

from web.console.event_stream import STILL_THERE

WAITING = 100
"""So many patches may wait for a browser; one that is further behind begins anew."""

QUIET_SECONDS = 15.0
"""A browser that was sent nothing for so long is sent a sign of life: proxies close what is silent."""

APART_SECONDS = 0.005
"""So long after one browser the next one gets its patch: a call's audio need not wait for all of them at once."""

LATE_SECONDS = 0.4
"""So long the last one waits for it: where there are very many, several get theirs at once."""


class Follower:
    """One of them. What it is sent is made elsewhere."""

    def __init__(self, nonce: str = "") -> None:
        """Args: nonce: the session's own."""
        self.nonce = nonce
        self._loop = asyncio.get_running_loop()
        self._patches: deque[bytes] = deque()
        self._news = asyncio.Event()
        self._over = False

    def end(self) -> None:
        """Nothing more comes, from any thread."""
        with suppress(RuntimeError):  # the server is gone
            self._loop.call_soon_threadsafe(self._finish)

    async def next(self) -> bytes | None:
        """The next patch; a sign of life when there has been none for a while; None at the end."""
        while not self._patches and not self._over:
            self._news.clear()
            try:
                async with asyncio.timeout(QUIET_SECONDS):
                    await self._news.wait()
            except TimeoutError:
                return STILL_THERE
        return self._patches.popleft() if self._patches else None

    def take(self, patch: bytes) -> None:
        """Send it."""
        if len(self._patches) >= WAITING:
            self._patches.clear()
            self._finish()  # its browser comes back and is sent the whole page
        elif not self._over:
            self._patches.append(patch)
            self._news.set()

    def _finish(self) -> None:
        self._over = True
        self._news.set()


class Followers:
    """Gives each its patches, in order, one after the other."""

    def __init__(self) -> None:
        """Made on the loop that serves them."""
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[Follower, bytes]] = deque()
        self._at_once = 1

    def send(self, followers: Sequence[Follower], patch: bytes) -> None:
        """Send a patch to all of these, from any thread."""
        with suppress(RuntimeError):  # the server is gone
            self._loop.call_soon_threadsafe(self._take, followers, patch)

    def _take(self, followers: Sequence[Follower], patch: bytes) -> None:
        under_way = bool(self._waiting)
        self._waiting.extend((follower, patch) for follower in followers)
        self._at_once = max(self._at_once, ceil(len(self._waiting) * APART_SECONDS / LATE_SECONDS))
        if not under_way:
            self._send_some()

    def _send_some(self) -> None:
        for _ in range(min(self._at_once, len(self._waiting))):
            follower, patch = self._waiting.popleft()
            follower.take(patch)
        if self._waiting:
            self._loop.call_later(APART_SECONDS, self._send_some)
        else:
            self._at_once = 1
