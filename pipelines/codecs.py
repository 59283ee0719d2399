"""The telephone's audio ↔ the model's: µ-law of 8 kHz on the line; the same, or linear PCM of 24 kHz, at the model."""

import audioop
from base64 import b64decode, b64encode
from binascii import a2b_base64
from typing import Protocol

import numpy as np
import soxr

MODEL_PCM_HZ = 24_000
LINE_HZ = 8_000

_EMPTY = np.empty(0, dtype=np.int16)


class Codec(Protocol):
    """Between one line and one model. Audio travels as base64 on both sides."""

    def to_model(self, payload: str) -> str:
        """The caller's audio for the model; empty while a filter holds it back."""
        ...

    def to_line(self, delta: str) -> tuple[str, float]:
        """The model's audio for the line, and how many milliseconds of speech the model sent.

        Raises:
            ValueError: That is not base64 of audio.
        """
        ...

    def end(self) -> str:
        """What a filter still holds of the model's speech, which has come to a pause."""
        ...


class Mulaw:
    """`audio/pcmu` at the model: what comes goes, untouched."""

    def to_model(self, payload: str) -> str:
        """See `Codec`."""
        return payload

    def to_line(self, delta: str) -> tuple[str, float]:
        """See `Codec`."""
        return delta, len(a2b_base64(delta, strict_mode=True)) * 1000 / LINE_HZ

    def end(self) -> str:
        """See `Codec`."""
        return ""


class Pcm:
    """`audio/pcm` at the model: 16-bit samples at 24 kHz, for models without µ-law.

    The filter toward the model is the shortest, because a longer one holds speech back and hands it on in bursts; the
    one toward the line may hold some back, since it is far ahead of the caller's ear.
    """

    def __init__(self) -> None:
        """Start with empty filters."""
        self._up = soxr.ResampleStream(LINE_HZ, MODEL_PCM_HZ, 1, dtype="int16", quality="QQ")
        self._down = soxr.ResampleStream(MODEL_PCM_HZ, LINE_HZ, 1, dtype="int16", quality="HQ")

    def to_model(self, payload: str) -> str:
        """See `Codec`."""
        samples = np.frombuffer(audioop.ulaw2lin(b64decode(payload), 2), dtype=np.int16)
        return b64encode(self._up.resample_chunk(samples).tobytes()).decode()

    def to_line(self, delta: str) -> tuple[str, float]:
        """See `Codec`."""
        samples = np.frombuffer(a2b_base64(delta, strict_mode=True), dtype="<i2")
        return _mulaw(self._down.resample_chunk(samples)), len(samples) * 1000 / MODEL_PCM_HZ

    def end(self) -> str:
        """See `Codec`."""
        tail = self._down.resample_chunk(_EMPTY, last=True)
        self._down.clear()
        return _mulaw(tail)


def _mulaw(samples: "np.ndarray[tuple[int], np.dtype[np.int16]]") -> str:
    return b64encode(audioop.lin2ulaw(samples.tobytes(), 2)).decode()
