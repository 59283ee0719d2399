"""The law while the caller is with the bot and wants to be called back. Pure.

Part of `bot/law.py`, whose rules bind here. The model names a number and we call it later: so it is one from which the
caller calls, one that they have typed with their own fingers, or one that the operator allows. No other number is ever
called, whatever the model says.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bot.call import Call, Phase
from bot.callback_wish import Wish
from bot.effects import Advise, BookCallback, Step
from bot.events import CallbackAsked, CallbackBooked, Event, NumberTyped
from bot.routing import Policy

MOST_WISHES = 3
"""So many may be asked for in one call."""

MOST_TYPED = 10
"""So many typed numbers are remembered."""

BOOKING_SECONDS = 10.0
"""For so long a wish counts of which nobody knows yet whether it is booked."""

_HEARS = (Phase.BOT, Phase.SEEKING)

_BY_KEYS = "ask them to type it: the star key, the number, then the hash key"


def number_typed(call: Call, event: NumberTyped, policy: Policy) -> Step:
    """The caller typed a number: the bot reads it back."""
    if call.phase not in _HEARS:
        return call, ()
    if not event.number:
        return call, (Advise(f"The caller typed a number that cannot be called. Say so, and {_BY_KEYS} once more."),)
    if event.number not in call.typed:
        call = replace(call, typed=(*call.typed, event.number)[-MOST_TYPED:])
    return call, (Advise(f"The caller typed {event.number}. Read it back to them and ask whether it is right."),)


def callback_asked(call: Call, event: CallbackAsked, policy: Policy) -> Step:
    """The bot wants a callback to be booked for the caller."""
    if call.phase not in _HEARS:
        return call, ()
    rules, number = policy.callback, event.number or call.caller
    if rules is None:
        return call, (Advise("Callers are not called back here. Offer to take a message (take_message)."),)
    if (number not in (call.caller, *call.typed) and not rules.allows(number)) or not number.startswith("+"):
        return call, (Advise(f"Nobody can be called back at that number. Say so, and {_BY_KEYS}."),)
    if not event.confirmed:
        ask = f"It is not booked: read the number {number} back to the caller, digit by digit, and ask if it is right."
        return call, (Advise(ask),)
    if any(_holds(wish, number, event.at) for wish in call.wishes):
        return call, (Advise("That callback is booked already. Tell the caller so."),)
    if len(call.wishes) >= MOST_WISHES:
        return call, (Advise("No more callbacks can be booked. Offer to take a message (take_message)."),)
    not_before = rules.meant(event.at, event.day, event.clock)
    wish = Wish(number, event.target, event.reason, event.summary, event.at, not_before)
    call = replace(call, wishes=(*call.wishes, wish))
    return call, (BookCallback(len(call.wishes)),)


def _holds(wish: Wish, number: str, at: float) -> bool:
    asked = wish.due_at is None and not wish.refused and at - wish.at < BOOKING_SECONDS
    return wish.number == number and (wish.due_at is not None or asked)


def callback_booked(call: Call, event: CallbackBooked, policy: Policy) -> Step:
    """It is known whether it is booked: the bot tells the caller."""
    if call.phase is Phase.ENDED or not 0 < event.wish <= len(call.wishes):
        return call, ()  # the book has it all the same
    wish = call.wishes[event.wish - 1]
    if wish.due_at is not None or wish.refused:
        return call, ()
    if event.callback:
        wish = replace(wish, callback=event.callback, due_at=event.due_at)
        when = policy.callback.in_words(event.at, event.due_at) if policy.callback is not None else "soon"
        told = f"It is booked: the caller will be called back {when}. Tell them so."
    else:
        wish = replace(wish, refused=True)
        told = "The callback could not be booked. Say so, and offer to take a message (take_message)."
    call = replace(call, wishes=(*call.wishes[: event.wish - 1], wish, *call.wishes[event.wish :]))
    return call, (Advise(told),) if call.phase in _HEARS else ()


BOOKING: dict[type[Event], Callable[[Call, Any, Policy], Step]] = {
    NumberTyped: number_typed,
    CallbackAsked: callback_asked,
    CallbackBooked: callback_booked,
}
"""The handlers of these facts, for `bot.law`."""
