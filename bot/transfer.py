"""The law between the bot and a person: the redirect, who is tried next, and what comes when nobody is left. Pure.

Part of `bot/law.py`, whose rules bind here.
"""

from dataclasses import replace

from bot.call import (
    AT_ANY_HOUR,
    STREAM_PHASES,
    Attempt,
    Call,
    End,
    Handoff,
    Outcome,
    Phase,
    close_attempt,
    end_call,
    fall,
    found_for,
    latest_open,
    over,
    waiting_person,
)
from bot.effects import (
    AskTwilio,
    CloseStream,
    ConnectBot,
    DialPerson,
    Effect,
    Enqueue,
    HangUp,
    MeetPerson,
    StartTimer,
    Step,
    TakeMessage,
    TextPerson,
    Timer,
)
from bot.events import (
    Event,
    Failure,
    HandoffRequested,
    ImpossibleEvent,
    MessageRecorded,
    RedirectAccepted,
    RedirectFailed,
)
from bot.falls import Rung
from bot.queue_rules import is_queue
from bot.routing import Fallback, Policy, Stop, after_nobody, failsafe_seconds, resolve, route
from bot.voicemail import Message

REDIRECT_SECONDS = 10.0
"""The longest wait for any sign of a redirect; past it our own stream is closed."""

UNKNOWN_REDIRECT_SECONDS = 0.5
"""How long the stream's `stop` may take to prove a redirect whose REST answer was lost: four seconds have gone by, and
the caller hears nothing."""

RING_GRACE_SECONDS = 20.0
"""How much longer than its ring time a `<Dial>` may take before Twilio is asked. Twilio itself adds some seconds."""

CHECK_SECONDS = 60.0
"""How often Twilio is asked about a call that has no callback due."""

FAILSAFE_CHECK_SECONDS = 10.0
"""The same while Twilio runs the document that it holds, which tells us little."""

RESCUE_SECONDS = 20.0
"""How long Twilio may take to ask what to do with a caller whose stream is gone (its own limit for a webhook is 15)."""

BEFORE_FAILSAFE = (Phase.CONNECTING, *STREAM_PHASES, Phase.REDIRECTING, Phase.CLOSING, Phase.RESCUE)
"""Where a call may be as far as we know, when Twilio has gone on with the document that it holds: our process died."""


def agree(call: Call, event: HandoffRequested, policy: Policy) -> Call:
    """The call with one more hand-off. Beyond the most of a call it leads to the recorder."""
    target = event.target
    if target is not None:
        target = resolve(policy, target).key if len(call.handoffs) < policy.max_hops else None
    handoff = Handoff(
        target,
        event.reason,
        event.summary,
        event.by,
        event.at,
        wants=event.wants,
        found=event.found,
        introduction=event.introduction,
    )
    return replace(call, handoffs=(*call.handoffs, handoff), tried=0)


def next_stop(call: Call, policy: Policy) -> Stop | None:
    """Whom the hand-off under way tries next; None when all have been tried."""
    handoff = call.handoffs[-1]
    if handoff.target is None:
        return None
    at_any_hour = handoff.by in AT_ANY_HOUR
    stops = route(
        policy,
        handoff.target,
        handoff.at,
        wants=handoff.wants,
        turn=call.sid,
        at_any_hour=at_any_hour,
        found=handoff.found,
    )
    return stops[call.tried] if call.tried < len(stops) else None


def straight_to(call: Call, event: HandoffRequested, policy: Policy) -> Step:
    """A hand-off without a redirect: the document answers a webhook that asks who takes the caller."""
    call, (document, *_) = redirect(agree(call, event, policy), event, policy)
    call, effects = redirected(call, policy)
    return call, (document, *effects)


def redirect(call: Call, event: Event, policy: Policy) -> Step:
    """Order the redirect: to the person who waits, to the first stop of the hand-off's route, or to the recorder."""
    call = replace(call, phase=Phase.REDIRECTING)
    timer = StartTimer(Timer.REDIRECT, len(call.handoffs), REDIRECT_SECONDS)
    call, document = to_somebody(call, event, policy)
    return call, (document, timer)


def to_somebody(
    call: Call, event: Event, policy: Policy
) -> tuple[Call, DialPerson | Enqueue | MeetPerson | TakeMessage]:
    """Who has the caller when they leave the bot."""
    if n := waiting_person(call):
        return call, MeetPerson(n)
    call, document = next_number(call, event, policy)
    if document is None and call.handoffs[-1].target is not None:  # all were tried, or it has become late
        call = replace(call, handoffs=(*call.handoffs[:-1], replace(call.handoffs[-1], target=None)))
    return call, document or TakeMessage()


def next_number(call: Call, event: Event, policy: Policy) -> tuple[Call, DialPerson | Enqueue | None]:
    """Open an attempt at the next stop of the current route; None when all have been tried."""
    stop = next_stop(call, policy)
    if stop is None:
        return call, None
    attempt = Attempt(stop.target.key, stop.addresses, event.at, handoff=len(call.handoffs))
    call = replace(call, attempts=(*call.attempts, attempt), tried=call.tried + 1)
    return call, latest_document(call)


