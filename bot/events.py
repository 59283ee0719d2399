"""What can happen to a call: facts, named in the past tense; each carries the time at which it became known.

What can be ordered for a call stands in `bot/effects.py`.
"""

from dataclasses import dataclass
from enum import StrEnum

from bot.call import By, Call
from bot.effects import Timer
from bot.routing import Found
from bot.voicemail import Transcription


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
    wants: tuple[str, ...] = ()
    """Languages and skills that the person should have."""

    found: tuple[Found, ...] = ()
    """Where people are, as the operator's own system says."""

    introduction: str = ""
    """What both shall be told once they are together."""


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
class CallerSaid(Event):
    """A turn of the caller's is over."""

    text: str
    """What was understood; empty for nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineSilent(Event):
    """Neither the caller nor the bot has said anything for as long as the policy allows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolEnded(Event):
    """A tool of the business has been used."""

    name: str
    failed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPressed(Event):
    """The caller pressed a key."""

    digit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberTyped(Event):
    """The caller typed a telephone number: a star, the number, and a hash."""

    number: str
    """E.164; empty for one that nobody may be called back at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackAsked(Event):
    """The caller wants to be called back."""

    number: str = ""
    """E.164; empty for the one that they call from."""

    target: str = ""
    """Whose people shall call."""

    reason: str = ""
    summary: str = ""
    day: str = ""
    clock: str = ""
    """When, as they say it; see `bot.opening.Calendar.on_clock`. Empty: as soon as may be."""

    confirmed: bool = False
    """The number was read back to them, and they said yes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackBooked(Event):
    """It is known whether the caller will be called back."""

    wish: int
    """Which of the call's wishes, from 1."""

    callback: str = ""
    """The callback's id; empty where it could not be booked."""

    due_at: float = 0.0


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

    who: str = ""
    """Whose phone it was, where several were rung at once."""

    machine: bool = False
    """Twilio heard a mailbox."""

    leg_sid: str = ""
    """See `PersonCalled`, where we are told."""

    asked: bool = False
    """Nobody told: Twilio was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonCalled(Event):
    """Twilio took the order to call the person of an attempt, while the bot has the caller."""

    attempt: int
    leg_sid: str
    """The CallSid of the new call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonNotCalled(Event):
    """Twilio did not confirm that order."""

    attempt: int
    failure: Failure
    code: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonRinging(Event):
    """The phone of an attempt rings."""

    attempt: int
    leg_sid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonAccepted(Event):
    """Screening: the person pressed the key that takes the call, or the button on their page."""

    attempt: int
    at_page: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonDeclined(Event):
    """Screening: the person pressed the key that declines, or the button on their page."""

    attempt: int
    reason: str = ""
    at_page: bool = False
    message: str = ""
    """What the caller is to be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonLegEnded(Event):
    """The person's leg is over (Twilio: `statusCallback` of `<Number>`, `completed`)."""

    attempt: int
    talked: bool = False
    """They had picked up."""

    status: str = ""
    """`CallStatus` of their leg: completed, busy, no-answer, failed or canceled."""

    code: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridged(Event):
    """The caller and the person of an attempt are together (Twilio: a conference's `conference-start`)."""

    attempt: int
    conference: str = ""
    """Twilio's ConferenceSid, where we are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonSentBack(Event):
    """The person, with the caller in the conference, pressed the key that sends the caller back to the bot, twice."""

    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonSteppedIn(Event):
    """The person pressed it once, which led them out of the conference, and goes back in."""

    attempt: int


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
    held: int = 0
    """How many seconds the caller has been held since then; see `bot.sent_back`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRecorded(Event):
    """The recorder is done."""

    url: str
    seconds: int
    failsafe: bool = False
    """It was the recorder behind the failsafe target, in the document that Twilio holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageTranscribed(Event):
    """It is known what came of writing the caller's message down."""

    transcription: Transcription
    text: str = ""
    """What they said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalleeAnswered(Event):
    """A call of ours was picked up."""

    machine: bool = False
    """By a mailbox, as far as Twilio hears."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalleeMissed(Event):
    """A call of ours was not picked up."""

    status: str
    """Twilio's: `busy`, `no-answer`, `canceled` or `failed`."""

    code: int | None = None
    """Twilio's error code."""


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


class ImpossibleEvent(Exception):
    """The event contradicts what is known of the call. The call is unchanged."""

    def __init__(self, call: Call, event: Event) -> None:
        """Say which event met which phase."""
        super().__init__(f"{type(event).__name__} cannot happen in phase {call.phase}")
        self.call = call
        self.event = event
