"""What happens to calls, as figures for Prometheus. Labels are of bounded number and hold nothing of a caller."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from bot.call import Call, Phase
from bot.events import Event
from bot.observers import Observer

_TO_A_PERSON = (1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 300)


class Metrics(Observer):
    """Counts the steps of this process's calls."""

    def __init__(self, *, live: Callable[[Phase], int], spooled: Callable[[], int]) -> None:
        """Make them.

        Args:
            live: How many calls this process holds in a phase.
            spooled: How many writings wait for the database.
        """
        self._registry = registry = CollectorRegistry()
        calls = Gauge(
            "putthrough_calls", "Calls that this process holds, by who has the caller", ["phase"], registry=registry
        )
        for phase in Phase:
            if phase is not Phase.ENDED:
                calls.labels(phase.value).set_function(lambda phase=phase: live(phase))
        waiting = "Writings of the record that wait for the database"
        Gauge("putthrough_spooled_writings", waiting, registry=registry).set_function(spooled)
        self._began = Counter(
            "putthrough_calls_begun", "Calls that came in, and whether the bot took them", ["taken"], registry=registry
        )
        self._ended = Counter("putthrough_calls_ended", "Calls by how they ended", ["end"], registry=registry)
        self._handoffs = Counter(
            "putthrough_handoffs", "Agreed hand-offs by target and who asked", ["target", "by"], registry=registry
        )
        self._attempts = Counter(
            "putthrough_attempts", "Attempts to reach a person, by outcome", ["target", "outcome"], registry=registry
        )
        self._rungs = Counter(
            "putthrough_rungs", "What kept a caller when something of ours failed", ["rung"], registry=registry
        )
        self._to_person = Histogram(
            "putthrough_seconds_to_person",
            "From the request for a person until one took the call",
            buckets=_TO_A_PERSON,
            registry=registry,
        )

    def began(self, call: Call) -> None:
        """A call came in."""
        self._began.labels("no" if call.handoffs else "yes").inc()
        self._count(Call(call.sid, call.caller, call.called, call.started_at), call)

    def stepped(self, before: Call, after: Call, event: Event) -> None:
        """A step of a call was made here, and nowhere else."""
        self._count(before, after)

    def page(self) -> bytes:
        """As Prometheus reads it (its text format)."""
        return generate_latest(self._registry)

    def _count(self, before: Call, after: Call) -> None:
        for handoff in after.handoffs[len(before.handoffs) :]:
            self._handoffs.labels(handoff.target or "voicemail", handoff.by.value).inc()
        for fall in after.falls[len(before.falls) :]:
            self._rungs.labels(fall.rung.value).inc()
        for n, attempt in enumerate(after.attempts):
            earlier = before.attempts[n] if n < len(before.attempts) else None
            if attempt.outcome is not None and (earlier is None or earlier.outcome is None):
                self._attempts.labels(attempt.target, attempt.outcome.value).inc()
            taken = attempt.accepted_at is not None and (earlier is None or earlier.accepted_at is None)
            if taken and attempt.accepted_at is not None:
                asked = after.handoffs[-1].at if after.handoffs and not attempt.failsafe else attempt.at
                self._to_person.observe(attempt.accepted_at - asked)
        if after.end is not None and before.end is None:
            self._ended.labels(after.end.value).inc()
