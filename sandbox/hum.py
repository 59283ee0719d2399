"""The hum of a caller's line: how the model knows whose call it hears.

The server opens one model session per call, and nothing in the session names the call. So each caller's line hums:
two quiet tones, chosen from thirty, run under everything that the line sends. They lie between speech and the upper
end of the telephone band, survive µ-law and resampling, and are far too quiet for the model's voice detector.
"""

from functools import lru_cache
from itertools import combinations

import numpy as np

from sandbox.codec import RATE, Pcm

Hum = tuple[int, int]
"""The numbers of the two tones, the lower one first."""

FREQUENCIES = tuple(range(2510, 3400, 30))
"""The tones. Hertz; multiples of ten, so that every hum repeats after 100 ms."""

AMPLITUDE = 82
"""The peak of each of the two tones, of 32767: -52 dBFS."""

WINDOW_SECONDS = 0.3
"""How much audio `find` needs to tell neighbouring tones apart."""

_BINS = [round(frequency * WINDOW_SECONDS) for frequency in FREQUENCIES]
"""Where the tones are in the spectrum of one window: each in the middle of a bin."""

_HUMS: tuple[Hum, ...] = tuple(combinations(range(len(FREQUENCIES)), 2))
_PERIOD = RATE // 10


def hum_for(index: int) -> Hum:
    """The hum of the line with this number; there are 435, after which they begin again."""
    return _HUMS[index % len(_HUMS)]


def mix(hum: Hum, start_sample: int, n: int) -> Pcm:
    """A stretch of a hum at 8 kHz, to be mixed into what the line sends.

    Args:
        hum: Which one.
        start_sample: The first sample's position since the line was opened; stretches that follow on join seamlessly.
        n: How many samples.
    """
    return np.take(_period(hum), np.arange(start_sample, start_sample + n), mode="wrap")


def find(pcm: Pcm, rate: int) -> Hum | None:
    """Recognise the hum under a stretch of audio.

    Args:
        pcm: At least `WINDOW_SECONDS` of audio; only so much of it is looked at.
        rate: Samples per second, 8000 or more.

    Returns:
        The hum; None when there is none, or when louder sound hides it.
    """
    window = np.hanning(round(rate * WINDOW_SECONDS))
    spectrum = np.abs(np.fft.rfft(pcm[: len(window)] * window)) * (2 / window.sum())
    loudness = spectrum[_BINS]
    third, second, first = (int(tone) for tone in np.argsort(loudness)[-3:])
    is_level = 0.5 * AMPLITUDE < loudness[second] and loudness[first] < 2 * AMPLITUDE
    stands_out = loudness[third] < 0.4 * loudness[second]
    return (min(first, second), max(first, second)) if is_level and stands_out else None


@lru_cache(maxsize=len(_HUMS))
def _period(hum: Hum) -> Pcm:
    t = np.arange(_PERIOD) / RATE
    tones = [np.sin(2 * np.pi * FREQUENCIES[tone] * t) for tone in hum]
    return np.round(AMPLITUDE * np.sum(tones, axis=0)).astype(np.int16)
