"""The leg in three parts: a service that transcribes, a model that writes, and a service that speaks.

All three are Pipecat's, whichever they are. Each of the model's answers is a request of its own, so a "new session" is
the same question asked again, with the conversation and how to go on.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    FunctionCallsStartedFrame,
    InterimTranscriptionFrame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMMessagesAppendFrame,
    LLMTextFrame,
    LLMUpdateSettingsFrame,
    OutputAudioRawFrame,
    STTUpdateSettingsFrame,
    TranscriptionFrame,
    TTSUpdateSettingsFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext, LLMContextMessage
from pipecat.processors.aggregators.llm_response_universal import LLMUserAggregatorParams
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from pipelines.config import PipelineConfig
from pipelines.frame_config import CascadeConfig
from pipelines.frame_leg import FrameLeg, Tap
from pipelines.legs import FIRST_SIGN_SECONDS
from pipelines.services import delta

RENEWAL_SECONDS = 3.5
"""How long it may take until the model speaks when it is asked once more."""

HEARING_SECONDS = 5.0
"""How long the words of a caller who has clearly spoken may take."""

CLEARLY_SECONDS = 0.6
"""A voice that lasted so long was no cough."""


@dataclass
class StartAgain(InterruptionFrame):
    """What a broken answer left behind is dropped; the caller's line is not cleared."""


