"""The recorder at the end of the road, and what callers leave there. Pure."""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Voicemail:
    """How messages are taken."""

    greeting: str
    """Said before the tone."""

    max_seconds: int = 120
    """The longest message. Seconds."""

    transcriber: str | None = None
    """The model that writes messages down. None: they can only be heard."""


class Transcription(StrEnum):
    """What came of writing a message down."""

    WRITTEN = "written"
    EMPTY = "empty"
    """Nothing was understood."""

    NO_RECORDING = "no_recording"
    """Twilio did not give the recording, as often as it was asked."""

    REFUSED = "refused"
    """The model's service does not take it: the key, the model's name, or the recording is not to its liking."""

    UNAVAILABLE = "unavailable"
    """The model's service did not answer, as often as it was asked."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message on the recorder."""

    url: str
    """Of the recording at Twilio; empty where it has been forgotten."""

    seconds: int
    transcription: Transcription | None = None
    """None while it is not written down, and where that is not wanted."""

    text: str = ""
    """What the caller said, as the model understood it."""
