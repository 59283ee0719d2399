"""Who speaks when: what is told of it, how long an answer takes, and for how long nobody speaks."""

from bot.speaking import Speaking


def test_a_stretch_of_speech_is_told_when_it_is_over():
    speaking = Speaking(100.0)
    assert speaking.begins("bot", 101.0) is None
    spoke = speaking.ends("bot", 103.5)
    assert spoke is not None
    assert (spoke.who, spoke.since, spoke.until, spoke.response) == ("bot", 101.0, 103.5, None)


def test_the_bot_s_answer_is_measured_from_where_the_caller_fell_silent():
    speaking = Speaking(100.0)
    speaking.begins("caller", 101.0)
    speaking.ends("caller", 103.0)
    assert speaking.begins("bot", 103.75) == 0.75
    spoke = speaking.ends("bot", 105.0)
    assert spoke is not None
    assert spoke.facts() == {"who": "bot", "since": 103.75, "response_ms": 750}


def test_what_the_bot_says_of_its_own_accord_answers_nobody():
    speaking = Speaking(100.0)
    speaking.begins("caller", 101.0)
    speaking.ends("caller", 102.0)
    speaking.begins("bot", 102.5)
    speaking.ends("bot", 103.0)
    assert speaking.begins("bot", 109.0) is None


def test_the_longest_silence_is_one_in_which_nobody_speaks():
    speaking = Speaking(100.0)
    speaking.begins("bot", 101.0)
    speaking.begins("caller", 102.0)
    speaking.ends("bot", 102.5)
    speaking.ends("caller", 104.0)
    speaking.begins("bot", 107.0)
    assert speaking.longest_silence == 3.0


def test_the_end_of_the_stream_ends_what_is_being_spoken_and_the_silence():
    speaking = Speaking(100.0)
    speaking.begins("caller", 101.0)
    [spoke] = speaking.close(102.0)
    assert (spoke.who, spoke.until) == ("caller", 102.0)
    silent = Speaking(100.0)
    assert silent.close(109.0) == []
    assert silent.longest_silence == 9.0


def test_somebody_who_begins_twice_or_falls_silent_twice_has_done_it_once():
    speaking = Speaking(100.0)
    speaking.begins("bot", 101.0)
    speaking.begins("bot", 102.0)
    spoke = speaking.ends("bot", 103.0)
    assert spoke is not None
    assert spoke.since == 101.0
    assert speaking.ends("bot", 104.0) is None
