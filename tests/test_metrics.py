"""Figures elsewhere: what Prometheus is told, what the dashboard asks it for, and logs that programs read."""

import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from calls import CALLER, SID, US, Story, call_in
from loguru import logger

from bot import events as ev
from bot.call import Phase
from bot.callback import Callback, CallbackOutcome, State, Try, TryOutcome
from bot.feed import Feed
from bot.logs import set_up_logs
from bot.loop_thread import LoopThread
from bot.metrics import Metrics
from bot.news import News
from bot.reporter import Reporter

DASHBOARD = Path(__file__).parent.parent / "deploy" / "grafana.json"


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(live=lambda phase: 0, spooled=lambda: 0)


def told(metrics: Metrics) -> dict[str, float]:
    lines = [line for line in metrics.page().decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_how_long_a_phone_rang_and_how_long_the_caller_waited_are_measured(metrics: Metrics):
    story = Story()
    before = story.call
    metrics.began(before)
    for kind, facts in (
        (ev.StreamStarted, {"leg": 1}),
        (ev.HandoffRequested, {"target": "desk"}),
        (ev.GoodbyeHeard, {"handoff": 1}),
        (ev.StreamEnded, {"leg": 1, "stopped": True}),
        (ev.PersonAnswered, {"attempt": 1}),
    ):
        before = story.call
        story.happens(kind, **facts)
        metrics.stepped(before, story.call, kind(at=story.at, **facts))
    figures = told(metrics)
    assert figures["putthrough_seconds_to_answer_count"] == 1
    assert figures["putthrough_seconds_to_answer_sum"] == 2.0  # from the redirect on
    assert figures["putthrough_seconds_to_person_sum"] == 3.0


def test_a_person_whom_twilio_did_not_call_is_one_of_its_errors_and_troubles_the_board(
    metrics: Metrics, tmp_path: Path
):
    call, event = call_in(Phase.BOT), ev.PersonNotCalled(at=9.0, attempt=1, failure=ev.Failure.NOT_DONE, code=20429)
    metrics.stepped(call, call, event)
    assert told(metrics)['putthrough_twilio_errors_total{code="20429",failure="not_done"}'] == 1
    feed = Feed(f"sqlite+aiosqlite:///{tmp_path}/calls.db", LoopThread("aside"))
    beats: list[News] = []
    feed.publish = beats.append  # type: ignore[method-assign] - what is told, on the spot
    reporter = Reporter(feed, clock=lambda: 10.0)
    reporter.stepped(call, call, event)
    reporter.beat({})
    assert beats[-1].data["twilio_faults"] == 1


@pytest.mark.parametrize(("code", "label"), [(21220, "21220"), (12345, "other"), (None, "none")])
def test_orders_that_twilio_did_not_confirm_are_counted_by_codes_of_bounded_number(
    metrics: Metrics, code: int | None, label: str
):
    call = call_in(Phase.REDIRECTING)
    metrics.stepped(call, call, ev.RedirectFailed(at=1.0, failure=ev.Failure.UNKNOWN, code=code))
    assert told(metrics)[f'putthrough_twilio_errors_total{{code="{label}",failure="unknown"}}'] == 1


def test_answers_silences_and_lost_models_are_counted(metrics: Metrics):
    call = call_in(Phase.BOT)
    metrics.responded(call, 0.4)
    metrics.silent(call, 3.0)
    metrics.stepped(call, call, ev.ModelLost(at=1.0, reason="gone"))
    figures = told(metrics)
    assert figures["putthrough_response_seconds_sum"] == 0.4
    assert figures["putthrough_silence_seconds_sum"] == 3.0
    assert figures["putthrough_models_lost_total"] == 1


def test_callbacks_and_their_calls_are_counted_by_how_they_ended():
    open_now = {State.WAITING: 3}
    metrics = Metrics(live=lambda phase: 0, spooled=lambda: 0, callbacks=lambda state: open_now.get(state, 0))
    asked = Callback(SID[2:], SID, CALLER, US, "desk", "", "", 1.0, 1.0, 1.0)
    called = replace(asked, state=State.PERSON, tries=(Try("desk", "+442079460101", 1.0),))
    over = replace(called.tries[0], outcome=TryOutcome.BUSY)
    done = replace(called, state=State.DONE, tries=(over,), outcome=CallbackOutcome.NOBODY)
    metrics.booked(asked)
    for before, after in pairwise([asked, called, done]):
        metrics.callback_stepped(before, after)
    figures = told(metrics)
    assert figures["putthrough_callbacks_booked_total"] == 1
    assert figures['putthrough_callback_tries_total{outcome="busy",target="desk"}'] == 1
    assert figures['putthrough_callbacks_done_total{outcome="nobody"}'] == 1
    assert figures['putthrough_callbacks_open{state="waiting"}'] == 3
    assert figures['putthrough_callbacks_open{state="person"}'] == 0
    assert "+44" not in metrics.page().decode()


async def test_the_loop_is_asked_whether_it_is_late(metrics: Metrics):
    looks = 0

    async def sleep(seconds: float) -> None:
        nonlocal looks
        looks += 1
        if looks > 3:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        await metrics.watch_loop(sleep)
    assert told(metrics)["putthrough_loop_lag_seconds_count"] == 3


def test_no_figure_holds_anything_of_a_caller(metrics: Metrics):
    call = replace(call_in(Phase.RINGING), caller="+442079460999")
    metrics.began(call)
    page = metrics.page().decode()
    assert "+44" not in page
    assert SID not in page


def test_every_figure_of_the_dashboard_is_one_that_the_server_has(metrics: Metrics):
    board = json.loads(DASHBOARD.read_text())
    asked = {n for panel in board["panels"] for t in panel["targets"] for n in re.findall(r"putthrough_\w+", t["expr"])}
    known = set(re.findall(r"^# TYPE (\w+) ", metrics.page().decode(), re.MULTILINE))
    known |= {f"{name}_bucket" for name in known}
    assert asked - known == set()
    places = [tuple(panel["gridPos"].values()) for panel in board["panels"]]
    assert len(set(places)) == len(places)


def test_a_log_for_programs_is_one_object_a_line_with_the_call_s_sid(capsys: pytest.CaptureFixture[str]):
    try:
        set_up_logs("INFO", "json")
        with logger.contextualize(call_sid=SID):
            logger.info("a {}", 'line with "quotes"\nand a break')
        try:
            _ = 1 / 0
        except ZeroDivisionError:
            logger.exception("it broke")
    finally:
        logger.remove()
    first, second = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert (first["call_sid"], first["level"]) == (SID, "INFO")
    assert first["message"] == 'a line with "quotes"\nand a break'
    assert "call_sid" not in second
    assert "ZeroDivisionError" in second["exception"]