def latest_document(call: Call) -> DialPerson | Enqueue:
    """What Twilio does for the latest attempt."""
    n = len(call.attempts)
    return Enqueue(n) if is_queue(call.attempts[-1].number) else DialPerson(n)


def on_the_way(call: Call) -> Phase:
    """Who has the caller while the latest attempt has come to nothing yet."""
    return Phase.QUEUED if is_queue(call.attempts[-1].number) else Phase.RINGING


def redirected(call: Call, policy: Policy) -> Step:
    """Twilio carries out the redirect."""
    if waiting_person(call):
        return replace(call, phase=Phase.PERSON), (StartTimer(Timer.CHECK, len(call.attempts), CHECK_SECONDS),)
    if call.handoffs[-1].target is None:
        return replace(call, phase=Phase.VOICEMAIL), (_check_message(policy),)
    if call.attempts[-1].attended:  # they were on the line, and have gone meanwhile
        return back_from(call, policy)
    return replace(call, phase=on_the_way(call)), (_check_ringing(call, policy),)


def redirect_accepted(call: Call, event: RedirectAccepted, policy: Policy) -> Step:
    """Twilio took the order; whether it has been carried out, `stop` tells."""
    if call.phase is Phase.REDIRECTING and not _given_up(call):
        return redirected(call, policy)
    if not call.handoffs:
        raise ImpossibleEvent(call, event)
    return call, ()  # `stop` or a callback came first; or our stream was closed already, and Twilio asks


def redirect_failed(call: Call, event: RedirectFailed, policy: Policy) -> Step:
    """Twilio did not take the order, or its answer is lost."""
    if not call.handoffs:
        raise ImpossibleEvent(call, event)
    soon = StartTimer(Timer.REDIRECT, len(call.handoffs), UNKNOWN_REDIRECT_SECONDS)
    if event.failure is Failure.GONE and not (call.phase is Phase.REDIRECTING and call.stream_open):
        return over(call, event.at), ()
    if event.failure is Failure.GONE:
        return call, (AskTwilio(), soon)  # its stream says otherwise: nobody is left on a line that is taken for dead
    if call.phase is not Phase.REDIRECTING:
        return call, ()  # `stop` or a callback has proved the redirect
    if event.failure is Failure.UNKNOWN and call.stream_open:
        return call, (soon,)
    return give_up_redirect(call, event, policy, event.code)


def give_up_redirect(call: Call, event: Event, policy: Policy, code: int | None = None) -> Step:
    """REST did not do it: let go of the caller, so that Twilio goes on with the document that it holds."""
    orders: tuple[Effect, ...] = (CloseStream(),) if call.stream_open else ()
    if orders:
        call = fall(call, Rung.CLOSED_STREAM, event.at, f"error {code}" if code else "")
    call = replace(not_reached(call, event.at, code), stream_open=False)
    if policy.rescue:  # the answer to the rescue carries the hand-off out
        call = replace(call, phase=Phase.REDIRECTING)
        return call, (*orders, StartTimer(Timer.CHECK, len(call.attempts), RESCUE_SECONDS))
    call, effects = to_failsafe(call, event, policy)
    return call, (*orders, *effects)


def not_reached(call: Call, at: float, code: int | None = None) -> Call:
    """The call with its open attempt failed for a reason that is not the person's: their number is tried again."""
    if not latest_open(call) or call.attempts[-1].attended:
        return call  # they are on the line, or rung for a bot that is gone; it is the caller who was not moved
    return replace(close_attempt(call, at, Outcome.FAILED, code), tried=max(call.tried - 1, 0))


def _given_up(call: Call) -> bool:
    """Whether the redirect was given up: none is under way, and Twilio is to ask what to do."""
    return not call.stream_open and (not latest_open(call) or bool(waiting_person(call)))


def to_failsafe(call: Call, event: Event, policy: Policy) -> Step:
    """Twilio goes on with the document that it holds."""
    number = ",".join(endpoint.address for endpoint in policy.targets[policy.failsafe].endpoints)
    attempt = Attempt(policy.failsafe, number, event.at, failsafe=True)
    call = replace(call, phase=Phase.FAILSAFE, attempts=(*call.attempts, attempt))
    call = fall(call, Rung.HELD_DOCUMENT, event.at)
    wait = failsafe_seconds(policy) + RING_GRACE_SECONDS
    return call, (StartTimer(Timer.CHECK, len(call.attempts), wait),)


def _check_ringing(call: Call, policy: Policy) -> StartTimer:
    addresses = call.attempts[-1].number.split(",")
    people = resolve(policy, call.attempts[-1].target, found_for(call, call.attempts[-1])).endpoints
    ring_seconds = max((person.ring_seconds for person in people if person.address in addresses), default=0)
    return StartTimer(Timer.CHECK, len(call.attempts), ring_seconds + RING_GRACE_SECONDS)


