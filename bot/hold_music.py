"""What callers hear in a queue where the operator has no music of their own: soft chords, as long as need be."""

import io
import wave
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_RATE = 8000
"""Samples per second on a telephone line."""

_CHORDS = ((261.6, 329.6, 392.0), (220.0, 261.6, 329.6), (174.6, 220.0, 261.6), (196.0, 246.9, 293.7))
"""C, A minor, F and G, in hertz."""

_NOTE_SECONDS = 0.5
_NOTES = 8
"""In a bar: each chord up and down."""

_LOUDNESS = 3500
"""Of a note's first samples, of 32767."""


@lru_cache(maxsize=16)
def hold_music(seconds: int) -> bytes:
    """So many seconds of music, as a WAV file of 16-bit samples at 8 kHz."""
    bars = _bars()
    pcm = np.resize(bars, seconds * _RATE)
    fade = min(_RATE // 2, len(pcm))
    pcm[-fade:] *= np.linspace(1.0, 0.0, fade)
    file = io.BytesIO()
    with wave.open(file, "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(_RATE)
        wav.writeframes(pcm.astype("<i2").tobytes())
    return file.getvalue()


def _bars() -> NDArray[np.float64]:
    """One round of the chords. It begins and ends softly, so that it can be played again and again."""
    step = int(_NOTE_SECONDS * _RATE)
    pcm = np.zeros(step * _NOTES * len(_CHORDS))
    for bar, chord in enumerate(_CHORDS):
        for n in range(_NOTES):
            pitch = (*chord, 2 * chord[0])[min(n, _NOTES - 2 - n) % 4]
            start = (bar * _NOTES + n) * step
            length = min(2 * step, len(pcm) - start)
            t = np.arange(length) / _RATE
            shape = np.minimum(t / 0.02, 1.0) * np.exp(-3.0 * t) * np.minimum((length / _RATE - t) / 0.05, 1.0)
            pcm[start : start + length] += _LOUDNESS * shape * np.sin(2 * np.pi * pitch * t)
    return pcm
