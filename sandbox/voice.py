"""Voices: text to sound, as tones by default or as spoken words."""

import os
from functools import lru_cache
from typing import Literal
from zlib import crc32

import numpy as np

from sandbox.codec import Pcm

VoiceName = Literal["caller", "bot", "person"]

ENGINE_VARIABLE = "SANDBOX_VOICE"
"""The environment variable that chooses the engine: `tones` (default) or `espeak`."""

SECONDS_PER_CHARACTER = 0.055
SHORTEST_SECONDS = 0.4
LONGEST_SECONDS = 6.0

_PITCH: dict[VoiceName, float] = {"caller": 220.0, "bot": 165.0, "person": 130.0}
"""The base pitch of each voice. Hertz; with harmonics and melody all of it stays under 1500, away from the hum."""

_MELODY = (0, 2, 4, 7, 9)
"""How far a word may stand above the base pitch. Semitones, a pentatonic scale."""

_HARMONICS = (1.0, 0.4, 0.15)
_PEAK = 9000


def speak(text: str, *, voice: VoiceName = "caller", rate: int = 8000) -> Pcm:
    """Say a text.

    Args:
        text: What is said.
        voice: Whose voice.
        rate: Samples per second.

    Returns:
        The samples, shared and read-only. Tones last `SECONDS_PER_CHARACTER` for each character, within limits, and
        have no silence in them; spoken words last as long as they take.

    Raises:
        RuntimeError: Spoken words were chosen, and the engine is not installed.
        ValueError: There is no such engine.
    """
    return _speak(text, voice, rate, os.environ.get(ENGINE_VARIABLE, "tones"))


@lru_cache(maxsize=1024)
def _speak(text: str, voice: VoiceName, rate: int, engine: str) -> Pcm:
    match engine:
        case "tones":
            pcm = _tones(text, voice, rate)
        case "espeak":
            from sandbox import espeak  # the optional extra `voice`

            pcm = espeak.speak(text, voice, rate)
        case _:
            raise ValueError(f"{ENGINE_VARIABLE} is {engine!r}; there is tones and espeak")
    pcm.flags.writeable = False
    return pcm


def _tones(text: str, voice: VoiceName, rate: int) -> Pcm:
    """A melody with a note for each word, as loud as its letters are."""
    seconds = min(max(len(text) * SECONDS_PER_CHARACTER, SHORTEST_SECONDS), LONGEST_SECONDS)
    t = np.arange(round(seconds * rate)) / rate

    letters = [_loudness(letter) for letter in text] or [1.0]
    loudness = np.interp(t, np.linspace(0, seconds, len(letters)), letters)

    steps = [_MELODY[crc32(word.encode()) % len(_MELODY)] for word in text.split()] or [0]
    semitones = np.interp(t, np.linspace(0, seconds, len(steps)), steps) - 2 * t / seconds
    phase = 2 * np.pi * np.cumsum(_PITCH[voice] * 2 ** (semitones / 12)) / rate

    wave = sum(level * np.sin((i + 1) * phase) for i, level in enumerate(_HARMONICS))
    fade_in, fade_out = np.minimum(t / 0.01, 1), np.minimum((seconds - t) / 0.03, 1)
    return (_PEAK * loudness * fade_in * fade_out * wave).astype(np.int16)


def _loudness(letter: str) -> float:
    if letter.lower() in "aeiouyäöüéè":
        return 1.0
    return 0.6 if letter.isalnum() else 0.3
