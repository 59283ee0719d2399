"""A pipeline's settings: read from `pipelines/<name>.yaml`, checked before the server starts."""

import audioop
import wave
from base64 import b64encode
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from openai.types.realtime import RealtimeServerEvent
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
)

from pipelines.problems import ConfigurationError, Problem, guess, listed, refusal
from pipelines.tool_paths import find_tool
from pipelines.yaml_file import read_yaml

__all__ = ["ConfigurationError", "PipelineConfig", "Problem", "load"]

FOLDER = Path(__file__).parent
"""Where a pipeline that is named without a path is looked for."""

Voice = Literal["alloy", "ash", "ballad", "cedar", "coral", "echo", "marin", "sage", "shimmer", "verse"]
"""The built-in voices (OpenAI: Realtime sessions, `audio.output.voice`)."""

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


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


def _tool(path: str, info: ValidationInfo) -> str:
    name = find_tool(path).name
    if name in (info.context or {}).get("taken", ()):
        remedy = "give the function another name"
        raise refusal(f"names `{path}`, but every call has a tool `{name}` already", remedy)
    return path


def _recording(path: Path) -> Path:
    remedy = "write the path of a WAV file of 8 kHz, one channel, 16 bits"
    try:
        with wave.open(str(path)) as recording:
            kind = (recording.getframerate(), recording.getnchannels(), recording.getsampwidth())
    except (OSError, EOFError, wave.Error) as error:
        raise refusal(f"is `{path}`, which cannot be read as one", remedy) from error
    if kind != (8000, 1, 2):
        raise refusal(f"is `{path}`, of {kind[0]} Hz, {kind[1]} channels and {8 * kind[2]} bits", remedy)
    return path


def _language(code: str) -> str:
    if not (code.isascii() and code.isalpha() and code.islower() and len(code) == 2):
        remedy = "write the language's ISO 639-1 code, two small letters, e.g. `en`"
        raise refusal(f"is `{code}`, which is no language code", remedy)
    return code


class Section(BaseModel):
    """A group of keys in a file. Its fields' docstrings are what an author is told about them."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


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


class PipelineConfig(Section):
    """A pipeline: the model, how it hears and speaks, what it is told, what it can look up."""

    leg: Literal["openai_realtime"] = "openai_realtime"
    """What kind of model leg this is."""

    model: Text = "gpt-realtime-2.1"
    """The speech-to-speech model."""

    voice: Voice = "marin"
    """The bot's voice."""

    language: Annotated[str, AfterValidator(_language)] | None = None
    """The language of most callers, as its ISO 639-1 code. Without it, the model finds out."""

    instructions: Text
    """What the model is told about its job. Say who it is, what it may do, and when to hand off."""

    greeting: Text | None = None
    """The first sentence of every call; without it the model thinks of one."""

    turn_detection: Annotated[ServerVad | SemanticVad, Field(discriminator="type")] = ServerVad()
    """How the model notices that the caller has finished."""

    transcription: Transcription = Transcription()

    noise_reduction: Literal["near_field", "far_field"] | None = None
    """`near_field` for callers with a phone at the ear, `far_field` for a speakerphone."""

    audio: Literal["pcmu", "pcm"] = "pcmu"
    """How sound travels to the model: `pcmu` as the telephone has it, `pcm` at 24 kHz for models that want that."""

    speed: float = Field(default=1.0, ge=0.25, le=1.5)
    """How fast the bot speaks; 1 is normal."""

    filler: Annotated[Path, AfterValidator(_recording)] = FOLDER / "one_moment.wav"
    """What the caller hears while a broken session is replaced: a WAV file of 8 kHz, one channel, 16 bits."""

    tools: tuple[Annotated[str, AfterValidator(_tool)], ...] = ()
    """Async functions that the model may call, as dotted paths."""

    tool_seconds: float = Field(default=8.0, ge=0.1, le=120)
    """How long one call of a tool may take before the model is told that it failed. Seconds."""

    log: Log = Log()

    @field_validator("tools")
    @classmethod
    def _names_differ(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        names = [path.rpartition(".")[2] for path in paths]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            remedy = "keep one, or rename a function; the model knows a tool by its name alone"
            raise refusal(f"has more than one function named {listed(twice)}", remedy)
        return paths

    @property
    def filler_audio(self) -> str:
        """The filler as µ-law of 8 kHz, in base64."""
        with wave.open(str(self.filler)) as recording:
            return b64encode(audioop.lin2ulaw(recording.readframes(recording.getnframes()), 2)).decode()

    @property
    def system_instruction(self) -> str:
        """The instructions, with the language to speak where one is configured."""
        if self.language is None:
            return self.instructions
        language = f"the language with the ISO 639-1 code `{self.language}`"
        return f"{self.instructions}\n\nSpeak {language} unless the caller asks for another."


def load(name_or_path: str, environ: Mapping[str, str], *, taken: Collection[str] = ()) -> PipelineConfig:
    """Read a pipeline's settings.

    Args:
        name_or_path: The name of a file in `pipelines/` without `.yaml`, or the path of any file.
        environ: What `${NAME}` in the file stands for.
        taken: Names that a business tool cannot have, because every call has a tool of that name.

    Raises:
        ConfigurationError: Everything that is wrong with the file, with lines and remedies.
    """
    file = read_yaml(_path(name_or_path), environ, named_by="PIPELINE")
    return file.parse(PipelineConfig, context={"taken": taken})


def _path(name_or_path: str) -> Path:
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
        return path
    names = sorted(file.stem for file in FOLDER.glob("*.yaml"))
    if name_or_path in names:
        return FOLDER / f"{name_or_path}.yaml"
    remedy = f"{guess(name_or_path, names)} there is: {listed(names)}; a path to a file is fine too"
    what = f"PIPELINE: there is no pipeline `{name_or_path}`"
    raise ConfigurationError([Problem("environment", what, remedy.strip())])
