"""What a model may change in mid-call: its language, its voice, its settings, and whom callers reach from then on.

Each change has a name, which is all that the model says. What it leads to is the operator's.
"""

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from pipelines.problems import refusal
from pipelines.section import Section, Text


def language_code(code: str) -> str:
    """Check a language's code.

    Raises:
        PydanticCustomError: It is none.
    """
    if not (code.isascii() and code.isalpha() and code.islower() and len(code) == 2):
        remedy = "write the language's ISO 639-1 code, two small letters, e.g. `en`"
        raise refusal(f"is `{code}`, which is no language code", remedy)
    return code


LanguageCode = Annotated[str, AfterValidator(language_code)]


class Change(Section):
    """One change, but for what its kind of leg can change besides."""

    when: Text
    """When the model shall make it, e.g. `The caller speaks Spanish.`"""

    language: LanguageCode | None = None
    """The language to speak from then on, as its ISO 639-1 code."""

    instructions: Text | None = None
    """What the model is told besides, from then on."""

    targets: dict[str, str] = Field(default={})
    """Whom callers reach from then on: by the target that the model names, the one that is rung instead."""


class RealtimeChange(Change):
    """A change on OpenAI's Realtime API, but for the voice."""

    speed: float | None = Field(default=None, ge=0.25, le=1.5)
    """How fast the bot speaks from then on; 1 is normal."""


class CascadeChange(Change):
    """A change of a cascade."""

    voice: Text | None = None
    """The voice of the service that speaks, from then on."""

    stt: dict[str, Any] = Field(default={})
    """Settings of the service that transcribes."""

    llm: dict[str, Any] = Field(default={})
    """Settings of the model."""

    tts: dict[str, Any] = Field(default={})
    """Settings of the service that speaks."""
