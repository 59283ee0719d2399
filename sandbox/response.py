"""One response of the model, from `response.created` to `response.done`.

The order of the events is the documented one (OpenAI: Realtime server events).
"""

import asyncio
import base64
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import Any, Literal, Protocol

from sandbox.brain import Call, Fault, FaultKind, Reply, Say, Why
from sandbox.codec import encode
from sandbox.conversation import Conversation, new_id
from sandbox.hearing import RATES
from sandbox.view import Json, texts
from sandbox.voice import speak

Status = Literal["completed", "cancelled", "failed"]

DELTA_MS = 150
"""How much audio is in one `response.output_audio.delta`. Milliseconds."""

TRANSCRIPT_LEAD = 2.0
"""How many times faster than its audio the transcript comes."""


class Emit(Protocol):
    """Sends a server event."""

    def __call__(self, type: str, /, **fields: Any) -> None:
        """Send it behind those before."""
        ...


@dataclass(frozen=True, slots=True)
class Manner:
    """How a response is delivered."""

    modality: Literal["audio", "text"]
    format: str
    """`audio/pcm` or `audio/pcmu`."""

    audio: Json
    """The session's `audio.output`, as the response repeats it."""

    pace: float
    """How many times faster than real time audio is sent."""


@dataclass(slots=True)
class _Message:
    """The message that is being produced."""

    item: Json
    place: Json
    """Where its only part is: the fields that every event about it has."""

    text: str = ""
    """What was produced of it so far."""


class Response:
    """One response. `finish` ends it at any moment, in order."""

    def __init__(
        self,
        emit: Emit,
        conversation: Conversation,
        manner: Manner,
        *,
        why: Why,
        instructions: str,
        note: Callable[..., None],
        fault: Callable[[FaultKind], Awaitable[None]],
    ) -> None:
        """Begin the response.

        Args:
            emit: Sends its events.
            conversation: Gets its items.
            manner: How it is delivered.
            why: What gave the model its turn; see `Turn`.
            instructions: What the model was told; only counted.
            note: Writes into the journal.
            fault: Breaks the session.
        """
        self.id = new_id("resp")
        self.over = False
        self._emit = emit
        self._conversation = conversation
        self._manner = manner
        self._note = note
        self._fault = fault
        self._output: list[Json] = []
        self._message: _Message | None = None
        self._input_usage = _input_usage(conversation, instructions)
        note("response started", why=why)
        emit("response.created", response=self._resource("in_progress", None))

    async def perform(self, reply: Reply) -> None:
        """Produce the reply and finish; pause where it pauses."""
        for part in reply:
            match part:
                case Say():
                    await asyncio.sleep(part.pause)
                    await self._say(part.text)
                case Call():
                    for _ in range(part.repeat):
                        self._call(part)
                    await asyncio.sleep(part.pause_after)
                case Fault():
                    await self._fault(part.kind)
                    if self.over:
                        return
        self.finish("completed")

    def finish(self, status: Status, reason: str | None = None, error: Json | None = None) -> None:
        """End the response; what it was saying stays incomplete.

        Args:
            status: How it ended.
            reason: Why it was cancelled: `turn_detected` or `client_cancelled`.
            error: Why it failed: a `type` and a `code`.
        """
        if self._message is not None:
            self._close(self._message, "incomplete")
        self.over = True
        said = [text for item in self._output if item["type"] == "message" for text in texts(item)]
        self._note("response done", status=status, reason=reason, text=" ".join(said))
        details: Json = {"type": status}
        if reason is not None:
            details["reason"] = reason
        if error is not None:
            details["error"] = error
        self._emit("response.done", response=self._resource(status, details))
        self._emit("rate_limits.updated", rate_limits=_RATE_LIMITS)

    # --- a message -----------------------------------------------------------------------------------

    async def _say(self, text: str) -> None:
        self._note("says", text=text)
        message = self._open()
        if self._manner.modality == "text":
            for word in _words(text):
                message.text += word
                self._emit("response.output_text.delta", **message.place, delta=word)
                await asyncio.sleep(0)
        else:
            await self._speak(message, text)
        self._close(message, "completed")

    async def _speak(self, message: _Message, text: str) -> None:
        words = _words(text)
        deltas = _audio(text, self._manner.format)
        item_id, sent = message.item["id"], 0
        self._conversation.audio_ms[item_id] = 0.0
        for i, (delta, ms) in enumerate(deltas, start=1):
            ahead = ceil(len(words) * min(i / len(deltas) * TRANSCRIPT_LEAD, 1.0))
            if ahead > sent:
                piece = "".join(words[sent:ahead])
                message.text += piece
                self._emit("response.output_audio_transcript.delta", **message.place, delta=piece)
                sent = ahead
            self._emit("response.output_audio.delta", **message.place, delta=delta)
            self._conversation.audio_ms[item_id] += ms
            await asyncio.sleep(ms / 1000 / self._manner.pace)

    def _open(self) -> _Message:
        item: Json = {"type": "message", "role": "assistant", "content": []}
        index = self._begin(item)
        place = {
            "response_id": self.id,
            "item_id": item["id"],
            "output_index": index,
            "content_index": 0,
        }
        self._message = _Message(item, place)
        self._emit("response.content_part.added", **place, part=self._part(""))
        return self._message

    def _close(self, message: _Message, status: Literal["completed", "incomplete"]) -> None:
        self._message = None
        if self._manner.modality == "text":
            self._emit("response.output_text.done", **message.place, text=message.text)
            content = {"type": "output_text", "text": message.text}
        else:
            self._emit("response.output_audio.done", **message.place)
            self._emit("response.output_audio_transcript.done", **message.place, transcript=message.text)
            content = {"type": "output_audio", "transcript": message.text}
        self._emit("response.content_part.done", **message.place, part=self._part(message.text))
        message.item["content"] = [content]
        self._end(message.item, status)

    def _part(self, text: str) -> Json:
        if self._manner.modality == "text":
            return {"type": "text", "text": text}
        return {"type": "audio", "transcript": text}

    # --- a function call -----------------------------------------------------------------------------

    def _call(self, call: Call) -> None:
        arguments = call.arguments if isinstance(call.arguments, str) else json.dumps(dict(call.arguments))
        call_id = new_id("call")
        self._note("calls", name=call.name, arguments=call.arguments, call_id=call_id)
        item: Json = {"type": "function_call", "name": call.name, "call_id": call_id, "arguments": ""}
        index = self._begin(item)
        place = {"response_id": self.id, "item_id": item["id"], "output_index": index, "call_id": call_id}
        for delta in re.findall(r".{1,24}", arguments, re.DOTALL):
            self._emit("response.function_call_arguments.delta", **place, delta=delta)
        self._emit("response.function_call_arguments.done", **place, name=call.name, arguments=arguments)
        item["arguments"] = arguments
        self._end(item, "completed")

    # --- items ---------------------------------------------------------------------------------------

    def _begin(self, item: Json) -> int:
        """Announce an item. Returns its place in the response's output."""
        item |= {"id": new_id("item"), "object": "realtime.item", "status": "in_progress"}
        index = len(self._output)
        self._output.append(item)
        self._emit("response.output_item.added", response_id=self.id, output_index=index, item=item)
        previous = self._conversation.add(item)
        self._emit("conversation.item.added", previous_item_id=previous, item=item)
        return index

    def _end(self, item: Json, status: str) -> None:
        item["status"] = status
        items = self._conversation.items
        position = items.index(item) if item in items else 0
        previous = items[position - 1]["id"] if position else None
        self._emit("conversation.item.done", previous_item_id=previous, item=item)
        index = self._output.index(item)
        self._emit("response.output_item.done", response_id=self.id, output_index=index, item=item)

    # --- the resource --------------------------------------------------------------------------------

    def _resource(self, status: str, details: Json | None) -> Json:
        return {
            "object": "realtime.response",
            "id": self.id,
            "conversation_id": self._conversation.id,
            "status": status,
            "status_details": details,
            "output": self._output,
            "output_modalities": [self._manner.modality],
            "audio": {"output": {key: self._manner.audio[key] for key in ("format", "voice")}},
            "max_output_tokens": "inf",
            "metadata": None,
            "usage": self._usage() if details else None,
        }

    def _usage(self) -> Json:
        """A token for four characters of text and for 50 ms of output audio."""
        text = sum(len(text) for item in self._output for text in texts(item)) // 4
        audio_ms = sum(self._conversation.audio_ms.get(item["id"], 0) for item in self._output)
        audio = int(audio_ms / 50)
        told = self._input_usage["text_tokens"] + self._input_usage["audio_tokens"]
        return {
            "total_tokens": told + text + audio,
            "input_tokens": told,
            "output_tokens": text + audio,
            "input_token_details": self._input_usage,
            "output_token_details": {"text_tokens": text, "audio_tokens": audio},
        }


