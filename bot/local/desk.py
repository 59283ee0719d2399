"""Whoever tests a call: told what the simulated telephone does, and asked what the people do whom it rings."""

import asyncio
from collections import deque
from enum import StrEnum
from typing import Protocol

LINES = 200
"""How much of a call the control page shows."""


class Act(StrEnum):
    """What somebody does at their telephone."""

    ANSWER = "answer"
    BUSY = "busy"
    NO_ANSWER = "no answer"
    UNREACHABLE = "out of reach"
    ACCEPT = "press 1"
    DECLINE = "press 2"
    HANG_UP = "hang up"
    LEAVE_MESSAGE = "leave a message"
    LEAVE_QUEUE = "leave the queue"


class Tester(Protocol):
    """Who decides what people do."""

    def tell(self, what: str) -> None:
        """Something has happened, in a sentence."""

    async def choose(self, question: str, acts: tuple[Act, ...], seconds: float | None) -> Act | None:
        """What happens now: one of these acts; None when nothing did in so many seconds."""
        ...


class Habits:
    """Nobody to ask: everybody does what they always do."""

    def __init__(self, *acts: Act) -> None:
        """Args: acts: what they do when they can."""
        self._acts = acts

    def tell(self, what: str) -> None:
        """See `Tester`."""

    async def choose(self, question: str, acts: tuple[Act, ...], seconds: float | None) -> Act | None:
        """See `Tester`. Whoever does nothing does it at once, rather than after the time."""
        return next((act for act in acts if act in self._acts), None)


class Desk:
    """A tester at the control page."""

    def __init__(self) -> None:
        """A call that has not begun."""
        self.lines: deque[str] = deque(maxlen=LINES)
        """What has happened, in order."""

        self.question = ""
        self.acts: tuple[Act, ...] = ()
        """What can be chosen now; nothing where nothing is asked."""

        self._chosen: asyncio.Future[Act] | None = None

    def tell(self, what: str) -> None:
        """See `Tester`."""
        self.lines.append(what)

    async def choose(self, question: str, acts: tuple[Act, ...], seconds: float | None) -> Act | None:
        """See `Tester`."""
        self.question, self.acts = question, acts
        self._chosen = asyncio.get_running_loop().create_future()
        try:
            return await asyncio.wait_for(self._chosen, seconds)
        except TimeoutError:
            return None
        finally:
            self.question, self.acts, self._chosen = "", (), None

    def do(self, act: Act) -> bool:
        """Somebody does this. Returns whether it was one of the things that they can do now."""
        if act not in self.acts or self._chosen is None or self._chosen.done():
            return False
        self._chosen.set_result(act)
        return True
