"""The law when the model is gone: a new session of it, another model, or a person. Pure.

Part of `bot/law.py`, whose rules bind here.
"""

from dataclasses import replace

from bot.call import By, Call, Phase, fall
from bot.effects import ChangeModel, RenewModel, StartTimer, Step, Timer
from bot.events import HandoffRequested, ImpossibleEvent, ModelLost, ModelRenewed
from bot.falls import Rung
from bot.routing import Policy
from bot.transfer import agree, redirect

RENEWALS = 3
"""How often in one call a new session of a model may take over. Then another model does, or a person."""

RENEWAL_SECONDS = 4.0
"""How long the caller is kept waiting for a new session. Then a person takes over."""

RENEWAL_BEFORE_ANOTHER_SECONDS = 2.0
"""The same where another model can take over: the caller shall not wait for both."""


def model_lost(call: Call, event: ModelLost, policy: Policy) -> Step:
    """The model is gone: a new session of it, another model, or a person."""
    if call.phase is Phase.LEAVING:
        return redirect(call, event, policy)  # the goodbye will not come
    others = policy.other_models - call.model
    n = call.renewals + 1
    talks = call.phase in (Phase.BOT, Phase.SEEKING)
    if talks and not (call.renewing or event.for_good) and _sessions(call) < RENEWALS:
        call = fall(replace(call, renewals=n, renewing=True), Rung.NEW_SESSION, event.at, event.fault)
        seconds = RENEWAL_BEFORE_ANOTHER_SECONDS if others > 0 else RENEWAL_SECONDS
        return call, (RenewModel(n), StartTimer(Timer.RENEWAL, n, seconds))
    if talks and others > 0:
        call = replace(call, model=call.model + 1, renewals=n, renewing=True)
        call = fall(call, Rung.ANOTHER_MODEL, event.at, event.fault)
        return call, (ChangeModel(call.model, n), StartTimer(Timer.RENEWAL, n, RENEWAL_SECONDS))
    if call.phase not in (Phase.BOT, Phase.SEEKING, Phase.PARTING):
        return call, ()
    request = HandoffRequested(at=event.at, target=policy.failsafe, reason=event.reason, by=By.WATCH)
    call = fall(replace(call, renewing=False), Rung.PERSON, event.at, event.fault)
    return redirect(agree(call, request, policy), event, policy)


def _sessions(call: Call) -> int:
    """How many new sessions the model that talks now has had."""
    count = 0
    for used in call.falls:
        if used.rung is Rung.NEW_SESSION:
            count += 1
        elif used.rung is Rung.ANOTHER_MODEL:
            count = 0
    return count


def model_renewed(call: Call, event: ModelRenewed, policy: Policy) -> Step:
    """A new session of the model, or another model, has taken over."""
    if event.renewal > call.renewals:
        raise ImpossibleEvent(call, event)
    if event.renewal < call.renewals or not call.renewing:
        return call, ()  # too late: the caller is on the way to a person
    return replace(call, renewing=False), ()
