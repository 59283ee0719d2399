"""What the caller has heard, told by Twilio's marks. Pure but for the clock that it is given.

Twilio queues what we send and plays it in its own time. A mark sent behind audio comes back when that audio has been
played; and also, at once, when `clear` throws the audio away (Twilio: Media Streams, WebSocket messages). So
an echo proves something only for a mark that was not pending when `clear` was sent.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

MARK_EVERY_MS = 200
"""How far apart the marks inside an utterance are. The clock only divides the stretch between two of them."""


@dataclass(slots=True)
class _Pending:
    utterance: int | None
    position_ms: float
    """How much of the utterance lies before the mark."""

    released: bool = False
    """`clear` was sent while the mark was pending: its echo proves nothing."""


@dataclass(slots=True)
class Playout:
    """Follows one media stream. Positions are milliseconds into the current utterance."""

    clock: Callable[[], float]
    """Seconds, monotonic."""

    utterance: int | None = None
    _sent_ms: float = 0.0
    _marked_ms: float = 0.0
    _heard_ms: float = 0.0
    _heard_at: float = 0.0
    _serial: int = 0
    _pending: dict[str, _Pending] = field(default_factory=dict[str, _Pending])

    def begin(self, utterance: int) -> None:
        """The audio that follows belongs to another utterance."""
        self.utterance = utterance
        self._sent_ms = self._marked_ms = self._heard_ms = 0.0

    def sent(self, duration_ms: float) -> str | None:
        """Audio of this utterance was sent. Returns the mark to send behind it, where one is due."""
        if self._sent_ms == 0:
            self._heard_at = self.clock()
        self._sent_ms += duration_ms
        first = self._marked_ms == 0
        due = first or self._sent_ms - self._marked_ms >= MARK_EVERY_MS
        return self.mark() if due else None

    def mark(self, name: str | None = None) -> str:
        """A mark at this point of the utterance. Returns its name, ours where none is given."""
        if name is None:
            self._serial += 1
            name = f"audio:{self._serial}"
        self._marked_ms = self._sent_ms
        self._pending[name] = _Pending(self.utterance, self._sent_ms)
        return name

    def cleared(self) -> None:
        """`clear` was sent: what is pending will come back without having been heard."""
        for mark in self._pending.values():
            mark.released = True

    def echoed(self, name: str) -> bool:
        """A mark came back. Returns whether that proves that the caller heard all that was sent before it."""
        mark = self._pending.pop(name, None)
        if mark is None or mark.released:
            return False
        if mark.utterance == self.utterance and mark.position_ms >= self._heard_ms:
            self._heard_ms, self._heard_at = mark.position_ms, self.clock()
        return True

    def position(self) -> tuple[int | None, int]:
        """The current utterance and how many milliseconds of it the caller has heard."""
        limit = self._sent_ms
        for mark in self._pending.values():
            if mark.utterance == self.utterance and mark.position_ms > self._heard_ms:
                limit = min(limit, mark.position_ms)  # it has not come back, so it has not been reached
        played = self._heard_ms + (self.clock() - self._heard_at) * 1000
        return self.utterance, round(min(played, limit))
