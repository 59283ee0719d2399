"""What Twilio plays of what our server sends: a queue in real time, with marks and `clear`.

Twilio plays media in the order of arrival. A mark comes back when everything before it has been played, at once when
nothing is queued; `clear` empties the queue and releases every mark in it (Twilio: Media Streams, WebSocket messages).
"""

import asyncio
from collections import deque
from collections.abc import Callable

from sandbox.codec import RATE, Pcm
from sandbox.scene import Journal
from sandbox.sound import Track

QUEUE_SECONDS = 600
"""The longest queue; what goes beyond is thrown away (Twilio: warning 31931)."""

PAUSE_SECONDS = 0.2
"""A gap under this, as the network makes it between two messages, does not end an utterance."""


class Playback:
    """The queue of one media stream."""

    def __init__(self, ear: Track, journal: Journal, call_sid: str, echo: Callable[[str], None]) -> None:
        """Start with an empty queue.

        Args:
            ear: Where it is played.
            journal: Gets notes on the bot's lane: `speech started`, `speech stopped`, `mark`, `mark echoed`, `clear`.
            call_sid: The call.
            echo: Sends a mark back.
        """
        self._loop = asyncio.get_running_loop()
        self._ear = ear
        self._journal = journal
        self._call_sid = call_sid
        self._echo = echo
        self._marks: deque[tuple[int, str]] = deque()
        self._mark_timer: asyncio.TimerHandle | None = None
        self._end_timer: asyncio.TimerHandle | None = None
        self._speaking = False
        self._queued = 0
        """Samples of the utterance, played or not."""

    @property
    def _waiting(self) -> int:
        """Samples that are queued and not played yet."""
        return max(self._ear.end - self._ear.now, 0)

    def media(self, pcm: Pcm) -> bool:
        """Audio arrives. Returns whether all of it fits into the queue."""
        room = QUEUE_SECONDS * RATE - self._waiting
        kept = pcm[:room]
        if len(kept) == 0:
            return len(pcm) == 0
        if self._speaking and self._gap() >= PAUSE_SECONDS:
            self._stop_speaking()
        starts_at = self._ear.play(kept).start
        if not self._speaking:
            self._speaking = True
            self._queued = 0
            self._note("speech started", at=starts_at)
            self._end_timer = self._loop.call_at(starts_at + PAUSE_SECONDS, self._perhaps_stopped)
        self._queued += len(kept)
        return len(kept) == len(pcm)

    def mark(self, name: str) -> None:
        """A mark arrives."""
        self._note("mark", name=name)
        self._marks.append((self._ear.end, name))
        self._echo_played()

    def clear(self) -> None:
        """Throw away what has not been played, and give every mark back."""
        self._echo_played()
        dropped = self._waiting
        played = self._queued - dropped
        self._ear.cut()
        self._queued = played
        self._note("clear", played_ms=_ms(played), dropped_ms=_ms(dropped))
        if self._speaking:
            self._stop_speaking()
        while self._marks:
            _, name = self._marks.popleft()
            self._give_back(name, released=True)
        self._arm()

    def close(self) -> None:
        """The stream is over: what is queued is never played, and no mark comes back any more."""
        self._marks.clear()
        self._arm()
        dropped = self._waiting
        self._ear.cut()
        self._queued -= dropped
        if self._speaking:
            self._stop_speaking()

    # --- marks ---

    def _echo_played(self) -> None:
        """Give back the marks whose audio has been played, and wait for the next one's."""
        while self._marks and self._marks[0][0] <= self._ear.now:
            position, name = self._marks.popleft()
            self._give_back(name, released=False, played_at=self._ear.time(position))
        self._arm()

    def _arm(self) -> None:
        if self._mark_timer is not None:
            self._mark_timer.cancel()
            self._mark_timer = None
        if self._marks:
            due = self._ear.time(self._marks[0][0])
            self._mark_timer = self._loop.call_at(due, self._echo_played)

    def _give_back(self, name: str, *, released: bool, played_at: float | None = None) -> None:
        data = {} if played_at is None else {"played_at": self._journal.at(played_at)}
        self._journal.note("bot", "mark echoed", self._call_sid, name=name, released=released, **data)
        self._echo(name)

    # --- utterances ---

    def _gap(self) -> float:
        """How long nothing has been played. Seconds."""
        return (self._ear.now - self._ear.end) / RATE

    def _perhaps_stopped(self) -> None:
        if self._gap() >= PAUSE_SECONDS:
            self._stop_speaking()
        else:
            due = self._ear.time(self._ear.end) + PAUSE_SECONDS
            self._end_timer = self._loop.call_at(due, self._perhaps_stopped)

    def _stop_speaking(self) -> None:
        self._speaking = False
        if self._end_timer is not None:
            self._end_timer.cancel()
            self._end_timer = None
        self._note("speech stopped", at=self._ear.time(self._ear.played), played_ms=_ms(self._queued))

    def _note(self, what: str, *, at: float | None = None, **data: object) -> None:
        when = None if at is None else self._journal.at(at)
        self._journal.note("bot", what, self._call_sid, at=when, **data)


def _ms(samples: int) -> int:
    return round(samples * 1000 / RATE)
