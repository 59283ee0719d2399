"""What can happen to the recordings of a call: facts, as in `bot/events.py`."""

from dataclasses import dataclass

from bot.events import Event, Failure
from bot.recorded import Part


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingBegan(Event):
    """Twilio took the order to record."""

    recording: int
    """Which recording of the call, from 1."""

    url: str
    """Its address at Twilio."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingNotBegan(Event):
    """Twilio did not confirm that order."""

    recording: int
    failure: Failure
    code: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingStopped(Event):
    """Twilio took the order to end a recording, or it had ended already."""

    recording: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingNotStopped(Event):
    """Twilio did not confirm that order, however often it was given: the recording may go on."""

    recording: int
    failure: Failure
    code: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingReady(Event):
    """A recording is complete, and can be heard (Twilio: `RecordingStatusCallback`)."""

    part: Part
    url: str
    """Its address at Twilio."""

    seconds: int
    began_at: float
    """When it began, to the second. Unix seconds."""

    recording: int = 0
    """Which recording of the call, from 1; 0 for one that a document began, and no order."""

    attempt: int = 0
    """Then: whose, from 1; 0 for the failsafe target."""
