"""The clocks of a call."""

import asyncio

from bot.effects import Timer
from bot.timers import Timers


async def rung(*started: tuple[Timer, int]) -> list[tuple[Timer, int]]:
    """The clocks that ring when these were started one after the other."""
    fired: list[tuple[Timer, int]] = []
    timers = Timers(lambda timer, number: fired.append((timer, number)))
    for timer, number in started:
        timers.start(timer, number, 0.0)
    await asyncio.sleep(0.01)
    timers.stop_all()
    return fired


async def test_a_clock_replaces_the_one_of_its_kind():
    assert await rung((Timer.CHECK, 1), (Timer.CHECK, 2), (Timer.GOODBYE, 1)) == [(Timer.CHECK, 2), (Timer.GOODBYE, 1)]


async def test_each_of_the_people_who_are_called_at_once_has_a_clock():
    people = [(Timer.PERSON, 1), (Timer.PERSON, 2)]
    assert await rung(*people) == people
    assert await rung((Timer.PERSON, 1), (Timer.PERSON, 1)) == [(Timer.PERSON, 1)]
