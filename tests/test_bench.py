"""The bench: its arithmetic, and a very small run on real sockets."""

from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("picows", reason="the bench's dependencies are not installed")

from bench.measure import Delay, Figures
from bench.plan import Plan, run
from bench.promises import broken, promises
from bench.report import rewrite, terminal, watched_terminal
from bench.rig import audio
from bench.rig.notes import Reply
from bench.summary import summary
from bench.watched import Side, Watched, watch, watched_summary
from sandbox.codec import encode


async def test_two_calls_on_the_bare_relay_are_measured():
    plan = Plan(["bare"], [2], rounds=1, seconds=3.0, short_deltas=False, blocked=False, growth=False, ramp=False)
    document = summary(await run(plan, say=lambda _: None))
    bare = document["levels"]["2"]["bare"]
    assert bare["failed_calls"] == []
    assert bare["up"]["count"] >= 8
    assert bare["down"]["count"] >= 2
    assert bare["to_response"]["count"] == bare["to_greeting"]["count"] == 2
    assert bare["lost_probes"] == bare["underruns"] == bare["lost_tails"] == 0
    assert 0 < bare["cpu_per_call"] < 1
    assert "bare relay" in terminal(document)


async def test_pages_and_listeners_follow_calls_with_the_bot_and_with_people():
    watched = watched_summary(await watch(3, 2, 2.0, lambda _: None, turns=1))
    assert watched["trouble"] == []
    assert watched["shown"] == 3
    assert watched["patches"] > 20
    assert watched["heard"] > 50
    assert all(side["up"]["count"] >= 4 for side in watched["sides"].values())


@pytest.mark.parametrize("rate", [8000, 24000])
def test_a_burst_is_found_and_quiet_and_speech_are_not(rate: int):
    loud, *rest = audio.reply(1000, rate, 200)
    assert audio.is_loud(loud, rate)
    assert not any(audio.is_loud(delta, rate) for delta in rest)
    assert not any(audio.is_loud(frame, 8000) for frame in audio.QUIET_FRAMES + audio.SPEECH_FRAMES)
    assert sum(audio.duration_ms(delta, rate) for delta in [loud, *rest]) == 1000


@pytest.mark.parametrize("late", [0, 1, 37, 160])
def test_a_session_is_known_by_the_number_in_its_greeting(late: int):
    for number in (0, 1, 682, 1365, audio.NUMBERS - 1):
        greeting = b"".join(map(b64decode, audio.greeting(2000, 8000, 200, number)))
        heard = encode(audio.decode(b"\xff" * late)) + greeting
        assert audio.read_number(heard[:2000]) is None
        assert audio.read_number(heard) == number


def test_a_full_scale_sample_of_16_bits_is_loud():
    assert audio.is_loud(b64encode(b"\x00\x80").decode(), 24000)


def reply(*gaps: tuple[float, float]) -> Reply:
    """A reply of a second whose deltas of 200 ms left 50 ms apart, from 10.0 on."""
    sent = [10.0 + 0.05 * index for index in range(5)]
    return Reply(1, "item", "resp", 1000, 200, sent=sent, complete=True, received_ms=1000.0, gaps=list(gaps))


def test_a_gap_that_a_running_server_could_have_filled_is_an_underrun():
    assert reply((200.0, 10.3)).underruns([]) == (1, 0)


def test_a_gap_while_the_server_was_stopped_from_the_beginning_is_not_its_own():
    assert reply((200.0, 10.3)).underruns([(10.04, 10.44)]) == (0, 1)


def test_a_gap_before_the_model_sent_the_audio_is_not_the_server_s():
    assert reply((800.0, 10.1)).underruns([]) == (0, 1)


def test_a_reply_of_which_less_than_a_frame_is_missing_has_arrived_whole():
    whole, cut = reply(), reply()
    whole.received_ms, cut.received_ms = 985.0, 900.0
    assert (whole.lost_ms, cut.lost_ms) == (0.0, 100.0)


DELAY = {"p50": 0.5, "p99": 2.0, "count": 1000}
GOOD = {
    "calls": 50,
    "cpu_per_call": 0.01,
    "memory_per_call": 0.5e6,
    "cpu_ratio": {"stock": 0.3, "relay": 0.9},
    **dict.fromkeys(("up", "down", "barge_in"), DELAY),
    "replies": 100,
    **dict.fromkeys(("underruns", "lost_tails", "missed_barge_ins"), 0),
    "truncation": {"p50": 3.0, "p95": 10.0, "max": 19.0, "count": 100},
    "failed_calls": [],
}
SIZE = {"rss": 100_000_000, "fds": 20, "threads": 4}


