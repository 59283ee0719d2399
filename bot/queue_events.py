"""What can happen to a caller who waits in a queue: facts, as in `bot/events.py`. Pure."""

from dataclasses import dataclass

from bot.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerWaits(Event):
    """The caller is in the queue (Twilio: `<Enqueue>`, its `waitUrl`, asked for again and again)."""

    attempt: int
    position: int
    """In the queue, from 1."""

    seconds: int
    """How long they have waited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitGivenUp(Event):
    """The caller pressed the key with which they leave the queue."""

    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenFromQueue(Event):
    """A person has taken the caller, and Twilio connects the two (Twilio: `<Queue>`, its `url`)."""

    who: str = ""
    """Their telephone, where we know it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLeft(Event):
    """The caller is no longer in the queue (Twilio: `<Enqueue>`, its `action`)."""

    attempt: int
    result: str
    """`QueueResult`: bridged, leave, hangup, queue-full, error, system-error, redirected, …"""

    seconds: int = 0
    """How long they have waited."""

    caller_gone: bool = False
    code: int | None = None
