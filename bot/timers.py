"""The clocks of one call, on the event loop."""

import asyncio
from collections.abc import Callable

from bot.effects import Timer


class Timers:
    """One running clock of each kind at most; starting one of the same kind replaces it.

    People are called at once, so each of them has a clock of their own.
    """

    def __init__(self, fired: Callable[[Timer, int], None]) -> None:
        """Args: fired: called with the timer and its number when its time is up."""
        self._fired = fired
        self._running: dict[tuple[Timer, int], asyncio.TimerHandle] = {}

    def start(self, timer: Timer, number: int, seconds: float) -> None:
        """Fire after so many seconds."""
        clock = (timer, number if timer in (Timer.PERSON, Timer.UNCALLED) else 0)
        if clock in self._running:
            self._running[clock].cancel()
        loop = asyncio.get_running_loop()
        self._running[clock] = loop.call_later(seconds, self._fired, timer, number)

    def stop_all(self) -> None:
        """Nothing fires any more."""
        for handle in self._running.values():
            handle.cancel()
        self._running.clear()