_RATE_LIMITS = [
    {"name": "requests", "limit": 1000, "remaining": 999, "reset_seconds": 0.06},
    {"name": "tokens", "limit": 50000, "remaining": 49950, "reset_seconds": 0.06},
]


def _input_usage(conversation: Conversation, instructions: str) -> Json:
    """A token for four characters of text and for 100 ms of input audio."""
    items = conversation.items
    text = len(instructions) + sum(len(text) for item in items for text in texts(item))
    audio_ms = sum(conversation.audio_ms.get(item["id"], 0) for item in items)
    return {
        "text_tokens": text // 4,
        "audio_tokens": int(audio_ms / 100),
        "image_tokens": 0,
        "cached_tokens": 0,
        "cached_tokens_details": {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0},
    }


def _words(text: str) -> list[str]:
    """The words with the space behind each."""
    return re.findall(r"\S+\s*", text)


@lru_cache(maxsize=128)
def _audio(text: str, format: str) -> tuple[tuple[str, float], ...]:
    """A text in the bot's voice, as base64 deltas and the milliseconds of each."""
    rate = RATES[format]
    pcm = speak(text, voice="bot", rate=rate)
    step = rate * DELTA_MS // 1000
    pieces = [pcm[at : at + step] for at in range(0, len(pcm), step)]
    raw = [encode(piece) if format == "audio/pcmu" else piece.astype("<i2").tobytes() for piece in pieces]
    return tuple(
        (base64.b64encode(data).decode(), 1000 * len(piece) / rate) for data, piece in zip(raw, pieces, strict=True)
    )
