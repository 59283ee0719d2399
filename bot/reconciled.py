"""The law when Twilio was asked, afterwards, what became of a call whose own callbacks did not all come. Pure.

Part of `bot/law.py`, whose rules bind here. Nobody has the caller any more: what is known of the past gets better, and
nothing follows from it. What a callback has told stands.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bot.asked import Leg, Reconciled
from bot.call import Attempt, Call, End, Outcome, Phase, change_attempt
from bot.effects import Step
from bot.events import Event
from bot.routing import Mode, Policy, resolve

SLACK_SECONDS = 5.0
"""Twilio's clock and ours, and the seconds to which it rounds, differ by no more."""

APART_SECONDS = 0.9
"""Twilio tells whole seconds: a person's leg that ended so long before the caller's was the first to end."""

_NOT_TAKEN = {"busy": Outcome.BUSY, "no-answer": Outcome.NO_ANSWER, "failed": Outcome.FAILED}


def reconciled(call: Call, event: Reconciled, policy: Policy) -> Step:
    """What Twilio knows of the legs of a call that is over."""
    doubtful = [n for n, attempt in enumerate(call.attempts, 1) if attempt.doubtful]
    if call.phase is not Phase.ENDED or not doubtful:
        return call, ()
    for n in doubtful:
        call = _proved(call, n, event, policy)
    last = call.attempts[-1]
    if last.reconciled and last.outcome is Outcome.ANSWERED and call.end in (End.CALLER_HUNG_UP, End.UNANSWERED):
        call = replace(call, end=End.PUT_THROUGH)
    if event.ended_at is not None and call.ended_at is not None:
        call = replace(call, ended_at=min(call.ended_at, event.ended_at))
    return call, ()


def _proved(call: Call, n: int, event: Reconciled, policy: Policy) -> Call:
    attempt = call.attempts[n - 1]
    call = change_attempt(call, n, doubtful=False, reconciled=True)
    legs = [leg for leg in event.legs if _is_of(leg, attempt)]
    talked = next((leg for leg in legs if leg.answered_at is not None), None)
    if talked is not None and _was_connected(attempt, policy):
        return _with_conversation(call, n, talked, event.ended_at, policy)
    if talked is None and legs and attempt.outcome is Outcome.CALLER_GONE:
        return change_attempt(call, n, outcome=_NOT_TAKEN.get(legs[-1].status, attempt.outcome))
    return call


def _is_of(leg: Leg, attempt: Attempt) -> bool:
    if attempt.attended:
        return leg.sid == attempt.leg_sid
    ended_at = attempt.ended_at if attempt.ended_at is not None else leg.created_at
    in_time = attempt.at - SLACK_SECONDS <= leg.created_at <= ended_at + SLACK_SECONDS
    return leg.to in attempt.number.split(",") and in_time


def _was_connected(attempt: Attempt, policy: Policy) -> bool:
    """Whether somebody who picked up had the caller.

    Who is screened says so by a key, which asks us for a document; and a leg alone does not tell of a conference.
    """
    if attempt.attended:
        return attempt.bridged_at is not None
    by_itself = attempt.failsafe or resolve(policy, attempt.target).mode is Mode.DIAL
    return by_itself or attempt.accepted_at is not None


def _with_conversation(call: Call, n: int, leg: Leg, ended_at: float | None, policy: Policy) -> Call:
    attempt = call.attempts[n - 1]
    answered = attempt.answered_at or leg.answered_at
    accepted = attempt.accepted_at or answered
    bridged = attempt.bridged_at or accepted
    over = leg.ended_at or attempt.ended_at
    by = attempt.ended_by
    if by is None and leg.ended_at is not None and ended_at is not None and leg.ended_at <= ended_at - APART_SECONDS:
        by = "person"
    several = attempt.answered_by or (leg.to if attempt.several else None)
    return change_attempt(
        call,
        n,
        outcome=Outcome.ANSWERED,
        answered_at=answered,
        answered_by=several,
        accepted_at=accepted,
        bridged_at=bridged,
        ended_at=over,
        ended_by=by,
        short=over is not None and bridged is not None and over - bridged < policy.short_seconds,
    )


RECONCILED: dict[type[Event], Callable[[Call, Any, Policy], Step]] = {Reconciled: reconciled}
"""The handler of this fact, for `bot.law`."""
