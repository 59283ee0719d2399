"""Calls of our own: the law until somebody has answered. From then on such a call is like every other. Pure."""

from dataclasses import replace

from bot.call import Call, Direction, End, Phase, end_call
from bot.effects import ConnectBot, LeaveMessage, StartTimer, Step, Timer
from bot.events import CalleeAnswered, CalleeMissed
from bot.routing import Policy
from bot.transfer import CHECK_SECONDS

MISSED = {"busy": End.BUSY, "no-answer": End.NO_ANSWER, "canceled": End.NO_ANSWER}
"""How a call ended that was not picked up, by what Twilio calls it; anything else is a number that cannot be called."""


def place(sid: str, callee: str, ours: str, at: float, purpose: str = "") -> Step:
    """Twilio has taken our order for a call.

    Args:
        sid: Twilio's CallSid.
        callee: Who is called. E.164.
        ours: Our number, which they see.
        at: Unix seconds.
        purpose: What the call is for.
    """
    call = Call(sid, callee, ours, at, Phase.CALLING, direction=Direction.OUTBOUND, purpose=purpose)
    return call, (StartTimer(Timer.CHECK, 0, CHECK_SECONDS),)


def callee_answered(call: Call, event: CalleeAnswered, policy: Policy) -> Step:
    """The bot gets a person; a mailbox gets our message."""
    if call.phase is not Phase.CALLING:
        return call, ()  # asked again, because our first answer was lost
    if event.machine:
        return end_call(call, event.at, End.MACHINE), (LeaveMessage(),)
    call = replace(call, phase=Phase.CONNECTING)
    return call, (ConnectBot(call.leg), StartTimer(Timer.CHECK, 0, CHECK_SECONDS))


def callee_missed(call: Call, event: CalleeMissed, policy: Policy) -> Step:
    """The call is over before it began."""
    if call.phase is not Phase.CALLING:
        return call, ()  # Twilio was asked meanwhile, and said so
    return end_call(call, event.at, MISSED.get(event.status, End.FAILED)), ()
