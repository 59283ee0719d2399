"""The law when our stream is gone and Twilio asks what to do with the caller: any process may answer. Pure.

Part of `bot/law.py`, whose rules bind here. A policy without `rescue` asks nobody: Twilio rings the failsafe target by
the document that it holds.
"""

from dataclasses import replace

from bot.call import By, Call, End, Phase, end_call, fall
from bot.effects import ConnectBot, HangUp, StartTimer, Step, Timer
from bot.events import Event, HandoffRequested, ImpossibleEvent, RescueAsked
from bot.falls import Rung
from bot.routing import Policy
from bot.transfer import CHECK_SECONDS, RESCUE_SECONDS, not_reached, redirected, straight_to, to_failsafe, to_somebody

BOT_RESCUES = 2
"""How often a caller whose stream was lost gets a bot again. The next time they get a person, and then the recorder: a
call that breaks everything it touches does not go round for ever."""


def line_lost(call: Call, event: Event, policy: Policy) -> Step:
    """Our stream ended and Twilio did not say `stop`: the caller is still there."""
    if not policy.rescue:
        return to_failsafe(call, event, policy)
    match call.phase:
        case Phase.LEAVING:
            call = replace(call, phase=Phase.REDIRECTING)  # the answer to the rescue will carry it out
        case Phase.CLOSING:
            pass  # the end was wanted, and so will the rescue be told
        case _:
            call = replace(call, phase=Phase.RESCUE)
    return call, (StartTimer(Timer.CHECK, len(call.attempts), RESCUE_SECONDS),)


def rescue_asked(call: Call, event: RescueAsked, policy: Policy) -> Step:
    """Twilio asks. What was under way when the stream was lost goes on; otherwise the caller gets a bot again."""
    if event.leg > call.leg:
        raise ImpossibleEvent(call, event)
    if event.leg < call.leg:
        return call, ()  # a retried webhook: its first answer stands
    match call.phase:
        case Phase.CLOSING:
            return end_call(call, event.at, End.BOT_HUNG_UP), (HangUp(),)  # the end was wanted
        case Phase.LEAVING | Phase.REDIRECTING:
            return _carry_out(_rescued(call, event), event, policy)
        case (
            Phase.CONNECTING | Phase.BOT | Phase.SEEKING | Phase.JOINED | Phase.PARTING | Phase.RESCUE | Phase.FAILSAFE
        ):
            return _take_back(_rescued(call, event), event, policy)
        case _:
            return call, ()  # somebody has the caller


def _rescued(call: Call, event: RescueAsked) -> Call:
    return fall(replace(call, stream_open=False, renewing=False, rescues=call.rescues + 1), Rung.RESCUE, event.at)


def _carry_out(call: Call, event: RescueAsked, policy: Policy) -> Step:
    """The agreed hand-off, which no redirect brought about, is carried out by the answer itself."""
    call = replace(not_reached(call, event.at), phase=Phase.REDIRECTING)
    call, document = to_somebody(call, event, policy)
    call, effects = redirected(call, policy)
    return call, (document, *effects)


def _take_back(call: Call, event: RescueAsked, policy: Policy) -> Step:
    call = not_reached(call, event.at)
    if call.rescues <= BOT_RESCUES and not event.closed:
        call = replace(call, phase=Phase.CONNECTING, leg=call.leg + 1)
        return call, (ConnectBot(call.leg), StartTimer(Timer.CHECK, 0, CHECK_SECONDS))
    return straight_to(
        call,
        HandoffRequested(
            at=event.at,
            target=policy.failsafe if call.rescues <= BOT_RESCUES + 1 else None,
            reason=event.closed or "the line to the bot was cut",
            by=By.CLOSED if event.closed else By.WATCH,
        ),
        policy,
    )
