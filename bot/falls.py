"""The ladder that keeps a caller when something of ours fails, and its rungs. Pure."""

from dataclasses import dataclass
from enum import StrEnum


class Rung(StrEnum):
    """A step of the ladder that keeps the caller when something of ours fails, from the least noticed on."""

    NEW_SESSION = "new_session"
    """A new session of the model went on with the conversation."""

    ANOTHER_MODEL = "another_model"
    """The next pipeline of `fallback` went on with the conversation."""

    PERSON = "person"
    """The caller was redirected to the failsafe target."""

    CLOSED_STREAM = "closed_stream"
    """Twilio's REST did not do it: our own stream was closed, so that Twilio goes on with what it holds."""

    HELD_DOCUMENT = "held_document"
    """Twilio dials the failsafe target by the document that it holds."""

    RESCUE = "rescue"
    """Twilio asked what to do with a caller whose stream was gone."""


@dataclass(frozen=True, slots=True)
class Fall:
    """Something of ours failed, and a rung of the ladder was used."""

    rung: Rung
    at: float
    reason: str = ""
