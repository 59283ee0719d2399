"""What all calls of one Twilio account share."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sandbox.codec import Pcm
from sandbox.leg import Leg
from sandbox.people import Person
from sandbox.queues import CallQueues
from sandbox.scene import Journal
from sandbox.webhooks import Webhooks

if TYPE_CHECKING:
    from sandbox.conference import Conferences
    from sandbox.tape import Tape


@dataclass(frozen=True, slots=True)
class Line:
    """One of our own numbers."""

    voice_url: str
    """Asked for the document of a call that comes in. In its public form, as all addresses."""

    fallback_url: str | None = None
    """Asked when a document of the call cannot be had."""

    status_callback: str | None = None
    """Told when the call is over."""

    sms: bool = True
    """Whether it can send text messages."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording that is complete: a message, or a part of a call."""

    sid: str
    call_sid: str
    pcm: Pcm
    """8 kHz; with two columns where it has two channels: what the caller said, and what they heard."""

    source: str = "RecordVerb"
    """How it came about, in Twilio's word."""


@dataclass(slots=True)
class Account:
    """One account: its secrets, its numbers, the people it can ring, and its calls."""

    sid: str
    auth_token: str
    journal: Journal
    api_keys: Mapping[str, str]
    """Secrets by SID."""

    strict: bool
    """Whether what Twilio ignores is an error of the call: unknown verbs and attributes."""

    numbers: dict[str, Line] = field(default_factory=dict[str, Line])
    verified: set[str] = field(default_factory=set[str])
    """Numbers that may be shown as a caller id, beside our own."""

    people: dict[str, Person | list[Person]] = field(default_factory=dict[str, Person | list[Person]])
    """By number: how somebody behaves, at each attempt of a call to ring them."""

    legs: dict[str, Leg] = field(default_factory=dict[str, Leg])
    """Every leg there was, by CallSid."""

    conferences: "Conferences" = field(init=False)
    """There once the network is up."""

    queues: CallQueues = field(default_factory=CallQueues)
    recordings: dict[str, Recording] = field(default_factory=dict[str, Recording])
    tapes: dict[str, "Tape"] = field(default_factory=dict[str, "Tape"])
    """Every recording of a call that was begun, by SID."""

    webhooks: Webhooks = field(init=False)
    """There once the network is up."""

    rest_url: str = field(init=False)
    """Where REST is, without a slash at the end; there once the network is up."""

    @property
    def path(self) -> str:
        """The path of everything the account owns in REST."""
        return f"/2010-04-01/Accounts/{self.sid}"
