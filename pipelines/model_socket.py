"""The WebSocket to a Realtime model.

What concerns sound is handled where it arrives, in the socket's own callback and in the order of the socket; the rest
waits, as text, for whoever iterates.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from typing import Any, Self

import orjson
from loguru import logger
from picows import WSHandshakeError, ws_connect

from pipelines.fast_socket import LARGEST_MESSAGE, FastSocket

OPEN_SECONDS = 3.0
"""How long connecting may take, with all that belongs to it. Somebody is waiting on the telephone."""

Handler = Callable[[dict[str, Any]], bool]
"""Takes an event as it arrives; True when nobody else needs it."""


class ModelRefused(ConnectionError):
    """The model answered the handshake with something else than a WebSocket."""

    def __init__(self, text: str, status_code: int | None = None) -> None:
        """Say what it answered, and with which status: Pipecat tells faults that pass from those that stay by it."""
        super().__init__(text)
        self.status_code = status_code


class ModelSocket(FastSocket):
    """An open connection. Iterating yields the messages that no handler kept to itself, as text, until it ends."""

    def __init__(self, handlers: Mapping[str, Handler], passed_on: Collection[str], logged: Collection[str]) -> None:
        """Used by `connect`."""
        super().__init__()
        self._handlers = handlers
        self._passed_on = frozenset(passed_on)
        self._logged = frozenset(logged)
        self._messages: asyncio.Queue[str | None] = asyncio.Queue()
        self.heard_at = time.monotonic()
        """When something last came. Seconds, monotonic."""

    @classmethod
    async def connect(
        cls,
        url: str,
        headers: Mapping[str, str],
        *,
        handlers: Mapping[str, Handler],
        passed_on: Collection[str],
        logged: Collection[str] = (),
    ) -> Self:
        """Connect.

        Args:
            url: The address, with its query.
            headers: What to send besides a WebSocket's own headers.
            handlers: For each type of event that is handled where it arrives, the handler.
            passed_on: The types of event to pass on when no handler has taken them. Others are dropped unread.
            logged: The types of event to log at INFO, without their content.

        Raises:
            ModelRefused: It answered, but not with a WebSocket.
            OSError: It cannot be reached, or not in time (`TimeoutError`).
        """
        socket = cls(handlers, passed_on, logged)
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                await ws_connect(
                    lambda: socket,
                    url,
                    extra_headers=dict(headers),
                    max_frame_size=LARGEST_MESSAGE,
                    websocket_handshake_timeout=OPEN_SECONDS,
                    enable_auto_ping=True,
                    use_aiofastnet=False,  # the event loop's own transports, which all of the server runs on
                )
        except WSHandshakeError as error:
            status = error.response.status.value if error.response is not None else None
            words = f"HTTP {status}" if status else str(error)
            raise ModelRefused(f"the model refused the connection: {words}", status) from error
        return socket

    def take(self, message: bytes, *, text: bool) -> None:
        """See `FastSocket`."""
        self.heard_at = time.monotonic()
        try:
            event = orjson.loads(message)
        except ValueError:
            event = None
        if not isinstance(event, dict) or not isinstance(kind := event.get("type"), str):
            logger.warning("the model sent something that is no event ({} bytes)", len(message))
            return
        if kind in self._logged:
            logger.info("model event {}", kind)
        handler = self._handlers.get(kind)
        try:
            if handler is not None and handler(event):
                return
        except Exception as error:  # whatever it is, one event must not end the call
            logger.warning("an event {} of the model is not what it should be: {!r}", kind, error)
            return
        if kind in self._passed_on:
            self._messages.put_nowait(message.decode())

    def lost(self) -> None:
        """See `FastSocket`."""
        self._messages.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[str]:
        """What arrives, until the connection ends."""
        while (message := await self._messages.get()) is not None:
            yield message
        self._messages.put_nowait(None)  # it stays ended, whoever asks again

    async def send(self, message: str) -> None:
        """Send an event, for Pipecat, which waits for it."""
        self.send_now(message.encode())
