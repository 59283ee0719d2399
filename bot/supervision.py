"""The law of a supervisor who talks with the caller in the bot's place, on the call's own media stream. Pure.

Part of `bot/law.py`, whose rules bind here. Nobody is rung and nothing is redirected: the bot leaves the stream to the
supervisor, and has it again when they leave, whether they wanted to or their browser is gone.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bot.call import By, Call, Phase
from bot.effects import GiveWay, Step
from bot.events import Event, ImpossibleEvent
from bot.joins import Join
from bot.person_events import SupervisorJoined, SupervisorLeft
from bot.routing import Policy

_LEAVES_FOR_THEM = (Phase.BOT, Phase.SEEKING, Phase.PARTING)
"""Where the bot lets a supervisor have the caller. One who is being put through is about to have a person."""

SENDS_ON = (By.API, By.CONSOLE, By.TAKE_OVER)
"""Who can have a caller put through that a supervisor has. All others asked it of the bot, and come too late."""


def supervisor_joined(call: Call, event: SupervisorJoined, policy: Policy) -> Step:
    """The bot leaves. Whoever is being called for the caller is not needed any more."""
    if call.phase not in _LEAVES_FOR_THEM or not call.stream_open:
        return call, ()
    join = Join(event.who, event.at, call.leg)
    call = replace(call, phase=Phase.JOINED, joins=(*call.joins, join), renewing=False, unclear=0, tool_errors=0)
    return call, (GiveWay(),)


def supervisor_left(call: Call, event: SupervisorLeft, policy: Policy) -> Step:
    """The bot has the caller again, and knows with whom they have talked."""
    if event.join > len(call.joins):
        raise ImpossibleEvent(call, event)
    if call.phase is not Phase.JOINED or event.join < len(call.joins):
        return call, ()  # the caller has gone on: put through, hung up, or cut off
    return replace(call, phase=Phase.BOT), (GiveWay(),)


def settle_joins(call: Call, at: float) -> Call:
    """End the stretch of a supervisor who has the caller no more, however that came."""
    if call.phase is Phase.JOINED or not call.joins or call.joins[-1].until is not None:
        return call
    return replace(call, joins=(*call.joins[:-1], replace(call.joins[-1], until=at)))


SUPERVISION: dict[type[Event], Callable[[Call, Any, Policy], Step]] = {
    SupervisorJoined: supervisor_joined,
    SupervisorLeft: supervisor_left,
}
"""What the law does with these facts."""
