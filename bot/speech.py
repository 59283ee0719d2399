"""The bot's speech on its way to the caller: sent at once, played by Twilio, followed by marks.

Twilio has the audio as soon as we do, so nobody hears it when a server stands still for a moment. In return nothing
here takes "sent" for "heard": a frame that comes behind speech goes on when a mark has shown that the caller has heard
that speech, and what the bot says reaches the context word by word, as it is heard.
"""

import asyncio
import audioop
import json
from base64 import b64encode
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4

from pipecat.audio.utils import create_stream_resampler
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    Frame,
    InterruptionFrame,
    LLMFullResponseStartFrame,
    OutputAudioRawFrame,
    OutputTransportMessageFrame,
    StartFrame,
    SystemFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.utils.text.base_text_aggregator import TextType

from bot.playout import Playout
from bot.wire import Wire

LINE_HZ = 8000


WORDS_EVERY_MS = 1000.0
"""How much speech may be heard before its words go on. At its end and at an interruption they go at once."""


@dataclass(slots=True)
class _Utterance:
    """A stretch of speech and its words. Where a word lies in it is taken in proportion to the letters."""

    start_ms: float
    end_ms: float | None = None
    """None while it is being spoken."""

    text: str = ""
    told: int = 0
    """So many of its characters have gone on."""

    told_at_ms: float = 0.0

    def heard(self, heard_ms: float, sent_ms: float) -> int:
        """How many of its characters have been heard, in whole words."""
        end_ms = sent_ms if self.end_ms is None else self.end_ms
        if self.end_ms is not None and heard_ms >= end_ms:
            return len(self.text)
        if end_ms <= self.start_ms:
            return self.told  # the words came before their sound
        reached = int(len(self.text) * (heard_ms - self.start_ms) / (end_ms - self.start_ms))
        return max(self.told, self.text.rfind(" ", 0, max(0, reached) + 1))


@dataclass(frozen=True, slots=True)
class _Held:
    """A frame that waits until the caller has heard what comes before it."""

    frame: Frame
    at_ms: float


def mark_behind_audio(name: str) -> OutputTransportMessageFrame:
    """The frame that asks for a mark behind all audio that was sent; a barge-in does not drop it."""
    frame = OutputTransportMessageFrame(message={"mark": name})
    frame.interruptible = False
    return frame


