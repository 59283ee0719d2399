"""Sounds that can be found again after resampling: loud bursts in quiet noise, and numbers as patterns of bursts.

Loud means an amplitude over `LOUD`; everything else stays far below it. All sounds are made once, before any call.
"""

import base64
import re
from binascii import a2b_base64
from functools import lru_cache

import numpy as np

from sandbox.codec import Pcm, decode, encode

FRAME_MS = 20
"""Twilio's frame."""

BURST_MS = 60
LOUD = 12_000
"""Of 32,767: half of a burst's amplitude at least, four times that of speech."""

NUMBER_BITS = 11
"""A session's number is told in the greeting: a burst, then a burst or none for every bit."""

_BIT_MS = 40
NUMBER_MS = (NUMBER_BITS + 1) * _BIT_MS
NUMBERS = 1 << NUMBER_BITS

_random = np.random.default_rng(1)


def _tone(ms: float, rate: int) -> Pcm:
    """A burst, loud from its first sample."""
    turns = np.arange(int(rate * ms / 1000)) * 1000 / rate
    return (30_000 * np.cos(2 * np.pi * turns)).astype(np.int16)


def _noise(ms: float, rate: int, level: float) -> Pcm:
    return np.clip(_random.normal(0, level, int(rate * ms / 1000)), -3000, 3000).astype(np.int16)


# --- the caller's side: µ-law frames of 20 ms, as base64 --------------------------------------------------


def _frames(pcm: Pcm) -> list[str]:
    step = 8 * FRAME_MS
    return [base64.b64encode(encode(pcm[at : at + step])).decode() for at in range(0, len(pcm), step)]


QUIET_FRAMES = _frames(_noise(50 * FRAME_MS, 8000, 60))
SPEECH_FRAMES = _frames(_noise(50 * FRAME_MS, 8000, 800))
BURST_FRAMES = _frames(_tone(BURST_MS, 8000))


# --- the model's side: replies as base64 deltas ------------------------------------------------------------


@lru_cache(maxsize=8)
def _speech(rate: int) -> Pcm:
    return _noise(6000, rate, 800)


def _deltas(pcm: Pcm, rate: int, delta_ms: int) -> list[str]:
    step = rate * delta_ms // 1000
    pieces = [pcm[at : at + step] for at in range(0, len(pcm), step)]
    raw = [encode(piece) if rate == 8000 else piece.astype("<i2").tobytes() for piece in pieces]
    return [base64.b64encode(data).decode() for data in raw]


@lru_cache(maxsize=64)
def reply(ms: int, rate: int, delta_ms: int) -> list[str]:
    """A reply as the model sends it: a burst, then speech.

    Args:
        ms: Its length.
        rate: 8000 for µ-law, 24000 for 16-bit PCM.
        delta_ms: The audio in one delta.
    """
    pcm = _speech(rate)[: rate * ms // 1000].copy()
    burst = _tone(BURST_MS, rate)
    pcm[: len(burst)] = burst
    return _deltas(pcm, rate, delta_ms)


def greeting(ms: int, rate: int, delta_ms: int, number: int) -> list[str]:
    """A greeting that tells a session's number (0 to `NUMBERS` - 1); see `reply` for the rest."""
    pcm = _speech(rate)[: rate * ms // 1000].copy()
    burst = _tone(_BIT_MS, rate)
    for place in range(NUMBER_BITS + 1):
        if place == 0 or number >> (place - 1) & 1:
            at = place * len(burst)
            pcm[at : at + len(burst)] = burst
    return _deltas(pcm, rate, delta_ms)


# --- finding them again ------------------------------------------------------------------------------------

_LOUD_CODES = [code for code in range(256) if abs(int(decode(bytes([code]))[0])) >= LOUD]
_LOUD_ULAW = re.compile(b"[" + b"".join(re.escape(bytes([code])) for code in _LOUD_CODES) + b"]")


def is_loud(payload: str, rate: int) -> bool:
    """Whether a piece of audio in base64 holds a sample of a burst."""
    raw = a2b_base64(payload)
    if rate == 8000:
        return _LOUD_ULAW.search(raw) is not None
    samples = np.frombuffer(raw[: len(raw) & ~1], dtype="<i2")
    return bool(len(samples)) and int(np.abs(samples.astype(np.int32)).max()) >= LOUD


def duration_ms(payload: str, rate: int) -> float:
    """How long a piece of audio in base64 is."""
    size = len(payload) * 3 // 4 - payload.count("=", -2)
    return size / 8 if rate == 8000 else size * 1000 / (2 * rate)


def read_number(ulaw: bytes) -> int | None:
    """The number in a greeting of which the beginning has arrived; None while too little has."""
    first = _LOUD_ULAW.search(ulaw)
    if first is None or len(ulaw) - first.start() < 8 * NUMBER_MS:
        return None
    bits = np.abs(decode(ulaw[first.start() : first.start() + 8 * NUMBER_MS]).astype(np.int32))
    middles = bits.reshape(NUMBER_BITS + 1, 8 * _BIT_MS)[1:, 8 * 10 : 8 * 30].max(axis=1)
    return sum(1 << place for place, level in enumerate(middles) if level >= LOUD)
