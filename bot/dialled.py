"""The law of a person whose telephone a `<Dial>` rings: picked up, taken or not, and the attempt's outcome. Pure.

Part of `bot/law.py`, whose rules bind here.
"""

from dataclasses import replace

from bot.call import Attempt, Call, End, Outcome, Phase, change_attempt, close_attempt, end_call, open_attempt
from bot.effects import AskTwilio, HangUp, StartTimer, Step, Timer
from bot.events import DialEnded, Event, ImpossibleEvent, PersonAccepted, PersonAnswered, PersonDeclined, PersonLegEnded
from bot.routing import Mode, Policy, resolve
from bot.sent_back import after_conference
from bot.transfer import BEFORE_FAILSAFE, CHECK_SECONDS, go_on, known, to_failsafe


def person_answered(call: Call, event: PersonAnswered, policy: Policy) -> Step:
    """Somebody picked up. Unless the target is screened, that connects the caller."""
    known(call, event, event.attempt)
    if event.attempt == 0 and call.phase in BEFORE_FAILSAFE:
        # Our process died and another one hears of it: Twilio went on with its document.
        call = close_attempt(replace(call, stream_open=False), event.at, Outcome.FAILED)
        call, _ = to_failsafe(call, event, policy)
    attempt = open_attempt(call, event.attempt)
    n = event.attempt or len(call.attempts)
    if attempt is not None and event.machine and not attempt.machine and attempt.answered_at is not None:
        return change_attempt(call, n, machine=True), ()  # that it was picked up was told before
    if attempt is None or attempt.answered_at is not None:
        return call, ()
    call = change_attempt(call, n, answered_at=event.at, answered_by=event.who or None, machine=event.machine)
    call = change_attempt(call, n, reconciled=event.asked)
    if not attempt.failsafe and resolve(policy, attempt.target).mode is not Mode.DIAL:
        return call, ()  # picked up, not yet accepted
    return _with_person(call, event, n)


def person_accepted(call: Call, event: PersonAccepted, policy: Policy) -> Step:
    """The screened person takes the call."""
    known(call, event, event.attempt)
    attempt = open_attempt(call, event.attempt)
    if attempt is None or attempt.accepted_at is not None:
        return call, ()
    if event.at_page and (attempt.answered_at is None or attempt.several):
        return call, ()  # they have to pick up first; and of several a button does not say whose telephone it is
    return _with_person(call, event, event.attempt or len(call.attempts))


def _with_person(call: Call, event: Event, n: int) -> Step:
    call = change_attempt(call, n, accepted_at=event.at, bridged_at=event.at)
    call = replace(call, phase=Phase.PERSON, stream_open=False)
    return call, (StartTimer(Timer.CHECK, len(call.attempts), CHECK_SECONDS),)


def person_declined(call: Call, event: PersonDeclined, policy: Policy) -> Step:
    """The screened person does not take the call."""
    known(call, event, event.attempt)
    attempt = open_attempt(call, event.attempt)
    if attempt is None or attempt.declined:
        return call, ()
    return change_attempt(call, event.attempt, declined=True), ()  # the Dial's end follows


def person_leg_ended(call: Call, event: PersonLegEnded, policy: Policy) -> Step:
    """The person's side is over."""
    known(call, event, event.attempt)
    attempt = open_attempt(call, event.attempt)
    if attempt is None or not attempt.failsafe:
        return call, ()  # the Dial's action tells the same, and its answer decides
    if event.talked and call.phase is Phase.PERSON:
        call = close_attempt(call, event.at, Outcome.ANSWERED)
    return call, (AskTwilio(),)  # the failsafe Dial has no action


def dial_ended(call: Call, event: DialEnded, policy: Policy) -> Step:
    """The attempt is over: name its outcome, and decide who has the caller next."""
    known(call, event, event.attempt)
    if event.attempt == 0:
        raise ImpossibleEvent(call, event)  # the failsafe Dial has no action
    attempt = open_attempt(call, event.attempt)
    if attempt is None:
        return call, ()  # a retried webhook, or the action of a Dial that a redirect interrupted
    if attempt.attended and (goes_on := after_conference(call, event, policy)) is not None:
        return goes_on
    outcome = _outcome(attempt, event)
    call = close_attempt(call, event.at, outcome, event.code, n=event.attempt)
    if outcome is Outcome.ANSWERED:
        together = event.at - (attempt.bridged_at or event.at)
        ended_by = "caller" if event.caller_gone else "person"
        short = attempt.bridged_at is not None and together < policy.short_seconds
        untold = attempt.bridged_at is None
        call = change_attempt(call, event.attempt, ended_by=ended_by, short=short, doubtful=untold)
    call = replace(call, stream_open=False)
    if outcome is Outcome.ANSWERED:
        return end_call(call, event.at, End.PUT_THROUGH), (HangUp(),)
    if outcome is Outcome.CALLER_GONE:
        return end_call(call, event.at, End.CALLER_HUNG_UP), (HangUp(),)
    return go_on(call, event, policy)


def _outcome(attempt: Attempt, event: DialEnded) -> Outcome:
    # The Dial of a conference does not say whether anybody else was in it.
    if attempt.bridged_at is not None if attempt.attended else event.bridged:
        return Outcome.ANSWERED
    if event.caller_gone:
        return Outcome.CALLER_GONE
    match event.status:
        case "busy":
            return Outcome.BUSY
        case "no-answer":
            return Outcome.NO_ANSWER
        case "completed" | "answered" if attempt.attended or attempt.accepted_at is not None:
            return Outcome.LEFT
        case "completed" | "answered" if attempt.declined:
            return Outcome.DECLINED
        case "completed" | "answered" if attempt.machine:
            return Outcome.MACHINE
        case "completed" | "answered" if attempt.answered_at is not None:
            return Outcome.NO_ANSWER  # picked up, and nobody pressed the key
        case "completed" | "answered" | "canceled":
            # Ended before anybody picked up: another redirect of this call interrupted the Dial. Twilio requests
            # the interrupted Dial's action with `completed` and ignores the answer.
            return Outcome.SUPERSEDED
        case _:
            return Outcome.FAILED
