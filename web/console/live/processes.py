"""How the processes on the record are, as far as the news tells. It is followed whether or not somebody looks."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from bot.news import News

SILENT_SECONDS = 16.0
"""A process of which nothing was heard for so long is gone: it should have said three times how it is."""

FORGOTTEN_SECONDS = 900.0
"""So long a process that is gone is shown as that."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a process said last."""

    data: dict[str, Any]
    """See `bot.reporter`."""

    at: float
    """When. Unix seconds."""


class Processes:
    """See the module."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """Args: clock: Unix seconds."""
        self._clock = clock
        self._told: dict[str, Told] = {}

    def heard(self, news: News) -> None:
        """A piece of news."""
        if news.kind != "beat":
            return
        now = self._clock()
        self._told.pop(news.origin, None)
        if not news.data["gone"]:
            self._told[news.origin] = Told(news.data, now)
        self._told = {origin: each for origin, each in self._told.items() if each.at > now - FORGOTTEN_SECONDS}

    def all(self) -> Iterable[Told]:
        """Every process that has not said that it ends, by name."""
        return sorted(self._told.values(), key=lambda told: told.data["name"])

    def speaks(self, told: Told) -> bool:
        """Whether it has been heard of lately."""
        return self._clock() - told.at < SILENT_SECONDS
