"""One media socket for all who have it, one after the other: the bot, a supervisor in its place, the bot again."""

import asyncio
from collections import deque
from collections.abc import Callable
from types import TracebackType

from bot.wire import Wire

KEPT = 100
"""So many messages are kept for who takes the socket next; two seconds of a caller's."""


class Lending:
    """The socket, and who has it. `async with`: it is read until the end of that, or its own."""

    def __init__(self, wire: Wire) -> None:
        """Args: wire: the socket, which nobody else reads."""
        self._wire = wire
        self._take: Callable[[str | bytes], None] | None = None
        self._kept: deque[str | bytes] = deque(maxlen=KEPT)
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Lending":
        """Begin to read."""
        self._reading = asyncio.create_task(self._wire.receive(self._received))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Read no more."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    @property
    def over(self) -> bool:
        """Whether the socket has ended. What came last may still wait for somebody: Twilio's `stop`, before all."""
        return self._reading is None or self._reading.done()

    def lend(self) -> "LentWire":
        """The socket, for one who gives it back or has it to its end."""
        return LentWire(self)

    # --- for `LentWire` ------------------------------------------------------------------------------

    async def read(self, take: Callable[[str | bytes], None], given_back: asyncio.Event) -> None:
        """Hand the messages to one who has the socket, until it ends or is given back."""
        if given_back.is_set():
            return  # before it began: what is kept is for who comes next
        self._take = take
        while self._kept:
            take(self._kept.popleft())
        back = asyncio.create_task(given_back.wait())
        waits: list[asyncio.Task[object]] = [back, *([self._reading] if self._reading is not None else [])]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            back.cancel()
            if self._take is take:
                self._take = None

    def send(self, message: str) -> None:
        """See `Wire`."""
        self._wire.send(message)

    async def close(self) -> None:
        """See `Wire`."""
        await self._wire.close()

    def _received(self, message: str | bytes) -> None:
        if self._take is not None:
            self._take(message)
        else:
            self._kept.append(message)


class LentWire:
    """A `Wire` that can be given back: whoever has it does with it what they like, and others have it afterwards."""

    def __init__(self, lending: Lending) -> None:
        """Args: lending: the socket."""
        self._lending = lending
        self._back = asyncio.Event()

    @property
    def given_back(self) -> bool:
        """Whether it was given back, and the stream goes on."""
        return self._back.is_set()

    def give_back(self) -> None:
        """Have it no more. To close it does nothing from now on, nor does to send."""
        self._back.set()

    async def until_left(self, work: asyncio.Task[None], seconds: float) -> None:
        """Wait until work on the socket is done; once the socket is given back, for so many seconds at most."""
        back = asyncio.create_task(self._back.wait())
        try:
            await asyncio.wait([work, back], return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait([work], timeout=seconds)
        finally:
            back.cancel()

    async def receive(self, take: Callable[[str | bytes], None]) -> None:
        """See `Wire`. It ends, too, when the socket is given back."""
        await self._lending.read(take, self._back)

    def send(self, message: str) -> None:
        """See `Wire`."""
        if not self._back.is_set():
            self._lending.send(message)

    async def close(self) -> None:
        """See `Wire`."""
        if not self._back.is_set():
            await self._lending.close()
