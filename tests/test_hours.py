"""Opening hours on the clock of their place."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from bot.hours import Hours

DAY = ((9 * 60, 17 * 60),)
OFFICE = Hours("Europe/London", (DAY,) * 5 + ((), ()), "GB-ENG", frozenset({date(2026, 12, 24)}))
NIGHT = Hours("America/New_York", (((22 * 60, 30 * 60),),) * 7)


def at(text: str, zone: str = "Europe/London") -> float:
    """A local time as Unix seconds."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


@pytest.mark.parametrize(
    ("when", "is_open"),
    [
        ("2026-11-25T08:59", False),
        ("2026-11-25T09:00", True),
        ("2026-11-25T16:59", True),
        ("2026-11-25T17:00", False),
        ("2026-11-28T12:00", False),  # a Saturday
        ("2026-12-24T12:00", False),  # closed on this day
        ("2026-12-25T12:00", False),  # a holiday
        ("2026-06-15T09:30", True),  # in summer time
    ],
)
def test_an_office_is_open_by_its_own_clock(when: str, is_open: bool):
    assert OFFICE.open_at(at(when)) is is_open


def test_a_holiday_of_one_part_of_a_country_is_none_in_another():
    saint_andrew = at("2026-11-30T12:00")
    assert OFFICE.open_at(saint_andrew)
    assert not Hours("Europe/London", (DAY,) * 7, "GB-SCT").open_at(saint_andrew)


@pytest.mark.parametrize(
    ("when", "is_open"),
    [("21:59", False), ("22:00", True), ("23:59", True), ("00:00", True), ("05:59", True), ("06:00", False)],
)
def test_a_span_may_end_after_midnight(when: str, is_open: bool):
    assert NIGHT.open_at(at(f"2026-11-25T{when}", "America/New_York")) is is_open


def test_the_clock_that_goes_back_is_the_local_one():
    # On 25 October 2026 London's clocks go back at 02:00: 09:00 local is 09:00 UTC from then on, 08:00 UTC before.
    sunday = Hours("Europe/London", (DAY,) * 7)
    assert sunday.open_at(datetime(2026, 10, 24, 8, 0, tzinfo=UTC).timestamp())
    assert not sunday.open_at(datetime(2026, 10, 25, 8, 0, tzinfo=UTC).timestamp())
    assert sunday.open_at(datetime(2026, 10, 25, 9, 0, tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("when", "words"),
    [
        ("2026-11-25T08:00", "today at 09:00"),
        ("2026-11-25T18:00", "tomorrow at 09:00"),
        ("2026-11-27T18:00", "on Monday at 09:00"),
        ("2026-12-23T18:00", "on Tuesday at 09:00"),  # closed, holiday, weekend, substitute day
    ],
)
def test_it_is_said_when_they_open_again(when: str, words: str):
    assert OFFICE.next_opening(at(when)) == words


def test_who_never_opens_says_no_day():
    assert Hours("Europe/London", ((),) * 7).next_opening(0.0) is None
