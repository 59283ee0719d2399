"""The law of a caller who waits in a queue (mode `queue`). Pure.

Part of `bot/law.py`, whose rules bind here. Twilio keeps the order of the queue and gives the first caller to whoever
dials it, each once. The caller is moved by the answers to Twilio's own questions alone: an order of ours could meet a
conversation that has just begun, of which we have not been told (a workflow's people tell us only of its end).
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bot.call import Attempt, Call, End, Outcome, Phase, change_attempt, close_attempt, end_call, latest_open
from bot.effects import ConnectBot, HangUp, StartTimer, Step, TextPerson, Timer
from bot.events import Event, ImpossibleEvent
from bot.queue_events import CallerWaits, QueueLeft, TakenFromQueue, WaitGivenUp
from bot.queue_rules import Leave, is_queue
from bot.routing import Policy, resolve
from bot.transfer import CHECK_SECONDS, go_on, redirected, to_recorder

BRIDGED = ("bridged", "redirected-from-bridged")
"""Results that tell of a conversation with a person."""

_ELSEWHERE = ("redirected", "redirected-from-bridged", "bridging-in-process")
"""Results that tell of a call that somebody else's order has moved, or that is being connected: not ours to answer."""


_IN_HAND = (Phase.REDIRECTING, Phase.QUEUED, Phase.PERSON)
"""Where a caller can be whose queue tells of them."""


def _queue(call: Call, event: Event, n: int) -> Attempt:
    """The attempt that an event speaks of."""
    if not 0 < n <= len(call.attempts) or not is_queue(call.attempts[n - 1].number):
        raise ImpossibleEvent(call, event)
    return call.attempts[n - 1]


def caller_waits(call: Call, event: CallerWaits, policy: Policy) -> Step:
    """They hear where they are in the queue. The first time, that proves the redirect."""
    attempt = _queue(call, event, event.attempt)
    if attempt.outcome is not None or call.phase not in (Phase.REDIRECTING, Phase.PERSON):
        return call, ()
    # Whoever had taken them hung up before Twilio had connected the two: they wait on.
    fresh = {"answered_at": None, "accepted_at": None, "bridged_at": None, "answered_by": None}
    call = change_attempt(replace(call, stream_open=False), event.attempt, **fresh)
    return redirected(call, policy)


def wait_given_up(call: Call, event: WaitGivenUp, policy: Policy) -> Step:
    """They leave the queue; Twilio tells so with its next question."""
    attempt = _queue(call, event, event.attempt)
    if attempt.outcome is not None or attempt.ended_by is not None or call.phase is not Phase.QUEUED:
        return call, ()
    return change_attempt(call, event.attempt, ended_by="caller"), ()


def taken_from_queue(call: Call, event: TakenFromQueue, policy: Policy) -> Step:
    """Somebody has them."""
    n = latest_open(call)
    if n == 0 or not is_queue(call.attempts[n - 1].number) or call.attempts[n - 1].bridged_at is not None:
        return call, ()  # told twice, or too late
    at = event.at
    call = change_attempt(
        call, n, answered_at=at, accepted_at=at, bridged_at=at, answered_by=event.who or None, ended_by=None
    )
    texts = (TextPerson(n),) if resolve(policy, call.attempts[n - 1].target).sms else ()
    call = replace(call, phase=Phase.PERSON, stream_open=False)
    return call, (StartTimer(Timer.CHECK, len(call.attempts), CHECK_SECONDS), *texts)


def queue_left(call: Call, event: QueueLeft, policy: Policy) -> Step:
    """The wait is over: name its outcome, and decide who has the caller next."""
    attempt = _queue(call, event, event.attempt)
    if call.phase is Phase.ENDED:
        return _told_afterwards(call, event, attempt), ()
    if attempt.outcome is not None or call.phase not in _IN_HAND:
        return call, ()  # a retried webhook, or one that a later order has overtaken
    if event.result in _ELSEWHERE and not event.caller_gone:
        return call, ()
    outcome = _outcome(attempt, event)
    call = close_attempt(replace(call, stream_open=False), event.at, outcome, event.code, n=event.attempt)
    match outcome:
        case Outcome.ANSWERED:
            return end_call(_talked(call, event, policy), event.at, End.PUT_THROUGH), (HangUp(),)
        case Outcome.CALLER_GONE:
            return end_call(call, event.at, End.CALLER_HUNG_UP), (HangUp(),)
        case Outcome.GAVE_UP:
            return _given_up(call, event, policy)
        case _:
            return go_on(call, event, policy)


def _given_up(call: Call, event: QueueLeft, policy: Policy) -> Step:
    """They get what the operator offers those who do not want to wait."""
    queue = resolve(policy, call.attempts[event.attempt - 1].target).queue
    if queue is None or queue.leave is Leave.VOICEMAIL:
        return to_recorder(call, policy)
    call = replace(call, phase=Phase.CONNECTING, leg=call.leg + 1)
    return call, (ConnectBot(call.leg), StartTimer(Timer.CHECK, 0, CHECK_SECONDS))


def _talked(call: Call, event: QueueLeft, policy: Policy) -> Call:
    attempt = call.attempts[event.attempt - 1]
    together = event.at - (attempt.bridged_at or event.at)
    short = attempt.bridged_at is not None and together < policy.short_seconds
    ended_by = "caller" if event.caller_gone else "person"
    return change_attempt(call, event.attempt, ended_by=ended_by, short=short)


def _told_afterwards(call: Call, event: QueueLeft, attempt: Attempt) -> Call:
    """The end of the call came first: a caller of whom nobody told us that they were taken is not one who left."""
    if event.result not in BRIDGED or attempt.outcome is not Outcome.CALLER_GONE:
        return call
    call = change_attempt(call, event.attempt, outcome=Outcome.ANSWERED, ended_by="caller")
    return replace(call, end=End.PUT_THROUGH)


def _outcome(attempt: Attempt, event: QueueLeft) -> Outcome:
    if event.result in BRIDGED or (event.caller_gone and attempt.bridged_at is not None):
        return Outcome.ANSWERED
    if event.caller_gone or event.result == "hangup":
        return Outcome.CALLER_GONE
    match event.result:
        case "leave" if attempt.bridged_at is not None:
            return Outcome.LEFT
        case "leave":
            return Outcome.GAVE_UP if attempt.ended_by == "caller" else Outcome.NO_ANSWER
        case "queue-full":
            return Outcome.BUSY
        case _:
            return Outcome.FAILED


QUEUED: dict[type[Event], Callable[[Call, Any, Policy], Step]] = {
    CallerWaits: caller_waits,
    WaitGivenUp: wait_given_up,
    TakenFromQueue: taken_from_queue,
    QueueLeft: queue_left,
}
"""The handlers of these facts, for `bot.law`."""
