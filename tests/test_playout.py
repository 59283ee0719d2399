"""What the caller has heard, told by marks."""

from bot.playout import MARK_EVERY_MS, Playout


class Clock:
    """Seconds that pass when told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def playing(ms: int = 1000) -> tuple[Playout, Clock, list[tuple[str, int]]]:
    """A playout to which an utterance was sent in chunks of 40 ms at once, and its marks with their places."""
    clock = Clock()
    playout = Playout(clock)
    playout.begin(7)
    marks = []
    for sent in range(40, ms + 1, 40):
        mark = playout.sent(40)
        if mark:
            marks.append((mark, sent))
    return playout, clock, marks


def test_nothing_has_been_heard_before_anything_was_sent():
    assert Playout(Clock()).position() == (None, 0)


def test_there_is_a_mark_behind_the_first_chunk_and_then_every_so_often():
    _, _, marks = playing(1000)
    places = [place for _, place in marks]
    assert places[0] == 40
    assert all(b - a == MARK_EVERY_MS for a, b in zip(places, places[1:], strict=False))


def test_an_echo_says_how_much_was_heard():
    playout, _, marks = playing()
    assert playout.echoed(marks[2][0])
    assert playout.position() == (7, marks[2][1])


def test_between_two_marks_the_clock_counts_but_never_past_the_next_mark():
    playout, clock, marks = playing()
    playout.echoed(marks[1][0])
    clock.now += 0.1
    assert playout.position() == (7, marks[1][1] + 100)
    clock.now += 60
    assert playout.position() == (7, marks[2][1])


def test_before_the_first_echo_at_most_the_first_chunk_counts_as_heard():
    playout, clock, _ = playing()
    clock.now += 60
    assert playout.position() == (7, 40)


def test_a_mark_released_by_clear_was_not_heard():
    playout, _, marks = playing()
    name = playout.mark("goodbye")
    playout.echoed(marks[0][0])
    playout.cleared()
    assert not playout.echoed(marks[1][0])
    assert not playout.echoed(name)
    assert playout.position() == (7, marks[0][1])


def test_a_mark_behind_everything_is_heard_when_it_comes_back():
    playout, _, marks = playing()
    playout.mark("goodbye")
    for name, _ in marks:
        playout.echoed(name)
    assert playout.echoed("goodbye")
    assert playout.position() == (7, 1000)


def test_a_mark_nobody_asked_for_proves_nothing():
    playout, _, _ = playing()
    assert not playout.echoed("never sent")


def test_an_echo_of_an_earlier_utterance_does_not_move_the_present_one():
    playout, _, marks = playing()
    playout.begin(8)
    playout.sent(40)
    playout.echoed(marks[-1][0])
    assert playout.position() == (8, 0)
