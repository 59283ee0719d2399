"""The law of the bot's last words, and of the hang-up behind them. Pure.

Part of `bot/law.py`, whose rules bind here. Hanging up is an order of its own, given only when the caller has heard the
bot's last words; whoever still has something to say is not hung up on.
"""

from dataclasses import replace

from bot.call import Call, End, Phase, end_call
from bot.effects import AskTwilio, CloseStream, HangUp, SayFarewell, StartTimer, Step, Timer
from bot.events import CallerSpoke, Failure, FarewellHeard, FarewellRequested, HangUpFailed, ImpossibleEvent
from bot.routing import Policy

HANG_UP_SECONDS = 3.0
"""How long Twilio may take to end the call before the hang-up is ordered again."""

HANG_UP_TRIES = 3


def farewell_requested(call: Call, event: FarewellRequested, policy: Policy) -> Step:
    """The conversation is over: the bot says its last words."""
    joined = call.phase is Phase.JOINED and bool(event.who)  # a bot that is leaving comes too late with it
    if call.phase not in (Phase.BOT, Phase.SEEKING) and not joined:
        return call, ()  # asked twice, or a hand-off is under way, which goes first
    n = call.farewells + 1
    call = replace(call, phase=Phase.PARTING, farewells=n)
    return call, (SayFarewell(n, prompted=bool(event.who)), StartTimer(Timer.FAREWELL, n, policy.goodbye_seconds))


def farewell_heard(call: Call, event: FarewellHeard, policy: Policy) -> Step:
    """The caller has heard them: the call ends."""
    if event.farewell > call.farewells:
        raise ImpossibleEvent(call, event)
    if call.phase is not Phase.PARTING or event.farewell < call.farewells:
        return call, ()  # the caller spoke, and the bot stayed
    return replace(call, phase=Phase.CLOSING), (
        HangUp(),
        StartTimer(Timer.HANG_UP, 1, HANG_UP_SECONDS),
    )


def caller_spoke(call: Call, event: CallerSpoke, policy: Policy) -> Step:
    """The caller has begun to speak."""
    if call.phase is not Phase.PARTING:
        return call, ()
    # Whoever still has something to say is not hung up on.
    return replace(call, phase=Phase.BOT), ()


def hang_up_failed(call: Call, event: HangUpFailed, policy: Policy) -> Step:
    """Twilio did not confirm that the call is ended."""
    if call.phase is not Phase.CLOSING:
        return call, ()
    if event.failure is Failure.GONE and call.stream_open:
        return call, (AskTwilio(),)  # its stream says otherwise; the timer tries again
    if event.failure is Failure.GONE:
        return end_call(call, event.at, End.BOT_HUNG_UP), ()
    return call, ()  # the timer tries again


def hang_up_overdue(call: Call, tries: int) -> Step:
    """The call goes on although it was ordered to end, so many times."""
    if tries < HANG_UP_TRIES:
        # Unlike a redirect, a hang-up may be repeated: it cannot happen twice.
        return call, (HangUp(), StartTimer(Timer.HANG_UP, tries + 1, HANG_UP_SECONDS))
    return call, (CloseStream(),)  # a person on the line is better than silence
