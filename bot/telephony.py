"""Twilio's REST API, as far as a live call needs it: redirect it, end it, ask how it is.

What can go wrong, by what the caller may do next:

    TelephonyError       code, status, message
    ├── CallGone         Twilio has no such live call: there is nothing left to order
    ├── Refused          Twilio said no: nothing was carried out, nor will it be if asked again
    ├── Unavailable      Twilio was never reached or had no room: nothing was carried out
    └── Ambiguous        nobody knows: it may have been carried out, so it must not be ordered again
"""

from dataclasses import dataclass
from typing import Protocol

TWIML_CHARACTERS = 4_000
"""Longest inline document of a redirect, its XML declaration included (Twilio: error 32018)."""


# --- What can go wrong ---------------------------------------------------------------------------


class TelephonyError(Exception):
    """An order to Twilio that did not plainly succeed.

    Attributes:
        code: Twilio's error code (Twilio: Error and warning dictionary), None when it gave none.
        status: The HTTP status, None when there was no answer.
        message: What happened, in one line. Holds no credentials.
    """

    def __init__(self, code: int | None, status: int | None, message: str) -> None:
        """Say what happened; see the class."""
        super().__init__(code, status, message)
        self.code = code
        self.status = status
        self.message = message

    def __str__(self) -> str:
        facts = [f"Twilio {self.code}"] if self.code is not None else []
        facts += [f"HTTP {self.status}"] if self.status is not None else []
        return f"{self.message} ({', '.join(facts)})" if facts else self.message


class CallGone(TelephonyError):
    """There is no such call (20404), or it is not in progress (21220).

    Give no further orders for the call and wait for its end to be reported. If its media still
    flows, the call lives in another account or region than the one asked: treat this as `Refused`.
    An outgoing call that is still ringing is "not in progress" too.
    """


class Refused(TelephonyError):
    """Twilio said no (4xx), or would have: nothing was carried out.

    The same order gets the same answer, so do not repeat it; the operator must look at `code`. Take
    the next way to help the caller, e.g. close the media stream.
    """


class Unavailable(TelephonyError):
    """Nothing was carried out: Twilio was not reached, or answered 429 until our time was up.

    The order may be given again later, or be replaced by a way that needs no REST, e.g. closing the
    media stream.

    Attributes:
        retry_after: How long Twilio asked to be left alone. Seconds, 0 when it did not say.
    """

    def __init__(self, code: int | None, status: int | None, message: str, retry_after: float = 0.0) -> None:
        """Say what happened and for how long to wait; see the class."""
        super().__init__(code, status, message)
        self.retry_after = retry_after


class Ambiguous(TelephonyError):
    """The order was sent and its fate is unknown: 5xx, silence, a lost connection, a broken answer.

    Never give it again. The end of the media stream is the proof that a redirect or a hang-up was
    carried out; without it, closing our side of the stream gets the caller on. For a question
    (`status`) it only means that there is no answer.
    """


# --- The port, and Twilio behind it --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NewCall:
    """A call that Twilio shall make (Twilio: create a Call resource)."""

    to: str
    """E.164, `sip:…` or `client:…`."""

    from_: str
    """The number that is shown: one that the account owns."""

    url: str
    """Asked for the document when somebody has answered."""

    status_callback: str
    """Told when it is made, when it rings and when it is over."""

    ring_seconds: int
    """How long it may ring. Seconds, 600 at most."""

    digits: str = ""
    """Keys that are pressed when it is answered."""

    machine_detection: bool = False
    """Whether Twilio listens for a mailbox before it asks for the document, which then says `AnsweredBy`."""

    waits_for_beep: bool = False
    """Whether it asks about a mailbox only when the greeting is over (Twilio: `DetectMessageEnd`)."""


@dataclass(frozen=True, slots=True)
class NewText:
    """A text message that Twilio shall send (Twilio: Message resource)."""

    to: str
    """E.164."""

    from_: str
    """A number that the account owns and that can send messages."""

    body: str
    """At most 1600 characters."""


class Telephony(Protocol):
    """What a call's session orders from the telephone network.

    Every order raises a `TelephonyError` when it does not plainly succeed, and ValueError for
    something that is not a CallSid. An order that is cancelled may have been carried out.
    """

    async def redirect(self, call_sid: str, twiml: str) -> None:
        """Replace what the call is doing by a document; `Refused` (32018) when it is too long.

        Success means that the order was taken, not that the caller was moved yet.
        """
        ...

    async def hang_up(self, call_sid: str) -> None:
        """End the call, whatever it is doing."""
        ...

    async def call(self, order: NewCall) -> str:
        """Make a new call, and return its CallSid. Success means that the order was taken."""
        ...

    async def text(self, order: NewText) -> None:
        """Send a text message. Success means that the order was taken."""
        ...

    async def announce(self, conference_sid: str, url: str) -> None:
        """Have all who are in a conference hear a document. Success means that the order was taken."""
        ...

    async def status(self, call_sid: str) -> str:
        """Return the call's status, e.g. `in-progress` (Twilio: Call resource, Status values)."""
        ...

    async def close(self) -> None:
        """Give the connections back. Idempotent; orders given later are `Unavailable`."""
        ...
