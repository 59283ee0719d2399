"""What is recorded of a call: the operator's rules, and the recordings as the call knows them. Pure."""

from dataclasses import dataclass
from enum import StrEnum


class Part(StrEnum):
    """Of what a recording is."""

    BOT = "bot"
    """The caller and the bot."""

    PERSON = "person"
    """The caller and a person."""


@dataclass(frozen=True, slots=True)
class RecordingRules:
    """Which parts of a call are recorded, and what callers are told of it."""

    bot: bool = False
    person: bool = False
    announcement: str = ""
    """What callers are told before anything else, of whatever part; empty where they are told elsewhere."""

    language: str = "en"
    """Of the announcement: one of `bot.phrases.LANGUAGES`."""


UNRECORDED = RecordingRules()


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording at Twilio, from the order on, or from when Twilio told of it."""

    part: Part
    at: float
    """When it was ordered or, where no order of ours began it, told. Unix seconds, as all times here."""

    leg: int = 0
    """Of the bot's part: which media stream of the call, from 1."""

    attempt: int = 0
    """Of a person's part: which attempt of the call, from 1; 0 for the failsafe target in the document that Twilio
    holds."""

    url: str = ""
    """Its address at Twilio, without an ending, as soon as it is known."""

    began_at: float | None = None
    left_at: float | None = None
    """When it was to end, the call going on: the caller left whoever they were with."""

    seconds: int | None = None
    """How long it is, as soon as it is ready to be heard."""

    failed: bool = False
    """Twilio did not take the order."""

    overran: bool = False
    """It was still running when the caller had left whoever they were with."""

    @property
    def ready(self) -> bool:
        """Whether it can be heard: it is complete, and has not been deleted."""
        return self.seconds is not None and bool(self.url)
