"""Voices."""

import sys

import numpy as np
import pytest

from sandbox import espeak
from sandbox.sound import FRAME
from sandbox.voice import speak

TEXT = "Hello! I would like to talk to somebody about my order, please."


def levels(pcm: np.ndarray, samples: int = FRAME) -> np.ndarray:
    frames = pcm[: len(pcm) // samples * samples].reshape(-1, samples).astype(float)
    return np.sqrt(np.mean(frames**2, axis=1))


def spectrum(pcm: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray]:
    return np.fft.rfftfreq(len(pcm), 1 / rate), np.abs(np.fft.rfft(pcm * np.hanning(len(pcm))))


@pytest.mark.parametrize(("text", "seconds"), [("No.", 0.4), (TEXT, 0.055 * len(TEXT)), (10 * TEXT, 6.0)])
@pytest.mark.parametrize("rate", [8000, 24000])
def test_a_text_lasts_as_long_as_it_is_within_limits(text, seconds, rate):
    assert len(speak(text, rate=rate)) == round(seconds * rate)


def test_an_empty_text_is_a_short_sound():
    assert len(speak("")) == 3200


def test_the_same_text_is_made_only_once_and_cannot_be_spoiled():
    pcm = speak(TEXT)
    assert speak(TEXT) is pcm
    with pytest.raises(ValueError, match="read-only"):
        pcm[0] = 1


def test_speech_has_no_gaps_even_where_the_text_has():
    assert levels(speak("Well ........... yes ,  ,  ,  , I do"))[:-2].min() > 600


def test_speech_ends_softly():
    assert levels(speak(TEXT), 40)[-1] < 0.2 * levels(speak(TEXT)).mean()


@pytest.mark.parametrize("rate", [8000, 24000])
@pytest.mark.parametrize("voice", ["caller", "bot", "person"])
def test_speech_stays_under_1500_hertz(voice, rate):
    frequencies, strength = spectrum(speak(TEXT, voice=voice, rate=rate), rate)
    above = np.sum(strength[frequencies > 1500] ** 2) / np.sum(strength**2)
    assert above < 1e-5


def test_each_voice_has_a_pitch_of_its_own():
    def pitch(voice):
        frequencies, strength = spectrum(speak(TEXT, voice=voice), 8000)
        return frequencies[np.argmax(strength)]

    assert pitch("person") < pitch("bot") < pitch("caller")


def test_an_unknown_engine_is_named(monkeypatch):
    monkeypatch.setenv("SANDBOX_VOICE", "gramophone")
    with pytest.raises(ValueError, match="gramophone"):
        speak("Hello?")


@pytest.mark.parametrize("rate", [8000, 24000])
def test_espeak_says_words(monkeypatch, rate):
    pytest.importorskip("espeakng_loader")
    monkeypatch.setenv("SANDBOX_VOICE", "espeak")
    short, long = speak("No.", rate=rate), speak(TEXT, rate=rate)
    assert 0.1 * rate < len(short) < len(long) < 8 * rate
    assert levels(long).max() > 3000
    assert abs(int(long[0])) < 1000
    assert abs(int(long[-1])) < 1000


def test_espeak_that_is_not_installed_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    monkeypatch.setattr(espeak, "_library", espeak._library.__wrapped__)
    monkeypatch.setenv("SANDBOX_VOICE", "espeak")
    with pytest.raises(RuntimeError, match="pip install"):
        speak("This was never said before.")
