"""A media stream from Twilio's side: the WebSocket client that `<Connect><Stream>` makes.

Source of every protocol fact here: Twilio: Media Streams, WebSocket messages; Twilio: TwiML `<Stream>`.
"""

import asyncio
import binascii
import json
from base64 import b64decode
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import aiohttp
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from sandbox.codec import decode
from sandbox.hum import Hum
from sandbox.leg import Leg, new_sid
from sandbox.playback import Playback
from sandbox.uplink import FRAME_SECONDS, Uplink
from sandbox.webhooks import Unroutable, Webhooks

_LONGEST_MESSAGE = 16 * 1024 * 1024
_CLOSE_SECONDS = 1.0
_OPEN_SECONDS = 10.0


# --- What our server may send ----------------------------------------------------------------------


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Payload(_Strict):
    payload: str


class _Name(_Strict):
    name: str


class _Media(_Strict):
    event: Literal["media"]
    streamSid: str
    media: _Payload


class _Mark(_Strict):
    event: Literal["mark"]
    streamSid: str
    mark: _Name


class _Clear(_Strict):
    event: Literal["clear"]
    streamSid: str


_MESSAGE: TypeAdapter[_Media | _Mark | _Clear] = TypeAdapter(
    Annotated[_Media | _Mark | _Clear, Field(discriminator="event")]
)


# --- The stream ------------------------------------------------------------------------------------


class StreamRefused(Exception):
    """The stream never started.

    Attributes:
        code: Twilio's error code.
    """

    def __init__(self, code: int, text: str) -> None:
        """Say why; see the class."""
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class ServerClosed:
    """How our server ended the stream."""

    code: int | None
    """The WebSocket's close code; None when the connection broke."""

    error: int | None
    """Twilio's error code; None for an orderly end."""


