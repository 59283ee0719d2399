"""`hours:` of a target in `handoff.yaml` → `hours.Hours`: read and checked."""

import re
from datetime import date
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator

from bot.hours import DAYS, MINUTES, Hours, Span, is_holiday
from pipelines.problems import guess, listed, refusal
from pipelines.section import Section

_EXAMPLE = "e.g. `mon-fri: 09:00-18:00`, or `sat: [09:00-12:00, 13:00-16:00]`"


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        remedy = "write it as the time zone database does, e.g. `Europe/London` or `America/New_York`"
        raise refusal(f"is `{name}`, which is no time zone", remedy) from None
    return name


def _country(code: str) -> str:
    try:
        is_holiday(code, date(2026, 1, 1))
    except (NotImplementedError, KeyError):
        remedy = "write a country, or a part of one, as ISO 3166 does: `US`, `GB-SCT`, `DE-BY`"
        raise refusal(f"is `{code}`, of which no public holidays are known", remedy) from None
    return code


def _date(written: Any) -> Any:
    try:
        return date.fromisoformat(str(written))
    except ValueError:
        raise refusal(f"holds `{written}`, which is no day", "write days as 2026-12-24") from None


def _days(written: str) -> list[int]:
    first, _, last = written.lower().partition("-")
    for day in (first, last or first):
        if day not in DAYS:
            remedy = f"{guess(day, DAYS)} days are {listed(DAYS)}, and spans of them, e.g. `mon-fri`".strip()
            raise refusal(f"names the day `{day}`", remedy)
    begin, end = DAYS.index(first), DAYS.index(last or first)
    return [day % 7 for day in range(begin, end + 1 if end >= begin else end + 8)]


def _span(written: Any) -> Span:
    match = re.fullmatch(r"([01]?\d|2[0-4]):([0-5]\d) *[-–] *([01]?\d|2[0-4]):([0-5]\d)", str(written))
    if match is None:
        raise refusal(f"holds `{written}`, which is no span of time", f"write from and to, {_EXAMPLE}")
    hours = [int(part) for part in match.groups()]
    start, end = hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]
    if start > MINUTES or end > MINUTES or start == end:
        raise refusal(f"holds `{written}`, which is no span of time", "all day is 00:00-24:00")
    return start, end if end > start else end + MINUTES


def _week(written: Any) -> tuple[tuple[Span, ...], ...]:
    if not isinstance(written, dict) or not written:
        raise refusal("says no hours", f"write days and times, {_EXAMPLE}")
    week: list[tuple[Span, ...]] = [()] * 7
    for days, spans in written.items():
        read = tuple(_span(span) for span in (spans if isinstance(spans, list) else [spans]))
        for day in _days(str(days)):
            if week[day]:
                raise refusal(f"names {DAYS[day]} twice", "write each day once, with all its spans in a list")
            week[day] = read
    return tuple(week)


class HoursEntry(Section):
    """When the people of a target are there."""

    time_zone: Annotated[str, AfterValidator(_zone)]
    """Where they are, e.g. `Europe/London`."""

    open: Annotated[tuple[tuple[Span, ...], ...], BeforeValidator(_week)]
    """Days and times, e.g. `mon-fri: 09:00-18:00`. A span may end after midnight: `22:00-06:00`."""

    holidays: Annotated[str, AfterValidator(_country)] | None = None
    """Closed on the public holidays of this country, or part of one, e.g. `GB-SCT`."""

    closed_on: tuple[Annotated[date, BeforeValidator(_date)], ...] = ()
    """Closed on these days too, e.g. `["2026-12-24"]`."""

    def hours(self) -> Hours:
        """Them as the policy asks of them."""
        return Hours(self.time_zone, self.open, self.holidays, frozenset(self.closed_on))
