"""The media socket as the transport sees it: messages come in by callback, and sending never waits."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from fastapi import WebSocket
from loguru import logger
from starlette.websockets import WebSocketDisconnect, WebSocketState

WAITING_MESSAGES = 3000
"""How many messages may wait for a Twilio that takes none: minutes of speech. Beyond, it is gone."""

WIRE = "putthrough.wire"
"""Where a server that can do better than ASGI's queue puts its `Wire` in the scope's extensions, under `wire`."""


def wire_of(websocket: WebSocket) -> "Wire":
    """The best way to an accepted socket that its server has."""
    return websocket.scope.get("extensions", {}).get(WIRE, {}).get("wire") or WebSocketWire(websocket)


class Wire(Protocol):
    """An accepted media socket."""

    async def receive(self, take: Callable[[str | bytes], None]) -> None:
        """Hand every message to `take`, which does not raise, until the socket ends."""

    def send(self, message: str) -> None:
        """Send a message; lost when the socket has ended."""

    async def close(self) -> None:
        """Send what is waiting, then close. Returns when both is done, or cannot be."""


class WebSocketWire:
    """Any ASGI server's WebSocket."""

    def __init__(self, websocket: WebSocket) -> None:
        """Serve an accepted socket."""
        self._websocket = websocket
        self._waiting: asyncio.Queue[str | None] = asyncio.Queue()
        self._writer = asyncio.create_task(self._write())

    async def receive(self, take: Callable[[str | bytes], None]) -> None:
        """See `Wire`."""
        while (message := await self._websocket.receive())["type"] == "websocket.receive":
            text = message.get("text")
            take(text if text is not None else message.get("bytes") or b"")

    def send(self, message: str) -> None:
        """See `Wire`."""
        if self._writer.done():
            return
        if self._waiting.qsize() < WAITING_MESSAGES:
            self._waiting.put_nowait(message)
        else:
            logger.error("Twilio takes nothing of what we send; the socket is given up")
            self._writer.cancel()

    async def close(self) -> None:
        """See `Wire`."""
        self._waiting.put_nowait(None)
        await asyncio.wait([self._writer], timeout=1)
        self._writer.cancel()
        if self._websocket.client_state is WebSocketState.CONNECTED:
            try:
                async with asyncio.timeout(1):
                    await self._websocket.close()
            except (TimeoutError, RuntimeError, WebSocketDisconnect):
                logger.debug("the media socket was closed already")

    async def _write(self) -> None:
        while (message := await self._waiting.get()) is not None:
            try:
                await self._websocket.send_text(message)
            except (RuntimeError, WebSocketDisconnect):
                return
