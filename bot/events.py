"""What can happen to a call, and what can be ordered for it.

Events are facts, named in the past tense; each carries the time at which it became known. Effects are orders. Four of
them are *documents*, what Twilio shall do with the caller next.
"""

from dataclasses import dataclass
from enum import StrEnum

from bot.call import By, Call


class Timer(StrEnum):
    """The clocks of a call. The number that goes with one says which goodbye, redirect or wait it was."""

    GOODBYE = "goodbye"
    FAREWELL = "farewell"
    REDIRECT = "redirect"
    HANG_UP = "hang_up"
    RENEWAL = "renewal"
    """A new session of the model, or another model, takes too long."""

    LIMIT = "limit"
    """The longest time with the bot is over."""

    CHECK = "check"
    """A callback is overdue: ask Twilio whether the call still lives."""


class Failure(StrEnum):
    """What is known of an order that Twilio did not confirm."""

    GONE = "gone"
    """The call is over."""

    NOT_DONE = "not_done"
    """Refused or never sent: it has not been carried out."""

    UNKNOWN = "unknown"
    """It may have been carried out. Never repeat it blindly."""


# --- events: facts ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A fact about a call."""

    at: float
    """When it became known. Unix seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStarted(Event):
    """Twilio's media stream of this leg has begun, with the right token."""

    leg: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamEnded(Event):
    """The media stream of this leg is over."""

    leg: int
    stopped: bool
    """Twilio said `stop`: the caller hung up or a redirect took effect. Otherwise the socket broke or we closed it, and
    Twilio goes on with the document that it holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RescueAsked(Event):
    """The stream of this leg is over and nobody has the caller: Twilio asks, by the document that it holds."""

    leg: int
    closed: str = ""
    """Why the bot of the process that was asked takes no call, if it does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandoffRequested(Event):
    """Somebody asked for a person (or, with no target, for the recorder)."""

    target: str | None
    reason: str = ""
    summary: str = ""
    by: By = By.MODEL
    who: str = ""
    """The name of the person who asked, where one did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeAsked(Event):
    """The model wants to go on in another language, with another voice, or otherwise as the operator has foreseen."""

    change: str
    """Its name in the pipeline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoodbyeHeard(Event):
    """The caller heard the last sample of the goodbye: its mark came back and `clear` had not released it."""

    handoff: int
    """Which hand-off of the call, from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoodbyeInterrupted(Event):
    """The caller spoke during the goodbye, and it stopped."""

    handoff: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FarewellRequested(Event):
    """The conversation is over: the bot says its last words and hangs up."""

    who: str = ""
    """The name of the person who asked for it; empty where the bot itself did, which has then said them already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HintGiven(Event):
    """Somebody who follows the call told the bot something that the caller does not hear."""

    text: str
    who: str
    """Their name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FarewellHeard(Event):
    """The caller heard the bot's last words to their end."""

    farewell: int
    """Which farewell of the call, from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerSpoke(Event):
    """The caller began to speak."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPressed(Event):
    """The caller pressed a key."""

    digit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RedirectAccepted(Event):
    """Twilio accepted the redirect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedirectFailed(Event):
    """Twilio did not confirm the redirect."""

    failure: Failure
    code: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HangUpFailed(Event):
    """Twilio did not confirm the hang-up."""

    failure: Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonAnswered(Event):
    """The phone of an attempt was picked up."""

    attempt: int
    """Which attempt of the call, from 1; 0 is the failsafe target in the document that Twilio holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonAccepted(Event):
    """Screening: the person pressed the key that takes the call."""

    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonDeclined(Event):
    """Screening: the person pressed another key."""

    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonLegEnded(Event):
    """The person's leg is over (Twilio: `statusCallback` of `<Number>`, `completed`)."""

    attempt: int
    talked: bool = False
    """They had picked up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DialEnded(Event):
    """A `<Dial>` of ours is over (Twilio: its `action` request)."""

    attempt: int
    status: str
    """`DialCallStatus`: completed, answered, busy, no-answer, failed or canceled."""

    bridged: bool
    """The two were connected. The status alone does not say so: a declined whisper is `completed`."""

    caller_gone: bool = False
    code: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRecorded(Event):
    """The recorder is done."""

    url: str
    seconds: int
    failsafe: bool = False
    """It was the recorder behind the failsafe target, in the document that Twilio holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEnded(Event):
    """Twilio says that the call is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLives(Event):
    """Twilio says, asked, that the call goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLost(Event):
    """The model is gone: nobody answers the caller."""

    reason: str
    """In words that a person may hear."""

    fault: str = ""
    """What was seen, for the record: `HTTP 401`, `closed by the peer: 1011`, …"""

    for_good: bool = False
    """A new session would fail for the same reason: the key is refused, the account is out of money."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRenewed(Event):
    """A new session of the model, or another model, has taken over, with the conversation so far."""

    renewal: int
    """Which one it was, from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitReached(Event):
    """The call has had all that the operator grants it with the bot."""

    what: str
    """Of what: `tokens`, `seconds`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerFired(Event):
    """A wait is over."""

    timer: Timer
    number: int


# --- effects: orders -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DialPerson:
    """Document: ring the attempt's number."""

    attempt: int


