"""What the caller has heard, told by Twilio's marks. Pure but for the clock that it is given.

Twilio queues what we send and plays it in its own time. A mark sent behind audio comes back when that audio has been
played; and also, at once, when `clear` throws the audio away (Twilio: Media Streams, WebSocket messages). So
an echo proves something only for a mark that was not pending when `clear` was sent.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

MARK_EVERY_MS = 200.0
"""How far apart the marks inside the audio are. The clock only divides the stretch between two of them."""

_OURS = "audio:"


def is_ours(mark: str) -> bool:
    """Whether this mark is one that a `Playout` named."""
    return mark.startswith(_OURS)


@dataclass(slots=True)
class _Pending:
    position_ms: float
    released: bool = False
    """`clear` was sent while the mark was pending: its echo proves nothing."""


@dataclass(slots=True)
class Playout:
    """Follows one media stream. Positions are milliseconds of audio since the stream began, silence left out."""

    clock: Callable[[], float]
    """Seconds, monotonic."""

    stretch: str = ""
    """In the names of its marks: what comes back late of a talk that had the stream before proves nothing here."""

    sent_ms: float = 0.0
    """How much was sent."""

    proven_ms: float = 0.0
    """Up to where echoes have proven that everything was played, or `clear` has thrown it away."""

    _done_ms: float = 0.0
    """What lies before this was played, or thrown away, as far as the clock can tell."""

    _done_at: float = 0.0
    _marked_ms: float = 0.0
    _serial: int = 0
    _pending: dict[str, _Pending] = field(default_factory=dict[str, _Pending])

    def sent(self, duration_ms: float) -> str | None:
        """Audio was sent. Returns the mark to send behind it, where one is due."""
        begins = self.heard_ms >= self.sent_ms  # Twilio has nothing left to play
        if begins:
            self._done_ms, self._done_at = self.sent_ms, self.clock()
        self.sent_ms += duration_ms
        return self.mark() if begins or self.sent_ms - self._marked_ms >= MARK_EVERY_MS else None

    def mark(self, name: str | None = None) -> str:
        """A mark behind what was sent. Returns its name, ours where none is given."""
        if name is None:
            self._serial += 1
            name = f"{_OURS}{self.stretch}{self._serial}"
        self._marked_ms = self.sent_ms
        self._pending[name] = _Pending(self.sent_ms)
        return name

    def cleared(self) -> None:
        """`clear` was sent: what is pending will come back without having been heard."""
        for mark in self._pending.values():
            mark.released = True
        self._done_ms = self.proven_ms = self.sent_ms

    def echoed(self, name: str) -> bool:
        """A mark came back. Returns whether that proves that the caller heard all that was sent before it."""
        mark = self._pending.pop(name, None)
        if mark is None or mark.released:
            return False
        self.proven_ms = max(self.proven_ms, mark.position_ms)
        if mark.position_ms > self._done_ms:
            self._done_ms, self._done_at = mark.position_ms, self.clock()
        return True

    @property
    def unmarked(self) -> bool:
        """Whether there is audio behind the last mark."""
        return self.sent_ms > self._marked_ms

    @property
    def playing(self) -> bool:
        """Whether something is still to be played."""
        return self._done_ms < self.sent_ms

    @property
    def heard_ms(self) -> float:
        """Up to where the caller has heard us, never more than that. After a `clear` everything before it counts."""
        limit = self.sent_ms
        for mark in self._pending.values():
            if mark.position_ms > self._done_ms:
                limit = mark.position_ms  # it has not come back, so it has not been reached
                break
        return min(self._done_ms + (self.clock() - self._done_at) * 1000, limit)
