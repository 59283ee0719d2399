"""The telephone's audio and the model's: nothing lost, nothing held back, and the tone stays the tone."""

import audioop
from base64 import b64decode, b64encode
from binascii import a2b_base64

import numpy as np
import pytest

from pipelines.codecs import LINE_HZ, MODEL_PCM_HZ, Codec, Mulaw, Pcm

LEVEL = 8000.0


def tone(rate: int, seconds: float, hz: float = 1000.0) -> np.ndarray:
    return (LEVEL * np.sin(2 * np.pi * hz * np.arange(round(rate * seconds)) / rate)).astype("<i2")


def pieces(samples: np.ndarray, size: int) -> list[np.ndarray]:
    return [samples[i : i + size] for i in range(0, len(samples), size)]


def pcm_delta(samples: np.ndarray) -> str:
    return b64encode(samples.astype("<i2").tobytes()).decode()


def caller(samples: np.ndarray) -> str:
    return b64encode(audioop.lin2ulaw(samples.astype(np.int16).tobytes(), 2)).decode()


def from_line(ulaw: str) -> np.ndarray:
    return np.frombuffer(audioop.ulaw2lin(b64decode(ulaw), 2), dtype=np.int16)


def said(codec: Codec, deltas: list[str]) -> tuple[np.ndarray, float]:
    """What reaches the line of one utterance, and the milliseconds that the codec tells."""
    told = [codec.to_line(delta) for delta in deltas]
    sound = [from_line(payload) for payload, _ in told]
    return np.concatenate([*sound, from_line(codec.end())]), sum(ms for _, ms in told)


def is_the_tone(samples: np.ndarray, rate: int, hz: float = 1000.0) -> None:
    middle = samples[rate // 20 : -rate // 20].astype(float)
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(LEVEL / np.sqrt(2), rel=0.05)
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert np.argmax(spectrum) * rate / len(middle) == pytest.approx(hz, abs=2)
    t = 2 * np.pi * hz * np.arange(len(middle)) / rate
    basis = np.stack([np.sin(t), np.cos(t)], axis=1)
    rest = middle - basis @ np.linalg.lstsq(basis, middle, rcond=None)[0]
    assert np.sqrt(np.mean(rest**2)) < 0.05 * LEVEL  # one tone, without clicks between the pieces


# --- µ-law ----------------------------------------------------------------------------------------------


def test_mulaw_passes_untouched_both_ways():
    codec = Mulaw()
    sound = b64encode(bytes(range(256))).decode()
    assert codec.to_model(sound) == sound
    assert codec.to_line(sound) == (sound, 32.0)
    assert codec.end() == ""


@pytest.mark.parametrize("length", [0, 1, 2, 159, 160, 161, 4001])
def test_mulaw_of_any_length_is_told_to_the_sample(length: int):
    assert Mulaw().to_line(b64encode(bytes(length)).decode())[1] == length / 8


@pytest.mark.parametrize("codec", [Mulaw, Pcm])
@pytest.mark.parametrize("delta", ["A", "AAA", "%%%%", "AA AA", "AAAA\n", "AA=A", "äöü=", 'AAAA","x":"'])
def test_what_is_no_base64_is_a_value_error(codec: type[Codec], delta: str):
    with pytest.raises(ValueError):
        codec().to_line(delta)


def test_half_a_sample_of_pcm_is_a_value_error():
    with pytest.raises(ValueError):
        Pcm().to_line(b64encode(bytes(3)).decode())


def test_a_piece_that_is_refused_does_no_harm_to_those_around_it():
    codec = Pcm()
    first, second = pieces(tone(MODEL_PCM_HZ, 0.4), 4800)
    told = [codec.to_line(pcm_delta(first))[0]]
    with pytest.raises(ValueError):
        codec.to_line("no audio")
    told += [codec.to_line(pcm_delta(second))[0], codec.end()]
    sound = np.concatenate([from_line(payload) for payload in told])
    is_the_tone(sound, LINE_HZ)


# --- PCM to the line --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [240, 480, 1000, 4800, 48_000])
@pytest.mark.parametrize("samples", [24_000, 24_001, 30_000, 47_999])
def test_a_sentence_is_as_long_on_the_line_as_it_was_at_the_model(size: int, samples: int):
    sound, told_ms = said(Pcm(), [pcm_delta(part) for part in pieces(tone(MODEL_PCM_HZ, samples / 24_000), size)])
    assert len(sound) == pytest.approx(samples / 3, abs=1)
    assert told_ms == pytest.approx(samples / 24)


def test_sentence_after_sentence_through_one_codec_loses_nothing_and_mixes_nothing():
    codec = Pcm()
    for hz in (1000, 400, 2000, 1000):
        sound, _ = said(codec, [pcm_delta(part) for part in pieces(tone(MODEL_PCM_HZ, 1.0, hz), 2400)])
        assert len(sound) == pytest.approx(8000, abs=1)
        is_the_tone(sound, LINE_HZ, hz)


def test_an_end_behind_nothing_is_empty():
    codec = Pcm()
    assert codec.end() == ""
    said(codec, [pcm_delta(tone(MODEL_PCM_HZ, 0.2))])
    assert codec.end() == ""


@pytest.mark.parametrize("hz", [300, 1000, 3000])
def test_a_tone_of_the_model_stays_that_tone_at_its_level(hz: float):
    sound, _ = said(Pcm(), [pcm_delta(part) for part in pieces(tone(MODEL_PCM_HZ, 2.0, hz), 2400)])
    is_the_tone(sound, LINE_HZ, hz)


def test_what_a_telephone_line_cannot_carry_does_not_come_back_as_another_tone():
    sound, _ = said(Pcm(), [pcm_delta(part) for part in pieces(tone(MODEL_PCM_HZ, 1.0, 7000), 2400)])
    assert np.sqrt(np.mean(sound[400:-400].astype(float) ** 2)) < LEVEL / 100


# --- PCM to the model ---------------------------------------------------------------------------------------


def test_every_20_ms_of_the_caller_give_a_piece_at_once_and_all_add_up():
    codec = Pcm()
    heard = [a2b_base64(codec.to_model(caller(part))) for part in pieces(tone(LINE_HZ, 2.0), 160)]
    assert all(heard)
    assert max(len(piece) for piece in heard) <= 2 * 2 * 480
    total = 0
    for n, piece in enumerate(heard, 1):
        total += len(piece)
        assert total >= 2 * 480 * n - 2 * 240  # never more than 10 ms behind
    assert total <= 2 * 480 * len(heard)


def test_a_tone_of_the_caller_stays_that_tone_at_its_level():
    codec = Pcm()
    heard = b"".join(a2b_base64(codec.to_model(caller(part))) for part in pieces(tone(LINE_HZ, 2.0), 160))
    is_the_tone(np.frombuffer(heard, dtype="<i2"), MODEL_PCM_HZ)
