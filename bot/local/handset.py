"""The caller's end as a Pipecat pipeline: a page's or an eval's transport, RTVI, and a telephone between them.

transport in ▸ Handset ▸ transport out

It lives as long as the call. The bot's own pipeline is another one, made anew for each media stream, as in a real call;
what happens in it is mirrored here, so that RTVI tells the client of it.
"""

from collections.abc import Callable
from typing import Protocol

from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    ExternalFunctionCallInProgressFrame,
    ExternalFunctionCallResultFrame,
    Frame,
    FunctionCallInProgressFrame,
    FunctionCallResultFrame,
    InputAudioRawFrame,
    InputDTMFFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMMessagesAppendFrame,
    LLMTextFrame,
    TranscriptionFrame,
    TTSTextFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.utils.text.base_text_aggregator import TextType

from bot.speech import TwilioOutput


class Caller(Protocol):
    """What comes from the caller."""

    def speak(self, pcm: bytes) -> None:
        """Sound: 16-bit samples of 8 kHz."""

    def write(self, text: str) -> None:
        """What they type instead of saying it."""

    def press(self, digit: str) -> None:
        """A key."""


class Handset(FrameProcessor):
    """Between a client and the call."""

    def __init__(self, caller: Caller) -> None:
        """Args: caller: gets what the client sends."""
        super().__init__()
        self._caller = caller

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Take what the caller says, types and presses; everything else passes."""
        await super().process_frame(frame, direction)
        match frame:
            case InputAudioRawFrame():
                self._caller.speak(frame.audio)
            case LLMMessagesAppendFrame():
                for message in frame.messages:
                    if isinstance(message, dict) and isinstance(text := message.get("content"), str):
                        self._caller.write(text)
            case InputDTMFFrame() if direction is FrameDirection.DOWNSTREAM:
                self._caller.press(frame.button.value)
            case _:
                await self.push_frame(frame, direction)


class Mirror(BaseObserver):
    """Watches the bot's pipeline, and shows the handset's what a client is told of."""

    def __init__(self, show: Callable[[Frame], None]) -> None:
        """Args: show: takes frames of the handset's pipeline."""
        super().__init__()
        self._show = show

    async def on_push_frame(self, data: FramePushed) -> None:
        """See `BaseObserver`."""
        frame = data.frame
        if isinstance(frame, TranscriptionFrame) and data.first_push:
            self._show(TranscriptionFrame(frame.text, "caller", frame.timestamp, finalized=True))
        if data.direction is not FrameDirection.DOWNSTREAM:
            return
        heard = isinstance(data.source, TwilioOutput)  # there words and ends come as the caller hears them
        match frame:
            case LLMFullResponseStartFrame() if heard:
                self._show(LLMFullResponseStartFrame())
            case LLMFullResponseEndFrame() if heard:
                self._show(LLMFullResponseEndFrame())
            case TTSTextFrame() if heard:
                self._show(LLMTextFrame(frame.text))
                said = TTSTextFrame(frame.text, TextType.SENTENCE)
                said.includes_inter_frame_spaces = True
                self._show(said)
            case BotStartedSpeakingFrame() if heard:
                self._show(BotStartedSpeakingFrame())
            case BotStoppedSpeakingFrame() if heard:
                self._show(BotStoppedSpeakingFrame())
            case UserStartedSpeakingFrame() if data.first_push:
                self._show(UserStartedSpeakingFrame())
            case UserStoppedSpeakingFrame() if data.first_push:
                self._show(UserStoppedSpeakingFrame())
            case FunctionCallInProgressFrame() if data.first_push:
                call = (frame.function_name, frame.tool_call_id, frame.arguments)
                self._show(ExternalFunctionCallInProgressFrame(*call))
            case FunctionCallResultFrame() if data.first_push:
                call = (frame.function_name, frame.tool_call_id, frame.arguments)
                self._show(ExternalFunctionCallResultFrame(*call, frame.result))
            case _:
                pass
