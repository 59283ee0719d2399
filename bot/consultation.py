"""The law of a person who talks with the bot before they take a call (mode `consult`). Pure.

Part of `bot/law.py`, whose rules bind here. The talk itself decides nothing: what the person decides in it is told as
it is by a key, and who has decided nothing when it ends is asked for a key.
"""

from collections.abc import Callable
from typing import Any

from bot.call import Attempt, Call, Phase, change_attempt
from bot.effects import Step, TellBot
from bot.events import Event, ImpossibleEvent
from bot.person_events import ConsultationEnded, ConsultationStarted
from bot.routing import Policy

CONSULT_SECONDS = 180.0
"""The longest talk. Then the person is asked for a key."""


def _attempt(call: Call, event: Event, n: int) -> Attempt | None:
    """The attempt whose person may talk with the bot: they are on the line, and have not decided."""
    if not 0 < n <= len(call.attempts):
        raise ImpossibleEvent(call, event)
    attempt = call.attempts[n - 1]
    decided = attempt.outcome is not None or attempt.accepted_at is not None
    return attempt if attempt.attended and not decided and call.phase is Phase.SEEKING else None


def consultation_started(call: Call, event: ConsultationStarted, policy: Policy) -> Step:
    """The person's stream has begun. It does so once for an attempt: whoever comes later has no talk."""
    attempt = _attempt(call, event, event.attempt)
    if attempt is None or attempt.consulted_at is not None:
        return call, ()
    call = change_attempt(call, event.attempt, consulted_at=event.at)
    who = attempt.target.replace("_", " ")
    text = f"The person at {who} is asking about the caller, on another line, before they decide. Stay with the caller."
    return call, (TellBot(text),)


def consultation_ended(call: Call, event: ConsultationEnded, policy: Policy) -> Step:
    """Twilio asks what the person gets next; see `web/twilio.py`. Whatever they have decided was told before."""
    if not 0 < event.attempt <= len(call.attempts):
        raise ImpossibleEvent(call, event)
    attempt = call.attempts[event.attempt - 1]
    if not attempt.attended or attempt.outcome is not None or attempt.consulted_until is not None:
        return call, ()
    return change_attempt(call, event.attempt, consulted_until=event.at), ()


CONSULTATION: dict[type[Event], Callable[[Call, Any, Policy], Step]] = {
    ConsultationStarted: consultation_started,
    ConsultationEnded: consultation_ended,
}
"""What the law does with such a talk."""
