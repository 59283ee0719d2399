"""The hum of a caller's line."""

import numpy as np
import pytest
import soxr

from sandbox import codec
from sandbox.hearing import Vad
from sandbox.hum import find, hum_for, mix
from sandbox.voice import speak

HUMS = [hum_for(i) for i in range(435)]
WINDOW = 2400


def over_the_line(pcm: codec.Pcm) -> codec.Pcm:
    return codec.decode(codec.encode(pcm))


def test_four_hundred_lines_hum_differently():
    assert len({hum_for(i) for i in range(400)}) == 400


def test_stretches_of_a_hum_join_seamlessly():
    hum = hum_for(77)
    whole = mix(hum, 0, 8000)
    parts = [mix(hum, at, 160) for at in range(0, 8000, 160)]
    assert np.array_equal(np.concatenate(parts), whole)


def test_every_hum_is_recognised_through_mu_law():
    assert [find(over_the_line(mix(hum, 1234, WINDOW)), 8000) for hum in HUMS] == HUMS


def test_every_hum_is_recognised_after_resampling_to_24_khz():
    def heard(hum: tuple[int, int]) -> codec.Pcm:
        return soxr.resample(over_the_line(mix(hum, 0, 2 * WINDOW)), 8000, 24000, quality="VHQ")

    assert [find(heard(hum)[: 3 * WINDOW], 24000) for hum in HUMS] == HUMS


def test_a_hum_is_recognised_from_any_moment_on():
    hum = hum_for(200)
    line = over_the_line(mix(hum, 0, 8000))
    assert {find(line[at : at + WINDOW], 8000) for at in range(0, 5600, 37)} == {hum}


def test_a_hum_is_recognised_under_tone_speech():
    speech = speak("I would like to talk to somebody, because the tent leaks.")[:WINDOW]
    for hum in HUMS[::7]:
        assert find(over_the_line(codec.mix(speech, mix(hum, 0, WINDOW))), 8000) == hum


@pytest.mark.parametrize("voice", ["caller", "bot", "person"])
def test_speech_alone_has_no_hum(voice):
    speech = over_the_line(speak("I would like to talk to somebody, please!", voice=voice))
    assert {find(speech[at : at + WINDOW], 8000) for at in range(0, len(speech) - WINDOW, 160)} == {None}


def test_silence_and_noise_have_no_hum():
    noise = np.random.default_rng(1).normal(0, 300, WINDOW).astype(np.int16)
    assert find(np.zeros(WINDOW, dtype=np.int16), 8000) is None
    assert find(noise, 8000) is None


def test_a_hum_is_quieter_than_what_any_threshold_takes_for_speech():
    loudest = max(np.sqrt(np.mean(over_the_line(mix(hum, 0, 800)).astype(float) ** 2)) for hum in HUMS)
    assert loudest < Vad(threshold=0.0).level