class TwilioOutput(FrameProcessor):
    """Sends audio as it comes, and lets everything behind it go on as it is heard. A `pipelines.Earpiece`."""

    def __init__(self, wire: Wire, stream_sid: str, *, on_words: Callable[[str], None] = lambda _: None) -> None:
        """Send to a socket whose `start` has been read.

        Args:
            wire: The socket.
            stream_sid: The stream's SID.
            on_words: Told the words that the caller has heard, some at a time.
        """
        super().__init__(name="TwilioOutput")
        self._wire = wire
        self._stream_sid = stream_sid
        self._on_words = on_words
        self._playout = Playout(asyncio.get_running_loop().time, f"{uuid4().hex[:6]}:")
        self._resampler = create_stream_resampler(clear_after_secs=None)
        self._held: deque[_Held] = deque()
        self._utterances: deque[_Utterance] = deque([_Utterance(0.0)])
        self._speaking = False
        self._in_frames = False
        self._cleared = False
        """The line was cleared ahead of the frame that says so."""

        self._news = asyncio.Event()
        self._releasing: asyncio.Task[None] | None = None

    # --- Earpiece ----------------------------------------------------------------------------------

    @property
    def sent_ms(self) -> float:
        """See `Earpiece`."""
        return self._playout.sent_ms

    @property
    def heard_ms(self) -> float:
        """See `Earpiece`."""
        return self._playout.heard_ms

    @property
    def playing(self) -> bool:
        """Whether the caller is hearing something."""
        return self._playout.playing

    def play(self, payload: str) -> None:
        """See `Earpiece`."""
        self._wire.send(f'{{"event":"media","streamSid":"{self._stream_sid}","media":{{"payload":"{payload}"}}}}')
        mark = self._playout.sent((len(payload) // 4 * 3 - payload.count("=", -2)) * 1000 / LINE_HZ)
        if mark is not None:
            self._send_mark(mark)
        if not self._speaking:
            self._news.set()

    def words(self, text: str) -> None:
        """See `Earpiece`."""
        self._utterances[-1].text += text

    @property
    def being_said(self) -> str:
        """The words that were sent and have not been heard yet."""
        return "".join(utterance.text[utterance.told :] for utterance in self._utterances).strip()

    def finish(self) -> None:
        """See `Earpiece`."""
        self._mark_the_end()
        self._utterances[-1].end_ms = self.sent_ms
        self._utterances.append(_Utterance(self.sent_ms, told_at_ms=self.sent_ms))
        self._news.set()

    def clear(self) -> None:
        """See `Earpiece`. The frame that tells of the interruption is still to come."""
        self._throw_away()
        self._cleared = True

    def mark_came_back(self, name: str) -> bool:
        """Twilio echoed a mark. Returns whether the caller has heard what was sent before it."""
        heard = self._playout.echoed(name)
        self._news.set()
        return heard

    # --- frames ------------------------------------------------------------------------------------

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Play, clear, hold back, or let pass."""
        await super().process_frame(frame, direction)
        match frame:
            case InterruptionFrame():
                await self._interrupted(frame, direction)
            case _ if isinstance(frame, SystemFrame) or direction is FrameDirection.UPSTREAM:
                await self.push_frame(frame, direction)
                if isinstance(frame, StartFrame):
                    self._releasing = self.create_task(self._release(), "release")
            case OutputAudioRawFrame():
                await self._play_frame(frame)
            case OutputTransportMessageFrame():
                # The only message that our pipeline sends is a mark by name.
                self._send_mark(self._playout.mark(frame.message["mark"]))
            case TTSTextFrame():
                self.words(frame.text if frame.includes_inter_frame_spaces else f"{frame.text} ")
            case _:
                if isinstance(frame, TTSStoppedFrame) and self._in_frames:
                    self._in_frames = False
                    self._play_pcm(await self._resampler.flush())
                    self.finish()
                self._hold(frame)

    async def cleanup(self) -> None:
        """Close the socket when what was to be sent is sent. The pipeline may never have started."""
        await super().cleanup()
        if self._releasing is not None:
            await self.cancel_task(self._releasing)
        await self._wire.close()

    def _hold(self, frame: Frame) -> None:
        """Until the caller has heard what came before it.

        What begins an utterance comes later than its sound, and at times later than its end: the socket is ahead of
        the pipeline. So it only keeps its place behind the frames before it.
        """
        if isinstance(frame, LLMFullResponseStartFrame | TTSStartedFrame):
            self._held.append(_Held(frame, self._held[-1].at_ms if self._held else 0.0))
        else:
            self._mark_the_end()
            self._held.append(_Held(frame, self.sent_ms))
        self._news.set()

    async def _play_frame(self, frame: OutputAudioRawFrame) -> None:
        """Audio of a service that speaks in frames of its own rate."""
        self._in_frames = True
        self._play_pcm(await self._resampler.resample(frame.audio, frame.sample_rate, LINE_HZ))

    def _play_pcm(self, audio: bytes) -> None:
        if audio:
            self.play(b64encode(audioop.lin2ulaw(audio, 2)).decode())

    async def _interrupted(self, frame: InterruptionFrame, direction: FrameDirection) -> None:
        if self._cleared:
            self._cleared = False
        else:
            self._throw_away()
            await self._tell_words(self.heard_ms)  # before the frame at whose sight the context takes the sentence
        if self._in_frames:
            self._in_frames = False
            await self._resampler.flush()  # nobody will hear the rest of it
        await self.push_frame(frame, direction)
        await self._speaks(False)

    def _throw_away(self) -> None:
        """Clear the line, and forget what waits behind audio that nobody will hear."""
        heard_ms, sent_ms = self.heard_ms, self.sent_ms
        if self._playout.playing:
            self._wire.send(json.dumps({"event": "clear", "streamSid": self._stream_sid}))
            self._playout.cleared()
        for utterance in self._utterances:
            utterance.text = utterance.text[: utterance.heard(heard_ms, sent_ms)]
            utterance.end_ms = heard_ms if utterance.end_ms is None else min(heard_ms, utterance.end_ms)
        self._utterances.append(_Utterance(self.sent_ms, told_at_ms=self.sent_ms))
        self._held = deque(held for held in self._held if held.at_ms <= heard_ms or not held.frame.interruptible)
        self._news.set()

    def _mark_the_end(self) -> None:
        if self._playout.unmarked:
            self._send_mark(self._playout.mark())

    def _send_mark(self, name: str) -> None:
        self._wire.send(json.dumps({"event": "mark", "streamSid": self._stream_sid, "mark": {"name": name}}))

    # --- as it is heard ----------------------------------------------------------------------------

    async def _release(self) -> None:
        """Let go on what has been heard, in order: words by the clock, frames when a mark has proven it."""
        while True:
            await self._news.wait()
            self._news.clear()
            if self._playout.playing:
                await self._speaks(True)
            while self._held and self._held[0].at_ms <= self._playout.proven_ms:
                held = self._held.popleft()
                await self._tell_words(held.at_ms)
                await self.push_frame(held.frame)
                if isinstance(held.frame, TTSStoppedFrame) and not self._playout.playing:
                    await self._speaks(False)
            await self._tell_words(self.heard_ms)

    async def _tell_words(self, up_to_ms: float) -> None:
        """Let the words go on that were heard, some at a time."""
        while True:
            utterance = self._utterances[0]
            over = utterance.end_ms is not None and utterance.end_ms <= up_to_ms
            if over or up_to_ms - utterance.told_at_ms >= WORDS_EVERY_MS:
                heard = utterance.heard(up_to_ms, self.sent_ms)
                text = utterance.text[utterance.told : heard]
                utterance.told, utterance.told_at_ms = heard, up_to_ms
                if text:
                    frame = TTSTextFrame(text, TextType.SENTENCE)
                    frame.includes_inter_frame_spaces = True
                    await self.push_frame(frame)
                    self._on_words(text)
            if not over or len(self._utterances) == 1:
                return
            self._utterances.popleft()

    async def _speaks(self, speaking: bool) -> None:
        if speaking is self._speaking:
            return
        self._speaking = speaking
        await self.broadcast_frame(BotStartedSpeakingFrame if speaking else BotStoppedSpeakingFrame)
