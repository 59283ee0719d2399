"""Facts in words, for people: enums, times, numbers, and what viewers do not see. Pure.

Nothing here lists phases, outcomes or events: a new one is shown under its own name.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

_KNOWN = {
    "no_answer": "no answer",
    "caller_hung_up": "caller hung up",
    "bot": "with the bot",
    "person": "with a person",
    "joined": "with a supervisor",
    "leaving": "saying goodbye",
    "queued": "waiting in a queue",
    "redirecting": "being put through",
    "parting": "last words",
    "closing": "hanging up",
    "failsafe": "failsafe rings",
    "gave_up": "did not want to wait",
    "new_session": "new model session",
    "take_over": "a supervisor, to take over",
    "closed": "nobody there at this hour",
}
"""Where the name alone is not what a supervisor would say."""

TOLD = {
    "put-through": "The bot says goodbye and puts the caller through.",
    "take-over": "Your phone is rung, and the caller is put through to it.",
    "take": "Their phone is rung. Who presses 1 has the next caller of the queue.",
    "hint": "The bot has been told.",
    "hang-up": "The bot says goodbye and hangs up.",
    "callback-cancelled": "Nobody is called back.",
    "outage-on": "The outage switch is on: every new call goes straight to a person.",
    "outage-off": "The outage switch is off: the bot takes new calls.",
}
"""What was done, by the name that a page's address carries."""

_PERSONAL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w.-]{1,255}|\+?\d(?:[ ()./-]{0,3}\d){2,}")
"""E-mail addresses, and three digits or more: telephone numbers, cards, orders, dates of birth. Every repetition has
its bound, so that no text takes long."""


def words(value: str | StrEnum | None) -> str:
    """A value of an enum as it is spoken."""
    if value is None:
        return "–"
    return _KNOWN.get(str(value), str(value).replace("_", " "))


def event_words(name: str) -> str:
    """An event's name, e.g. `GoodbyeHeard`, as it is spoken."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()


def duration(seconds: float | None) -> str:
    """E.g. `3.2 s`, `1:05`, `1:02:05`; a dash for none."""
    if seconds is None:
        return "–"
    if seconds < 10:
        return f"{max(seconds, 0.0):.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def clock(at: float) -> str:
    """The time of day, in the time zone of this machine as all of the console."""
    return datetime.fromtimestamp(at).astimezone().strftime("%H:%M:%S")


def stamp(at: float) -> str:
    """Date and time, to the second."""
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def date(at: float) -> str:
    """The day, in the same time zone."""
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d")


def zone() -> str:
    """The time zone of this machine."""
    return datetime.now().astimezone().tzname() or "local time"


def iso(at: float) -> str:
    """ISO-8601, for machines."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


def midnight(now: float) -> float:
    """When the day began, in the time zone of this machine. Unix seconds."""
    day = datetime.fromtimestamp(now).astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    return day.timestamp()


def day_of(text: str, *, end: bool = False) -> float | None:
    """A date as a form gives it (`2026-11-25`) as Unix seconds, at its beginning or its end; None for none."""
    try:
        day = datetime.fromisoformat(text)
        if len(text) <= len("2026-11-25") and end:
            day += timedelta(days=1)
        return day.astimezone().timestamp()
    except (ValueError, OverflowError, OSError):  # the first and the last days of the calendar have no neighbour
        return None


def mask_number(number: str) -> str:
    """A telephone number for a viewer: the last three digits."""
    digits = re.sub(r"\D", "", number)
    return f"••• {digits[-3:]}" if len(digits) >= 7 else number


def mask(text: str) -> str:
    """What somebody said, for a viewer."""
    return _PERSONAL.sub("•••", text)


def masked_data(data: Any) -> Any:
    """The facts of an event, for a viewer."""
    match data:
        case str():
            return mask(data)
        case Mapping():
            return {key: masked_data(value) for key, value in data.items()}
        case list():
            return [masked_data(value) for value in data]
        case _:
            return data
