"""Calls as traces, for whoever collects them with OpenTelemetry: call → hand-off → attempt.

A trace's id is the call's: the 32 digits of its CallSid. A call's spans are made when it is over, from what is known of
it then, with the times at which things happened: a call that moves from process to process has one trace all the same,
told by the one that ended it. Nothing that was said is in it, and no number.
"""

import random
from collections.abc import Mapping

from loguru import logger
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags, Tracer

from bot.call import Attempt, Call, Handoff, Outcome, Phase
from bot.events import Event
from bot.observers import Observer

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
"""Where traces go; without one, there are none (OpenTelemetry: OTLP exporter configuration)."""


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
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))  # on a thread of its own
    trace.set_tracer_provider(provider)
    return True


class Traces(Observer):
    """Makes a call's spans when it ends here."""

    def __init__(self, tracer: Tracer | None = None) -> None:
        """Args: tracer: makes spans; by default those of `set_up_traces`, or none."""
        self._tracer = tracer or trace.get_tracer("putthrough")

    def stepped(self, before: Call, after: Call, event: Event) -> None:
        """See `Observer`."""
        if after.phase is Phase.ENDED and before.phase is not Phase.ENDED:
            self.tell(after)

    def tell(self, call: Call) -> None:
        """Make the spans of a call that is over."""
        end = call.ended_at if call.ended_at is not None else call.started_at
        facts = {
            "call.sid": call.sid,
            "call.end": str(call.end or ""),
            "call.streams": call.leg,
            "call.fallbacks": [fall.rung.value for fall in call.falls],
        }
        context = trace.set_span_in_context(NonRecordingSpan(_parent(call.sid)))
        root = self._tracer.start_span(
            "call", context, kind=SpanKind.SERVER, attributes=facts, start_time=_nanoseconds(call.started_at)
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


def _parent(sid: str) -> SpanContext:
    """What makes a trace's id the call's."""
    number = int(sid[2:], 16)
    return SpanContext(number, random.getrandbits(63) + 1, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _nanoseconds(at: float) -> int:
    return round(at * 1_000_000_000)
