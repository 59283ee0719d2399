"""`voicemail:` in `handoff.yaml` → `Voicemail`: read and checked."""

from typing import Annotated

from pydantic import Field

from bot.voicemail import Voicemail
from pipelines.section import Section, Text


class VoicemailEntry(Section):
    """The recorder at the end of the road."""

    greeting: Annotated[Text, Field(max_length=1000)] = (
        "Nobody can take your call right now. Please leave a message after the tone."
    )
    """What is said before the tone."""

    max_seconds: int = Field(default=120, ge=5, le=3600)
    """The longest message. Seconds."""

    transcribe: bool = False
    """Whether a model of OpenAI's writes messages down. It needs OPENAI_API_KEY."""

    transcribe_model: Annotated[Text, Field(max_length=100)] = "gpt-4o-mini-transcribe"
    """Which one."""

    def voicemail(self) -> Voicemail:
        """It as the law knows it."""
        return Voicemail(self.greeting, self.max_seconds, self.transcribe_model if self.transcribe else None)