class CascadeLeg(FrameLeg):
    """A `Leg` of three services."""

    def __init__(
        self,
        hearing: FrameProcessor,
        model: FrameProcessor,
        speaking: FrameProcessor,
        *,
        turns: Callable[[], LLMUserAggregatorParams],
    ) -> None:
        """Put the taps between the services.

        Args:
            hearing: Makes words of sound.
            model: Answers in words.
            speaking: Makes sound of words.
            turns: How the caller's turns are noticed.
        """
        super().__init__(model, turns=turns)
        self._hearing = hearing
        self._speaking = speaking
        self._words_in = Tap("LegWordsIn", self._transcribed)
        self._words_out = Tap("LegWordsOut", self._written)
        self._voice_since: float | None = None
        self._words_due_since: float | None = None
        self._answering: asyncio.Future[None] | None = None
        self._began = False
        """An answer's beginning has gone by since the model was asked once more."""

        self._dropped = asyncio.Event()
        """The model has let go of the answer that it was at."""

        self._broken = False
        """The model's latest answer ended with an error: what came of it is still being spoken."""

    @property
    def ears(self) -> Sequence[FrameProcessor]:
        """See `Leg`."""
        return (self._ear, self._hearing, self._words_in)

    @property
    def stages(self) -> Sequence[FrameProcessor]:
        """See `Leg`."""
        return (self._cue, self._model, self._words_out, self._speaking, self._mouth)

    @property
    def overdue(self) -> str | None:
        """See `Leg`."""
        since = self._words_due_since
        if since is not None and time.monotonic() - since > HEARING_SECONDS:
            self._words_due_since = None
            return f"no words of what the caller said for {HEARING_SECONDS:.0f} s"
        return super().overdue

    @property
    def resting(self) -> bool:
        """See `Leg`."""
        return super().resting and self._words_due_since is None

    async def _append(self, message: LLMContextMessage, *, answer: bool = True) -> None:
        """The user's turn adds it to the context and has the model answer, unless it is only to know."""
        append = LLMMessagesAppendFrame([message], run_llm=answer)
        await self._cue.push_frame(append, FrameDirection.UPSTREAM)

    async def adjust(self, config: PipelineConfig, instruction: str) -> None:
        """See `Leg`. Each service takes its part when it has done what was asked of it before."""
        if isinstance(config, CascadeConfig):
            language = {"language": config.language} if config.language else {}
            if (changed := delta(self._hearing, **{**language, **config.stt.settings})) is not None:
                await self._hearing.queue_frame(STTUpdateSettingsFrame(delta=changed))
            if (changed := delta(self._speaking, **{**language, **config.tts.settings})) is not None:
                await self._speaking.queue_frame(TTSUpdateSettingsFrame(delta=changed))
            if (changed := delta(self._model, **config.llm.settings)) is not None:
                await self._model.queue_frame(LLMUpdateSettingsFrame(delta=changed))
        await super().adjust(config, instruction)

    async def renew(self, instruction: str | None) -> None:
        """See `Leg`. Ends when the model speaks again.

        Raises:
            OSError: It does not.
        """
        if instruction is None or self._context is None:
            return
        if instruction:
            self._context.add_message({"role": "developer", "content": instruction})
        self._answering = asyncio.get_running_loop().create_future()
        self._began = False
        self._dropped.clear()
        try:
            await self._model.queue_frame(StartAgain())
            await asyncio.wait_for(self._dropped.wait(), RENEWAL_SECONDS)  # it drops what is queued behind it as well
            await self._cue.queue_frame(LLMContextFrame(self._context))
            async with asyncio.timeout(RENEWAL_SECONDS):
                await self._answering
        finally:
            self._answering = None

    # --- what goes by ------------------------------------------------------------------------------

    def _from_caller(self, frame: Frame, direction: FrameDirection) -> bool:
        match frame:
            case VADUserStartedSpeakingFrame() if direction is FrameDirection.UPSTREAM:
                self._voice_since, self._words_due_since = time.monotonic(), None
            case VADUserStoppedSpeakingFrame() if direction is FrameDirection.UPSTREAM:
                now = time.monotonic()
                if self._hears and self._voice_since is not None and now - self._voice_since > CLEARLY_SECONDS:
                    self._words_due_since = now
            case ErrorFrame() if frame.processor is self._hearing:
                self._words_due_since = None
            case _:
                pass
        return super()._from_caller(frame, direction)

    def _transcribed(self, frame: Frame, direction: FrameDirection) -> bool:
        """Right behind the service that hears."""
        if isinstance(frame, TranscriptionFrame | InterimTranscriptionFrame):
            self._voice_since = self._words_due_since = None
        return True

    def _to_model(self, frame: Frame, direction: FrameDirection) -> bool:
        if isinstance(frame, ErrorFrame) and frame.processor is self._speaking:
            self._failed(frame.error)
        return super()._to_model(frame, direction)

    def _written(self, frame: Frame, direction: FrameDirection) -> bool:
        """Between the model and the service that speaks."""
        match frame:
            case LLMTextFrame():
                self.unspoken += frame.text
                self._sign_of_life(FIRST_SIGN_SECONDS)  # its sound is due
            case StartAgain():
                self._dropped.set()
                stuck = not self._broken and self.waiting_seconds > FIRST_SIGN_SECONDS
                return stuck  # a service that does not speak any more is to let go of what it has
            case _:
                pass
        return True

    def _to_caller(self, frame: Frame, direction: FrameDirection) -> bool:
        match frame:
            case StartAgain():
                return False
            case OutputAudioRawFrame() | FunctionCallsStartedFrame():
                self._answers()
            case LLMFullResponseStartFrame():
                self._began = True
            case LLMFullResponseEndFrame() if self._began:  # not the end of the one that was dropped
                self._does_not_answer("the model's answer has no sound")
            case _:
                pass
        return super()._to_caller(frame, direction)

    def _answer_is_due(self, context: LLMContext) -> None:
        self._broken = False
        super()._answer_is_due(context)

    def _answers(self) -> None:
        if self._answering is not None and not self._answering.done():
            self._answering.set_result(None)

    def _failed(self, fault: str) -> None:
        super()._failed(fault)
        self._broken = True
        self._does_not_answer(fault)

    def _does_not_answer(self, fault: str) -> None:
        if self._answering is not None and not self._answering.done():
            self._answering.set_exception(OSError(fault))
