"""What a session sends: events in order, one connection at a time, and the ways in which it can go wrong."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from sandbox.conversation import new_id
from sandbox.wire import checked

GOING_AWAY = 1001
"""The close code of a server that ends a session by itself."""

STALL_SECONDS = 6.0
"""How long a stalled connection sends nothing."""


class Outlet:
    """The sending half of a connection. Events are queued at once, so that they keep their order."""

    def __init__(self, socket: ServerConnection) -> None:
        """Send to this connection, once `drain` runs."""
        self._socket = socket
        self._queue: asyncio.Queue[str | Callable[[], Awaitable[None]]] = asyncio.Queue()
        self.mute = False
        """Whether nothing is sent any more."""

    def emit(self, type: str, /, **fields: Any) -> None:
        """Send an event.

        Raises:
            pydantic.ValidationError: It is not what OpenAI's library expects.
        """
        if not self.mute:
            event = {"type": type, "event_id": new_id("event"), **fields}
            self._queue.put_nowait(checked(event))

    def close(self, code: int = GOING_AWAY) -> None:
        """Close the connection behind what is queued."""
        self._finally(lambda: self._socket.close(code))

    def stall(self) -> None:
        """Stand still behind what is queued; what is emitted meanwhile comes afterwards."""
        self._queue.put_nowait(lambda: asyncio.sleep(STALL_SECONDS))

    def abort(self) -> None:
        """Reset the connection behind what is queued."""

        async def reset() -> None:
            self._socket.transport.abort()

        self._finally(reset)

    def _finally(self, end: Callable[[], Awaitable[None]]) -> None:
        if not self.mute:
            self._queue.put_nowait(end)
            self.mute = True

    async def drain(self) -> None:
        """Send what is queued, until the connection ends."""
        with suppress(ConnectionClosed):
            while True:
                message = await self._queue.get()
                if isinstance(message, str):
                    await self._socket.send(message)
                else:
                    await message()
