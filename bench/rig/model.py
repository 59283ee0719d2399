"""A Realtime model without a mind: it accepts what a client sends, speaks when it is asked, and hears when it is told.

The events and their order are the documented ones (OpenAI: Realtime server events). Nothing is checked.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

import orjson
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

from bench.rig import audio
from bench.rig.notes import Notes, Reply, now

PACE = 4.0
"""How many times faster than real time audio is sent."""

THINKING = 0.2
"""From the end of the caller's turn, or `response.create`, to the response. Seconds."""

GREETING_MS = 2000
DEAF_MS = 200
"""Behind a burst's beginning, this much audio is not searched: it holds the burst's end. By the audio's own time, for
audio that was held up arrives faster than it was spoken."""

_PCM = {"type": "audio/pcm", "rate": 24000}
_PLACE = {"output_index": 0, "content_index": 0}
_NO_TOKENS = {"text_tokens": 0, "audio_tokens": 0, "cached_tokens": 0}

Json = dict[str, Any]


class Model:
    """All sessions of one run."""

    def __init__(self, notes: Notes, *, delta_ms: int, reply_ms: Callable[[], int]) -> None:
        """Prepare; `open` listens.

        Args:
            notes: Where what is heard goes.
            delta_ms: How much audio one delta holds.
            reply_ms: How long the next reply is; a multiple of `delta_ms`.
        """
        self.notes = notes
        self.delta_ms = delta_ms
        self.reply_ms = reply_ms
        self.sessions: dict[int, Session] = {}
        """The newest of each number."""

        self._count = 0
        self._server: asyncio.Server | None = None

    async def open(self) -> str:
        """Listen on a free port. Returns the address that clients get, without a query."""
        self._server = await ws_create_server(self._accept, "127.0.0.1", 0)
        return f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1/realtime"

    def close(self) -> None:
        """Stop listening and drop every session."""
        if self._server is not None:
            self._server.close()
        for session in self.sessions.values():
            session.end()

    def _accept(self, _: WSUpgradeRequest) -> "Session":
        self._count += 1
        session = Session(self, self._count % audio.NUMBERS)
        self.sessions[session.number] = session
        return session


