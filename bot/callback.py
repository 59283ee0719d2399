"""The law of a callback: a person of ours is called first, then the caller, and the two are joined. Pure.

`step(callback, event, policy) -> (callback, effects)`. What is known of a callback is in the record, and each step is
written with a compare-and-set: so of many processes one calls somebody, and another goes on where that one has died.
While a callback waits, `due_at` says when it goes on; while somebody is called, it says by when that must have come to
something. A fact that comes late or twice changes nothing.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from bot.callback_rules import AGAIN_SECONDS
from bot.routing import Endpoint, Found, Policy, Target, route

KEY_SECONDS = 60.0
"""How much longer than its ring time a person's call may take: the words in their ear, the key, Twilio's own delays."""

DIAL_SECONDS = 60.0
"""How much longer than ringing and talking may take it is waited for the end of a call that was joined."""

LAST_WORD_SECONDS = 15.0
"""When the person's call is over, how long it is waited for what became of the caller's."""

UNAVAILABLE_SECONDS = 30.0
"""How soon it is tried again where Twilio is out of reach."""


class State(StrEnum):
    """How far a callback is."""

    WAITING = "waiting"
    PERSON = "person"
    """Somebody of ours is called."""

    CALLER = "caller"
    """That person has pressed the key, and the caller's telephone rings, or the two are talking."""

    DONE = "done"


class CallbackOutcome(StrEnum):
    """How a callback ended."""

    JOINED = "joined"
    NOBODY = "nobody"
    """No person of ours took it, as often as it was tried."""

    CALLER_NOT_REACHED = "caller_not_reached"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    """It could not be made for so long that it is not wanted any more."""

    REFUSED = "refused"
    """The policy allows no callbacks any more."""

    UNKNOWN = "unknown"
    """A person had pressed the key, and nothing was heard of it again."""


class TryOutcome(StrEnum):
    """How one call to a person ended."""

    JOINED = "joined"
    DECLINED = "declined"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    """Nobody picked up; or somebody did, and pressed no key."""

    MACHINE = "machine"
    FAILED = "failed"
    LEFT = "left"
    """The person pressed the key, and hung up before the caller was there."""

    CALLER_BUSY = "caller_busy"
    CALLER_NO_ANSWER = "caller_no_answer"
    CALLER_FAILED = "caller_failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"
    """Nothing was heard of the call."""


_ENDED = {
    "busy": TryOutcome.BUSY,
    "no-answer": TryOutcome.NO_ANSWER,
    "canceled": TryOutcome.NO_ANSWER,
    "completed": TryOutcome.NO_ANSWER,
}
_CALLER = {
    "busy": TryOutcome.CALLER_BUSY,
    "no-answer": TryOutcome.CALLER_NO_ANSWER,
    "canceled": TryOutcome.CALLER_NO_ANSWER,
    "completed": TryOutcome.CALLER_NO_ANSWER,
}


@dataclass(frozen=True, slots=True)
class Try:
    """One call to a person of ours."""

    target: str
    number: str
    """E.164, or the address of a SIP telephone or a client."""

    at: float
    leg_sid: str | None = None
    answered_at: float | None = None
    accepted_at: float | None = None
    leg_over: bool = False
    ended_at: float | None = None
    outcome: TryOutcome | None = None


@dataclass(frozen=True, slots=True)
class Callback:
    """Somebody is to be called back. Times are Unix seconds."""

    uid: str
    call_sid: str
    """The call in which it was asked for."""

    number: str
    """Who is called back. E.164; checked when it was booked."""

    called: str
    """Our number, which was called and which both see now."""

    target: str
    """Whose people call back."""

    reason: str
    summary: str
    asked_at: float
    not_before: float
    due_at: float
    state: State = State.WAITING
    round: int = 0
    """How many tries are over."""

    person: int = 0
    """Which person of the target is next in this try."""

    found: tuple[Found, ...] = ()
    """Where the people are whom this try asks, as far as a system of the operator's knew it."""

    tries: tuple[Try, ...] = ()
    done_at: float | None = None
    outcome: CallbackOutcome | None = None


# --- facts and orders ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackEvent:
    """A fact. `at`: Unix seconds."""

    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CameDue(CallbackEvent):
    """The time has come that the callback waits for."""

    found: tuple[Found, ...] | None = None
    """Where people are; None where that was not asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WasCancelled(CallbackEvent):
    """Nobody is to be called any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TryEvent(CallbackEvent):
    """A fact about one call to a person."""

    n: int
    """Which one, from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TryBegan(TryEvent):
    """Twilio has made the call."""

    leg_sid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TryNotMade(TryEvent):
    """Twilio has not made the call, and will not."""

    unavailable: bool
    """It was out of reach: the same person is called later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TryAnswered(TryEvent):
    """Somebody has picked up."""

    machine: bool
    leg_sid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyTold(TryEvent):
    """The person pressed a key."""

    accepted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerDialed(TryEvent):
    """The `<Dial>` of the caller is over."""

    status: str
    """`DialCallStatus`."""

    joined: bool
    """The two were connected."""

    person_gone: bool
    """The person's call is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TryEnded(TryEvent):
    """The person's call is over."""

    status: str
    """`CallStatus`: completed, busy, no-answer, failed or canceled."""


