"""Calls as traces: what spans there are, when they were, and what is in none of them."""

from dataclasses import replace

import pytest
from calls import CALLER, SID, Story
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from bot import events as ev
from bot.call import Call
from bot.speaking import Speaker
from bot.traces import Traces, call_ids, set_up_traces


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def traces(exporter: InMemorySpanExporter, clock: "Clock") -> Traces:
    provider = TracerProvider(id_generator=call_ids())
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return Traces(provider.get_tracer("test"), clock)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def put_through() -> tuple[Call, Call]:
    """A call just before and after its end: the first number was busy, the second person took it."""
    story = Story().ringing().ends(1, "busy").happens(ev.PersonAnswered, attempt=2)
    before = story.call
    return before, story.ends(2, "completed", bridged=True).call


def by_name(exporter: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in exporter.get_finished_spans() if span.name == name]


def test_a_call_that_ends_is_one_trace_under_its_own_sid(traces: Traces, exporter: InMemorySpanExporter):
    before, after = put_through()
    traces.stepped(before, after, ev.CallEnded(at=1.0))
    assert {f"{span.context.trace_id:032x}" for span in exporter.get_finished_spans() if span.context} == {SID[2:]}
    [root] = by_name(exporter, "call")
    [handoff] = by_name(exporter, "hand-off")
    attempts = by_name(exporter, "attempt")
    assert root.parent is None
    assert handoff.parent is not None
    assert root.context is not None
    assert handoff.parent.span_id == root.context.span_id
    assert [a.attributes and a.attributes["attempt.outcome"] for a in attempts] == ["busy", "answered"]
    assert all(handoff.context and a.parent and a.parent.span_id == handoff.context.span_id for a in attempts)
    assert (root.start_time, root.end_time) == (after.started_at * 10**9, (after.ended_at or 0) * 10**9)


def test_a_call_that_goes_on_or_has_ended_before_makes_no_span(traces: Traces, exporter: InMemorySpanExporter):
    before, after = put_through()
    traces.stepped(before, before, ev.CallLives(at=1.0))
    traces.stepped(after, after, ev.CallEnded(at=1.0))
    assert exporter.get_finished_spans() == ()


def test_what_the_failsafe_document_dialled_hangs_from_the_call_itself(traces: Traces, exporter: InMemorySpanExporter):
    story = Story().with_bot().happens(ev.StreamEnded, leg=1, stopped=False).happens(ev.PersonAnswered, attempt=0)
    story.happens(ev.CallEnded)
    traces.tell(story.call)
    [root], [attempt] = by_name(exporter, "call"), by_name(exporter, "attempt")
    assert attempt.parent is not None
    assert root.context is not None
    assert attempt.parent.span_id == root.context.span_id
    assert [event.name for event in root.events] == ["fallback"]


def test_no_span_holds_a_number_or_a_word_that_was_said(traces: Traces, exporter: InMemorySpanExporter):
    _, after = put_through()
    secret = "the blue house"
    handoffs = tuple(replace(handoff, reason=secret, summary=secret) for handoff in after.handoffs)
    traces.tell(replace(after, handoffs=handoffs))
    told = " ".join(span.to_json() for span in exporter.get_finished_spans())
    assert secret not in told
    assert CALLER[1:] not in told
    assert all(attempt.number not in told for attempt in after.attempts)


def test_without_an_endpoint_there_are_no_traces():
    assert not set_up_traces({})
    assert not set_up_traces({"OTEL_EXPORTER_OTLP_ENDPOINT": ""})


def test_each_turn_is_a_span_of_its_call_with_how_long_the_answer_took(
    traces: Traces, exporter: InMemorySpanExporter, clock: Clock
):
    call = Story().with_bot().call

    def happens(after: float, who: Speaker, on: bool, response: float | None = None) -> None:
        clock.now += after
        if response is not None:
            traces.responded(call, response)
        traces.speaks(call, who, on)

    happens(0, "bot", True)  # the greeting
    happens(2, "bot", False)
    happens(1, "caller", True)
    happens(2, "caller", False)
    happens(0.5, "bot", True, 0.5)
    happens(1, "caller", True)  # and does not let it finish
    happens(0.1, "bot", False)
    happens(1, "caller", False)
    before, after = put_through()
    traces.stepped(before, after, ev.CallEnded(at=1.0))
    turns = by_name(exporter, "turn")
    [root] = by_name(exporter, "call")
    told = [turn.attributes or {} for turn in turns]
    assert [each["turn.by"] for each in told] == ["bot", "caller", "caller"]
    assert [each.get("turn.response_ms") for each in told] == [None, 500, None]
    assert [each["turn.interrupted"] for each in told] == [False, True, False]
    assert [(turn.end_time or 0) - (turn.start_time or 0) for turn in turns[:2]] == [2 * 10**9, 35 * 10**8]
    assert (turns[2].end_time or 0) - (turns[2].start_time or 0) == 1_100_000_000, (
        "the bot's last word was of the turn before"
    )
    for turn in turns:
        assert turn.parent is not None
        assert root.context is not None
        assert turn.parent.span_id == root.context.span_id
        assert turn.context is not None
        assert turn.context.trace_id == root.context.trace_id
    assert len({turn.context.span_id for turn in turns if turn.context}) == 3
