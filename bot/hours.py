"""Opening hours: when the people of a target are there, on the clock of their own place. Reads no clock itself."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import holidays

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MINUTES = 24 * 60

Span = tuple[int, int]
"""From, to: minutes since midnight. The end may lie beyond midnight."""


@dataclass(frozen=True, slots=True)
class Hours:
    """When somebody is there. It is a `bot.opening.Opening`."""

    zone: str
    """As in the time zone database, e.g. `Europe/London`."""

    week: tuple[tuple[Span, ...], ...]
    """Monday to Sunday."""

    country: str | None = None
    """Closed on the public holidays of this country, or part of one, e.g. `GB` or `GB-SCT` (ISO 3166)."""

    closed_on: frozenset[date] = frozenset()

    def open_at(self, at: float) -> bool:
        """See `Opening`."""
        here = self._here(at)
        minute = here.hour * 60 + here.minute
        today, yesterday = here.date(), here.date() - timedelta(days=1)
        return any(start <= minute < end for start, end in self._spans(today)) or any(
            minute + MINUTES < end for _, end in self._spans(yesterday)
        )

    def next_opening(self, at: float) -> str | None:
        """See `Opening`."""
        here = self._here(at)
        minute = here.hour * 60 + here.minute
        for ahead in range(8):
            day = here.date() + timedelta(days=ahead)
            starts = sorted(start for start, _ in self._spans(day) if ahead or start > minute)
            if starts:
                name = ("today", "tomorrow")[ahead] if ahead < 2 else f"on {DAY_NAMES[day.weekday()]}"
                return f"{name} at {starts[0] // 60:02}:{starts[0] % 60:02}"
        return None

    def opens_at(self, at: float) -> float | None:
        """See `Opening`."""
        if self.open_at(at):
            return at
        first = self._here(at).date()
        for ahead in range(8):
            day = first + timedelta(days=ahead)
            midnight = datetime.combine(day, time(), ZoneInfo(self.zone))
            starts = sorted((midnight + timedelta(minutes=start)).timestamp() for start, _ in self._spans(day))
            if later := next((start for start in starts if start > at), None):
                return later
        return None

    def on_clock(self, at: float, day: str, clock: str) -> float | None:
        """See `bot.opening.Calendar`."""
        here = self._here(at)
        match = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", clock or "00:00")
        if match is None:
            return None
        ahead = {"": 0, "today": 0, "tomorrow": 1}.get(day)
        if ahead is None:
            if day not in DAYS:
                return None
            ahead = (DAYS.index(day) - here.weekday()) % 7
        then = datetime.combine(here.date() + timedelta(days=ahead), time(int(match[1]), int(match[2])), here.tzinfo)
        if then <= here and day in DAYS and ahead == 0 and clock:
            then += timedelta(days=7)
        return then.timestamp() if then > here else None

    def in_words(self, at: float, then: float) -> str:
        """See `bot.opening.Calendar`."""
        here, there = self._here(at), self._here(then)
        ahead = (there.date() - here.date()).days
        names = {0: "today", 1: "tomorrow"}
        return f"{names.get(ahead) or f'on {DAY_NAMES[there.weekday()]}'} at {there:%H:%M}"

    def _here(self, at: float) -> datetime:
        return datetime.fromtimestamp(at, UTC).astimezone(ZoneInfo(self.zone))

    def _spans(self, day: date) -> tuple[Span, ...]:
        if day in self.closed_on or (self.country is not None and is_holiday(self.country, day)):
            return ()
        return self.week[day.weekday()]


def is_holiday(country: str, day: date) -> bool:
    """Whether it is a public holiday.

    Args:
        country: ISO 3166, with or without a part of it: `DE`, `DE-BY`.
        day: The day.

    Raises:
        NotImplementedError: There is no such country, or no such part of it.
    """
    return day in _holidays(country, day.year)


@lru_cache(maxsize=64)
def _holidays(country: str, year: int) -> holidays.HolidayBase:
    code, _, part = country.partition("-")
    return holidays.country_holidays(code, subdiv=part or None, years=year)