@dataclass(frozen=True, slots=True)
class CallSomebody:
    """Call the person of a try."""

    n: int


@dataclass(frozen=True, slots=True)
class LetGo:
    """End the call to the person of a try."""

    n: int


CallbackEffect = CallSomebody | LetGo
CallbackStep = tuple[Callback, tuple[CallbackEffect, ...]]

# --- the law -------------------------------------------------------------------------------------------


def people(callback: Callback, at: float, policy: Policy) -> list[tuple[Target, Endpoint]]:
    """Whom one try asks, in order: those who are there at this hour. People take turns from try to try."""
    turn = f"{callback.uid}{callback.round}"
    stops = route(policy, callback.target, at, turn=turn, found=callback.found)
    called = ((stop.target, stop.endpoints if stop.target.queue is None else stop.target.people) for stop in stops)
    return [(target, endpoint) for target, endpoints in called for endpoint in endpoints]


def newly_over(before: Callback, after: Callback) -> dict[int, Try]:
    """The tries that a step has brought to an end, by their numbers."""
    open_before = {n for n, tried in enumerate(before.tries, 1) if tried.outcome is None}
    known = len(before.tries)
    return {
        n: tried
        for n, tried in enumerate(after.tries, 1)
        if tried.outcome is not None and (n in open_before or n > known)
    }


def step(callback: Callback, event: CallbackEvent, policy: Policy) -> CallbackStep:
    """Apply one fact. Returns the very same callback and no orders for one that is late or repeated."""
    if callback.state is State.DONE:
        return _late(callback, event)
    match event:
        case CameDue():
            return _came_due(callback, event, policy) if event.at >= callback.due_at else (callback, ())
        case WasCancelled(at=at):
            return _cancelled(callback, at)
        case TryEvent(n=n) if not 0 < n <= len(callback.tries) or callback.tries[n - 1].outcome is not None:
            return _late(callback, event)
        case TryBegan(n=n, leg_sid=sid):
            return (callback if callback.tries[n - 1].leg_sid else _change(callback, n, leg_sid=sid)), ()
        case TryNotMade(at=at, unavailable=True) if callback.state is State.PERSON:
            # Nothing was carried out, so this was no try: the same person is called when Twilio is there again.
            due = at + UNAVAILABLE_SECONDS
            return replace(callback, state=State.WAITING, due_at=due, tries=callback.tries[:-1]), ()
        case TryNotMade(at=at):
            return _in_vain(callback, TryOutcome.FAILED, at, policy), ()
        case TryAnswered(at=at, n=n, machine=machine, leg_sid=sid):
            return _answered(callback, n, at, machine, sid, policy), ()
        case KeyTold(at=at, n=n, accepted=accepted):
            return _key_told(callback, n, at, accepted, policy), ()
        case CallerDialed():
            return _caller_dialed(callback, event, policy), ()
        case TryEnded(at=at, n=n, status=status):
            return _try_ended(callback, n, at, status, policy), ()
        case _:
            return callback, ()


def _late(callback: Callback, event: CallbackEvent) -> CallbackStep:
    """Nobody waits for this call any more. One that begins now is ended: its order got no clear answer."""
    if isinstance(event, TryBegan) and 0 < event.n <= len(callback.tries):
        late = callback.tries[event.n - 1]
        if late.leg_sid is None and not late.leg_over:
            return _change(callback, event.n, leg_sid=event.leg_sid, leg_over=True), (LetGo(event.n),)
    return callback, ()


def _came_due(callback: Callback, event: CameDue, policy: Policy) -> CallbackStep:
    at, n, rules = event.at, len(callback.tries), policy.callback
    if callback.state is State.PERSON:
        left = (LetGo(n),) if callback.tries[-1].leg_sid else ()
        return _in_vain(callback, TryOutcome.UNKNOWN, at, policy), left
    if callback.state is State.CALLER:
        if callback.tries[-1].leg_over:
            return _again(_close(callback, TryOutcome.LEFT, at), CallbackOutcome.NOBODY, at, policy), ()
        return _done(_close(callback, TryOutcome.UNKNOWN, at), CallbackOutcome.UNKNOWN, at), ()
    if rules is None:
        return _done(callback, CallbackOutcome.REFUSED, at), ()
    if at > callback.not_before + rules.expire_seconds:
        return _done(callback, CallbackOutcome.EXPIRED, at), ()
    opens = rules.next_time(at)
    if opens > at:
        return replace(callback, due_at=opens), ()
    if event.found is not None:
        callback = replace(callback, found=event.found)
    asked = people(callback, at, policy)
    if not asked:  # the target's own hours
        hours = policy.targets[callback.target].hours if callback.target in policy.targets else None
        later = hours.opens_at(at) if hours is not None else None
        return replace(callback, due_at=max(later or at + AGAIN_SECONDS, at + 60.0), person=0), ()
    person = callback.person if callback.person < len(asked) else 0
    target, endpoint = asked[person]
    new = Try(target.key, endpoint.address, at)
    due = at + endpoint.ring_seconds + KEY_SECONDS
    callback = replace(callback, state=State.PERSON, person=person, tries=(*callback.tries, new), due_at=due)
    return callback, (CallSomebody(n + 1),)


