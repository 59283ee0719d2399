"""`recording:` in `handoff.yaml` → `RecordingRules`: read and checked."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from bot.queue_entry import spoken
from bot.recorded import RecordingRules
from pipelines.problems import refusal
from pipelines.section import Section


class RecordingEntry(Section):
    """What is recorded of a call. Without this part, nothing."""

    mode: Literal["off", "bot", "person", "both"] = "off"
    """Which part of a call: with the bot, with a person, or both."""

    announcement: Annotated[str, Field(max_length=300)] = ""
    """What callers are told of it before anything else, e.g. `This call is recorded.`"""

    announced_elsewhere: bool = False
    """Callers are told of it before the call gets here."""

    language: Annotated[str, AfterValidator(spoken)] = "en"
    """In which language the announcement is."""

    @model_validator(mode="after")
    def _is_announced(self) -> "RecordingEntry":
        told = bool(self.announcement.strip())
        if self.mode == "off" and (told or self.announced_elsewhere):
            raise refusal("is announced and records nothing", "add `mode: both`, or leave `recording` out")
        if self.mode != "off" and not told and not self.announced_elsewhere:
            remedy = "add `announcement: This call is recorded.`, or `announced_elsewhere: true` where callers know"
            raise refusal("records callers and does not tell them", remedy)
        if told and self.announced_elsewhere:
            raise refusal("is announced here and elsewhere", "leave out `announcement` or `announced_elsewhere`")
        return self

    def rules(self) -> RecordingRules:
        """It as the law knows it."""
        return RecordingRules(
            bot=self.mode in ("bot", "both"),
            person=self.mode in ("person", "both"),
            announcement=self.announcement.strip(),
            language=self.language,
        )
