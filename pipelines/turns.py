"""How it is noticed that the caller begins and has finished: by the model itself, or by listening on our side."""

import audioop
from typing import Annotated, Literal

from pipecat.audio.vad.vad_analyzer import VADAnalyzer, VADParams
from pipecat.processors.aggregators.llm_response_universal import LLMUserAggregatorParams
from pipecat.turns.user_start import TranscriptionUserTurnStartStrategy, VADUserTurnStartStrategy
from pipecat.turns.user_stop import (
    BaseUserTurnStopStrategy,
    ExternalUserTurnStopStrategy,
    SpeechTimeoutUserTurnStopStrategy,
    TurnAnalyzerUserTurnStopStrategy,
)
from pipecat.turns.user_turn_strategies import ExternalUserTurnStrategies, UserTurnStrategies
from pydantic import Field

from pipelines.section import Section

LINE_HZ = 8000
FRAME_SECONDS = 0.02


class Listening(Section):
    """Our side listens for the caller's voice."""

    detector: Literal["silero", "loudness"] = "silero"
    """What hears a voice: `silero` is a small neural network; `loudness` takes anything loud for one, for clean lines
    and for tests."""

    confidence: float = Field(default=0.7, ge=0.0, le=1.0)
    """How sure the detector must be, from 0 to 1; with `loudness`, how loud speech must be."""

    start_seconds: float = Field(default=0.2, ge=0.02, le=2.0)
    """How long a voice must be heard until it counts: longer is deaf to coughs, and slower to stop the bot. Seconds."""

    stop_seconds: float = Field(default=0.2, ge=0.1, le=2.0)
    """How long it must be silent until the voice is taken to have paused. Seconds."""


class Silence(Listening):
    """A silence ends the caller's turn."""

    type: Literal["silence"] = "silence"

    pause_seconds: float = Field(default=0.5, ge=0.0, le=10.0)
    """How long the caller may pause, beyond `stop_seconds`, before it is the bot's turn. Seconds."""


class SmartTurn(Listening):
    """A neural network on this machine judges by the sound whether the caller has finished (Pipecat's smart-turn)."""

    type: Literal["smart_turn"]


class ByService(Section):
    """The service that transcribes says where turns begin and end. Not every service does."""

    type: Literal["service"]


Turns = Annotated[Silence | SmartTurn | ByService, Field(discriminator="type")]


class Loudness(VADAnalyzer):
    """Takes what is loud for speech: 20 ms at a time, without a network."""

    def __init__(self, *, threshold: float, params: VADParams) -> None:
        """Prepare.

        Args:
            threshold: 0 to 1: a root mean square of -50 dBFS to -20 dBFS.
            params: How long speech must last, and silence.
        """
        super().__init__(params=params)
        self._level = 32768 * 10 ** ((-50 + 30 * threshold) / 20)

    def num_frames_required(self) -> int:
        """See `VADAnalyzer`."""
        return round(self.sample_rate * FRAME_SECONDS)

    def voice_confidence(self, buffer: bytes) -> float:
        """See `VADAnalyzer`."""
        return float(audioop.rms(buffer, 2) > self._level)


def turns_of_the_model() -> LLMUserAggregatorParams:
    """The model hears where the caller's turns begin and end; no turn detector of our own is loaded for each call."""
    strategies = ExternalUserTurnStrategies()
    strategies.stop = [ExternalUserTurnStopStrategy(wait_for_transcript=False)]
    return LLMUserAggregatorParams(user_turn_strategies=strategies)


def turns_by_listening(turns: Silence | SmartTurn | ByService) -> LLMUserAggregatorParams:
    """Our side notices the turns, or takes over what the transcribing service says of them.

    Args:
        turns: The pipeline's settings.
    """
    if isinstance(turns, ByService):
        return LLMUserAggregatorParams()  # the service announces its strategies when it starts
    stop: BaseUserTurnStopStrategy
    if isinstance(turns, SmartTurn):
        from pipecat.audio.turn.smart_turn.local_smart_turn_v3 import LocalSmartTurnAnalyzerV3  # loads onnxruntime

        stop = TurnAnalyzerUserTurnStopStrategy(turn_analyzer=LocalSmartTurnAnalyzerV3())
    else:
        stop = SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=turns.pause_seconds)
    start = [VADUserTurnStartStrategy(), TranscriptionUserTurnStartStrategy()]
    return LLMUserAggregatorParams(
        user_turn_strategies=UserTurnStrategies(start=start, stop=[stop]), vad_analyzer=_detector(turns)
    )


def _detector(turns: Listening) -> VADAnalyzer:
    seconds = {"start_secs": turns.start_seconds, "stop_secs": turns.stop_seconds}
    if turns.detector == "loudness":
        return Loudness(threshold=turns.confidence, params=VADParams(confidence=0.5, min_volume=0.0, **seconds))
    from pipecat.audio.vad.silero import SileroVADAnalyzer  # loads onnxruntime

    return SileroVADAnalyzer(sample_rate=LINE_HZ, params=VADParams(confidence=turns.confidence, **seconds))