def _cancelled(callback: Callback, at: float) -> CallbackStep:
    if callback.state is State.CALLER:
        return callback, ()  # they are being joined
    left: tuple[CallbackEffect, ...] = ()
    if callback.state is State.PERSON:
        callback = _close(callback, TryOutcome.CANCELLED, at)
        left = (LetGo(len(callback.tries)),) if callback.tries[-1].leg_sid else ()
    return _done(callback, CallbackOutcome.CANCELLED, at), left


def _answered(callback: Callback, n: int, at: float, machine: bool, sid: str, policy: Policy) -> Callback:
    before = callback.tries[n - 1]
    if before.answered_at is not None:
        return callback
    callback = _change(callback, n, answered_at=at, leg_sid=before.leg_sid or sid or None)
    return _in_vain(callback, TryOutcome.MACHINE, at, policy) if machine else callback


def _key_told(callback: Callback, n: int, at: float, accepted: bool, policy: Policy) -> Callback:
    if callback.state is not State.PERSON:
        return callback
    if not accepted:
        return _in_vain(callback, TryOutcome.DECLINED, at, policy)
    ring = policy.callback.ring_seconds if policy.callback is not None else 0
    callback = _change(callback, n, accepted_at=at)
    return replace(callback, state=State.CALLER, due_at=at + ring + policy.dial_seconds + DIAL_SECONDS)


def _caller_dialed(callback: Callback, event: CallerDialed, policy: Policy) -> Callback:
    if callback.state is not State.CALLER:
        return callback
    if event.joined:
        return _done(_close(callback, TryOutcome.JOINED, event.at), CallbackOutcome.JOINED, event.at)
    if event.person_gone:
        callback = _close(callback, TryOutcome.LEFT, event.at)
        return _again(callback, CallbackOutcome.NOBODY, event.at, policy)
    callback = _close(callback, _CALLER.get(event.status, TryOutcome.CALLER_FAILED), event.at)
    return _again(callback, CallbackOutcome.CALLER_NOT_REACHED, event.at, policy)


def _try_ended(callback: Callback, n: int, at: float, status: str, policy: Policy) -> Callback:
    if callback.state is State.PERSON:
        return _in_vain(callback, _ENDED.get(status, TryOutcome.FAILED), at, policy)
    if callback.tries[n - 1].leg_over:
        return callback
    # What became of the caller's telephone is told by another request.
    return replace(_change(callback, n, leg_over=True), due_at=at + LAST_WORD_SECONDS)


def _in_vain(callback: Callback, outcome: TryOutcome, at: float, policy: Policy) -> Callback:
    """The person does not take it: the next one is asked at once, or all of them some time later."""
    callback = _close(callback, outcome, at)
    if callback.person + 1 < len(people(callback, at, policy)):
        return replace(callback, state=State.WAITING, person=callback.person + 1, due_at=at)
    return _again(callback, CallbackOutcome.NOBODY, at, policy)


def _again(callback: Callback, otherwise: CallbackOutcome, at: float, policy: Policy) -> Callback:
    """One more try, at an hour at which callers may be called; or that was the last one."""
    rules, over = policy.callback, callback.round + 1
    callback = replace(callback, round=over, person=0)
    if rules is None or over >= rules.tries:
        return _done(callback, otherwise, at)
    return replace(callback, state=State.WAITING, due_at=rules.next_time(at + rules.retry_seconds))


def _done(callback: Callback, outcome: CallbackOutcome, at: float) -> Callback:
    return replace(callback, state=State.DONE, outcome=outcome, done_at=at)


def _close(callback: Callback, outcome: TryOutcome, at: float) -> Callback:
    return _change(callback, len(callback.tries), outcome=outcome, ended_at=at)


def _change(callback: Callback, n: int, **changes: object) -> Callback:
    changed = replace(callback.tries[n - 1], **changes)  # type: ignore[arg-type] - names of its own fields
    return replace(callback, tries=(*callback.tries[: n - 1], changed, *callback.tries[n:]))
