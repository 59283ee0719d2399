"""A leg whose processors take the caller's audio as frames: what every such leg has in common.

Pipecat's services are used as they are. What a call needs to know of them is read off the frames that go by, at *taps*
between them: when an answer is due and what has come of it, what is about to be said, how many tokens were used.
"""

import time
from collections.abc import Callable, Sequence

import aiohttp
from openai import AsyncOpenAI
from pipecat.frames.frames import (
    AggregatedTextFrame,
    ErrorFrame,
    Frame,
    FunctionCallsStartedFrame,
    InputAudioRawFrame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMMessagesAppendFrame,
    LLMTextFrame,
    LLMUpdateSettingsFrame,
    MetricsFrame,
    OutputAudioRawFrame,
    TTSTextFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.metrics.metrics import LLMUsageMetricsData
from pipecat.processors.aggregators.llm_context import LLMContext, LLMContextMessage
from pipecat.processors.aggregators.llm_response_universal import LLMUserAggregatorParams
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from pipelines.config import PipelineConfig
from pipelines.legs import FIRST_SIGN_SECONDS, PROGRESS_SECONDS, Earpiece
from pipelines.services import delta
from pipelines.usage import Usage


class Tap(FrameProcessor):
    """Shows every frame that goes by; those that it is told to keep go no further."""

    def __init__(self, name: str, shows: Callable[[Frame, FrameDirection], bool]) -> None:
        """Stand between two processors.

        Args:
            name: For the log.
            shows: Told of each frame; False keeps it.
        """
        super().__init__(name=name)
        self._shows = shows

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Show it."""
        await super().process_frame(frame, direction)
        if self._shows(frame, direction):
            await self.push_frame(frame, direction)


class FrameLeg:
    """A `Leg` of processors that take frames, but for what those processors are."""

    takes_frames = True
    """See `Leg`."""

    ends_soon = False
    """See `Leg`. Nothing is known of an end."""

    def __init__(self, model: FrameProcessor, *, turns: Callable[[], LLMUserAggregatorParams]) -> None:
        """Put the taps around the model.

        Args:
            model: What takes the context and answers.
            turns: How the caller's turns are noticed.
        """
        self._model = model
        self._turns = turns
        self._ear = Tap("LegEar", self._from_caller)
        self._cue = Tap("LegCue", self._to_model)
        self._mouth = Tap("LegMouth", self._to_caller)
        self._earpiece: Earpiece | None = None
        self._context: LLMContext | None = None
        self._hears = True
        self._caller_speaks = False
        self._announces = False
        """The words of this answer come before their sound, so that those behind it count for nothing."""

        self._due_since: float | None = None
        self._patience = FIRST_SIGN_SECONDS
        self._calls = 0
        self.unspoken = ""
        """See `Leg`."""

        self.usage = Usage()
        """See `Leg`."""

    # --- Leg ---------------------------------------------------------------------------------------

    @property
    def ears(self) -> Sequence[FrameProcessor]:
        """See `Leg`."""
        return (self._ear,)

    @property
    def stages(self) -> Sequence[FrameProcessor]:
        """See `Leg`."""
        return (self._cue, self._model, self._mouth)

    @property
    def user_turns(self) -> LLMUserAggregatorParams:
        """See `Leg`."""
        return self._turns()

    async def open(self) -> None:
        """See `Leg`. The services connect when the pipeline starts."""

    async def close(self) -> None:
        """See `Leg`. Pipecat's services leave their HTTP clients to whoever made them."""
        for service in (*self.ears, *self.stages):
            for held in vars(service).values():
                if isinstance(held, aiohttp.ClientSession | AsyncOpenAI):
                    await held.close()

    def speak_to(self, earpiece: Earpiece) -> None:
        """See `Leg`."""
        self._earpiece = earpiece

    def hear(self, payload: str) -> None:
        """See `Leg`. Its audio comes in frames."""

    def listen(self, on: bool) -> None:
        """See `Leg`. Silence takes the place of what is not to be heard: services count on audio that comes."""
        self._hears = on

    @property
    def waiting_seconds(self) -> float:
        """See `Leg`."""
        return 0.0 if self._due_since is None else time.monotonic() - self._due_since

    @property
    def overdue(self) -> str | None:
        """See `Leg`."""
        if self.waiting_seconds > self._patience:
            return f"no answer for {self._patience:.0f} s"
        return None

    def want_sign(self) -> None:
        """See `Leg`. There is no question that every service answers."""

    @property
    def resting(self) -> bool:
        """See `Leg`."""
        return self._due_since is None and not self._caller_speaks

    async def renew(self, instruction: str | None) -> None:
        """See `Leg`."""
        raise OSError(f"{type(self._model).__name__} knows no new session with the conversation so far")

    async def adjust(self, config: PipelineConfig, instruction: str) -> None:
        """See `Leg`."""
        if (changed := delta(self._model, system_instruction=config.system_instruction)) is not None:
            await self._model.queue_frame(LLMUpdateSettingsFrame(delta=changed))
        await self.prompt(instruction)

    async def prompt(self, instruction: str) -> None:
        """See `Leg`."""
        await self._append({"role": "developer", "content": instruction})

    async def write(self, text: str) -> None:
        """See `Leg`."""
        await self._append({"role": "user", "content": text})

    async def note(self, text: str) -> None:
        """See `Leg`."""
        await self._append({"role": "developer", "content": text}, answer=False)

    async def _append(self, message: LLMContextMessage, *, answer: bool = True) -> None:
        """Have the model take a message. Most speech-to-speech services do when it is queued on themselves."""
        await self._model.queue_frame(LLMMessagesAppendFrame([message], run_llm=answer))

    # --- what goes by ------------------------------------------------------------------------------

    def _from_caller(self, frame: Frame, direction: FrameDirection) -> bool:
        """Before everything else of the leg."""
        if isinstance(frame, InputAudioRawFrame) and not self._hears:
            frame.audio = bytes(len(frame.audio))
        return True

    def _to_model(self, frame: Frame, direction: FrameDirection) -> bool:
        """Right before the model."""
        match frame:
            case LLMContextFrame():
                self._answer_is_due(frame.context)
            case UserStartedSpeakingFrame():
                self._caller_speaks = True
            case UserStoppedSpeakingFrame():
                self._caller_speaks = False
            case InterruptionFrame():
                self._nothing_is_due()
            case ErrorFrame() if frame.processor is self._model:
                self._failed(frame.error)
            case _:
                pass
        return True

    def _to_caller(self, frame: Frame, direction: FrameDirection) -> bool:
        """Right behind the last processor of the leg; from there, the results of tools come back."""
        match frame:
            case LLMContextFrame():
                self._answer_is_due(frame.context)
            case LLMFullResponseStartFrame():
                self._announces = False
            case OutputAudioRawFrame():
                self._sign_of_life()
            case FunctionCallsStartedFrame():
                self._sign_of_life()
            case LLMFullResponseEndFrame():
                self._nothing_is_due()
            case MetricsFrame():
                for data in frame.data:
                    if isinstance(data, LLMUsageMetricsData):
                        self.usage.add_metrics(data.model or data.processor, data.value)
            case TTSTextFrame():
                if not self._announces:
                    self._say(frame.text, spaced=frame.includes_inter_frame_spaces)
                return False  # the output tells the words as they are heard
            case AggregatedTextFrame():
                if frame.will_be_spoken:
                    self._announces = True
                    self._say(frame.text, spaced=False)
                return False
            case LLMTextFrame():
                return False
            case _:
                pass
        return True

    def _say(self, text: str, *, spaced: bool) -> None:
        self.unspoken = self.unspoken.lstrip().removeprefix(text.strip())
        if self._earpiece is not None:
            self._earpiece.words(text if spaced else f"{text.rstrip()} ")

    def _answer_is_due(self, context: LLMContext) -> None:
        self._context = context
        self._due_since, self._patience = time.monotonic(), FIRST_SIGN_SECONDS

    def _sign_of_life(self, patience: float = PROGRESS_SECONDS) -> None:
        if self._due_since is not None:
            self._due_since, self._patience = time.monotonic(), patience

    def _nothing_is_due(self) -> None:
        self._due_since = None
        self.unspoken = ""

    def _failed(self, fault: str) -> None:
        self._due_since = None
