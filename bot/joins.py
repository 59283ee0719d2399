"""Supervisors who have talked with a caller in the bot's place, on the call's own media stream. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Join:
    """One stretch of a call that a supervisor had."""

    who: str
    """The supervisor's name, as they logged in with it."""

    at: float
    """When it began. Unix seconds."""

    leg: int
    """On which media stream of the call, from 1."""

    until: float | None = None
    """When it was over."""