@dataclass(frozen=True, slots=True)
class ConnectBot:
    """Document: open the media stream of this leg."""

    leg: int


@dataclass(frozen=True, slots=True)
class TakeMessage:
    """Document: the recorder."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """Document, or an order of its own: the call ends."""


@dataclass(frozen=True, slots=True)
class SayGoodbye:
    """Have the goodbye said, unless the bot is saying it already, and report when it was heard."""

    handoff: int


@dataclass(frozen=True, slots=True)
class SayFarewell:
    """Have the last words said, unless the bot is saying them already, and report when they were heard."""

    farewell: int
    prompted: bool = False
    """The bot knows nothing of it yet: it has to be asked for them."""


@dataclass(frozen=True, slots=True)
class ListenAgain:
    """The bot stays with the caller: open its ears and tell it why."""

    advice: str


@dataclass(frozen=True, slots=True)
class Advise:
    """Tell the bot something that the caller does not hear."""

    text: str


@dataclass(frozen=True, slots=True)
class RenewModel:
    """Open a new session of the model, which goes on with the conversation."""

    renewal: int


@dataclass(frozen=True, slots=True)
class Adjust:
    """Let the bot go on as a change of its pipeline says."""

    change: str


@dataclass(frozen=True, slots=True)
class ChangeModel:
    """Let another pipeline take over, which goes on with the conversation."""

    model: int
    """Which one: see `Call.model`."""

    renewal: int


@dataclass(frozen=True, slots=True)
class CloseStream:
    """Close our own media socket: a hand-over that needs no REST request."""


@dataclass(frozen=True, slots=True)
class StartTimer:
    """Wake the call after so many seconds."""

    timer: Timer
    number: int
    seconds: float


@dataclass(frozen=True, slots=True)
class AskTwilio:
    """Ask Twilio whether the call still lives."""


Document = DialPerson | ConnectBot | TakeMessage | HangUp
Effect = (
    Document
    | SayGoodbye
    | SayFarewell
    | ListenAgain
    | Advise
    | RenewModel
    | ChangeModel
    | Adjust
    | CloseStream
    | StartTimer
    | AskTwilio
)
Step = tuple[Call, tuple[Effect, ...]]
"""The call as it is now and the orders that follow, at most one document among them."""


class ImpossibleEvent(Exception):
    """The event contradicts what is known of the call. The call is unchanged."""

    def __init__(self, call: Call, event: Event) -> None:
        """Say which event met which phase."""
        super().__init__(f"{type(event).__name__} cannot happen in phase {call.phase}")
        self.call = call
        self.event = event
