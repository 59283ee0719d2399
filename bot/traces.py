"""Calls as traces, for whoever collects them with OpenTelemetry: call → turn, and call → hand-off → attempt.

A trace's id is the call's: the 32 digits of its CallSid, and the id of its first span follows from them. Turns are told
as they end. All else is told when the call is over, from what is known of it then, with the times at which things
happened: a call that moves from process to process has one trace all the same. Nothing that was said is in it, and no
number: that is why Pipecat's own spans, which hold both, are not used.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from loguru import logger
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags, Tracer

from bot.call import Attempt, Call, Handoff, Outcome, Phase
from bot.events import Event
from bot.observers import Observer
from bot.speaking import Speaker

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
"""Where traces go; without one, there are none (OpenTelemetry: OTLP exporter configuration)."""


_MOST_CALLS = 2000
"""Of so many calls turns are counted."""

_ROOT: ContextVar[str] = ContextVar("root", default="")
"""The call whose first span is being made."""


def call_ids() -> Any:
    """What gives spans their ids, and a call's first span those that are the call's. It takes OpenTelemetry's SDK."""
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    class CallIds(RandomIdGenerator):
        def generate_span_id(self) -> int:
            return _root_id(sid) if (sid := _ROOT.get()) else super().generate_span_id()

        def generate_trace_id(self) -> int:
            return int(sid[2:], 16) if (sid := _ROOT.get()) else super().generate_trace_id()

    return CallIds()


def set_up_traces(environ: Mapping[str, str]) -> bool:
    """Send the traces of this process where the environment says. FastAPI adds those of its requests.

    Returns:
        Whether there are any.
    """
    if not any(environ.get(name) for name in ENDPOINTS):
        return False
    try:  # the optional extra `traces`
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        logger.error("no traces: pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http ({})", error)
        return False
    name = environ.get("OTEL_SERVICE_NAME", "putthrough")
    provider = TracerProvider(resource=Resource.create({"service.name": name}), id_generator=call_ids())
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))  # on a thread of its own
    trace.set_tracer_provider(provider)
    return True


@dataclass(slots=True)
class _Turn:
    """The caller speaks, and the bot answers; or the bot speaks unasked."""

    number: int
    by: Speaker
    began_at: float
    response: float | None = None
    """How long after the caller had fallen silent the bot began. Seconds."""

    bot_spoke: bool = False


