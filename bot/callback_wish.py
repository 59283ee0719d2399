"""A caller's wish to be called back, as the call knows it. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wish:
    """Somebody wants to be called back."""

    number: str
    """E.164."""

    target: str
    reason: str
    summary: str
    at: float
    """When it was asked for. Unix seconds, as all times here."""

    not_before: float
    callback: str = ""
    """Its id in the book of callbacks."""

    due_at: float | None = None
    """When it is booked for; None while it is not known."""

    refused: bool = False
    """It could not be booked."""
