"""What every pipeline says, whatever its leg is: whom the model plays, what it can look up, who takes over from it."""

import audioop
import wave
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, StringConstraints, ValidationInfo, field_validator

from pipelines.changes import Change, LanguageCode
from pipelines.problems import listed, refusal
from pipelines.section import Section, Text
from pipelines.tool_paths import find_tool

FOLDER = Path(__file__).parent
"""Where a pipeline that is named without a path is looked for."""


ChangeName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
"""A name that a model can say exactly."""


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


class PipelineConfig(Section):
    """A pipeline, but for what its kind of leg takes."""

    language: LanguageCode | None = None
    """The language of most callers, as its ISO 639-1 code. Without it, the model finds out."""

    instructions: Text
    """What the model is told about its job. Say who it is, what it may do, and when to hand off."""

    greeting: Text | None = None
    """The first sentence of every call; without it the model thinks of one."""

    filler: Annotated[Path, AfterValidator(_recording)] = FOLDER / "one_moment.wav"
    """What the caller hears while a broken session is replaced: a WAV file of 8 kHz, one channel, 16 bits."""

    tools: tuple[Annotated[str, AfterValidator(_tool)], ...] = ()
    """Async functions that the model may call, as dotted paths."""

    tool_seconds: float = Field(default=8.0, ge=0.1, le=120)
    """How long one call of a tool may take before the model is told that it failed. Seconds."""

    fallback: tuple[Text, ...] = ()
    """Pipelines that take over in mid-call when this one's model is gone, in order."""

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
    def named_changes(self) -> Mapping[str, Change]:
        """What the model may change in mid-call, by name; each kind of leg has a `changes` of its own."""
        return getattr(self, "changes", {})

    def changed(self, name: str) -> Self:
        """The pipeline after a change; itself for a name that it does not know."""
        change = self.named_changes.get(name)
        if change is None:
            return self
        instructions = "\n\n".join(part for part in (self.instructions, change.instructions) if part)
        update = {"instructions": instructions, "language": change.language or self.language}
        return self.model_copy(update={**update, **self._beside(change)})

    def _beside(self, change: Any) -> dict[str, Any]:
        """What a change leads to in this kind of leg alone."""
        return {}

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
