"""A caller on Twilio: the webhook, the stream, 20 ms of sound every 20 ms, and what Twilio plays of what comes back."""

import asyncio
import re
from binascii import a2b_base64
from collections import deque
from html import unescape
from uuid import uuid4

import aiohttp
import orjson
from picows import WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect
from twilio.request_validator import RequestValidator

from bench.rig import audio
from bench.rig.model import Model, Session
from bench.rig.notes import UNDERRUN_SLACK, Reply, now

ACCOUNT_SID = "AC" + "5a" * 16
AUTH_TOKEN = "bench-auth-token"
OUR_NUMBER = "+12025550100"
PROBE_FRAMES = 25
"""A burst every half second."""

ANSWER_SECONDS = 10.0
"""The longest wait for a document, an upgrade or the greeting."""

sign = RequestValidator(AUTH_TOKEN).compute_signature
"""`sign(url, form)`: what Twilio sends along as `X-Twilio-Signature`."""

_STREAM = re.compile(r"<Stream\b[^>]*\burl=\"([^\"]+)\"")
_PARAMETER = re.compile(r"<Parameter\b[^>]*?>")
_ATTRIBUTE = re.compile(r"(name|value)=\"([^\"]*)\"")


class CallFailed(Exception):
    """The call did not come to a conversation."""


