"""Spoken words, with espeak-ng in this process: the library and its data come from the package `espeakng-loader`."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sandbox.codec import Pcm

_VOICES: Final = {"caller": ("en-us+f3", 165), "bot": ("en-us+m3", 165), "person": ("en-gb", 155)}
"""espeak's name of each voice, and its words per minute."""

_PEAK = 16000
_SILENT = 200
"""The level under which the edges of an utterance are cut off, of 32767."""

# From espeak-ng's speak_lib.h.
_AUDIO_OUTPUT_SYNCHRONOUS = 2
_POSITION_BY_CHARACTER = 1
_TEXT_IS_UTF8 = 1
_PARAMETER_RATE = 1
_OK = 0
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


def speak(text: str, voice: str, rate: int) -> Pcm:
    """Say a text in words.

    Args:
        text: What is said.
        voice: `caller`, `bot` or `person`.
        rate: Samples per second.

    Raises:
        RuntimeError: espeak-ng is not installed, or it refused the text.
    """
    library, library_rate = _library()
    name, words_per_minute = _VOICES[voice]
    library.espeak_SetVoiceByName(name.encode())
    library.espeak_SetParameter(_PARAMETER_RATE, words_per_minute, 0)
    spoken = text.encode() + b"\0"
    with _collected(library) as pieces:
        error = library.espeak_Synth(spoken, len(spoken), 0, _POSITION_BY_CHARACTER, 0, _TEXT_IS_UTF8, None, None)
    if error != _OK:
        raise RuntimeError(f"espeak-ng refused {text!r} with {error}")
    sound = np.concatenate([np.zeros(1, dtype=np.int16), *pieces])
    return _levelled(_resampled(_trimmed(sound), library_rate, rate))


@cache
def _library() -> tuple[ctypes.CDLL, int]:
    """espeak-ng, ready to speak, and its samples per second."""
    try:
        import espeakng_loader  # pyright: ignore[reportMissingImports]  (optional)
    except ImportError:
        raise RuntimeError("spoken words need espeak-ng: pip install 'putthrough[voice]'") from None
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    data = espeakng_loader.get_data_path().encode()
    rate = library.espeak_Initialize(_AUDIO_OUTPUT_SYNCHRONOUS, 0, data, 0)
    if rate <= 0:
        raise RuntimeError(f"espeak-ng did not start: {rate}")
    return library, rate


@contextmanager
def _collected(library: Any) -> Iterator[list[Pcm]]:
    """The samples that espeak-ng hands out while the body runs."""
    pieces: list[Pcm] = []

    def collect(samples: Any, count: int, _events: Any) -> int:
        if samples and count:
            pieces.append(np.ctypeslib.as_array(samples, (count,)).astype(np.int16))
        return 0

    callback = _CALLBACK(collect)
    library.espeak_SetSynthCallback(callback)
    yield pieces


def _trimmed(sound: Pcm) -> Pcm:
    loud = np.flatnonzero(np.abs(sound) > _SILENT)
    return sound[loud[0] : loud[-1] + 1] if len(loud) else sound


def _resampled(sound: Pcm, rate: int, new_rate: int) -> NDArray[np.float64]:
    """The same sound at another rate, by its spectrum."""
    n = max(round(len(sound) * new_rate / rate), 1)
    spectrum = np.fft.rfft(sound)
    return np.fft.irfft(spectrum[: n // 2 + 1], n) * (n / len(sound))


def _levelled(sound: NDArray[np.float64]) -> Pcm:
    return (sound * (_PEAK / max(np.abs(sound).max(), 1))).astype(np.int16)
