"""Facts that nobody told: Twilio was asked for them. Pure."""

from dataclasses import dataclass

from bot.events import Event


@dataclass(frozen=True, slots=True)
class Leg:
    """A call to a person, as Twilio knows it. Times are Unix seconds, whole ones."""

    sid: str
    to: str
    status: str
    """Twilio's: `in-progress`, `completed`, `busy`, `no-answer`, `failed` or `canceled`."""

    created_at: float
    answered_at: float | None
    ended_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled(Event):
    """What became of a call that is over."""

    ended_at: float | None
    """When it ended, in whole Unix seconds."""

    legs: tuple[Leg, ...] = ()
    """The people who were rung for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonStays(Event):
    """The leg of a person who was to be let go of still lives."""

    attempt: int
