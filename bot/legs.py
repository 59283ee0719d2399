"""What Twilio knows, asked afterwards, of one person who was called. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Leg:
    """A call to a person. Times are Unix seconds, whole ones."""

    sid: str
    to: str
    status: str
    """Twilio's: `in-progress`, `completed`, `busy`, `no-answer`, `failed` or `canceled`."""

    created_at: float
    answered_at: float | None
    ended_at: float | None
