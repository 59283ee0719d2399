"""What people do with a call beyond being rung and taking it or not; see `bot/events.py`."""

from dataclasses import dataclass

from bot.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsultationStarted(Event):
    """The person's own media stream has begun, with the right token: they talk with the bot before they decide."""

    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsultationEnded(Event):
    """That stream is over, or never came (Twilio: it goes on with the document that opened it)."""

    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IntroductionEnded(Event):
    """The introduction of the two is over (Twilio: a conference's `announcement-end` and `announcement-fail`)."""

    attempt: int
    said: bool
    """They heard it; otherwise Twilio did not take the order, or failed with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisorJoined(Event):
    """Somebody at the console begins to talk with the caller, in the bot's place."""

    who: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisorLeft(Event):
    """They cease to, or their browser is gone."""

    join: int
    """Which `Call.joins` it was, from 1."""
