"""G.711 µ-law and WAV files, for mono audio at 8 kHz in 16-bit samples."""

import wave
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

Pcm = NDArray[np.int16]
"""Samples, one channel."""

RATE = 8000
"""Samples per second on a telephone line."""

_BIAS = 0x84
_CLIP = 32635


def _encoding_table() -> NDArray[np.uint8]:
    """The code of every 16-bit sample, by its unsigned value (ITU-T G.711, table 2a)."""
    samples = np.arange(1 << 16, dtype=np.uint16).view(np.int16).astype(np.int32)
    biased = np.minimum(np.abs(samples), _CLIP) + _BIAS
    exponent = np.floor(np.log2(biased)).astype(np.int32) - 7
    mantissa = (biased >> (exponent + 3)) & 0x0F
    sign = np.where(samples < 0, 0x80, 0)
    return (~(sign | (exponent << 4) | mantissa) & 0xFF).astype(np.uint8)


def _decoding_table() -> Pcm:
    codes = ~np.arange(256) & 0xFF
    exponent = (codes >> 4) & 0x07
    magnitude = ((((codes & 0x0F) << 3) + _BIAS) << exponent) - _BIAS
    return np.where(codes & 0x80, -magnitude, magnitude).astype(np.int16)


_ENCODE = _encoding_table()
_DECODE = _decoding_table()


def encode(pcm: Pcm) -> bytes:
    """16-bit samples → µ-law, one byte each."""
    return _ENCODE[pcm.view(np.uint16)].tobytes()


def decode(ulaw: bytes) -> Pcm:
    """µ-law → 16-bit samples."""
    return _DECODE[np.frombuffer(ulaw, dtype=np.uint8)]


def mix(*parts: Pcm) -> Pcm:
    """Sounds of the same length on top of each other, clipped where they are too loud."""
    total = np.sum([part.astype(np.int32) for part in parts], axis=0)
    return np.clip(total, -32768, 32767).astype(np.int16)


def write_wav(file: Path | IO[bytes], pcm: Pcm, rate: int = RATE) -> None:
    """Write audio as a WAV file.

    Args:
        file: Where to.
        pcm: The samples; with two columns for two channels.
        rate: Samples per second.
    """
    with wave.open(str(file) if isinstance(file, Path) else file, "wb") as wav:
        wav.setnchannels(pcm.shape[1] if pcm.ndim == 2 else 1)
        wav.setsampwidth(2)
        wav.setframerate(rate)
        wav.writeframes(pcm.astype("<i2").tobytes())


def read_wav(file: IO[bytes]) -> Pcm:
    """The samples of a WAV file of mono audio at 8 kHz.

    Raises:
        ValueError: It is another kind of file.
    """
    try:
        with wave.open(file) as wav:
            if (wav.getnchannels(), wav.getsampwidth(), wav.getframerate()) != (1, 2, RATE):
                raise ValueError("not mono, 16 bits, 8 kHz")
            return np.frombuffer(wav.readframes(wav.getnframes()), dtype="<i2").astype(np.int16)
    except (wave.Error, EOFError) as error:
        raise ValueError("not a WAV file") from error
