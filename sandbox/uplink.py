"""What a telephone sends into a media stream: 20 ms frames of its voice, over the hum that tells lines apart."""

from base64 import b64encode

import numpy as np

from sandbox import hum as hums
from sandbox.codec import RATE, encode, mix
from sandbox.hum import Hum
from sandbox.sound import FRAME, Track

FRAME_SECONDS = FRAME / RATE

_BLOCK = RATE // FRAME
"""Frames whose background is computed together: one second."""


class Uplink:
    """The frames of one stream, in order. Their background is encoded a second at a time."""

    def __init__(self, mouth: Track, hum: Hum | None) -> None:
        """Begin with the first frame now.

        Args:
            mouth: The caller's voice.
            hum: The line's hum; None for a silent line.
        """
        self._mouth = mouth
        self._hum = hum
        self._first = mouth.now
        self._next = 0
        self._background = np.zeros(_BLOCK * FRAME, dtype=np.int16)
        self._payloads = _payloads(encode(self._background))

    def next(self) -> str:
        """The base64 µ-law payload of the next 20 ms. Ask for it when they are over."""
        in_block = self._next % _BLOCK
        if in_block == 0 and self._hum is not None:
            self._background = hums.mix(self._hum, self._next * FRAME, _BLOCK * FRAME)
            self._payloads = _payloads(encode(self._background))
        start = self._first + self._next * FRAME
        self._next += 1
        voice = self._mouth.read(start, start + FRAME)
        if voice is None:
            return self._payloads[in_block]
        background = self._background[in_block * FRAME : (in_block + 1) * FRAME]
        return b64encode(encode(mix(voice, background))).decode()


def _payloads(ulaw: bytes) -> list[str]:
    return [b64encode(ulaw[i : i + FRAME]).decode() for i in range(0, len(ulaw), FRAME)]