class MediaStream:
    """One stream of one call. `open`, then wait for `closed`; then `stop`, whoever ended it."""

    def __init__(self, leg: Leg, webhooks: Webhooks, url: str, parameters: Mapping[str, str], hum: Hum | None) -> None:
        """Prepare; nothing is dialled yet.

        Args:
            leg: The call.
            webhooks: Signs and finds addresses.
            url: Where to, in its public form; without a query.
            parameters: What `start` carries as `customParameters`.
            hum: What lies under the caller's voice.
        """
        self.sid = new_sid("MZ")
        self.url = url
        self._leg = leg
        self._webhooks = webhooks
        self._parameters = dict(parameters)
        self._hum = hum
        self._sequence = 0
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed: asyncio.Future[ServerClosed] = asyncio.get_running_loop().create_future()
        self._playback = Playback(leg.ear, leg.journal, leg.sid, self._echo)
        self._warned: set[int] = set()

    async def open(self) -> None:
        """Dial our server and start to send the caller's audio.

        Raises:
            StreamRefused: It is not there, or did not answer with 101.
        """
        try:
            async with asyncio.timeout(_OPEN_SECONDS):
                self._socket = await self._webhooks.http.ws_connect(
                    self._webhooks.routes.real(self.url),
                    headers={"x-twilio-signature": self._webhooks.signature(self.url)},
                    max_msg_size=_LONGEST_MESSAGE,
                    timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_SECONDS),  # pyright: ignore[reportCallIssue] - an attrs class
                )
        except Unroutable as error:
            code = 31922 if self.url.startswith("ws://") else 31904
            raise StreamRefused(code, str(error)) from None
        except TimeoutError:
            raise StreamRefused(31901, f"{self.url} did not answer in time") from None
        except aiohttp.WSServerHandshakeError as error:
            raise StreamRefused(31920, f"{self.url} answered with status {error.status}") from None
        except (aiohttp.ClientError, OSError) as error:
            raise StreamRefused(31902, f"{self.url} is not there: {type(error).__name__}") from None
        await self._socket.send_str(json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}))
        await self._send(
            "start",
            {
                "accountSid": self._leg.account_sid,
                "streamSid": self.sid,
                "callSid": self._leg.sid,
                "tracks": ["inbound"],
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                "customParameters": self._parameters,
            },
        )
        self._leg.journal.note("network", "stream started", self._leg.sid, stream_sid=self.sid)
        self._spawn(self._receive(self._socket))
        self._spawn(self._send_audio(self._socket))

    @property
    def is_open(self) -> bool:
        """Whether our server accepted the stream."""
        return self._socket is not None

    async def closed(self) -> ServerClosed:
        """Wait until our server ends the stream."""
        return await asyncio.shield(self._closed)

    def dtmf(self, digit: str) -> None:
        """The caller presses a key."""
        self._spawn(self._send("dtmf", {"track": "inbound_track", "digit": digit}))

    def send_raw(self, message: str | bytes) -> asyncio.Task[None]:
        """Send something as it is, e.g. what Twilio would never send."""
        return self._spawn(self._send_raw(message))

    async def stop(self) -> None:
        """End the stream from Twilio's side: `stop`, then close; or only tidy up after our server's end."""
        reason = "server" if self._closed.done() else "network"
        self._playback.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        socket = self._socket
        if socket is None:
            return
        self._leg.journal.note("network", "stream ended", self._leg.sid, stream_sid=self.sid, by=reason)
        if not socket.closed:
            await self._send("stop", {"accountSid": self._leg.account_sid, "callSid": self._leg.sid})
            self._leg.background(_close(socket))

    # --- to our server ---

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _send(self, event: str, body: Mapping[str, object]) -> None:
        """Send an event. Its number is given in the moment it is written, so numbers are in the order of the wire."""
        if self._socket is None or self._socket.closed:
            return
        self._sequence += 1
        message = {
            "event": event,
            "sequenceNumber": str(self._sequence),
            event: body,
            "streamSid": self.sid,
        }
        try:
            await self._socket.send_str(json.dumps(message))
        except (aiohttp.ClientError, OSError):
            return  # the connection is gone: the receiving side finds out how

    async def _send_raw(self, message: str | bytes) -> None:
        if self._socket is None or self._socket.closed:
            return
        if isinstance(message, str):
            await self._socket.send_str(message)
        else:
            await self._socket.send_bytes(message)

    async def _send_audio(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Send 20 ms every 20 ms, by a clock that does not drift: a late frame is caught up with."""
        clock = asyncio.get_running_loop().time
        uplink = Uplink(self._leg.mouth, self._hum)
        started = clock()
        chunk = 0
        try:
            while not socket.closed:
                chunk += 1
                await asyncio.sleep(started + chunk * FRAME_SECONDS - clock())
                self._sequence += 1
                await socket.send_str(
                    f'{{"event":"media","sequenceNumber":"{self._sequence}","media":{{"track":"inbound",'
                    f'"chunk":"{chunk}","timestamp":"{chunk * 20}","payload":"{uplink.next()}"}},'
                    f'"streamSid":"{self.sid}"}}'
                )
        except (aiohttp.ClientError, OSError):
            return

    def _echo(self, name: str) -> None:
        self._spawn(self._send("mark", {"name": name}))

    # --- from our server ---

    async def _receive(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            message = await socket.receive()
            match message.type:
                case aiohttp.WSMsgType.TEXT:
                    self._take(message.data)
                case aiohttp.WSMsgType.BINARY:
                    self._warn(31950, "a binary message")
                case aiohttp.WSMsgType.CLOSE:
                    orderly = message.data in (1000, 1001, 1005, 0, None)
                    self._closed.set_result(ServerClosed(message.data, None if orderly else 31921))
                    return
                case aiohttp.WSMsgType.ERROR:
                    self._closed.set_result(ServerClosed(None, 31924))
                    return
                case _:
                    self._closed.set_result(ServerClosed(None, 31903))
                    return

    def _take(self, text: str) -> None:
        """One text message. What is not a message that Twilio knows is ignored, with a warning."""
        try:
            message = _MESSAGE.validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            return self._warn(31951, f"{first['msg']} ({where}): {text[:80]}")
        if message.streamSid != self.sid:
            return self._warn(31951, f"streamSid {message.streamSid!r} is not this stream's")
        match message:
            case _Media():
                try:
                    ulaw = b64decode(message.media.payload, validate=True)
                except (binascii.Error, ValueError):
                    return self._warn(31951, "a payload that is not base64")
                if not self._playback.media(decode(ulaw)):
                    self._warn(31931, "more than 10 minutes of audio are queued")
            case _Mark():
                self._playback.mark(message.mark.name)
            case _Clear():
                self._playback.clear()

    def _warn(self, code: int, text: str) -> None:
        """Warn once per stream and code."""
        if code not in self._warned:
            self._warned.add(code)
            self._leg.warn(code, text)


async def _close(socket: aiohttp.ClientWebSocketResponse) -> None:
    await socket.close()
