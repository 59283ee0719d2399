"""Who is speaking in which call, as far as the news tells. It is followed whether or not somebody looks."""

import time
from collections.abc import Callable, Mapping

from bot.call import Phase
from bot.news import News

MOST_CALLS = 2000
"""Of more calls than these the oldest are forgotten: the news of a call's end may be lost."""


class Speakers:
    """See the module."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """Args: clock: Unix seconds."""
        self._clock = clock
        self._calls: dict[str, dict[str, float]] = {}

    def heard(self, news: News) -> None:
        """A piece of news."""
        match news.kind:
            case "speaks" if news.data["on"]:
                self._begins(news.sid, news.data["who"])
            case "words":  # of a turn whose beginning was not told
                self._begins(news.sid, "bot")
            case "speaks":
                self._calls.get(news.sid, {}).pop(news.data["who"], None)
            case "call" if news.data["phase"] == Phase.ENDED:
                self._calls.pop(news.sid, None)
            case "missed":
                self._calls.clear()
            case _:
                pass

    def _begins(self, sid: str, who: str) -> None:
        self._calls.setdefault(sid, {}).setdefault(who, self._clock())
        if len(self._calls) > MOST_CALLS:
            del self._calls[next(iter(self._calls))]

    def of(self, sid: str) -> Mapping[str, float]:
        """Who speaks in a call, and since when: whoever began last is the last. Unix seconds."""
        return self._calls.get(sid, {})

    def latest(self, sid: str) -> str:
        """Who began last of those who speak; empty for nobody."""
        return next(reversed([*self.of(sid)]), "")
