"""Tells the feed what happens to this process's calls, and how the process is."""

import asyncio
import os
import socket
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from bot.call import Call
from bot.events import Event, HangUpFailed, ModelLost, PersonNotCalled, RedirectFailed
from bot.feed import Feed
from bot.news import News
from bot.observers import Observer
from bot.speaking import Speaker

BEAT_SECONDS = 5.0
"""How often a process says how it is."""

LATELY_SECONDS = 300.0
"""For so long a fault counts as one of these days' troubles."""


LOOKING_SECONDS = 3.0
"""For so long somebody who looks at a call is taken to do so still."""

MOST_LOOKED_AT = 500

LONGEST_WORDS = 1000
"""Characters of words in one piece of news."""


class Reporter(Observer):
    """One per process."""

    def __init__(self, feed: Feed, clock: Callable[[], float] = time.time) -> None:
        """Args: feed: whom to tell; clock: Unix seconds."""
        self._feed = feed
        self._clock = clock
        self._model_faults: deque[float] = deque(maxlen=1000)
        self._twilio_faults: deque[float] = deque(maxlen=1000)
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        """What the board calls this process."""

        self._since = clock()
        self._looked_at: dict[str, float] = {}
        """When somebody said last that they look at a call."""

        feed.subscribe(self._heard)

    # --- Observer ------------------------------------------------------------------------------------

    def began(self, call: Call) -> None:
        """See `Observer`."""
        self._tell(call, call.started_at)

    def stepped(self, before: Call, after: Call, event: Event) -> None:
        """See `Observer`."""
        match event:
            case ModelLost():
                self._model_faults.append(event.at)
            case RedirectFailed() | HangUpFailed() | PersonNotCalled():
                self._twilio_faults.append(event.at)
            case _:
                pass
        self._tell(after, event.at)

    def said(self, call: Call, role: str) -> None:
        """See `Observer`."""
        self._feed.publish(News("said", call.sid, {"role": role}))

    def words(self, call: Call, text: str) -> None:
        """See `Observer`. Only while somebody looks: words come every second, of every call."""
        if self._looked_at.get(call.sid, 0.0) > self._clock() - LOOKING_SECONDS:
            self._feed.publish(News("words", call.sid, {"text": text[:LONGEST_WORDS]}))

    def _heard(self, news: News) -> None:
        """News, on the feed's thread: who looks says so again and again."""
        if news.kind == "looks":
            self._looked_at[news.sid] = self._clock()
            if len(self._looked_at) > MOST_LOOKED_AT:
                del self._looked_at[min(self._looked_at, key=lambda sid: self._looked_at[sid])]

    def speaks(self, call: Call, who: Speaker, on: bool) -> None:
        """See `Observer`."""
        self._feed.publish(News("speaks", call.sid, {"who": who, "on": on}))

    def responded(self, call: Call, seconds: float) -> None:
        """See `Observer`."""
        self._feed.publish(News("measured", call.sid, {"response": seconds}))

    def silent(self, call: Call, seconds: float) -> None:
        """See `Observer`."""
        self._feed.publish(News("measured", call.sid, {"silence": seconds}))

    def _tell(self, call: Call, at: float) -> None:
        self._feed.publish(News("call", call.sid, {"at": at, "phase": call.phase.value}, call))

    # --- the process itself --------------------------------------------------------------------------

    async def run(
        self,
        state: Callable[[], dict[str, Any]],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Beat for ever.

        Args:
            state: What there is to be said of the process beyond its troubles.
            sleep: Waits so many seconds.
        """
        while True:
            self.beat(state())
            await sleep(BEAT_SECONDS)

    def beat(self, state: dict[str, Any], *, gone: bool = False) -> None:
        """Say once how the process is, or that it is ending."""
        now = self._clock()
        told = {
            "name": self.name,
            "since": self._since,
            "at": now,
            "gone": gone,
            "model_faults": sum(at > now - LATELY_SECONDS for at in self._model_faults),
            "twilio_faults": sum(at > now - LATELY_SECONDS for at in self._twilio_faults),
            **state,
        }
        self._feed.publish(News("beat", data=told))
