"""What the model hears: audio formats, when somebody speaks, and whose line it is."""

import asyncio
import base64
import binascii
from dataclasses import dataclass

import numpy as np

from sandbox import codec
from sandbox.codec import Pcm
from sandbox.hum import WINDOW_SECONDS, Hum, find

RATES = {"audio/pcm": 24000, "audio/pcmu": 8000}
"""Samples per second of each format (OpenAI: Realtime API, session `audio.input.format`)."""

FRAME_SECONDS = 0.02
ONSET_FRAMES = 3
"""So many loud frames in a row are speech; fewer are a click."""

HUM_WINDOWS = 40
"""In how many stretches of audio the hum is looked for; loud speech hides it."""


def decode(audio: str, format: str) -> Pcm:
    """The samples of an `input_audio_buffer.append`.

    Args:
        audio: Base64.
        format: `audio/pcm` or `audio/pcmu`.

    Raises:
        ValueError: It is not base64, or not whole samples.
    """
    try:
        raw = base64.b64decode(audio, validate=True)
    except binascii.Error as error:
        raise ValueError(f"not valid base64: {error}") from error
    if format == "audio/pcmu":
        return codec.decode(raw)
    if len(raw) % 2:
        raise ValueError(f"{len(raw)} bytes are no whole number of 16-bit samples")
    return np.frombuffer(raw, dtype="<i2").astype(np.int16, copy=False)


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Somebody began to speak."""

    at_ms: int
    """Since the session's first audio, the padding before the speech included. Milliseconds."""


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """Somebody has fallen silent."""

    at_ms: int
    """Since the session's first audio, the silence that proves it included. Milliseconds."""


@dataclass(frozen=True, slots=True)
class Vad:
    """When a turn begins and ends (OpenAI: Realtime API, `server_vad`)."""

    threshold: float = 0.5
    """0 to 1. Higher needs louder speech."""

    prefix_padding_ms: int = 300
    silence_duration_ms: int = 500

    @property
    def level(self) -> float:
        """The root mean square that speech exceeds: -50 dBFS at threshold 0, just above a hum, to -20 dBFS at 1."""
        return 32768 * 10 ** ((-50 + 30 * self.threshold) / 20)


class SpeechDetector:
    """Tells speech from silence by its energy, 20 ms at a time."""

    def __init__(self, rate: int, start_ms: float = 0.0) -> None:
        """Listen from now on.

        Args:
            rate: Samples per second.
            start_ms: How much audio the session has heard before.
        """
        self._frame = round(rate * FRAME_SECONDS)
        self._rest = np.empty(0, dtype=np.int16)
        self._position_ms = start_ms
        self.reset()

    def reset(self) -> None:
        """Forget a turn that has begun."""
        self.speaking = False
        self._loud = 0
        self._quiet_ms = 0.0

    def hear(self, pcm: Pcm, vad: Vad) -> list[SpeechStarted | SpeechStopped]:
        """Listen to the next samples, and tell what happened in them."""
        sound = np.concatenate((self._rest, pcm))
        whole = len(sound) // self._frame * self._frame
        self._rest = sound[whole:]
        frames = sound[:whole].reshape(-1, self._frame).astype(np.float32)
        loud = np.sqrt(np.mean(frames * frames, axis=1)) > vad.level
        happened = [self._step(bool(frame), vad) for frame in loud]
        return [event for event in happened if event is not None]

    def _step(self, loud: bool, vad: Vad) -> SpeechStarted | SpeechStopped | None:
        frame_ms = 1000 * FRAME_SECONDS
        self._position_ms += frame_ms
        self._loud = self._loud + 1 if loud else 0
        self._quiet_ms = 0.0 if loud else self._quiet_ms + frame_ms
        if not self.speaking and self._loud == ONSET_FRAMES:
            self.speaking = True
            start_ms = self._position_ms - ONSET_FRAMES * frame_ms - vad.prefix_padding_ms
            return SpeechStarted(max(round(start_ms), 0))
        if self.speaking and self._quiet_ms >= vad.silence_duration_ms:
            self.speaking = False
            return SpeechStopped(round(self._position_ms))
        return None


class HumSearch:
    """Looks for the line's hum in the first audio of a session."""

    def __init__(self) -> None:
        """Begin with the next audio."""
        self._parts: list[Pcm] = []
        self._gathered = 0
        self._windows = 0
        self.hum: Hum | None = None

    @property
    def over(self) -> bool:
        """Whether the hum was found, or is not to be expected any more."""
        return self.hum is not None or self._windows >= HUM_WINDOWS

    def hear(self, pcm: Pcm, rate: int) -> None:
        """Listen to the next samples."""
        self._parts.append(pcm)
        self._gathered += len(pcm)
        window = round(rate * WINDOW_SECONDS)
        if self._gathered >= window:
            self.hum = find(np.concatenate(self._parts)[-window:], rate)
            self._parts, self._gathered = [], 0
            self._windows += 1


class Ear:
    """A session's input: its format, the turns in it, how much of it is not committed, and the line's hum."""

    def __init__(self, format: str, vad: Vad | None) -> None:
        """Begin to listen; see `tune`."""
        self.received_ms = 0.0
        self.buffered_ms = 0.0
        """Audio since the last utterance was committed. Milliseconds."""
        self.hum_known = asyncio.Event()
        """The hum was found, or is not to be expected any more."""
        self._search = HumSearch()
        self._format = ""
        self.tune(format, vad)

    @property
    def hum(self) -> Hum | None:
        """The line's hum, once it was found."""
        return self._search.hum

    def tune(self, format: str, vad: Vad | None) -> None:
        """Listen differently from now on.

        Args:
            format: `audio/pcm` or `audio/pcmu`.
            vad: When turns begin and end; None where the client decides.
        """
        self._vad = vad
        if format != self._format:
            self._format = format
            self._rate = RATES[format]
            self._detector = SpeechDetector(self._rate, start_ms=self.received_ms)

    def hear(self, audio: str) -> list[SpeechStarted | SpeechStopped]:
        """Listen to the next audio, and tell which turns begin and end in it.

        Args:
            audio: Base64.

        Raises:
            ValueError: See `decode`.
        """
        pcm = decode(audio, self._format)
        ms = 1000 * len(pcm) / self._rate
        self.received_ms += ms
        self.buffered_ms += ms
        if not self.hum_known.is_set():
            self._search.hear(pcm, self._rate)
            if self._search.over:
                self.hum_known.set()
        return self._detector.hear(pcm, self._vad) if self._vad else []

    def clear(self) -> None:
        """Forget what is not committed, a turn that has begun included."""
        self.buffered_ms = 0.0
        self._detector.reset()
