"""What happens to calls, as figures for Prometheus. Labels are of bounded number and hold nothing of a caller."""

import asyncio
from collections.abc import Awaitable, Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from bot.call import Call, Phase
from bot.callback import Callback, State, newly_over
from bot.events import Event, HangUpFailed, ModelLost, PersonNotCalled, RedirectFailed
from bot.observers import Observer
from bot.recording_events import RecordingNotBegan, RecordingNotStopped

_TO_A_PERSON = (1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 300)
_RESPONSES = (0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 10)
_SILENCES = (0.5, 1, 2, 3, 4, 5, 7.5, 10, 15, 30, 60)
_LAGS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2)

LOOK_SECONDS = 0.25
"""How often the event loop is asked whether it is late."""

_CODES = {20003, 20404, 20429, 21218, 21220, 31920, 32018, 64101}
"""Twilio's error codes that are counted each under its own name; all others are one."""


class Metrics(Observer):
    """Counts the steps of this process's calls."""

    def __init__(
        self,
        *,
        live: Callable[[Phase], int],
        spooled: Callable[[], int],
        callbacks: Callable[[State], int] = lambda state: 0,
    ) -> None:
        """Make them.

        Args:
            live: How many calls this process holds in a phase.
            spooled: How many writings wait for the database.
            callbacks: How many callbacks are in a state, in the record of all processes.
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

        self._to_answer = Histogram(
            "putthrough_seconds_to_answer",
            "From the ringing of a phone until it was picked up",
            buckets=_TO_A_PERSON,
            registry=registry,
        )
        self._responses = Histogram(
            "putthrough_response_seconds",
            "From the caller's falling silent until the bot is heard",
            buckets=_RESPONSES,
            registry=registry,
        )
        self._silences = Histogram(
            "putthrough_silence_seconds",
            "The longest silence on each media stream",
            buckets=_SILENCES,
            registry=registry,
        )
        self._lag = Histogram(
            "putthrough_loop_lag_seconds",
            "How late the event loop is with what was due",
            buckets=_LAGS,
            registry=registry,
        )
        self._unconfirmed = Counter(
            "putthrough_twilio_errors",
            "Orders that Twilio did not confirm, by what is known of them and its error code",
            ["failure", "code"],
            registry=registry,
        )
        open_ = "Callbacks that are not over, in the record: every process tells the same"
        by_state = Gauge("putthrough_callbacks_open", open_, ["state"], registry=registry)
        for state in State:
            if state is not State.DONE:
                by_state.labels(state.value).set_function(lambda state=state: callbacks(state))
        self._booked = Counter("putthrough_callbacks_booked", "Callbacks that were asked for", registry=registry)
        self._called_back = Counter(
            "putthrough_callbacks_done", "Callbacks that are over, by how they ended", ["outcome"], registry=registry
        )
        self._tries = Counter(
            "putthrough_callback_tries", "Calls to people for callbacks", ["target", "outcome"], registry=registry
        )
        self._recordings = Counter(
            "putthrough_recordings",
            "Recordings of calls that are ready, by part",
            ["part", "overran"],
            registry=registry,
        )
        self._models_lost = Counter("putthrough_models_lost", "Sessions of the model that broke", registry=registry)

    def began(self, call: Call) -> None:
        """A call came in."""
        self._began.labels("no" if call.handoffs else "yes").inc()
        self._count(Call(call.sid, call.caller, call.called, call.started_at), call)

    def stepped(self, before: Call, after: Call, event: Event) -> None:
        """A step of a call was made here, and nowhere else."""
        match event:
            case RedirectFailed(failure=failure, code=code) | PersonNotCalled(failure=failure, code=code):
                self._unconfirmed.labels(failure.value, _bounded(code)).inc()
            case HangUpFailed(failure=failure):
                self._unconfirmed.labels(failure.value, "none").inc()
            case RecordingNotBegan(failure=failure, code=code) | RecordingNotStopped(failure=failure, code=code):
                self._unconfirmed.labels(failure.value, _bounded(code)).inc()
            case ModelLost():
                self._models_lost.inc()
            case _:
                pass
        self._count(before, after)

    def responded(self, call: Call, seconds: float) -> None:
        """See `Observer`."""
        self._responses.observe(seconds)

    def silent(self, call: Call, seconds: float) -> None:
        """See `Observer`."""
        self._silences.observe(seconds)

    def booked(self, callback: Callback) -> None:
        """See `Observer`."""
        self._booked.inc()

    def callback_stepped(self, before: Callback, after: Callback) -> None:
        """See `Observer`."""
        for tried in newly_over(before, after).values():
            if tried.outcome is not None:
                self._tries.labels(tried.target, tried.outcome.value).inc()
        if after.outcome is not None and before.outcome is None:
            self._called_back.labels(after.outcome.value).inc()

    async def watch_loop(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Ask the running event loop for ever whether it is late."""
        time = asyncio.get_running_loop().time
        while True:
            due = time() + LOOK_SECONDS
            await sleep(LOOK_SECONDS)
            self._lag.observe(max(time() - due, 0.0))

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
            picked_up = attempt.answered_at is not None and (earlier is None or earlier.answered_at is None)
            if picked_up and attempt.answered_at is not None:
                self._to_answer.observe(attempt.answered_at - attempt.at)
            taken = attempt.accepted_at is not None and (earlier is None or earlier.accepted_at is None)
            if taken and attempt.accepted_at is not None:
                asked = after.handoffs[-1].at if after.handoffs and not attempt.failsafe else attempt.at
                self._to_person.observe(attempt.accepted_at - asked)
        for n, recording in enumerate(after.recordings):
            earlier = before.recordings[n] if n < len(before.recordings) else None
            if recording.ready and not (earlier is not None and earlier.ready):
                self._recordings.labels(recording.part.value, "yes" if recording.overran else "no").inc()
        if after.end is not None and before.end is None:
            self._ended.labels(after.end.value).inc()


def _bounded(code: int | None) -> str:
    return "none" if code is None else str(code) if code in _CODES else "other"
