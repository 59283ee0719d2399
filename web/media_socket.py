"""The media socket in uvicorn: its handshake and its place in the application are uvicorn's, its messages picows'.

uvicorn's own WebSocket parses in Python, makes a queue's entry of each message and stops reading until that is taken.
Fifty messages a second in each direction for each call are what this server's time goes into, so an accepted socket is
handed over to picows. The application accepts, receives, sends and closes as it does with any other; what wants
the messages where they arrive finds a `bot.wire.Wire` in the scope.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, cast

from picows import WSAutoPingStrategy, WSCloseCode
from picows.picows import WSProtocol  # pyright: ignore[reportAttributeAccessIssue] - not in its stubs
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from bot.wire import WIRE
from pipelines.fast_socket import LARGEST_MESSAGE, FastSocket

PING_SECONDS = 20.0
"""How long a socket may be silent before it is asked whether it lives, and then again before it is given up."""

EARLY_MESSAGES = 500
"""How many messages may wait for the application. Twilio's first few do, for a moment."""

_logger = logging.getLogger("picows.media")


class MediaSocket(FastSocket):
    """An accepted socket. A `bot.wire.Wire`, and until somebody takes its messages, the application's."""

    def __init__(self, on_end: Callable[[], None]) -> None:
        """Args: on_end: told when the socket has ended."""
        super().__init__()
        self.waiting: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._reader: Callable[[str | bytes], None] | None = None
        self._on_end = on_end

    def take(self, message: bytes, *, text: bool) -> None:
        """See `FastSocket`."""
        content = message.decode(errors="replace") if text else message
        if self._reader is not None:
            self._reader(content)
        elif self.waiting.qsize() < EARLY_MESSAGES:
            self.waiting.put_nowait({"type": "websocket.receive", "text" if text else "bytes": content})

    def lost(self) -> None:
        """See `FastSocket`."""
        self.waiting.put_nowait({"type": "websocket.disconnect", "code": 1005})
        self._on_end()

    async def receive(self, take: Callable[[str | bytes], None]) -> None:
        """See `Wire`."""
        while not self.waiting.empty():
            message = self.waiting.get_nowait()
            if message["type"] == "websocket.disconnect":
                return
            take(message.get("text") or message.get("bytes") or "")
        self._reader = take
        await self.waiting.get()  # the end: nothing else gets there any more

    def send(self, message: str) -> None:
        """See `Wire`."""
        self.send_now(message.encode())


class MediaSocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol up to `accept`; from then on, a `MediaSocket`."""

    def __init__(self, *args: Any, **options: Any) -> None:
        """Made by uvicorn for each request to upgrade."""
        super().__init__(*args, **options)
        self._request = b""
        self._media: MediaSocket | None = None

    def data_received(self, data: bytes) -> None:
        """The request to upgrade. picows reads it again when the application has accepted."""
        self._request += data
        super().data_received(data)

    async def send(self, message: Any) -> None:
        """An order of the application's."""
        match message["type"], self._media:
            case "websocket.accept", None:
                if self.disconnected:
                    raise ClientDisconnected
                self._media = self._hand_over()
                cast("dict[str, Any]", self.scope)["extensions"][WIRE] = {"wire": self._media}
            case _, None:
                await super().send(message)
            case "websocket.send", media:
                media.send(message["text"])
            case "websocket.close", media:
                media.end(WSCloseCode(message.get("code", 1000)))

    async def receive(self) -> Any:
        """The next message that nobody took where it arrived."""
        return await (self._media.waiting.get() if self._media is not None else super().receive())

    def shutdown(self) -> None:
        """The server ends."""
        if self._media is not None:
            self._media.end(WSCloseCode.SERVICE_RESTART)
        else:
            super().shutdown()

    def _hand_over(self) -> MediaSocket:
        """Let picows answer the upgrade, and read and write from then on."""
        media = MediaSocket(on_end=lambda: self.connections.discard(self))
        protocol = WSProtocol(
            host_port=None,
            ws_path=None,
            is_client_side=False,
            ws_listener_factory=lambda _: media,
            logger=_logger,
            disconnect_on_exception=True,
            websocket_handshake_timeout=None,
            enable_auto_ping=True,
            auto_ping_idle_timeout=PING_SECONDS,
            auto_ping_reply_timeout=PING_SECONDS,
            auto_ping_strategy=WSAutoPingStrategy.PING_WHEN_IDLE,
            enable_auto_pong=True,
            max_frame_size=LARGEST_MESSAGE,
            extra_headers=None,
            read_buffer_init_size=8 * 1024,
        )
        self.handshake_complete = True
        if self.read_paused:  # uvicorn has read a message that came without waiting for our answer
            self.transport.resume_reading()
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        request = self._request
        while request:
            buffer = protocol.get_buffer(-1)
            part, request = request[: len(buffer)], request[len(buffer) :]
            buffer[: len(part)] = part
            protocol.buffer_updated(len(part))
        return media