class Traces(Observer):
    """Makes the spans of turns that end, and of calls that end, here."""

    def __init__(self, tracer: Tracer | None = None, clock: Callable[[], float] = time.time) -> None:
        """Args: tracer: makes spans; by default those of `set_up_traces`, or none; clock: Unix seconds."""
        self._tracer = tracer or trace.get_tracer("putthrough")
        self._clock = clock
        self._turns: dict[str, _Turn] = {}
        """What is being said in each call."""

        self._counts: dict[str, int] = {}

    def stepped(self, before: Call, after: Call, event: Event) -> None:
        """See `Observer`."""
        if after.phase is Phase.ENDED and before.phase is not Phase.ENDED:
            self._end_turn(after)
            self._counts.pop(after.sid, None)
            self.tell(after)

    # --- turns -----------------------------------------------------------------------------------------

    def responded(self, call: Call, seconds: float) -> None:
        """See `Observer`."""
        if (turn := self._turns.get(call.sid)) is not None:
            turn.response = seconds

    def speaks(self, call: Call, who: Speaker, on: bool) -> None:
        """See `Observer`."""
        turn = self._turns.get(call.sid)
        if on and turn is not None and who == "caller" and turn.bot_spoke:
            self._end_turn(call, interrupted=True)
            turn = None
        if on and turn is None and call.phase is not Phase.ENDED:
            number = self._counts[call.sid] = self._counts.get(call.sid, 0) + 1
            turn = self._turns[call.sid] = _Turn(number, who, self._clock())
            if len(self._counts) > _MOST_CALLS:  # calls that ended in other processes
                oldest = next(iter(self._counts))
                self._counts.pop(oldest)
                self._turns.pop(oldest, None)
        if turn is not None and who == "bot":
            if on:
                turn.bot_spoke = True
            elif turn.bot_spoke:
                self._end_turn(call)

    def _end_turn(self, call: Call, *, interrupted: bool = False) -> None:
        turn = self._turns.pop(call.sid, None)
        if turn is None:
            return
        facts: dict[str, str | int | bool] = {
            "turn.number": turn.number,
            "turn.by": turn.by,
            "turn.stream": call.leg,
            "turn.interrupted": interrupted,
        }
        if turn.response is not None:
            facts["turn.response_ms"] = round(turn.response * 1000)
        parent = SpanContext(
            int(call.sid[2:], 16), _root_id(call.sid), is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED)
        )
        context = trace.set_span_in_context(NonRecordingSpan(parent))
        span = self._tracer.start_span("turn", context, attributes=facts, start_time=_nanoseconds(turn.began_at))
        span.end(_nanoseconds(max(self._clock(), turn.began_at)))

    # --- calls -----------------------------------------------------------------------------------------

    def tell(self, call: Call) -> None:
        """Make the spans of a call that is over."""
        end = call.ended_at if call.ended_at is not None else call.started_at
        facts = {
            "call.sid": call.sid,
            "call.end": str(call.end or ""),
            "call.streams": call.leg,
            "call.fallbacks": [fall.rung.value for fall in call.falls],
        }
        with _root_of(call.sid):
            root = self._tracer.start_span(
                "call", Context(), kind=SpanKind.SERVER, attributes=facts, start_time=_nanoseconds(call.started_at)
            )
        for fall in call.falls:
            root.add_event("fallback", {"rung": fall.rung.value}, timestamp=_nanoseconds(fall.at))
        for n, handoff in enumerate(call.handoffs):
            until = call.handoffs[n + 1].at if n + 1 < len(call.handoffs) else end
            tries = [attempt for attempt in call.attempts if handoff.at <= attempt.at < until or attempt.at == until]
            self._hand_off(root, handoff, tries, until)
        first = call.handoffs[0].at if call.handoffs else float("inf")
        for attempt in call.attempts:
            if attempt.at < first:  # dialled by the document that Twilio held: nobody asked
                self._attempt(root, attempt, end)
        root.end(_nanoseconds(end))

    def _hand_off(self, root: trace.Span, handoff: Handoff, tries: list[Attempt], until: float) -> None:
        facts = {
            "handoff.target": handoff.target or "voicemail",
            "handoff.by": handoff.by.value,
            "handoff.withdrawn": handoff.withdrawn,
        }
        context = trace.set_span_in_context(root)
        span = self._tracer.start_span("hand-off", context, attributes=facts, start_time=_nanoseconds(handoff.at))
        for attempt in tries:
            self._attempt(span, attempt, until)
        span.end(_nanoseconds(max([until, *(attempt.ended_at or until for attempt in tries)])))

    def _attempt(self, parent: trace.Span, attempt: Attempt, until: float) -> None:
        facts: dict[str, str | int | bool] = {
            "attempt.target": attempt.target,
            "attempt.outcome": str(attempt.outcome or ""),
            "attempt.failsafe": attempt.failsafe,
        }
        if attempt.code is not None:
            facts["twilio.error_code"] = attempt.code
        context = trace.set_span_in_context(parent)
        span = self._tracer.start_span("attempt", context, attributes=facts, start_time=_nanoseconds(attempt.at))
        for name, at in (("answered", attempt.answered_at), ("accepted", attempt.accepted_at)):
            if at is not None:
                span.add_event(name, timestamp=_nanoseconds(at))
        if attempt.outcome is Outcome.FAILED:
            span.set_status(Status(StatusCode.ERROR))
        span.end(_nanoseconds(attempt.ended_at if attempt.ended_at is not None else until))


def _root_id(sid: str) -> int:
    """The id of a call's first span: 64 bits, not all of them 0."""
    return int(sid[-16:], 16) or 1


@contextmanager
def _root_of(sid: str) -> Iterator[None]:
    """The first span of a call is made here."""
    token = _ROOT.set(sid)
    try:
        yield
    finally:
        _ROOT.reset(token)


def _nanoseconds(at: float) -> int:
    return round(at * 1_000_000_000)
