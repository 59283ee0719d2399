"""What is known of a call: who has the caller, who asked for a person, who was tried and how that ended.

Only `bot/law.py` makes a new `Call` out of an old one.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from bot.callback_wish import Wish
from bot.falls import Fall, Rung
from bot.joins import Join
from bot.recorded import Recording
from bot.routing import Found
from bot.voicemail import Message


class Phase(StrEnum):
    """Who has the caller."""

    CALLING = "calling"
    """A call of our own: the phone of whoever the bot calls rings."""

    CONNECTING = "connecting"
    """Twilio has the document that opens our media stream; the stream has not started yet."""

    BOT = "bot"
    """The bot talks with the caller."""

    SEEKING = "seeking"
    """The bot talks with the caller, and meanwhile somebody who may take the call is rung."""

    JOINED = "joined"
    """A supervisor at the console talks with the caller over our media stream, in the bot's place."""

    LEAVING = "leaving"
    """A hand-off is agreed and the bot is saying goodbye."""

    REDIRECTING = "redirecting"
    """The redirect is ordered; Twilio has not shown yet that it took effect."""

    RINGING = "ringing"
    """A person's phone rings; the caller hears ringing."""

    QUEUED = "queued"
    """The caller waits in a queue, and hears where they are in it."""

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


BOT_PHASES = (Phase.BOT, Phase.SEEKING, Phase.LEAVING, Phase.PARTING)
"""The bot has the caller, over our media stream."""

STREAM_PHASES = (*BOT_PHASES, Phase.JOINED)
"""The caller is on our media stream, with the bot or with whoever is in its place."""

AWAY_PHASES = (Phase.REDIRECTING, Phase.RINGING, Phase.QUEUED, Phase.PERSON, Phase.FAILSAFE)
"""The caller is on the way to a person, or there."""


class Direction(StrEnum):
    """Who called whom."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"
    """The bot called. `Call.caller` is then whoever it called, and `Call.called` our number that they saw."""


class Outcome(StrEnum):
    """How one attempt to reach a person ended."""

    ANSWERED = "answered"
    """The person took the call and was connected."""

    DECLINED = "declined"
    """The person picked up and did not take the call."""

    BUSY = "busy"
    NO_ANSWER = "no_answer"
    """Nobody picked up; or somebody did, and pressed no key."""

    MACHINE = "machine"
    """A mailbox picked up."""

    LEFT = "left"
    """The person took the call, and had hung up before the caller was with them."""

    FAILED = "failed"
    """The call could not be made; the attempt's `code` is Twilio's, where there is one."""

    GAVE_UP = "gave_up"
    """The caller did not want to wait in the queue any longer."""

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

    BUSY = "busy"
    """Of a call of ours, as the next three: whoever was called was on another call."""

    NO_ANSWER = "no_answer"
    MACHINE = "machine"
    """A mailbox took the call, and got our message where there is one."""

    FAILED = "failed"
    """The number could not be called."""


class By(StrEnum):
    """Who asked for the hand-off."""

    MODEL = "model"
    API = "api"
    CONSOLE = "console"
    """A person at the console; the journal says who."""

    TAKE_OVER = "take_over"
    """The same, who takes the call themselves."""

    KEY = "key"
    """The caller pressed a key."""

    PHRASE = "phrase"
    """The caller said a phrase that leads to a person."""

    ANGER = "anger"
    UNCLEAR = "unclear"
    """The caller was not understood, several times."""

    TOOLS = "tools"
    """The bot's tools failed, one after the other."""

    SILENCE = "silence"
    WATCH = "watch"
    """The watch over the model: it is gone, so a person takes over."""

    CLOSED = "closed"
    """Nobody: the bot takes no more calls, so a new one goes to a person."""

    LIMIT = "limit"
    """The call has had all that the operator grants it with the bot."""


