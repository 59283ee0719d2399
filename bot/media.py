"""Twilio's media stream as a Pipecat transport: µ-law, marks, `stop`, and whatever else arrives on the socket.

Pipecat's own serializer drops marks and `stop`, raises on malformed messages (which ends the call) and hangs up
the caller when the pipeline ends. Its transport makes frames of every 20 ms and sends audio no faster than it is heard.
This one hands the caller's audio straight to a model that takes it as it comes, and leaves the playing to Twilio.
"""

import asyncio
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from loguru import logger
from pipecat.frames.frames import Frame, StartFrame, SystemFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor, FrameProcessorSetup
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.transports.base_transport import BaseTransport

from bot.playout import is_ours
from bot.speech import TwilioOutput
from bot.wire import Wire

SAMPLE_RATE = 8000
"""Hz. The only rate that Media Streams have."""

LONGEST_MESSAGE = 64 * 1024
"""Characters. A frame of 20 ms takes about 350; whatever is longer is not audio for us."""


@dataclass
class MarkFrame(SystemFrame):
    """A mark came back from Twilio.

    Parameters:
        mark: The mark's name.
        heard: Whether its echo proves that the caller heard what was sent before it.
    """

    mark: str = ""
    heard: bool = False


@dataclass
class StreamStoppedFrame(SystemFrame):
    """Twilio said `stop`: the caller hung up, or a redirect took effect."""


class TwilioSerializer(TwilioFrameSerializer):
    """Twilio's messages → frames, and a `clear`. Nothing that arrives can raise."""

    def __init__(self, stream_sid: str, call_sid: str) -> None:
        """Serve one stream.

        Args:
            stream_sid: The stream's SID, as `start` gave it.
            call_sid: The call's SID.
        """
        params = TwilioFrameSerializer.InputParams(auto_hang_up=False)
        super().__init__(stream_sid=stream_sid, call_sid=call_sid, params=params)

    async def deserialize(self, data: str | bytes) -> Frame | None:
        """Message → frame; None for what we do not use or cannot read."""
        message = read_message(data)
        match message.get("event"):
            case "media" | "dtmf" as event if isinstance(message.get(event), dict):
                try:
                    return await super().deserialize(data)
                except (ValueError, TypeError, binascii.Error):
                    return None  # a payload that is not base64, a digit that is not a string
            case "stop":
                return StreamStoppedFrame()
        return None


def read_message(data: str | bytes) -> dict[str, Any]:
    """A message of Twilio's; an empty one for anything else."""
    if isinstance(data, bytes) or len(data) > LONGEST_MESSAGE:
        logger.warning("a message that Twilio does not send ({} long) is ignored", len(data))
        return {}
    try:
        message = orjson.loads(data)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


class TwilioInput(FrameProcessor):
    """Reads the stream. Audio goes to whoever hears it as it comes; the rest, and audio for others, becomes frames."""

    def __init__(
        self,
        wire: Wire,
        serializer: TwilioSerializer,
        output: TwilioOutput,
        *,
        hear: Callable[[str], None] | None,
        on_end: Callable[[], None],
    ) -> None:
        """Read from a socket whose `start` has been read.

        Args:
            wire: The socket.
            serializer: Makes frames of messages.
            output: Told which marks came back.
            hear: Takes the caller's audio; without it, audio becomes frames.
            on_end: Told when the socket has ended.
        """
        super().__init__(name="TwilioInput")
        self._wire = wire
        self._serializer = serializer
        self._out = output
        self._hear = hear
        self._on_end = on_end
        self._news: asyncio.Queue[str | bytes | Frame | None] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []

    def hear_with(self, hear: Callable[[str], None] | None) -> None:
        """Give the caller's audio to somebody else from now on; see the constructor."""
        self._hear = hear

    async def setup(self, setup: FrameProcessorSetup) -> None:
        """Tell the serializer the pipeline's sample rate, without which it drops all audio."""
        await super().setup(setup)
        await self._serializer.setup(setup)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Start with the pipeline, and let everything else pass."""
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)
        if isinstance(frame, StartFrame):
            self._tasks = [self.create_task(self._read(), "read"), self.create_task(self._push(), "push")]

    async def cleanup(self) -> None:
        """Stop reading. The pipeline may never have started."""
        await super().cleanup()
        for task in self._tasks:
            await self.cancel_task(task)

    async def _read(self) -> None:
        try:
            await self._wire.receive(self._take)
        finally:
            self._news.put_nowait(None)  # however the socket ended

    def _take(self, data: str | bytes) -> None:
        """One message. Fifty a second of them are audio, and some are marks that are the output's own."""
        message = read_message(data)
        match message.get("event"):
            case "media":
                if (payload := _text(message, "media", "payload")) is not None and _is_base64(payload):
                    if self._hear is not None:
                        self._hear(payload)
                    else:
                        self._news.put_nowait(data)
            case "mark":
                if (name := _text(message, "mark", "name")) is not None:
                    heard = self._out.mark_came_back(name)
                    if not is_ours(name):
                        self._news.put_nowait(MarkFrame(mark=name, heard=heard))
            case _:
                self._news.put_nowait(data)

    async def _push(self) -> None:
        while (news := await self._news.get()) is not None:
            frame = news if isinstance(news, Frame) else await self._serializer.deserialize(news)
            if frame is not None:
                await self.push_frame(frame)
        self._on_end()  # not before: Twilio's `stop` comes right before the end, and says what the end means


def _text(message: dict[str, Any], part: str, key: str) -> str | None:
    """A text within a part of a message, if there is one."""
    inner = message.get(part)
    text = inner.get(key) if isinstance(inner, dict) else None
    return text if isinstance(text, str) else None


def _is_base64(payload: str) -> bool:
    try:
        return bool(binascii.a2b_base64(payload, strict_mode=True))
    except ValueError:
        return False


class TwilioTransport(BaseTransport):
    """One Twilio media stream."""

    def __init__(
        self,
        wire: Wire,
        stream_sid: str,
        call_sid: str,
        *,
        hear: Callable[[str], None] | None = None,
        on_words: Callable[[str], None] = lambda _: None,
        on_end: Callable[[], None],
    ) -> None:
        """Serve an accepted socket whose `start` has been read.

        Args:
            wire: The socket.
            stream_sid: The stream's SID.
            call_sid: The call's SID.
            hear: Takes the caller's audio as it comes, µ-law in base64; without it, audio becomes frames.
            on_words: Told the words that the caller has heard, some at a time.
            on_end: Told when the socket has ended.
        """
        super().__init__()
        serializer = TwilioSerializer(stream_sid, call_sid)
        self._output = TwilioOutput(wire, stream_sid, on_words=on_words)
        self._input = TwilioInput(wire, serializer, self._output, hear=hear, on_end=on_end)

    def input(self) -> TwilioInput:
        """What comes from the caller."""
        return self._input

    def output(self) -> TwilioOutput:
        """What goes to the caller; also the caller's `pipelines.Earpiece`."""
        return self._output