class Session(WSListener):
    """One connection."""

    def __init__(self, model: Model, number: int) -> None:
        """Wait for the client; see `Model`."""
        self.number = number
        self.asked_at: float | None = None
        """When the first `response.create` came."""

        self.probes: deque[float] = deque()
        """When the bursts left that have not been heard yet; the caller's side puts them in."""

        self.reply: Reply | None = None
        """The newest one."""

        self.on_reply: Callable[[Reply], None] = lambda _: None
        """Told of every reply before its first delta."""

        self.on_greeting: asyncio.Event = asyncio.Event()
        self._model = model
        self._socket: WSTransport | None = None
        self._config: Json = {
            "type": "realtime",
            "output_modalities": ["audio"],
            "audio": {"input": {"format": _PCM, "turn_detection": {"type": "server_vad"}}, "output": {"format": _PCM}},
        }
        self._rates = {"input": 24000, "output": 24000}
        self._replies: dict[str, Reply] = {}
        self._events = 0
        self._items = 0
        self._partial = b""
        self._heard_ms = self._deaf_until_ms = 0.0
        self._last_item: str | None = None
        self._turn_item = ""
        self._timers: set[asyncio.TimerHandle] = set()

    # --- the socket ---

    def on_ws_connected(self, transport: WSTransport) -> None:
        """See picows."""
        self._socket = transport
        self._emit("session.created", session=self._config)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """See picows."""
        self._socket = None
        for timer in self._timers:
            timer.cancel()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """See picows."""
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()
            return
        if frame.msg_type not in (WSMsgType.TEXT, WSMsgType.CONTINUATION):
            return
        data = frame.get_payload_as_bytes()
        if not frame.fin or self._partial:
            self._partial += data
            if not frame.fin:
                return
            data, self._partial = self._partial, b""
        self._receive(orjson.loads(data))

    def end(self) -> None:
        """Drop the connection."""
        if self._socket is not None:
            self._socket.disconnect()

    def _emit(self, type: str, **fields: Any) -> None:
        if self._socket is not None:
            self._events += 1
            event = {"type": type, "event_id": f"event_{self._events}", **fields}
            self._socket.send(WSMsgType.TEXT, orjson.dumps(event))

    def _later(self, seconds: float, what: Callable[..., None], *args: Any) -> None:
        """Do something unless the client is gone by then."""
        timers = self._timers

        def run() -> None:
            timers.discard(handle)
            what(*args)

        handle = asyncio.get_running_loop().call_later(seconds, run)
        timers.add(handle)

    # --- what the client says ---

    def _receive(self, event: Json) -> None:
        match event["type"]:
            case "input_audio_buffer.append":
                self._hear(event["audio"])
            case "session.update":
                self._update(event["session"])
            case "response.create":
                self.asked_at = self.asked_at or now()
                if self.reply is None or self.reply.complete or self.reply.cancelled:
                    self._later(THINKING, self._respond)
                else:
                    self._error("conversation_already_has_active_response")
            case "response.cancel":
                self._cancel("client_cancelled")
            case "conversation.item.create":
                self._add(
                    {"id": self._new_id("item"), "object": "realtime.item", "status": "completed"} | event["item"]
                )
            case "conversation.item.truncate":
                reply = self._replies.get(event["item_id"])
                if reply is not None and reply.truncated_ms is None:
                    reply.truncated_ms = event["audio_end_ms"]
                cut = {key: event[key] for key in ("item_id", "content_index", "audio_end_ms")}
                self._emit("conversation.item.truncated", **cut)
            case _:
                pass

    def _hear(self, payload: str) -> None:
        at = now()
        position, rate = self._heard_ms, self._rates["input"]
        self._heard_ms += audio.duration_ms(payload, rate)
        if position >= self._deaf_until_ms and audio.is_loud(payload, rate):
            self._deaf_until_ms = position + DEAF_MS
            if self.probes:
                delay = at - self.probes.popleft()
                if self._model.notes.on:
                    self._model.notes.up.append(delay)

    def _update(self, change: Json) -> None:
        self._config = _merged(self._config, change)
        for end in self._rates:
            kind = self._config["audio"][end]["format"]["type"]
            self._rates[end] = 8000 if kind == "audio/pcmu" else 24000
        self._emit("session.updated", session=self._config)

    def _error(self, code: str) -> None:
        error = {"type": "invalid_request_error", "code": code, "message": code, "param": None, "event_id": None}
        self._emit("error", error=error)

    def _add(self, item: Json) -> None:
        self._emit("conversation.item.added", previous_item_id=self._last_item, item=item)
        self._emit("conversation.item.done", previous_item_id=self._last_item, item=item)
        self._last_item = item["id"]

    def _new_id(self, kind: str) -> str:
        self._items += 1
        return f"{kind}_{self.number}_{self._items}"

    # --- the caller's turn, as the script tells it ---

    def speech_started(self, over: Reply | None = None) -> None:
        """The caller begins to speak; with `over`, into that reply while it is played: a barge-in."""
        self._turn_item = self._new_id("item")
        if over is not None:
            over.barged_at = now()
        self._emit("input_audio_buffer.speech_started", audio_start_ms=0, item_id=self._turn_item)
        if self._turns.get("interrupt_response", True):
            self._cancel("turn_detected")

    def speech_stopped(self) -> None:
        """The caller's turn is over, and the model answers it."""
        item_id = self._turn_item
        self._emit("input_audio_buffer.speech_stopped", audio_end_ms=1000, item_id=item_id)
        self._emit("input_audio_buffer.committed", previous_item_id=self._last_item, item_id=item_id)
        content = {"type": "input_audio", "transcript": None}
        self._add({"id": item_id, "object": "realtime.item", "type": "message", "status": "completed", "role": "user"}
                  | {"content": [content]})  # fmt: skip
        if (self._config["audio"]["input"].get("transcription")) is not None:
            place = {"item_id": item_id, "content_index": 0}
            self._emit("conversation.item.input_audio_transcription.delta", **place, delta="Where is my order?")
            usage = {"type": "duration", "seconds": 1.0}
            kind = "conversation.item.input_audio_transcription.completed"
            self._emit(kind, **place, transcript="Where is my order?", usage=usage)
        if self._turns.get("create_response", True):
            self._later(THINKING, self._respond)

    @property
    def _turns(self) -> Json:
        return self._config["audio"]["input"].get("turn_detection") or {}

    # --- replies ---

    def _respond(self) -> None:
        first = not self._replies
        rate, delta_ms = self._rates["output"], self._model.delta_ms
        ms = GREETING_MS if first else self._model.reply_ms()
        deltas = audio.greeting(ms, rate, delta_ms, self.number) if first else audio.reply(ms, rate, delta_ms)
        reply = Reply(len(self._replies), self._new_id("item"), self._new_id("resp"), ms, delta_ms)
        self.reply = self._replies[reply.item_id] = reply
        item = self._item(reply, "in_progress", [])
        self._emit("response.created", response=self._response(reply, "in_progress", []))
        self._emit("response.output_item.added", response_id=reply.response_id, output_index=0, item=item)
        self._emit("conversation.item.added", previous_item_id=self._last_item, item=item)
        place = self._place(reply)
        self._emit("response.content_part.added", **place, part={"type": "audio", "transcript": ""})
        self.on_reply(reply)
        if first:
            self.on_greeting.set()
        self._speak(reply, deltas, now(), place)

    def _speak(self, reply: Reply, deltas: list[str], began: float, place: Json) -> None:
        if reply.cancelled:
            return
        index = len(reply.sent)
        self._emit("response.output_audio_transcript.delta", **place, delta="word ")
        reply.sent.append(now())
        self._emit("response.output_audio.delta", **place, delta=deltas[index])
        if index + 1 < len(deltas):
            due = began + (index + 1) * reply.delta_ms / 1000 / PACE
            self._later(max(0.0, due - now()), self._speak, reply, deltas, began, place)
        else:
            self._finish(reply, "completed")

    def _cancel(self, reason: str) -> None:
        reply = self.reply
        if reply is not None and not reply.complete and not reply.cancelled:
            reply.cancelled = True
            self._finish(reply, "cancelled", reason)

    def _finish(self, reply: Reply, status: str, reason: str | None = None) -> None:
        reply.complete = status == "completed"
        text = "word " * len(reply.sent)
        place = self._place(reply)
        item = self._item(reply, "completed" if reply.complete else "incomplete", [_part("output_audio", text)])
        self._emit("response.output_audio.done", **place)
        self._emit("response.output_audio_transcript.done", **place, transcript=text)
        self._emit("response.content_part.done", **place, part=_part("audio", text))
        self._emit("conversation.item.done", previous_item_id=self._last_item, item=item)
        self._emit("response.output_item.done", response_id=reply.response_id, output_index=0, item=item)
        self._last_item = reply.item_id
        details = {"type": status} if reason is None else {"type": status, "reason": reason}
        self._emit("response.done", response=self._response(reply, status, [item], details))

    def _place(self, reply: Reply) -> Json:
        return {"response_id": reply.response_id, "item_id": reply.item_id, **_PLACE}

    def _item(self, reply: Reply, status: str, content: list[Json]) -> Json:
        kind = {"object": "realtime.item", "type": "message", "role": "assistant"}
        return {"id": reply.item_id, **kind, "status": status, "content": content}

    def _response(self, reply: Reply, status: str, output: list[Json], details: Json | None = None) -> Json:
        usage = None
        if details is not None:
            told, said = 100, reply.total_ms // 50
            tokens = {"total_tokens": told + said, "input_tokens": told, "output_tokens": said}
            usage = tokens | {"input_token_details": _NO_TOKENS, "output_token_details": _NO_TOKENS}
        return {
            "object": "realtime.response",
            "id": reply.response_id,
            "conversation_id": f"conv_{self.number}",
            "status": status,
            "status_details": details,
            "output": output,
            "output_modalities": ["audio"],
            "max_output_tokens": "inf",
            "metadata": None,
            "usage": usage,
        }


def _part(kind: str, transcript: str) -> Json:
    return {"type": kind, "transcript": transcript}


def _merged(old: Json, change: Json) -> Json:
    """Only what the client names changes."""
    new = dict(old)
    for key, value in change.items():
        before = old.get(key)
        new[key] = _merged(before, value) if isinstance(value, dict) and isinstance(before, dict) else value
    return new