AT_ANY_HOUR = (By.WATCH, By.CLOSED, By.LIMIT, By.TAKE_OVER)
"""Who asks because the caller has nobody else, or is there themselves: opening hours do not count then."""


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

    closed: bool = False
    """Nobody of the target was there at this hour: nobody was rung."""

    wants: tuple[str, ...] = ()
    """Languages and skills that the person should have."""

    found: tuple[Found, ...] = ()
    """Where people are, as the operator's own system said when this was asked for."""

    introduction: str = ""
    """What is said to both once they are together, where the target asks for that."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to reach a person."""

    target: str
    number: str
    """E.164, or the address of a SIP telephone or a client. Several, joined by a comma, where one document rings them
    at once."""

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

    handoff: int = 0
    """Which hand-off of the call it belongs to, from 1; 0 for none."""

    attended: bool = False
    """The person is called by an order of its own, while the bot has the caller."""

    leg_sid: str | None = None
    """The CallSid of that order's call, as soon as it is known."""

    leg_over: bool = False
    """That call has ended, or is about to by what it was last told."""

    letting_go: bool = False
    """It was ordered that that call ends, and it is not known yet that it has."""

    rang_at: float | None = None
    """When the phone began to ring, where we are told."""

    bridged_at: float | None = None
    """When the caller and the person were together, where we are told."""

    answered_by: str | None = None
    """Who of several picked up."""

    machine: bool = False
    """Twilio heard a mailbox."""

    sent_back: bool = False
    """The person sent the caller back to the bot."""

    waits: bool = False
    """They are in the conference again after they had stepped out of it, and the caller is not there yet."""

    held: int = 0
    """The caller is held while the person is out of the conference: how many seconds at the end of the present wait."""

    ended_by: str | None = None
    """Who ended the conversation, or the waiting, `caller` or `person`, where we are told."""

    short: bool = False
    """The conversation was so short that it was hardly one."""

    why: str = ""
    """Why the person did not take the call, where they said so."""

    message: str = ""
    """What the caller is to be told by a person who did not take the call."""

    consulted_at: float | None = None
    """When the person began to talk with the bot about the caller, in mode `consult`."""

    consulted_until: float | None = None
    """When that was over."""

    introduced: bool | None = None
    """Whether both heard the introduction, in mode `introduce`; None while that is not known."""

    doubtful: bool = False
    """Its own callbacks did not say all of how it went: Twilio is to be asked."""

    reconciled: bool = False
    """Twilio was asked how it went."""

    @property
    def several(self) -> bool:
        """Whether several telephones are rung at once."""
        return "," in self.number


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
    """How many stops of the current hand-off's route have been tried; see `bot.routing.route`."""

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

    unclear: int = 0
    """How many turns of the caller's in a row nobody understood."""

    tool_errors: int = 0
    """How many tools have failed, one after the other."""

    typed: tuple[str, ...] = ()
    """Numbers that the caller has typed, E.164."""

    wishes: tuple[Wish, ...] = ()
    """The caller wants to be called back."""

    message: Message | None = None
    recordings: tuple[Recording, ...] = ()
    joins: tuple[Join, ...] = ()
    end: End | None = None
    ended_at: float | None = None
    direction: Direction = Direction.INBOUND
    purpose: str = ""
    """Of a call of ours: what it is for, as the bot is told."""


def open_attempt(call: Call, n: int) -> Attempt | None:
    """The attempt that a callback speaks of, if it is under way. 0 is that of the document that Twilio holds."""
    if call.phase not in (*AWAY_PHASES, *STREAM_PHASES) or not call.attempts:
        return None
    attempt = call.attempts[n - 1]
    named = attempt.failsafe if n == 0 else not attempt.failsafe
    return attempt if named and attempt.outcome is None else None


def found_for(call: Call, attempt: Attempt) -> tuple[Found, ...]:
    """Where people are, as it was known for the hand-off that an attempt belongs to."""
    return call.handoffs[attempt.handoff - 1].found if 0 < attempt.handoff <= len(call.handoffs) else ()


def waiting_person(call: Call) -> int:
    """The attempt of an attended person who has taken the call and is on the line, from 1; 0 where there is none."""
    for n, attempt in enumerate(call.attempts, 1):
        if attempt.attended and attempt.outcome is None and attempt.accepted_at is not None:
            return n
    return 0


def change_attempt(call: Call, n: int, **changes: Any) -> Call:
    """The call with its `n`-th attempt changed, from 1."""
    changed = replace(call.attempts[n - 1], **changes)
    return replace(call, attempts=(*call.attempts[: n - 1], changed, *call.attempts[n:]))


def latest_open(call: Call) -> int:
    """The latest attempt that is under way, from 1; 0 where there is none."""
    return next((n for n in range(len(call.attempts), 0, -1) if call.attempts[n - 1].outcome is None), 0)


def close_attempt(call: Call, at: float, outcome: Outcome, code: int | None = None, n: int = 0) -> Call:
    """The call with its `n`-th attempt ended, or the latest one that is under way; unless it has ended already."""
    n = n or latest_open(call)
    if n == 0 or call.attempts[n - 1].outcome is not None:
        return call
    return change_attempt(call, n, outcome=outcome, code=code, ended_at=at)


def fall(call: Call, rung: Rung, at: float, reason: str = "") -> Call:
    """The call with one more rung of the ladder used."""
    return replace(call, falls=(*call.falls, Fall(rung, at, reason)))


def end_call(call: Call, at: float, end: End) -> Call:
    """The call is over. Attempts still open end with it: the caller left."""
    while latest_open(call):
        call = close_attempt(call, at, Outcome.CALLER_GONE)
    return replace(call, phase=Phase.ENDED, end=end, ended_at=at, stream_open=False)


def over(call: Call, at: float) -> Call:
    """Twilio says that the call is over; how it ended follows from who had the caller, as far as we were told."""
    if call.phase in AWAY_PHASES:
        for n, attempt in enumerate(call.attempts, 1):
            if attempt.outcome is None:
                call = change_attempt(call, n, doubtful=True)
    match call.phase:
        case Phase.ENDED:
            return call
        case Phase.PERSON if (n := waiting_person(call)) and call.attempts[n - 1].bridged_at is None:
            return end_call(call, at, End.CALLER_HUNG_UP)
        case Phase.JOINED:
            return end_call(call, at, End.PUT_THROUGH)
        case Phase.PERSON:
            return end_call(close_attempt(call, at, Outcome.ANSWERED), at, End.PUT_THROUGH)
        case Phase.CALLING:
            return end_call(call, at, End.NO_ANSWER)
        case Phase.CLOSING:
            return end_call(call, at, End.BOT_HUNG_UP)
        case Phase.VOICEMAIL:
            return end_call(call, at, End.NO_MESSAGE)
        case Phase.FAILSAFE:
            return end_call(close_attempt(call, at, Outcome.NO_ANSWER), at, End.UNANSWERED)
        case _:
            return end_call(call, at, End.CALLER_HUNG_UP)
