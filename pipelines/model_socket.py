"""The WebSocket to a Realtime model: fifty times a second in both directions for each call, so it does little.

What concerns sound is handled where it arrives, in the socket's own callback and in the order of the socket; the
rest waits, as text, for whoever iterates. The bytes are picows' doing, a WebSocket library in Cython.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from typing import Any, Self

import orjson
from loguru import logger
from picows import WSFrame, WSHandshakeError, WSListener, WSMsgType, WSTransport, ws_connect

OPEN_SECONDS = 3.0
"""How long connecting may take, with all that belongs to it. Somebody is waiting on the telephone."""

STALL_SECONDS = 5.0
"""A model that takes nothing for so long, while tens of kilobytes wait for it, is gone."""

CLOSE_SECONDS = 1.0

LARGEST_MESSAGE = 16 * 1024 * 1024
"""Bytes. No event of a call comes near it."""

Handler = Callable[[dict[str, Any]], bool]
"""Takes an event as it arrives; True when nobody else needs it."""


class ModelRefused(ConnectionError):
    """The model answered the handshake with something else than a WebSocket."""


class ModelSocket(WSListener):
    """An open connection. Iterating yields the messages that no handler kept to itself, as text, until it ends."""

    def __init__(self, handlers: Mapping[str, Handler], passed_on: Collection[str], logged: Collection[str]) -> None:
        """Used by `connect`."""
        self._handlers = handlers
        self._passed_on = frozenset(passed_on)
        self._logged = frozenset(logged)
        self._messages: asyncio.Queue[str | None] = asyncio.Queue()
        self._parts: list[bytes] = []
        self._stall: asyncio.TimerHandle | None = None
        self._transport: WSTransport | None = None
        self.ended: str | None = None
        """How the connection ended, in words; None while it is open."""

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
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                _, socket = await ws_connect(
                    lambda: cls(handlers, passed_on, logged),
                    url,
                    extra_headers=dict(headers),
                    max_frame_size=LARGEST_MESSAGE,
                    websocket_handshake_timeout=OPEN_SECONDS,
                    enable_auto_ping=True,
                    use_aiofastnet=False,  # the event loop's own transports, which all of the server runs on
                )
        except WSHandshakeError as error:
            status = f"HTTP {error.response.status.value}" if error.response is not None else str(error)
            raise ModelRefused(f"the model refused the connection: {status}") from error
        assert isinstance(socket, cls)  # noqa: S101 - the factory made it
        return socket

    # --- from the model ----------------------------------------------------------------------------

    def on_ws_connected(self, transport: WSTransport) -> None:
        """See picows."""
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """See picows."""
        if frame.msg_type is WSMsgType.CLOSE:
            self.ended = (
                f"the model closed the session: {frame.get_close_code()} {frame.get_close_reason() or ''}".strip()
            )
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        elif frame.msg_type in (WSMsgType.TEXT, WSMsgType.CONTINUATION):
            if frame.fin and not self._parts:
                self._take(frame.get_payload_as_bytes())
                return
            self._parts.append(frame.get_payload_as_bytes())
            if frame.fin:
                whole = b"".join(self._parts)
                self._parts.clear()
                self._take(whole)

    def _take(self, data: bytes) -> None:
        try:
            event = orjson.loads(data)
            kind = event["type"]
        except (ValueError, TypeError, KeyError):
            logger.warning("the model sent something that is no event ({} bytes)", len(data))
            return
        if kind in self._logged:
            logger.info("model event {}", kind)
        handler = self._handlers.get(kind)
        try:
            if handler is not None and handler(event):
                return
        except (ValueError, TypeError, KeyError) as error:
            logger.warning("an event {} of the model is not what it should be: {!r}", kind, error)
            return
        if kind in self._passed_on:
            self._messages.put_nowait(data.decode())

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """See picows."""
        if self._stall is not None:
            self._stall.cancel()
        self.ended = self.ended or "the connection to the model broke"
        self._messages.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[str]:
        """What arrives, until the connection ends."""
        while (message := await self._messages.get()) is not None:
            yield message
        self._messages.put_nowait(None)  # it stays ended, whoever asks again

    # --- to the model ------------------------------------------------------------------------------

    def send_now(self, message: bytes) -> None:
        """Send an event. What is sent to a connection that has ended is lost, which its end has told already."""
        if self._transport is not None and self.ended is None:
            self._transport.send(WSMsgType.TEXT, message)

    async def send(self, message: str) -> None:
        """Send an event, for Pipecat, which waits for it."""
        self.send_now(message.encode())

    async def close(self) -> None:
        """End the connection, politely if it answers."""
        if self._transport is None:
            return
        self.ended = self.ended or "we closed the session"
        self._transport.send_close()
        self._transport.disconnect()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._transport.wait_disconnected()
        except (TimeoutError, Exception):
            self._transport.disconnect(graceful=False)

    def pause_writing(self) -> None:
        """See picows: the model has not taken what we sent."""
        self._stall = asyncio.get_running_loop().call_later(STALL_SECONDS, self._give_up)

    def resume_writing(self) -> None:
        """See picows: it has taken some of it."""
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def _give_up(self) -> None:
        self.ended = f"the model has taken nothing for {STALL_SECONDS:.0f} s"
        if self._transport is not None:
            self._transport.disconnect(graceful=False)
