"""How long a call waits for a record that does not answer."""

import asyncio

import pytest

from bot import patience
from bot.patience import HASTY_SECONDS, SECONDS, SLOW_FOR_SECONDS, Patience


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr(patience, "SECONDS", 0.01)
    return Clock()


async def in_vain(waits: Patience) -> None:
    with pytest.raises(TimeoutError):
        async with waits.wait():
            await asyncio.Event().wait()


def test_a_call_is_patient_at_first():
    assert Patience().seconds == SECONDS


async def test_a_record_that_did_not_answer_is_hardly_waited_for_the_next_time(clock: Clock):
    waits = Patience(clock)
    await in_vain(waits)
    assert waits.seconds == HASTY_SECONDS
    clock.now += SLOW_FOR_SECONDS
    assert waits.seconds == 0.01


async def test_a_record_that_answers_is_waited_for_again(clock: Clock):
    waits = Patience(clock)
    await in_vain(waits)
    async with waits.wait():
        pass
    assert waits.seconds == 0.01


async def test_another_failure_than_waiting_in_vain_says_nothing_about_the_time(clock: Clock):
    waits = Patience(clock)
    await in_vain(waits)
    with pytest.raises(OSError, match="gone"):
        async with waits.wait():
            raise OSError("gone")
    assert waits.seconds == HASTY_SECONDS
