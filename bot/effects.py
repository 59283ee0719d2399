"""What can be ordered for a call. Eight of the orders are *documents*: what Twilio shall do with the caller next."""

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

    PERSON = "person"
    """A person who is called while the bot has the caller takes too long. The number is the attempt's."""

    UNCALLED = "uncalled"
    """A person's call was ordered without a clear answer, and nothing is heard of it. The number is the attempt's."""

    LIMIT = "limit"
    """The longest time with the bot is over."""

    CHECK = "check"
    """A callback is overdue: ask Twilio whether the call still lives."""


@dataclass(frozen=True, slots=True)
class DialPerson:
    """Document: ring the attempt's number."""

    attempt: int


@dataclass(frozen=True, slots=True)
class Enqueue:
    """Document: into the queue of the attempt's target."""

    attempt: int


@dataclass(frozen=True, slots=True)
class MeetPerson:
    """Document: into the conference, where the person of the attempt is."""

    attempt: int


@dataclass(frozen=True, slots=True)
class HoldCaller:
    """Document: a moment of waiting for what the person of the attempt, who stepped out of the conference, does."""

    attempt: int
    held: int
    """How many seconds it has been when the wait is over."""


@dataclass(frozen=True, slots=True)
class ConnectBot:
    """Document: open the media stream of this leg."""

    leg: int


@dataclass(frozen=True, slots=True)
class TakeMessage:
    """Document: the recorder."""


@dataclass(frozen=True, slots=True)
class LeaveMessage:
    """Document: our message for the mailbox that took a call of ours, and the end."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """Document, or an order of its own: the call ends."""


@dataclass(frozen=True, slots=True)
class FindPeople:
    """Ask where the people of a target are, and request the hand-off with the answer."""

    target: str
    reason: str
    by: By


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
    """Tell the bot something that the caller does not hear, and have it act on it."""

    text: str


@dataclass(frozen=True, slots=True)
class TellBot:
    """Let the bot know something, without making it speak."""

    text: str


@dataclass(frozen=True, slots=True)
class BookCallback:
    """Book a callback, and report `CallbackBooked`."""

    wish: int


@dataclass(frozen=True, slots=True)
class CallPerson:
    """Call the person of an attempt, while the bot has the caller."""

    attempt: int


@dataclass(frozen=True, slots=True)
class TextPerson:
    """Send whoever this attempt rings the address of their page."""

    attempt: int


@dataclass(frozen=True, slots=True)
class BringPerson:
    """The person of an attempt took the call at their page: from the words in their ear into the conference."""

    attempt: int


@dataclass(frozen=True, slots=True)
class Introduce:
    """The caller and the person of an attempt are together: tell both who the other is."""

    attempt: int
    conference: str
    """Twilio's ConferenceSid."""


@dataclass(frozen=True, slots=True)
class ReleasePerson:
    """The person of an attempt is not needed: their phone stops ringing, or they are told."""

    attempt: int


@dataclass(frozen=True, slots=True)
class GiveWay:
    """Whoever talks on our media stream leaves it to who has the caller now."""


@dataclass(frozen=True, slots=True)
class RenewModel:
    """Open a new session of the model, which goes on with the conversation."""

    renewal: int


@dataclass(frozen=True, slots=True)
class ChangeModel:
    """Let another pipeline take over, which goes on with the conversation."""

    model: int
    """Which one: see `Call.model`."""

    renewal: int


@dataclass(frozen=True, slots=True)
class Adjust:
    """Let the bot go on as a change of its pipeline says."""

    change: str


@dataclass(frozen=True, slots=True)
class CloseStream:
    """Close our own media socket: a hand-over that needs no REST request."""


@dataclass(frozen=True, slots=True)
class StartRecording:
    """Have Twilio record the call from now on."""

    recording: int
    """Which recording of the call, from 1."""


@dataclass(frozen=True, slots=True)
class StopRecording:
    """Have a recording end, before the caller is moved."""

    recording: int


@dataclass(frozen=True, slots=True)
class StartTimer:
    """Wake the call after so many seconds."""

    timer: Timer
    number: int
    seconds: float


@dataclass(frozen=True, slots=True)
class AskTwilio:
    """Ask Twilio whether the call still lives."""


Document = DialPerson | Enqueue | MeetPerson | HoldCaller | ConnectBot | TakeMessage | LeaveMessage | HangUp
Effect = (
    Document
    | FindPeople
    | SayGoodbye
    | SayFarewell
    | ListenAgain
    | Advise
    | TellBot
    | BookCallback
    | CallPerson
    | TextPerson
    | BringPerson
    | Introduce
    | ReleasePerson
    | GiveWay
    | RenewModel
    | ChangeModel
    | Adjust
    | CloseStream
    | StartRecording
    | StopRecording
    | StartTimer
    | AskTwilio
)
Step = tuple[Call, tuple[Effect, ...]]
"""The call as it is now and the orders that follow, at most one document among them."""
