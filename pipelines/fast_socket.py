"""One WebSocket of a call, on picows: a WebSocket library in Cython, for fifty messages a second in each direction.

It hands whole messages on in the socket's own callback, and gives up a peer that takes nothing.
"""

import asyncio
from typing import Any

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

STALL_SECONDS = 5.0
"""A peer that takes nothing for so long, while tens of kilobytes wait for it, is gone."""

STILL_LOOKS = 4
"""It is looked at so often in that time. A process that was itself stopped for long looks once, before it has written
again: one look alone does not tell who stood still."""

CLOSE_SECONDS = 1.0

LARGEST_MESSAGE = 16 * 1024 * 1024
"""Bytes, in one frame or in many. No message of a call comes near it; a larger one ends its socket."""


class FastSocket(WSListener):
    """A WebSocket. What is sent to one that has ended is lost, which its end has told already."""

    def __init__(self) -> None:
        """Wait for picows to connect it."""
        self.ended: str | None = None
        """How it ended, in words; None while it is open."""

        self._transport: WSTransport | None = None
        self._over = asyncio.Event()
        self._parts: list[bytes] = []
        self._parts_size = 0
        self._text = True
        self._stall: asyncio.TimerHandle | None = None
        self._sent = 0
        self._taken = 0
        """How many bytes of ours the peer's side had taken when it was last looked at."""

    def take(self, message: bytes, *, text: bool) -> None:
        """A message has arrived. Does not raise."""
        raise NotImplementedError

    def lost(self) -> None:
        """The socket has ended; `ended` says how."""

    def send_now(self, message: bytes) -> None:
        """Send a text message, without waiting."""
        if self._transport is not None and self.ended is None:
            self._sent += len(message)
            self._transport.send(WSMsgType.TEXT, message)

    def end(self, code: WSCloseCode = WSCloseCode.OK) -> None:
        """Say that it ends, and end it when what was sent has gone."""
        if self._transport is not None and not self._transport.is_disconnected:
            self.ended = self.ended or "closed by us"
            self._transport.send_close(code)
            self._transport.disconnect()

    async def close(self) -> None:
        """End it, and see it gone."""
        self.end()
        if self._transport is not None:
            try:
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self._over.wait()
            except TimeoutError:
                self._transport.disconnect(graceful=False)

    # --- picows.WSListener -------------------------------------------------------------------------

    def on_ws_connected(self, transport: WSTransport) -> None:
        """See picows."""
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """See picows. Fragments are put together."""
        kind = frame.msg_type
        if transport.is_close_frame_sent and kind is not WSMsgType.CLOSE:
            return  # what follows a frame that is refused for its size is read as frames, and is none
        if kind is WSMsgType.TEXT and frame.fin:
            self.take(frame.get_payload_as_bytes(), text=True)
        elif kind is WSMsgType.CLOSE:
            code, reason = frame.get_close_code(), frame.get_close_reason()
            self.ended = self.ended or f"closed by the peer: {_number(code)} {reason or ''}".rstrip()
            transport.send_close(code)
            transport.disconnect()
        elif kind in (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION):
            if kind is not WSMsgType.CONTINUATION:
                self._text = kind is WSMsgType.TEXT
            self._add(frame.get_payload_as_bytes(), last=frame.fin)

    def _add(self, part: bytes, *, last: bool) -> None:
        """A part of a message. picows bounds the frames, not how many of them make a message."""
        self._parts.append(part)
        self._parts_size += len(part)
        if self._parts_size > LARGEST_MESSAGE:
            self._parts.clear()
            self.ended = self.ended or "a message without end came"
            self.end(WSCloseCode.MESSAGE_TOO_BIG)
        elif last:
            whole = b"".join(self._parts)
            self._parts.clear()
            self._parts_size = 0
            self.take(whole, text=self._text)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """See picows."""
        self.resume_writing()
        self.ended = self.ended or "the connection broke"
        self._over.set()
        self.lost()

    def pause_writing(self) -> None:
        """See picows: the peer has not taken what we sent."""
        self._watch(self._transport, STILL_LOOKS)

    def resume_writing(self) -> None:
        """See picows: it has taken nearly all of it."""
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def _watch(self, transport: WSTransport | None, looks: int) -> None:
        """Look again in a while whether the peer has taken anything; one that is only slow is not gone."""
        if transport is not None:
            self._taken = self._sent - transport.underlying_transport.get_write_buffer_size()
            pause = STALL_SECONDS / STILL_LOOKS
            self._stall = asyncio.get_running_loop().call_later(pause, self._look_again, transport, looks)

    def _look_again(self, transport: WSTransport, looks: int) -> None:
        if self._sent - transport.underlying_transport.get_write_buffer_size() > self._taken:
            self._watch(transport, STILL_LOOKS)
        elif looks > 1:
            self._watch(transport, looks - 1)
        else:
            self.ended = self.ended or f"the peer has taken nothing for {STALL_SECONDS:.0f} s"
            transport.disconnect(graceful=False)


def _number(code: Any) -> int:
    return code.value if isinstance(code, WSCloseCode) else int(code)
