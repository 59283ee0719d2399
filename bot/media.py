"""Twilio's media stream as a Pipecat transport: µ-law, marks, `stop`, and whatever else arrives on the socket.

Pipecat's own serializer drops marks and `stop`, raises on malformed messages (which ends the call) and hangs up
the caller when the pipeline ends. This one does none of that.
"""

import asyncio
import binascii
import json
from dataclasses import dataclass
from typing import Any

from fastapi import WebSocket
from loguru import logger
from pipecat.frames.frames import (
    Frame,
    InterruptionFrame,
    OutputAudioRawFrame,
    OutputTransportMessageFrame,
    OutputTransportMessageUrgentFrame,
    SystemFrame,
    TTSStartedFrame,
)
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.transports.websocket.fastapi import (
    FastAPIWebsocketOutputTransport,
    FastAPIWebsocketParams,
    FastAPIWebsocketTransport,
)

from bot.playout import Playout

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
    """Twilio's messages ↔ frames. Nothing that arrives can raise."""

    def __init__(self, stream_sid: str, call_sid: str, playout: Playout) -> None:
        """Serve one stream.

        Args:
            stream_sid: The stream's SID, as `start` gave it.
            call_sid: The call's SID.
            playout: Told of every clear and every mark that comes back.
        """
        params = TwilioFrameSerializer.InputParams(auto_hang_up=False)
        super().__init__(stream_sid=stream_sid, call_sid=call_sid, params=params)
        self._playout = playout

    def mark(self, name: str) -> str:
        """The message that asks for a mark behind what has been sent."""
        return json.dumps({"event": "mark", "streamSid": self._stream_sid, "mark": {"name": name}})

    async def serialize(self, frame: Frame) -> str | bytes | None:
        """Frame → message; see the base class."""
        if isinstance(frame, InterruptionFrame):
            self._playout.cleared()
        return await super().serialize(frame)

    async def deserialize(self, data: str | bytes) -> Frame | None:
        """Message → frame; None for what we do not use or cannot read."""
        message = _read(data)
        match message.get("event"):
            case "media" | "dtmf" as event:
                if not isinstance(message.get(event), dict):
                    return None
                try:
                    return await super().deserialize(data)
                except (ValueError, TypeError, binascii.Error):
                    return None  # a payload that is not base64, a digit that is not a string
            case "mark" if isinstance(message.get("mark"), dict):
                name = message["mark"].get("name")
                if isinstance(name, str):
                    return MarkFrame(mark=name, heard=self._playout.echoed(name))
            case "stop":
                return StreamStoppedFrame()
        return None


def _read(data: str | bytes) -> dict[str, Any]:
    """A message of Twilio's; an empty one for anything else."""
    if isinstance(data, bytes) or len(data) > LONGEST_MESSAGE:
        logger.warning("a message that Twilio does not send ({} long) is ignored", len(data))
        return {}
    try:
        message = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}


class _TwilioOutput(FastAPIWebsocketOutputTransport):
    """Sends audio at the pace at which it is heard, with marks in it, and knows where each utterance begins."""

    _playout: Playout
    _serializer: TwilioSerializer

    def follow(self, playout: Playout, serializer: TwilioSerializer) -> None:
        self._playout = playout
        self._serializer = serializer

    async def write_transport_frame(self, frame: Frame) -> None:
        # Called in order with the audio: this utterance's audio follows, or has all been sent.
        if isinstance(frame, TTSStartedFrame):
            self._playout.begin(frame.id)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        if self._client.is_closing or not self._client.is_connected:
            return False
        if not await self._write_frame(frame):
            return False
        mark = self._playout.sent(1000 * len(frame.audio) / (2 * SAMPLE_RATE))
        if mark is not None:
            await self._client.send(self._serializer.mark(mark))
        await self._write_audio_sleep()
        return True

    async def send_message(self, frame: OutputTransportMessageFrame | OutputTransportMessageUrgentFrame) -> None:
        # The only message that our pipeline sends is a mark by name.
        await self._client.send(self._serializer.mark(self._playout.mark(frame.message["mark"])))


class TwilioTransport(FastAPIWebsocketTransport):
    """Pipecat's WebSocket transport on one Twilio media stream."""

    def __init__(self, websocket: WebSocket, stream_sid: str, call_sid: str) -> None:
        """Serve an accepted socket whose `start` has been read.

        Args:
            websocket: The socket.
            stream_sid: The stream's SID.
            call_sid: The call's SID.
        """
        self.playout = Playout(asyncio.get_running_loop().time)
        serializer = TwilioSerializer(stream_sid, call_sid, self.playout)
        params = FastAPIWebsocketParams(
            audio_in_enabled=True,
            audio_out_enabled=True,
            audio_out_end_silence_secs=0,
            serializer=serializer,
        )
        super().__init__(websocket, params)
        self._output = _TwilioOutput(self, self._client, self._params, name=self._output_name)
        self._output.follow(self.playout, serializer)


def mark_behind_audio(name: str) -> OutputTransportMessageFrame:
    """The frame that asks for a mark behind all audio that is queued; a barge-in does not drop it."""
    frame = OutputTransportMessageFrame(message={"mark": name})
    frame.interruptible = False
    return frame