SIDE: dict[str, Any] = {
    **{"up": DELAY, "p99_by_turn": [2.0, 2.1], "ratio": {"median": 1.0, "least": 0.9, "most": 1.2}},
    **{"core": 0.6, "others": 0.1, "rig_core": 0.2, "rig_lag_p99": 1.0},
}
WATCHED: dict[str, Any] = {
    "live": 200,
    "streams": 100,
    "shown": 197,
    "seconds": 15.0,
    "turns": 2,
    "open": {"boards": 14, "calls": 6, "listeners": 5},
    "sides": {"nobody": SIDE, "pages": SIDE, "listeners": SIDE},
    "patches": 500,
    "heard": 700,
    "trouble": [],
}


def found(**changes: object) -> dict[str, object]:
    """A document of a run in which every promise is kept, but for some changes."""
    ours = {**GOOD, **changes}
    return {
        "servers": ["putthrough"],
        "levels": {"50": {"putthrough": ours}},
        "blocked": {"putthrough": GOOD},
        "watched": WATCHED,
        "growth": {"calls": 1000, "failed": 0, "before": SIZE, "after": SIZE},
    }


def test_good_figures_break_no_promise():
    document = found()
    assert broken(document) == []
    assert all(promise.kept for promise in promises(document))


@pytest.mark.parametrize(
    "change",
    [
        {"cpu_ratio": {"stock": 0.41, "relay": 0.9}},
        {"up": {**DELAY, "p99": 10.1}},
        {"barge_in": {**DELAY, "p50": 3.1}},
        {"underruns": 1},
        {"lost_tails": 1},
        {"missed_barge_ins": 1},
        {"memory_per_call": 1.1e6},
        {"truncation": {**GOOD["truncation"], "p95": 21.0}},
        {"failed_calls": ["no greeting in time"]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_figure_beyond_its_limit_breaks_one_promise(change: dict[str, object]):
    assert len(broken(found(**change))) == 1


def test_a_load_that_was_not_tried_is_a_broken_promise():
    document = found()
    document["levels"] = {
        "8": {"putthrough": GOOD},
        "50": {"putthrough": {"not_tried": "8 calls took 60% of the core"}},
    }
    assert len(broken(document)) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"sides": {**WATCHED["sides"], "pages": SIDE | {"ratio": {"median": 1.11, "least": 1.0, "most": 1.2}}}},
        {"patches": 0},
        {"heard": 0},
        {"shown": 150},
        {"trouble": ["/console: it ended"]},
    ],
    ids=[
        "slower",
        "pages that were sent nothing",
        "silent listeners",
        "calls that are not shown",
        "a page that is lost",
    ],
)
def test_open_pages_that_cost_the_calls_more_than_a_tenth_or_show_less_than_all_break_a_promise(change: dict[str, Any]):
    assert len(broken({**found(), "watched": WATCHED | change})) == 1


def test_what_pages_cost_is_not_judged_where_it_was_not_measured():
    document = {**found(), "watched": None}
    assert broken(document) == []
    assert [promise.kept for promise in promises(document)].count(None) == 1


def figures(*, p99: float) -> Figures:
    """A turn of which nothing but the delay is of interest."""
    up, lag = Delay(0.5, p99, 100), Delay(0.1, 1.0, 1000)
    sizes = {name: 0.0 for name in ("cpu_per_call", "core", "others", "rig_core", "memory_per_call", "alone_ms")}
    counts = ("replies", "underruns", "unavoidable", "lost_tails", "lost_probes", "missed_barge_ins", "not_truncated")
    rest = dict.fromkeys(("down", "barge_in", "to_response", "to_greeting", "health"))
    return Figures(100, 1.0, **sizes, up=up, rig_lag=lag, **rest, **dict.fromkeys(counts, 0), truncations=[])


def test_what_pages_cost_is_told_by_neighbouring_turns_and_by_all_probes_together():
    watched = Watched(200, 100, 15.0)
    quick, slow = [0.001] * 200, [0.001] * 190 + [0.004] * 10
    for kind, p99s, up in (
        ("nobody", (2.0, 20.0, 2.0), quick),
        ("pages", (2.1, 20.0, 2.4), slow),
        ("listeners", (4.0, 40.0, 4.0), slow),
    ):
        watched.sides[kind] = Side([figures(p99=p99) for p99 in p99s], up)
    watched.shown = [199, 198]
    document = watched_summary(watched)
    nobody, pages, listeners = document["sides"].values()
    assert pages["ratio"] == pytest.approx({"median": 1.05, "least": 1.0, "most": 1.2})
    assert listeners["ratio"]["median"] == pytest.approx(2.0)
    assert (nobody["up"]["p99"], pages["up"]["p99"]) == pytest.approx((1.0, 4.0))
    assert document["shown"] == 198
    assert "1.05×" in watched_terminal(document)


def test_a_page_without_a_marked_block_is_not_touched():
    with pytest.raises(ValueError, match="no block"):
        rewrite("# Speed\n", {})


def test_the_page_of_the_project_has_a_block_for_the_figures():
    page = (Path(__file__).parent.parent / "docs" / "performance.md").read_text()
    assert "<!-- figures -->" in page
    assert "<!-- /figures -->" in page
