"""One direction of a telephone line as a clock-true track, and the tones that a network makes.

A track is computed, not ticked: sound is laid down at the moment it will be heard, cut when something interrupts it,
and put together only when somebody asks for the samples.
"""

from bisect import bisect_right
from collections.abc import Callable
from math import ceil
from typing import NamedTuple

import numpy as np

from sandbox.codec import RATE, Pcm

SOUND_LEVEL = 100
"""Root mean square of 20 ms above which a caller hears something: about -50 dBFS."""

FRAME = RATE // 50
"""Samples in 20 ms."""


class Span(NamedTuple):
    """A stretch of time. Seconds."""

    start: float
    end: float


class Track:
    """Everything that is heard in one direction, in samples since the track began."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Begin the track now.

        Args:
            clock: Seconds, monotonic.
        """
        self._clock = clock
        self.began_at = clock()
        self._starts: list[int] = []
        self._pieces: list[Pcm] = []
        self._stopped_at: int | None = None

    @property
    def now(self) -> int:
        """The sample that is being heard."""
        position = round((self._clock() - self.began_at) * RATE)
        return position if self._stopped_at is None else min(position, self._stopped_at)

    @property
    def end(self) -> int:
        """The sample behind the last one that was laid down."""
        return self._starts[-1] + len(self._pieces[-1]) if self._starts else 0

    @property
    def busy(self) -> bool:
        """Whether something is being played."""
        return self.end > self.now

    @property
    def played(self) -> int:
        """The sample behind the last one that was played so far."""
        return min(self.now, self.end)

    def time(self, sample: int) -> float:
        """When a sample is heard, on the clock."""
        return self.began_at + sample / RATE

    def play(self, pcm: Pcm, *, at: int | None = None) -> Span:
        """Lay sound down behind what is there.

        Args:
            pcm: The sound.
            at: Not before this sample; by default not before now.

        Returns:
            From when to when it is heard, on the clock.
        """
        start = max(self.now if at is None else at, self.end)
        if len(pcm):
            self._starts.append(start)
            self._pieces.append(pcm)
        return Span(self.time(start), self.time(start + len(pcm)))

    def cut(self) -> None:
        """Stop what is being played and drop what is queued behind it."""
        now = self.now
        while self._starts and self._starts[-1] >= now:
            self._starts.pop()
            self._pieces.pop()
        if self.end > now:
            self._pieces[-1] = self._pieces[-1][: now - self._starts[-1]]

    def stop(self) -> None:
        """The line is dead: the track's clock stands still."""
        self._stopped_at = self.now

    def read(self, start: int, stop: int) -> Pcm | None:
        """The samples of a stretch, silence included; None when all of it is silence.

        Args:
            start: The first sample.
            stop: The sample behind the last one.
        """
        sound: Pcm | None = None
        i = max(bisect_right(self._starts, start) - 1, 0)
        while i < len(self._starts) and (at := self._starts[i]) < stop:
            piece = self._pieces[i]
            a, b = max(at, start), min(at + len(piece), stop)
            if a < b:
                if sound is None:
                    sound = np.zeros(stop - start, dtype=np.int16)
                sound[a - start : b - start] = piece[a - at : b - at]
            i += 1
        return sound

    def heard(self) -> Pcm:
        """All samples up to now."""
        now = self.now
        sound = self.read(0, now)
        return np.zeros(now, dtype=np.int16) if sound is None else sound

    def silences(self, covered: list[Span], shortest: float) -> list[Span]:
        """When nothing was to be heard. Seconds since the track began.

        Args:
            covered: Stretches in which silence means nothing; on the clock.
            shortest: Silences under this are only pauses. Seconds.
        """
        heard = self.heard()
        frames = heard[: len(heard) // FRAME * FRAME].reshape(-1, FRAME).astype(np.float32)
        loud = np.sqrt(np.mean(frames**2, axis=1)) > SOUND_LEVEL
        for span in covered:
            first = int((span.start - self.began_at) * RATE / FRAME)
            last = ceil((span.end - self.began_at) * RATE / FRAME)
            loud[max(first, 0) : max(last, 0)] = True
        edges = np.flatnonzero(np.diff(np.concatenate(([True], loud, [True])).astype(np.int8)))
        seconds = (edges * FRAME / RATE).tolist()
        pairs = zip(seconds[::2], seconds[1::2], strict=True)
        return [Span(a, b) for a, b in pairs if b - a >= shortest]


def tone(*frequencies: float, seconds: float, level: int = 4000) -> Pcm:
    """A steady tone.

    Args:
        *frequencies: Hertz; several at once for a chord.
        seconds: How long.
        level: The peak of each frequency, of 32767.
    """
    t = np.arange(round(seconds * RATE)) / RATE
    waves = [np.sin(2 * np.pi * f * t) for f in frequencies]
    return (level * np.sum(waves, axis=0)).astype(np.int16)


def _cadence(*bursts: tuple[float, float], pitch: tuple[float, ...]) -> Pcm:
    """Tones with pauses: (seconds on, seconds off), again and again."""
    parts: list[Pcm] = []
    for on, off in bursts:
        parts += [tone(*pitch, seconds=on), np.zeros(round(off * RATE), dtype=np.int16)]
    return np.concatenate(parts)


RINGBACK: dict[str, Pcm] = {
    "us": _cadence((2.0, 4.0), pitch=(440, 480)),
    "uk": _cadence((0.4, 0.2), (0.4, 2.0), pitch=(400, 450)),
    "de": _cadence((1.0, 4.0), pitch=(425,)),
}
"""One period of what a caller hears while a phone rings, by country (ITU-T E.180, supplement 2)."""

BEEP = tone(1000, seconds=0.25)
"""What a recorder says before it records."""
