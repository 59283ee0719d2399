"""The law of a person who sends the caller back to the bot by a key. Pure.

Part of `bot/law.py`, whose rules bind here. When the person steps out of the conference, it is over, and Twilio
asks for both what comes next. That may be the first of the two keys, or the end: so the caller is held for a moment,
and the answer to the next question decides. No redirect is needed, so none can fail.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bot.call import Attempt, Call, Outcome, Phase, change_attempt, close_attempt, open_attempt
from bot.effects import ConnectBot, HoldCaller, MeetPerson, StartTimer, Step, Timer
from bot.events import DialEnded, Event, ImpossibleEvent, PersonSentBack, PersonSteppedIn
from bot.routing import Policy

HOLD_SECONDS = 6
"""How long the caller is held at most: the two seconds of the second key, and the callbacks that tell of it."""

CHECK_SECONDS = 60.0
"""How long the stream may take to begin before Twilio is asked."""


def _together(call: Call, event: Event, n: int) -> Attempt | None:
    """The attempt whose person has the caller, or had until a moment ago."""
    if not 0 < n <= len(call.attempts):
        raise ImpossibleEvent(call, event)
    attempt = open_attempt(call, n)
    has_them = attempt is not None and attempt.attended and attempt.bridged_at is not None
    return attempt if has_them and call.phase is Phase.PERSON else None


def person_sent_back(call: Call, event: PersonSentBack, policy: Policy) -> Step:
    """The second key. The caller, who is held, gets the bot with the next answer."""
    attempt = _together(call, event, event.attempt)
    if attempt is None or attempt.sent_back:
        return call, ()
    return change_attempt(call, event.attempt, sent_back=True, waits=False, leg_over=True), ()


def person_stepped_in(call: Call, event: PersonSteppedIn, policy: Policy) -> Step:
    """There was no second key: the person waits in the conference for the caller, who is held."""
    attempt = _together(call, event, event.attempt)
    if attempt is None or attempt.sent_back or attempt.leg_over:
        return call, ()
    return change_attempt(call, event.attempt, waits=True), ()


def after_conference(call: Call, event: DialEnded, policy: Policy) -> Step | None:
    """What comes after the conference for a caller who is still there; None for the end of the call."""
    n = event.attempt
    attempt = _together(call, event, n)
    if attempt is None or event.caller_gone or not policy.back_key:
        return None
    if attempt.sent_back:
        call = close_attempt(call, event.at, Outcome.ANSWERED, n=n)
        call = change_attempt(call, n, ended_by="person")
        call = replace(call, phase=Phase.CONNECTING, leg=call.leg + 1, stream_open=False)
        return call, (ConnectBot(call.leg), StartTimer(Timer.CHECK, 0, CHECK_SECONDS))
    if attempt.leg_over:
        return None
    if attempt.waits:
        return change_attempt(call, n, held=0), (MeetPerson(n),)
    if event.held >= HOLD_SECONDS:
        return None
    return change_attempt(call, n, held=event.held + 1), (HoldCaller(n, event.held + 1),)


def with_person(call: Call, n: int) -> MeetPerson | HoldCaller:
    """What Twilio shall be doing with a caller whose person is that of the `n`-th attempt."""
    held = call.attempts[n - 1].held
    return HoldCaller(n, held) if held else MeetPerson(n)


SENT_BACK: dict[type[Event], Callable[[Call, Any, Policy], Step]] = {
    PersonSentBack: person_sent_back,
    PersonSteppedIn: person_stepped_in,
}
"""What the law does with the keys."""
