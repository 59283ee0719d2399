"""A client of the sandbox's model that speaks raw events, and brains for it to talk to."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect

from sandbox import codec
from sandbox.brain import Brain, Reply, Say, Turn
from sandbox.hum import Hum, mix
from sandbox.model import RealtimeModel
from sandbox.scene import Journal
from sandbox.session import Timing
from sandbox.voice import speak
from sandbox.wire import SERVER_EVENTS

KEY = "sk-sandbox"
FAST = Timing(pace=100.0, thinking=0.01, transcription=0.01)
SLOW = Timing(pace=4.0, thinking=0.0, transcription=0.0)
"""Slow enough to be interrupted."""

SPOKEN_REPLY = [
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_audio_transcript.delta",
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
    "rate_limits.updated",
]

TEXT = "Hello there, how can I help you today?"
LONG = "This is a very long story that goes on and on, about tents, boots and the weather in the hills."

Event = dict[str, Any]


class Scripted:
    """A brain with one reply after the other; then it has nothing to say."""

    def __init__(self, *replies: Reply, call_sid: str | None = None, hears: str | None = "A person, please.") -> None:
        self.call_sid = call_sid
        self.turns: list[Turn] = []
        self.hears = hears
        self._replies = list(replies)

    def transcript(self) -> str | None:
        return self.hears

    async def reply(self, turn: Turn) -> Reply:
        self.turns.append(turn)
        return self._replies.pop(0) if self._replies else []


class Thinking(Scripted):
    """A brain that never comes to a conclusion."""

    async def reply(self, turn: Turn) -> Reply:
        await asyncio.Event().wait()
        return []


class Client:
    """One session. Every event that it receives is held against OpenAI's classes."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.received: list[Event] = []

    async def send(self, type: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": type, **fields}))

    async def configure(self, **session: Any) -> Event:
        await self.send("session.update", session={"type": "realtime", **session})
        return (await self.until("session.updated"))[-1]["session"]

    async def append(self, pcm: codec.Pcm, format: str = "audio/pcm", *, step_ms: int = 100) -> None:
        """Send 8 kHz samples in the session's format, as fast as they go."""
        if format == "audio/pcmu":
            audio, per_ms = codec.encode(pcm), 8
        else:
            audio, per_ms = at_24k(pcm).astype("<i2").tobytes(), 48
        step = step_ms * per_ms
        for at in range(0, len(audio), step):
            piece = base64.b64encode(audio[at : at + step]).decode()
            await self.send("input_audio_buffer.append", audio=piece)

    async def next(self, within: float = 10) -> Event:
        event = json.loads(await asyncio.wait_for(self.socket.recv(), within))
        SERVER_EVENTS[event["type"]].model_validate(event)
        self.received.append(event)
        return event

    async def until(self, last: str | Callable[[Event], bool]) -> list[Event]:
        """The events up to the first of a type (or that a predicate accepts), from now."""
        events: list[Event] = []
        while True:
            events.append(await self.next())
            if last == events[-1]["type"] or (callable(last) and last(events[-1])):
                return events

    async def until_settled(self) -> list[Event]:
        """What the model still has to say about everything that was sent so far."""
        await self.send("conversation.item.retrieve", item_id="nothing", event_id="settle")
        events = await self.until(lambda e: e["type"] == "error" and e["error"]["event_id"] == "settle")
        return events[:-1]

    async def respond(self, **response: Any) -> list[Event]:
        """Ask for a response, and take all of it."""
        await self.send("response.create", response=response)
        return await self.until("rate_limits.updated")


@asynccontextmanager
async def running(
    brain: Brain | None = None, *, timing: Timing = FAST, lines: dict[Hum, Brain] | None = None
) -> AsyncIterator[RealtimeModel]:
    model = RealtimeModel(journal=Journal(), default_brain=brain, timing=timing)
    model.lines.update(lines or {})
    async with model:
        yield model


@asynccontextmanager
async def connected(model: RealtimeModel) -> AsyncIterator[Client]:
    """A session that has been created."""
    url = f"{model.url}?model=gpt-realtime-2.1"
    async with connect(url, additional_headers={"Authorization": f"Bearer {KEY}"}) as socket:
        client = Client(socket)
        await client.until("conversation.created")
        yield client


@asynccontextmanager
async def session(*replies: Sequence[Any], timing: Timing = FAST) -> AsyncIterator[Client]:
    """A session with a brain that gives these replies."""
    async with running(Scripted(*replies), timing=timing) as model, connected(model) as client:
        yield client


def silence(seconds: float) -> codec.Pcm:
    return np.zeros(round(8000 * seconds), dtype=np.int16)


def utterance(text: str = "A person, please.", *, hum: Hum | None = None) -> codec.Pcm:
    """Silence, what a caller says, and silence for long enough to end the turn; 8 kHz."""
    sound = np.concatenate([silence(0.4), speak(text), silence(0.8)])
    return codec.mix(sound, mix(hum, 0, len(sound))) if hum else sound


def at_24k(pcm: codec.Pcm) -> codec.Pcm:
    """8 kHz samples at 24 kHz, by straight lines."""
    at = np.arange(3 * len(pcm)) / 3
    return np.interp(at, np.arange(len(pcm)), pcm).astype(np.int16)


def types(events: list[Event]) -> list[str]:
    return [event["type"] for event in events]


def squeezed(events: list[Event]) -> list[str]:
    """The types, with interleaved deltas as one entry each time."""
    names: list[str] = []
    for name in types(events):
        if not (name.endswith(".delta") and names and names[-1].endswith(".delta")):
            names.append(name)
    return names


def audio_of(events: list[Event]) -> bytes:
    deltas = [e["delta"] for e in events if e["type"] == "response.output_audio.delta"]
    return b"".join(base64.b64decode(delta) for delta in deltas)


def transcript_of(events: list[Event]) -> str:
    name = "response.output_audio_transcript.delta"
    return "".join(e["delta"] for e in events if e["type"] == name)


def greeting(text: str = TEXT) -> list[Say]:
    return [Say(text)]
