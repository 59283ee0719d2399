"""The settings of a leg on OpenAI's Realtime API."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from openai.types.realtime import RealtimeServerEvent
from pydantic import AfterValidator, Field

from pipelines.changes import RealtimeChange
from pipelines.config import ChangeName, PipelineConfig
from pipelines.problems import guess, refusal
from pipelines.section import Section, Text

Voice = Literal["alloy", "ash", "ballad", "cedar", "coral", "echo", "marin", "sage", "shimmer", "verse"]
"""The built-in voices (OpenAI: Realtime sessions, `audio.output.voice`)."""


def _known_events() -> frozenset[str]:
    """The types of event that OpenAI's library knows a Realtime server to send."""
    union: Any = RealtimeServerEvent
    variants = union.__origin__.__args__
    return frozenset(variant.model_fields["type"].annotation.__args__[0] for variant in variants)


MODEL_EVENTS = _known_events()


def _event(name: str) -> str:
    if name not in MODEL_EVENTS:
        remedy = guess(name, MODEL_EVENTS) or "name one such as `response.done`"
        raise refusal(f"is `{name}`, which is no event of the model", remedy)
    return name


def _address(url: str) -> str:
    if urlsplit(url).scheme not in ("ws", "wss") or not urlsplit(url).hostname or "?" in url:
        raise refusal(f"is `{url}`", "write an address without a query, such as wss://api.openai.com/v1/realtime")
    return url


def is_here(url: str | None) -> bool:
    """Whether an address is one of this machine's."""
    return url is not None and urlsplit(url).hostname in ("127.0.0.1", "::1", "localhost")


class ServerVad(Section):
    """The model takes silence for the end of the caller's turn."""

    type: Literal["server_vad"] = "server_vad"

    threshold: float = Field(default=0.5, ge=0.0, le=1.0)
    """How loud speech must be, from 0 to 1. Higher suits noisy lines."""

    prefix_padding_ms: int = Field(default=300, ge=0, le=5000)
    """How much audio from before the speech is kept with it. Milliseconds."""

    silence_duration_ms: int = Field(default=500, ge=50, le=10_000)
    """How long a silence ends the turn. Milliseconds."""


class SemanticVad(Section):
    """The model judges by the words whether the caller has finished."""

    type: Literal["semantic_vad"]

    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    """How soon the model takes its turn. `low` lets the caller think for longest."""


class Transcription(Section):
    """How the caller's words are written down: for the record, and for a bot that takes over."""

    model: Text = "gpt-realtime-whisper"


class Log(Section):
    """What is logged at INFO beyond the course of the call. Never what is said."""

    events: tuple[Annotated[str, AfterValidator(_event)], ...] = ()
    """Types of events from the model, e.g. `response.done`."""

    timing: bool = False
    """Whether the arithmetic of an interruption is shown: what was played, what was heard."""


class VoiceChange(RealtimeChange):
    """A change. Another voice takes a new session, which goes on with the conversation."""

    voice: Voice | None = None
    """The voice from then on."""


class RealtimeConfig(PipelineConfig):
    """A speech-to-speech model on OpenAI's Realtime API: the telephone's own sound goes straight to it and back."""

    leg: Literal["openai_realtime"] = "openai_realtime"
    """What kind of model leg this is."""

    url: Annotated[str, AfterValidator(_address)] | None = None
    """The Realtime API's address without a query; by default OPENAI_REALTIME_URL. On this machine, any key will do."""

    model: Text = "gpt-realtime-2.1"
    """The speech-to-speech model."""

    voice: Voice = "marin"
    """The bot's voice."""

    turn_detection: Annotated[ServerVad | SemanticVad, Field(discriminator="type")] = ServerVad()
    """How the model notices that the caller has finished."""

    transcription: Transcription = Transcription()

    noise_reduction: Literal["near_field", "far_field"] | None = None
    """`near_field` for callers with a phone at the ear, `far_field` for a speakerphone."""

    audio: Literal["pcmu", "pcm"] = "pcmu"
    """How sound travels to the model: `pcmu` as the telephone has it, `pcm` at 24 kHz for models that want that."""

    speed: float = Field(default=1.0, ge=0.25, le=1.5)
    """How fast the bot speaks; 1 is normal."""

    log: Log = Log()

    changes: Mapping[ChangeName, VoiceChange] = Field(default={})
    """What the model may change in mid-call, by name: its language, its voice, how fast it speaks."""

    def _beside(self, change: VoiceChange) -> dict[str, Any]:
        return {"voice": change.voice or self.voice, "speed": change.speed or self.speed}