class Caller(WSListener):
    """One call. `dial`, then the script; `tick` is called every 20 ms."""

    def __init__(self, model: Model, url: str, http: aiohttp.ClientSession, *, phase: int) -> None:
        """Prepare.

        Args:
            model: Finds the call's session by what the greeting says.
            url: The server's address.
            http: For the webhook.
            phase: Shifts this caller's bursts against those of others. Frames.
        """
        self.call_sid = "CA" + uuid4().hex
        self.stream_sid = "MZ" + uuid4().hex
        self.session: Session | None = None
        """The model's end of this call, once the greeting has told which it is."""

        self.reply: Reply | None = None
        """The one that is expected or played."""

        self.speaks = False
        """The caller's turn: speech instead of quiet."""

        self.started_at = 0.0
        self.paired = asyncio.Event()
        self.cleared = asyncio.Event()
        self._model = model
        self._notes = model.notes
        self._url = url
        self._http = http
        self._frames = phase
        self._socket: WSTransport | None = None
        self._sequence = 1
        self._probing = self._in_burst = False
        self._probes: deque[float] = deque()
        self._ends_at = 0.0
        """When all that is queued has been played."""

        self._marks: list[tuple[float, bytes, asyncio.TimerHandle]] = []
        self._greeting = b""
        self._greeting_at: list[tuple[float, float]] = []
        """When media came before the session was known, and its milliseconds."""

    # --- the call ---

    async def dial(self) -> None:
        """Call, and wait for the beginning of the greeting.

        Raises:
            CallFailed: There was none.
        """
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                stream_url, parameters = await self._webhook()
                headers = {"X-Twilio-Signature": sign(stream_url, {}), "User-Agent": "Twilio.TmeWs/1.0"}
                await ws_connect(lambda: self, stream_url, extra_headers=headers)
                self._start(parameters)
                await self.paired.wait()
        except TimeoutError:
            raise CallFailed("no greeting in time") from None
        except (WSError, OSError, aiohttp.ClientError) as error:
            raise CallFailed(f"{type(error).__name__}: {error}") from None

    async def _webhook(self) -> tuple[str, dict[str, str]]:
        url = f"{self._url}/twilio/voice"
        form = {
            "AccountSid": ACCOUNT_SID,
            "ApiVersion": "2010-04-01",
            "CallSid": self.call_sid,
            "CallStatus": "ringing",
            "Direction": "inbound",
            "From": "+442079460123",
            "To": OUR_NUMBER,
        }
        async with self._http.post(url, data=form, headers={"X-Twilio-Signature": sign(url, form)}) as answer:
            document = await answer.text()
            if answer.status != 200:
                raise CallFailed(f"the webhook was answered with {answer.status}")
        stream = _STREAM.search(document)
        if stream is None:
            raise CallFailed("the document has no stream")
        tags = [dict(_ATTRIBUTE.findall(tag)) for tag in _PARAMETER.findall(document)]
        return unescape(stream[1]), {tag["name"]: unescape(tag["value"]) for tag in tags}

    def _start(self, parameters: dict[str, str]) -> None:
        self._send({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        start = {
            "accountSid": ACCOUNT_SID,
            "streamSid": self.stream_sid,
            "callSid": self.call_sid,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": parameters,
        }
        self.started_at = now()
        self._send({"event": "start", "sequenceNumber": "1", "start": start, "streamSid": self.stream_sid})

    async def hang_up(self) -> None:
        """The caller hangs up: `stop`, then the socket closes."""
        for *_, timer in self._marks:
            timer.cancel()
        socket, self._socket = self._socket, None
        if socket is None:
            return
        stop = {"accountSid": ACCOUNT_SID, "callSid": self.call_sid}
        message = {
            "event": "stop",
            "sequenceNumber": str(self._sequence + 1),
            "stop": stop,
            "streamSid": self.stream_sid,
        }
        socket.send(WSMsgType.TEXT, orjson.dumps(message))
        socket.send_close()
        try:
            async with asyncio.timeout(2):
                await socket.wait_disconnected()
        except TimeoutError:
            socket.disconnect()

    def _send(self, message: dict[str, object]) -> None:
        if self._socket is not None:
            self._socket.send(WSMsgType.TEXT, orjson.dumps(message))

    # --- what the caller says ---

    def probe(self, session: Session) -> None:
        """Send bursts from now on, for this session to hear."""
        self._probing = True
        self._probes = session.probes

    def tick(self) -> None:
        """The next 20 ms."""
        if self._socket is None or not self.started_at:
            return
        self._frames += 1
        place = self._frames % PROBE_FRAMES
        if place == 0:
            self._in_burst = self._probing
            if self._in_burst:
                self._probes.append(now())
        if self._in_burst and place < len(audio.BURST_FRAMES):
            payload = audio.BURST_FRAMES[place]
        else:
            frames = audio.SPEECH_FRAMES if self.speaks else audio.QUIET_FRAMES
            payload = frames[self._frames % len(frames)]
        self._sequence += 1
        chunk = self._sequence - 1
        message = (
            f'{{"event":"media","sequenceNumber":"{self._sequence}","media":{{"track":"inbound","chunk":"{chunk}",'
            f'"timestamp":"{chunk * 20}","payload":"{payload}"}},"streamSid":"{self.stream_sid}"}}'
        )
        self._socket.send(WSMsgType.TEXT, message.encode())

    # --- what Twilio plays ---

    def on_ws_connected(self, transport: WSTransport) -> None:
        """See picows."""
        self._socket = transport

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """See picows."""
        self._socket = None

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """See picows."""
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()
            return
        if frame.msg_type != WSMsgType.TEXT:
            return
        at = now()
        message = orjson.loads(frame.get_payload_as_bytes())
        match message["event"]:
            case "media":
                self._play(message["media"]["payload"], at)
            case "mark":
                self._mark(message["mark"]["name"], at)
            case "clear":
                self._clear(at)
            case _:
                pass

    def _play(self, payload: str, at: float) -> None:
        ms = audio.duration_ms(payload, 8000)
        empty_at = self._ends_at
        self._ends_at = max(at, empty_at) + ms / 1000
        reply = self.reply
        if reply is None:
            if self.session is None:
                self._listen_for_number(payload, ms, at)
            return
        if reply.cleared_at is not None:
            return
        if reply.first_at is None:
            if not audio.is_loud(payload, 8000):
                return  # the end of the reply before
            reply.first_at = at
            if self._notes.on:
                self._notes.down.append(at - reply.sent[0])
        elif at - empty_at > UNDERRUN_SLACK:
            reply.gaps.append((reply.received_ms, empty_at))
        reply.received_ms += ms

    def _listen_for_number(self, payload: str, ms: float, at: float) -> None:
        raw = a2b_base64(payload)
        if not self._greeting and not audio.is_loud(payload, 8000):
            return
        self._greeting += raw
        self._greeting_at.append((at, ms))
        number = audio.read_number(self._greeting)
        session = None if number is None else self._model.sessions.get(number)
        if session is not None and session.reply is not None:
            self._pair(session, session.reply)

    def _pair(self, session: Session, greeting: Reply) -> None:
        """The session is known: what came of the greeting so far is the greeting's."""
        greeting.first_at = self._greeting_at[0][0]
        ends_at = 0.0
        for at, ms in self._greeting_at:
            if ends_at and at - ends_at > UNDERRUN_SLACK:
                greeting.gaps.append((greeting.received_ms, ends_at))
            ends_at = max(at, ends_at) + ms / 1000
            greeting.received_ms += ms
        self._greeting = b""
        self.session, self.reply = session, greeting
        session.on_reply = self._expect
        if session.asked_at is not None:
            self._notes.to_response.append(session.asked_at - self.started_at)
        self._notes.to_greeting.append(greeting.first_at - max(greeting.sent[0], self.started_at))
        self.paired.set()

    def _expect(self, reply: Reply) -> None:
        self.reply = reply

    def _mark(self, name: str, at: float) -> None:
        echo = orjson.dumps({"event": "mark", "streamSid": self.stream_sid, "mark": {"name": name}})
        delay = max(0.0, self._ends_at - at)
        if delay == 0:
            self._echo(echo)
            return
        timer = asyncio.get_running_loop().call_later(delay, self._played)
        self._marks.append((self._ends_at, echo, timer))

    def _played(self) -> None:
        """The oldest mark has been reached."""
        _, echo, _ = self._marks.pop(0)
        self._echo(echo)

    def _echo(self, echo: bytes) -> None:
        if self._socket is not None:
            self._socket.send(WSMsgType.TEXT, echo)

    def _clear(self, at: float) -> None:
        left_ms = 1000 * max(0.0, self._ends_at - at)
        self._ends_at = at
        for _, echo, timer in self._marks:
            timer.cancel()
            self._echo(echo)
        self._marks.clear()
        reply = self.reply
        if (
            reply is not None
            and reply.first_at is not None
            and reply.cleared_at is None
            and (left_ms > 0 or reply.barged_at)
        ):
            reply.cleared_at = at
            reply.played_ms = reply.received_ms - left_ms
        self.cleared.set()
