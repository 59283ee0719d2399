"""What is known of a call: who has the caller, who asked for a person, who was tried and how that ended.

Only `bot/law.py` makes a new `Call` out of an old one.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any


class Phase(StrEnum):
    """Who has the caller."""

    CONNECTING = "connecting"
    """Twilio has the document that opens our media stream; the stream has not started yet."""

    BOT = "bot"
    """The bot talks with the caller."""

    LEAVING = "leaving"
    """A hand-off is agreed and the bot is saying goodbye."""

    REDIRECTING = "redirecting"
    """The redirect is ordered; Twilio has not shown yet that it took effect."""

    RINGING = "ringing"
    """A person's phone rings; the caller hears ringing."""

    PERSON = "person"
    """The caller is with a person."""

    VOICEMAIL = "voicemail"
    """The recorder has the caller."""

    FAILSAFE = "failsafe"
    """Our stream is gone and Twilio dials the failsafe target by the document that it already holds."""

    RESCUE = "rescue"
    """Our stream is gone and Twilio, by the document that it holds, asks any of our processes what to do."""

    PARTING = "parting"
    """The bot is saying its last words before it hangs up."""

    CLOSING = "closing"
    """The hang-up is ordered."""

    ENDED = "ended"


BOT_PHASES = (Phase.BOT, Phase.LEAVING, Phase.PARTING)
"""The bot has the caller, over our media stream."""

AWAY_PHASES = (Phase.REDIRECTING, Phase.RINGING, Phase.PERSON, Phase.FAILSAFE)
"""The caller is on the way to a person, or there."""


class Outcome(StrEnum):
    """How one attempt to reach a person ended."""

    ANSWERED = "answered"
    """The person took the call and was connected."""

    DECLINED = "declined"
    """The person picked up and did not take the call."""

    BUSY = "busy"
    NO_ANSWER = "no_answer"
    FAILED = "failed"
    """The call could not be made; the attempt's `code` is Twilio's, where there is one."""

    CALLER_GONE = "caller_gone"
    SUPERSEDED = "superseded"
    """Another order for the call overtook this attempt."""


class End(StrEnum):
    """How a call ended."""

    PUT_THROUGH = "put_through"
    """A conversation with a person is over."""

    CALLER_HUNG_UP = "caller_hung_up"
    BOT_HUNG_UP = "bot_hung_up"
    MESSAGE_LEFT = "message_left"
    NO_MESSAGE = "no_message"
    """The caller reached the recorder and left nothing."""

    UNANSWERED = "unanswered"
    """Twilio dialled the failsafe target by itself and nobody there took the call, or the caller left first."""


class By(StrEnum):
    """Who asked for the hand-off."""

    MODEL = "model"
    API = "api"
    CONSOLE = "console"
    """A person at the console; the journal says who."""

    WATCH = "watch"
    """The watch over the model: it is gone, so a person takes over."""

    CLOSED = "closed"
    """Nobody: the bot takes no more calls, so a new one goes to a person."""

    LIMIT = "limit"
    """The call has had all that the operator grants it with the bot."""


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
class Handoff:
    """One agreed hand-off."""

    target: str | None
    """The target's key; None leads to the recorder."""

    reason: str
    summary: str
    by: By
    at: float
    withdrawn: bool = False
    """The caller spoke during the goodbye and the policy says that the bot then stays."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to reach a person."""

    target: str
    number: str
    """E.164. Several, joined by a comma, where the failsafe document rings them at once."""

    at: float
    """When the try began. Unix seconds, as all times here."""

    answered_at: float | None = None
    """When the phone was picked up."""

    accepted_at: float | None = None
    """When the person took the call (screening: pressed the key)."""

    declined: bool = False
    ended_at: float | None = None
    outcome: Outcome | None = None
    code: int | None = None
    failsafe: bool = False
    """Dialled by the document that Twilio held, not by an order of ours."""


@dataclass(frozen=True, slots=True)
class Fall:
    """Something of ours failed, and a rung of the ladder was used."""

    rung: Rung
    at: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """A message on the recorder."""

    url: str
    seconds: int


@dataclass(frozen=True, slots=True)
class Call:
    """All that is known of one call."""

    sid: str
    caller: str
    called: str
    started_at: float
    phase: Phase = Phase.CONNECTING
    leg: int = 1
    """Which media stream of the call is the current one, from 1. Each return to the bot is a new one."""

    stream_open: bool = False
    handoffs: tuple[Handoff, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    tried: int = 0
    """How many numbers of the current hand-off's target have been tried."""

    nobody: int = 0
    """How many hand-offs ended with nobody taking the call."""

    farewells: int = 0
    """How often the bot has begun to say its last words."""

    change: str = ""
    """What the model has changed in mid-call, by its name in the pipeline: language, voice, settings. Empty: none."""

    model: int = 0
    """Which pipeline talks: 0 is the one that calls begin with, then those of its `fallback`, in order."""

    renewals: int = 0
    """How often the model broke and a new session, or another model, was to go on."""

    renewing: bool = False
    """The latest renewal is under way."""

    rescues: int = 0
    """How often Twilio had to ask what to do with the caller because our stream was gone."""

    falls: tuple[Fall, ...] = ()
    """Each rung of the ladder that was used, in order."""

    message: Message | None = None
    end: End | None = None
    ended_at: float | None = None


def open_attempt(call: Call, n: int) -> Attempt | None:
    """The attempt that a callback speaks of, if it is the one under way."""
    if call.phase not in AWAY_PHASES or not call.attempts:
        return None
    attempt = call.attempts[-1]
    named = n == 0 if attempt.failsafe else n == len(call.attempts)
    return attempt if named and attempt.outcome is None else None


def update_attempt(call: Call, **changes: Any) -> Call:
    """The call with its latest attempt changed."""
    return replace(call, attempts=(*call.attempts[:-1], replace(call.attempts[-1], **changes)))


def close_attempt(call: Call, at: float, outcome: Outcome, code: int | None = None) -> Call:
    """The call with its latest attempt ended, unless it has ended already."""
    if not call.attempts or call.attempts[-1].outcome is not None:
        return call
    return update_attempt(call, outcome=outcome, code=code, ended_at=at)


def fall(call: Call, rung: Rung, at: float, reason: str = "") -> Call:
    """The call with one more rung of the ladder used."""
    return replace(call, falls=(*call.falls, Fall(rung, at, reason)))


def end_call(call: Call, at: float, end: End) -> Call:
    """The call is over. An attempt still open ends with it: the caller left."""
    call = close_attempt(call, at, Outcome.CALLER_GONE)
    return replace(call, phase=Phase.ENDED, end=end, ended_at=at, stream_open=False)


def over(call: Call, at: float) -> Call:
    """Twilio says that the call is over; how it ended follows from who had the caller."""
    match call.phase:
        case Phase.ENDED:
            return call
        case Phase.PERSON:
            return end_call(close_attempt(call, at, Outcome.ANSWERED), at, End.PUT_THROUGH)
        case Phase.CLOSING:
            return end_call(call, at, End.BOT_HUNG_UP)
        case Phase.VOICEMAIL:
            return end_call(call, at, End.NO_MESSAGE)
        case Phase.FAILSAFE:
            return end_call(close_attempt(call, at, Outcome.NO_ANSWER), at, End.UNANSWERED)
        case _:
            return end_call(call, at, End.CALLER_HUNG_UP)
