"""The parts under the network: µ-law, the clock-true track, the journal, people, routes."""

import io
import wave

import numpy as np
import pytest

from sandbox.codec import decode, encode, mix, write_wav
from sandbox.people import Person, behaviour
from sandbox.scene import Journal
from sandbox.sound import Span, Track, tone
from sandbox.webhooks import Routes, Unroutable


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


# --- µ-law ---


def test_every_code_survives_decoding_and_encoding():
    codes = bytes(range(256))
    again = encode(decode(codes))
    assert [a for a, b in zip(codes, again, strict=True) if a != b] == [0x7F]  # minus zero becomes zero


def test_encoding_errs_by_no_more_than_half_a_step():
    pcm = np.arange(-32635, 32636, dtype=np.int16)
    error = np.abs(decode(encode(pcm)).astype(int) - pcm)
    assert np.all(error <= (np.abs(pcm.astype(int)) + 132) / 32)


def test_known_samples_have_the_codes_of_the_standard():
    assert encode(np.array([0, -1, 32767, -32768], dtype=np.int16)) == bytes([0xFF, 0x7F, 0x80, 0x00])


def test_sounds_are_mixed_with_clipping():
    loud = np.array([30000, -30000], dtype=np.int16)
    assert mix(loud, loud).tolist() == [32767, -32768]


def test_a_wav_file_holds_what_was_written():
    file = io.BytesIO()
    pcm = tone(440, seconds=0.1)
    write_wav(file, pcm)
    file.seek(0)
    with wave.open(file) as wav:
        assert (wav.getframerate(), wav.getnchannels(), wav.getnframes()) == (8000, 1, 800)
        assert wav.readframes(800) == pcm.tobytes()


# --- the track ---


def ones(n: int, value: int = 1000) -> np.ndarray:
    return np.full(n, value, dtype=np.int16)


def test_sound_is_heard_behind_what_is_queued_and_never_before_now():
    clock = Clock()
    track = Track(clock)
    assert track.play(ones(800)) == Span(100.0, 100.1)
    assert track.play(ones(800)) == Span(100.1, 100.2)
    clock.now = 101.0
    assert track.play(ones(80)) == Span(101.0, 101.01)
    clock.now = 102.0
    heard = track.heard()
    assert len(heard) == 16_000
    assert np.flatnonzero(heard).tolist() == [*range(1600), *range(8000, 8080)]


def test_cutting_keeps_what_was_heard():
    clock = Clock()
    track = Track(clock)
    track.play(ones(800))
    track.play(ones(800))
    clock.now = 100.05
    assert track.busy
    track.cut()
    assert not track.busy
    clock.now = 101.0
    assert np.count_nonzero(track.heard()) == 400
    assert track.played == 400


def test_a_stretch_without_sound_reads_as_none():
    clock = Clock()
    track = Track(clock)
    track.play(ones(160))
    assert track.read(160, 320) is None
    part = track.read(80, 240)
    assert part is not None
    assert part.tolist() == [1000] * 80 + [0] * 80


def test_a_dead_line_hears_nothing_more():
    clock = Clock()
    track = Track(clock)
    track.play(ones(8000))
    clock.now = 100.5
    track.stop()
    clock.now = 105.0
    assert len(track.heard()) == 4000


def test_silences_are_what_nothing_covers():
    clock = Clock()
    track = Track(clock)
    track.play(ones(8000))
    clock.now = 103.0
    track.play(ones(8000))
    clock.now = 106.0
    assert track.silences([], 0.3) == [Span(1.0, 3.0), Span(4.0, 6.0)]
    assert track.silences([Span(101.5, 102.0), Span(104.0, 107.0)], 0.6) == [Span(2.0, 3.0)]


def test_the_hum_of_a_line_is_no_sound_to_a_caller():
    clock = Clock()
    track = Track(clock)
    track.play(tone(2510, 3010, seconds=1.0, level=82))
    clock.now = 101.0
    assert track.silences([], 0.3) == [Span(0.0, 1.0)]


# --- the journal ---


async def test_a_note_that_is_there_already_counts():
    journal = Journal()
    written = journal.note("bot", "mark", "CA1", name="a")
    assert await journal.until("mark", call_sid="CA1") == written
    assert journal.of("CA1") == [written]
    assert journal.of("CA2") == []


async def test_waiting_for_what_does_not_happen_tells_what_did():
    journal = Journal()
    journal.note("bot", "mark", "CA1")
    with pytest.raises(TimeoutError, match="bot mark"):
        await journal.until("bridged", call_sid="CA1", timeout=0.01)
    with pytest.raises(TimeoutError):
        await journal.until("mark", since=journal.now(), timeout=0.01)


def test_subscribers_get_every_note_until_they_leave():
    journal = Journal()
    heard: list[str] = []
    leave = journal.subscribe(lambda note: heard.append(note.what))
    journal.note("bot", "one")
    leave()
    journal.note("bot", "two")
    assert heard == ["one"]


# --- people and routes ---


def test_the_last_behaviour_of_a_list_stays():
    people = {"+1": [Person("busy"), Person("answer")], "+2": Person("no_answer")}
    found = [behaviour(people, "+1", attempt) for attempt in range(3)]
    assert [person.behaviour for person in found if person] == ["busy", "answer", "answer"]
    assert behaviour(people, "+2", 5) == Person("no_answer")
    assert behaviour(people, "+3", 0) is None


def test_public_addresses_are_dialled_where_they_are_served():
    routes = Routes({"https://bot.example": "http://127.0.0.1:81", "http://plain.example": "http://127.0.0.1:82"})
    assert str(routes.real("https://bot.example/a?b=%2B+")) == "http://127.0.0.1:81/a?b=%2B+"
    assert str(routes.real("wss://bot.example/media")) == "ws://127.0.0.1:81/media"
    assert str(routes.real("ws://plain.example/media")) == "ws://127.0.0.1:82/media"
    assert str(routes.real("http://127.0.0.1:9/x")) == "http://127.0.0.1:9/x"


@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere.example/",
        "https://bot.example.evil.example/",
        "ws://bot.example/media",
        "wss://127.0.0.1:9/media",
        "ftp://bot.example/",
        "/relative",
    ],
)
def test_other_addresses_are_not_dialled(url: str):
    with pytest.raises(Unroutable):
        Routes({"https://bot.example": "http://127.0.0.1:81"}).real(url)