def _check_message(policy: Policy) -> StartTimer:
    return StartTimer(Timer.CHECK, 0, policy.voicemail.max_seconds + RING_GRACE_SECONDS)


def known(call: Call, event: Event, n: int) -> None:
    """Refuse what speaks of an attempt that there is not, or of a telephone where the attempt is a queue."""
    if n > len(call.attempts) or n < 0 or (n > 0 and is_queue(call.attempts[n - 1].number)):
        raise ImpossibleEvent(call, event)


def go_on(call: Call, event: Event, policy: Policy) -> Step:
    """One attempt is over in vain: the next stop of the route, or what comes when there is none."""
    call, document = next_number(call, event, policy)
    if document is not None:
        return replace(call, phase=on_the_way(call)), (document, _check_ringing(call, policy))
    return back_from(call, policy)


def back_from(call: Call, policy: Policy) -> Step:
    """Nobody took the call: what comes then."""
    call = replace(call, nobody=call.nobody + 1, stream_open=False)
    if after_nobody(policy, call.nobody) is Fallback.BOT:
        call = replace(call, phase=Phase.CONNECTING, leg=call.leg + 1)
        return call, (ConnectBot(call.leg), StartTimer(Timer.CHECK, 0, CHECK_SECONDS))
    return to_recorder(call, policy)


def to_recorder(call: Call, policy: Policy) -> Step:
    """The recorder takes the caller, by the answer to a webhook."""
    return replace(call, phase=Phase.VOICEMAIL), (TakeMessage(), _check_message(policy))


def texts(before: Call, after: Call, policy: Policy) -> tuple[TextPerson, ...]:
    """The text messages for people whom a step has begun to try."""
    new = range(len(before.attempts) + 1, len(after.attempts) + 1)
    tried = ((n, after.attempts[n - 1]) for n in new)
    rung = ((n, attempt) for n, attempt in tried if not attempt.failsafe and not is_queue(attempt.number))
    return tuple(TextPerson(n) for n, attempt in rung if resolve(policy, attempt.target).sms)


def redirect_is_overdue(call: Call) -> bool:
    """Whether the redirect should have taken effect by now."""
    # Accepted or not: as long as our stream is open, the redirect has not taken effect.
    return call.phase is Phase.REDIRECTING or (
        call.stream_open and call.phase in (Phase.RINGING, Phase.QUEUED, Phase.VOICEMAIL)
    )


# --- the recorder ------------------------------------------------------------------------------------


def message_recorded(call: Call, event: MessageRecorded, policy: Policy) -> Step:
    """The recorder is done. A recording that is told of after the call's end is still a message for somebody."""
    if event.failsafe:
        return _failsafe_recorded(call, event, policy)
    if not _at_the_recorder(call):
        raise ImpossibleEvent(call, event)
    if call.message is not None:
        return call, ()  # a retried webhook
    call = _with_message(call, event)
    if call.phase is Phase.ENDED:
        return (replace(call, end=End.MESSAGE_LEFT) if call.message else call), ()
    return end_call(call, event.at, End.MESSAGE_LEFT if call.message else End.NO_MESSAGE), (HangUp(),)


def _failsafe_recorded(call: Call, event: MessageRecorded, policy: Policy) -> Step:
    """The recorder stands behind the failsafe `<Dial>`, which has no action: so that `<Dial>` is over, too."""
    if call.phase in BEFORE_FAILSAFE:  # our process died and another one hears of it
        call = close_attempt(replace(call, stream_open=False), event.at, Outcome.FAILED)
        call, _ = to_failsafe(call, event, policy)
    if call.phase is Phase.ENDED:
        call = call if call.message else _with_message(call, event)
        return (replace(call, end=End.MESSAGE_LEFT) if call.message and call.end is End.UNANSWERED else call), ()
    if call.phase not in (Phase.FAILSAFE, Phase.PERSON) or not call.attempts[-1].failsafe:
        raise ImpossibleEvent(call, event)
    talked = call.phase is Phase.PERSON
    call = _with_message(call, event)
    call = close_attempt(call, event.at, Outcome.ANSWERED if talked else Outcome.NO_ANSWER)
    end = End.PUT_THROUGH if talked else End.MESSAGE_LEFT if call.message else End.NO_MESSAGE
    return end_call(call, event.at, end), (HangUp(),)


def _with_message(call: Call, event: MessageRecorded) -> Call:
    return replace(call, message=Message(event.url, event.seconds)) if event.seconds > 0 else call


def _at_the_recorder(call: Call) -> bool:
    if call.phase is Phase.REDIRECTING:
        return call.handoffs[-1].target is None  # the callback overtook the answer to the redirect
    return call.phase is Phase.VOICEMAIL or call.end in (End.NO_MESSAGE, End.MESSAGE_LEFT)
