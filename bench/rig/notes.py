"""What the rig notes while it runs, and the clock that everything is read from."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, fields

now = time.monotonic
"""Seconds. One clock for both sides of the server."""

UNDERRUN_SLACK = 0.002
"""A gap in the playback that is shorter is the rig's own jitter. Seconds."""

LATE_ENOUGH = 0.1
"""A gap is the server's only when it had the missing audio for this long, running, before the gap. Seconds; one that
stood still has to work off what came meanwhile."""

TAIL_SLACK_MS = 25
"""A reply of which less is missing has arrived whole: resampling rounds."""

Stops = Sequence[tuple[float, float]]
"""When the server was stopped on purpose: from, to."""


@dataclass(slots=True)
class Reply:
    """One reply of the model: what the model sent, and what became of it at Twilio."""

    number: int
    item_id: str
    response_id: str
    total_ms: int
    delta_ms: int
    sent: list[float] = field(default_factory=list[float])
    """When each delta was handed to the server."""

    complete: bool = False
    """All of it was sent."""

    cancelled: bool = False

    # --- at Twilio ---
    first_at: float | None = None
    """When its first media arrived."""

    received_ms: float = 0.0
    gaps: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    """Where the buffer ran empty before more came: the position in the reply (ms), and when."""

    # --- the barge-in ---
    barged_at: float | None = None
    """When the model said `speech_started`."""

    cleared_at: float | None = None
    played_ms: float | None = None
    """What Twilio had played of it when `clear` arrived."""

    truncated_ms: int | None = None
    """What the server told the model of that."""

    def underruns(self, stops: Stops) -> tuple[int, int]:
        """How often the buffer ran empty: through the server, and because no running server had the audio in time."""
        own = 0
        for position, empty_at in self.gaps:
            index = min(int(position / self.delta_ms), len(self.sent) - 1)
            had_since = self.sent[index]
            stopped = sum(max(0.0, min(empty_at, end) - max(had_since, begin)) for begin, end in stops)
            own += empty_at - had_since - stopped >= LATE_ENOUGH
        return own, len(self.gaps) - own

    @property
    def lost_ms(self) -> float:
        """How much of it never arrived, beyond what resampling rounds away; 0 for none."""
        missing = self.total_ms - self.received_ms
        return missing if missing > TAIL_SLACK_MS else 0.0


@dataclass(slots=True)
class Notes:
    """What one run found. Delays in seconds."""

    on: bool = False
    """Whether the calls are up and what happens counts."""

    up: list[float] = field(default_factory=list[float])
    """A burst: from the caller's frame to the model's event."""

    down: list[float] = field(default_factory=list[float])
    """A reply's beginning: from the model's first delta to the first media."""

    barge_in: list[float] = field(default_factory=list[float])
    """From `speech_started` to `clear`."""

    to_response: list[float] = field(default_factory=list[float])
    """From Twilio's `start` to `response.create`."""

    to_greeting: list[float] = field(default_factory=list[float])
    """From the greeting's first delta to the first media."""

    truncations: list[float] = field(default_factory=list[float])
    """What the model was told minus what was played. Milliseconds."""

    rig_lag: list[float] = field(default_factory=list[float])
    """How late the rig's own 1 ms tick was."""

    health: list[float] = field(default_factory=list[float])
    """Round trips of `GET /health`."""

    replies: int = 0
    underruns: int = 0
    unavoidable: int = 0
    """Gaps that no server could have filled: the audio had not reached a running server in time."""

    lost_tails: int = 0
    missed_barge_ins: int = 0
    """No `clear` within two seconds."""

    not_truncated: int = 0
    failed_calls: list[str] = field(default_factory=list[str])
    stops: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])

    def reset(self) -> None:
        """Begin anew."""
        for place in fields(self):
            value = getattr(self, place.name)
            setattr(self, place.name, type(value)())

    def judge(self, reply: Reply) -> None:
        """Note how a reply was heard; it was not interrupted."""
        if self.on:
            own, unavoidable = reply.underruns(self.stops)
            self.replies += 1
            self.underruns += own
            self.unavoidable += unavoidable
            self.lost_tails += reply.lost_ms > 0

    def judge_barge_in(self, reply: Reply) -> None:
        """Note how an interrupted reply ended."""
        if not self.on or reply.barged_at is None:
            return
        if reply.cleared_at is None or reply.played_ms is None:
            self.missed_barge_ins += 1
            return
        own, unavoidable = reply.underruns(self.stops)
        self.underruns += own
        self.unavoidable += unavoidable
        self.barge_in.append(reply.cleared_at - reply.barged_at)
        if reply.truncated_ms is None:
            self.not_truncated += 1
        else:
            self.truncations.append(reply.truncated_ms - reply.played_ms)
