"""Listening in: what passes on a call's media socket, for whoever hears it too. The call waits for none of them.

A listener gets Twilio's own messages of both directions, unread, and plays them as Twilio does. Nothing is made of them
here: who takes them slowly misses the oldest, and where nobody listens a message costs one look.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from bot.wire import Wire

WAITING = 500
"""So many messages may wait for one listener; then the oldest are dropped. Ten seconds of a caller's."""

AHEAD = 250
"""So many may be on their way to a listener who has not said yet that they have come."""

FROM_CALLER, FROM_BOT = "c", "b"
"""What a listener's message begins with. Twilio's own follows."""


class Ear:
    """One listener."""

    def __init__(self) -> None:
        """Nothing has been heard yet."""
        self._waiting: deque[str] = deque(maxlen=WAITING)
        self._ahead = 0
        self._over = False
        self._news = asyncio.Event()

    def offer(self, message: str) -> None:
        """Something passes. Never waits."""
        self._waiting.append(message)
        self._news.set()

    def taken(self, count: int) -> None:
        """The listener has got so many of the messages that were given."""
        self._ahead = max(self._ahead - count, 0)
        self._news.set()

    def end(self) -> None:
        """Nothing more comes, or nobody listens any more."""
        self._over = True
        self._news.set()

    async def next(self) -> str | None:
        """The next message, when the listener is ready for it; None at the end."""
        while not self._over and (not self._waiting or self._ahead >= AHEAD):
            self._news.clear()
            await self._news.wait()
        if self._over:
            return None
        self._ahead += 1
        return self._waiting.popleft()


class Tap:
    """Where listeners join a call. There is one for the call, whichever stream it is at."""

    def __init__(self) -> None:
        """Nobody listens."""
        self._ears: tuple[Ear, ...] = ()

    def join(self) -> Ear:
        """Listen from now on, until the stream ends."""
        ear = Ear()
        self._ears = (*self._ears, ear)
        return ear

    def leave(self, ear: Ear) -> None:
        """Listen no more."""
        ear.end()
        self._ears = tuple(each for each in self._ears if each is not ear)

    def on(self, wire: Wire) -> Wire:
        """The same socket, on which listeners hear what passes."""
        return _TappedWire(wire, self)

    def passes(self, side: str, message: str | bytes) -> None:
        """A message of one side passes."""
        if self._ears and isinstance(message, str):
            for ear in self._ears:
                ear.offer(side + message)

    def end(self) -> None:
        """The stream has ended."""
        for ear in self._ears:
            ear.end()
        self._ears = ()


class _TappedWire:
    """A `Wire` within another one."""

    def __init__(self, wire: Wire, tap: Tap) -> None:
        self._wire = wire
        self._tap = tap

    async def receive(self, take: Callable[[str | bytes], None]) -> None:
        """See `Wire`."""
        passes = self._tap.passes

        def take_too(message: str | bytes) -> None:
            take(message)
            passes(FROM_CALLER, message)

        try:
            await self._wire.receive(take_too)
        finally:
            self._tap.end()

    def send(self, message: str) -> None:
        """See `Wire`."""
        self._wire.send(message)
        self._tap.passes(FROM_BOT, message)

    async def close(self) -> None:
        """See `Wire`."""
        await self._wire.close()
