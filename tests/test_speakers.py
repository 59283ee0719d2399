"""Who is speaking in which call, as the console follows it before anybody looks."""

from bot.news import News
from web.console.live.speakers import MOST_CALLS, Speakers


def speaks(who: str, on: bool, sid: str = "CA1") -> News:
    return News("speaks", sid, {"who": who, "on": on})


def test_whoever_began_last_is_the_one_who_speaks():
    speakers = Speakers(iter([10.0, 12.0]).__next__)
    speakers.heard(speaks("bot", True))
    speakers.heard(speaks("caller", True))
    assert speakers.latest("CA1") == "caller"
    assert speakers.of("CA1") == {"bot": 10.0, "caller": 12.0}
    speakers.heard(speaks("caller", False))
    assert speakers.latest("CA1") == "bot"
    speakers.heard(speaks("bot", False))
    assert speakers.latest("CA1") == ""


def test_words_of_a_turn_whose_beginning_was_not_told_are_the_bot_s():
    speakers = Speakers()
    speakers.heard(News("words", "CA1", {"text": "Hello"}))
    assert speakers.latest("CA1") == "bot"


def test_a_call_that_is_over_and_one_of_which_news_was_missed_are_forgotten():
    speakers = Speakers()
    for sid in ("CA1", "CA2"):
        speakers.heard(speaks("bot", True, sid))
    speakers.heard(News("call", "CA1", {"at": 1.0, "phase": "ended"}))
    assert (speakers.latest("CA1"), speakers.latest("CA2")) == ("", "bot")
    speakers.heard(News("missed"))
    assert speakers.latest("CA2") == ""


def test_not_more_calls_are_kept_than_there_can_be():
    speakers = Speakers()
    for n in range(MOST_CALLS + 5):
        speakers.heard(speaks("bot", True, f"CA{n}"))
    assert speakers.latest("CA0") == ""
    assert speakers.latest(f"CA{MOST_CALLS}") == "bot"
