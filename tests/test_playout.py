"""What the caller has heard, told by marks."""

from bot.playout import MARK_EVERY_MS, Playout


class Clock:
    """Seconds that pass when told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def playing(ms: int = 1000) -> tuple[Playout, Clock, list[tuple[str, int]]]:
    """A playout to which pieces of 40 ms were sent at once, and the marks between them with their places."""
    clock = Clock()
    playout = Playout(clock)
    marks = []
    for sent in range(40, ms + 1, 40):
        mark = playout.sent(40)
        if mark:
            marks.append((mark, sent))
    return playout, clock, marks


def test_nothing_has_been_heard_before_anything_was_sent():
    assert Playout(Clock()).heard_ms == 0
    assert not Playout(Clock()).playing


def test_there_is_a_mark_behind_the_first_piece_and_then_every_so_often():
    _, _, marks = playing(1000)
    places = [place for _, place in marks]
    assert places[0] == 40
    assert all(b - a == MARK_EVERY_MS for a, b in zip(places, places[1:], strict=False))


def test_an_echo_says_how_much_was_heard():
    playout, _, marks = playing()
    assert playout.echoed(marks[2][0])
    assert playout.heard_ms == marks[2][1]


def test_between_two_marks_the_clock_counts_but_never_past_the_next_mark():
    playout, clock, marks = playing()
    playout.echoed(marks[1][0])
    clock.now += 0.1
    assert round(playout.heard_ms) == marks[1][1] + 100
    clock.now += 60
    assert playout.heard_ms == marks[2][1]


def test_before_the_first_echo_at_most_the_first_piece_counts_as_heard():
    playout, clock, _ = playing()
    clock.now += 60
    assert playout.heard_ms == 40


def test_a_mark_released_by_clear_was_not_heard():
    playout, _, marks = playing()
    name = playout.mark("goodbye")
    playout.echoed(marks[0][0])
    playout.cleared()
    assert not playout.echoed(marks[1][0])
    assert not playout.echoed(name)


def test_after_a_clear_nothing_is_playing_and_the_next_piece_begins_at_once():
    playout, clock, _ = playing(1000)
    playout.cleared()
    assert not playout.playing
    assert playout.sent(40) is not None
    clock.now += 0.03
    assert round(playout.heard_ms) == 1030


def test_a_mark_behind_everything_is_heard_when_it_comes_back():
    playout, _, marks = playing()
    playout.mark("goodbye")
    for name, _ in marks:
        playout.echoed(name)
    assert playout.playing
    assert playout.echoed("goodbye")
    assert not playout.playing
    assert playout.heard_ms == 1000


def test_a_mark_nobody_asked_for_proves_nothing():
    playout, _, _ = playing()
    assert not playout.echoed("never sent")


def test_a_pause_in_what_is_sent_does_not_count_as_heard():
    playout, clock, marks = playing(200)
    playout.echoed(marks[0][0])
    clock.now += 5  # Twilio has played the rest of it and waits
    playout.sent(40)
    clock.now += 0.02
    assert round(playout.heard_ms) == 220


def test_audio_behind_the_last_mark_is_known_to_want_one():
    playout, _, _ = playing(200)
    assert playout.unmarked
    playout.mark()
    assert not playout.unmarked
