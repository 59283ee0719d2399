"""One server under one load, measured: from the rig's notes and the system's counters to figures."""

import asyncio
import os
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.rig.load import Load
from bench.rig.notes import Notes, now
from bench.servers import SERVERS_CORE, Server, Size, cpu_seconds

WARM_CALLS = 3
WARM_SECONDS = 3.0
SETTLE_SECONDS = 2.0
"""Between the last call's greeting and the measurement."""

HELD_MS = 50.0
"""A server that adds more to the delay from the caller to the model (p99) than this, and than it did with
`WARM_CALLS`, is beyond its limit. One that resamples is slow with a single call already."""

RIG_LAG_MS = 20.0
"""A rig that is later than this (p99) is beyond its own."""


@dataclass(frozen=True, slots=True)
class Delay:
    """A delay's distribution. Milliseconds."""

    p50: float
    p99: float
    count: int

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Delay | None":
        """None where nothing was measured."""
        if not seconds:
            return None
        return cls(1000 * quantile(seconds, 0.5), 1000 * quantile(seconds, 0.99), len(seconds))


@dataclass(frozen=True, slots=True)
class Figures:
    """What one measurement of one server says."""

    calls: int
    seconds: float
    cpu_per_call: float
    """Seconds of processor time for a second of a call."""

    core: float
    """The share of its core that the server used."""

    others: float
    """The share of that core that went to anything else."""

    rig_core: float
    """The share of its own core that the rig used."""

    memory_per_call: float
    """Bytes above idle."""

    alone_ms: float
    """The longest delay from the caller to the model with a few calls."""

    up: Delay | None
    down: Delay | None
    barge_in: Delay | None
    to_response: Delay | None
    to_greeting: Delay | None
    health: Delay | None
    rig_lag: Delay | None
    replies: int
    underruns: int
    unavoidable: int
    lost_tails: int
    lost_probes: int
    missed_barge_ins: int
    not_truncated: int
    truncations: list[float]
    """What the model was told minus what was played. Milliseconds."""

    failed_calls: list[str] = field(default_factory=list[str])

    @property
    def holds(self) -> bool:
        """Whether the server keeps up with this load."""
        within = self.up is not None and self.up.p99 <= self.alone_ms + HELD_MS
        return within and self.core < 0.97 and not self.failed_calls

    @property
    def rig_holds(self) -> bool:
        """Whether the rig does; if not, the figures are the rig's."""
        return self.rig_core < 0.97 and (self.rig_lag is None or self.rig_lag.p99 <= RIG_LAG_MS)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def quantile(values: Sequence[float], q: float) -> float:
    """The value that a share `q` of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(q * len(ordered)) - 1))] if q < 1 else ordered[-1]


def median(values: Sequence[float]) -> float:
    """The median."""
    return statistics.median(values)


@dataclass(frozen=True, slots=True)
class Idle:
    """A server that is warm and has no calls."""

    size: Size
    alone_ms: float
    """See `Figures`."""


async def warm_up(load: Load, server: Server) -> Idle:
    """Let a few calls come and go, so that everything is loaded.

    Raises:
        RuntimeError: The server takes no calls; its log is in the message.
    """
    await load.add(WARM_CALLS)
    load.notes.on = True
    await asyncio.sleep(WARM_SECONDS)
    load.notes.on = False
    await load.hang_up()
    if load.notes.failed_calls:
        raise RuntimeError(f"{server.name} takes no calls: {load.notes.failed_calls}\n{server.log()}")
    await asyncio.sleep(0.5)
    return Idle(server.size(), 1000 * max(load.notes.up, default=0.0))


async def measure(
    load: Load, server: Server, idle: Idle, *, calls: int, seconds: float, settle: float = SETTLE_SECONDS
) -> Figures:
    """Measure the calls that are up now.

    Args:
        load: The calls; `calls` of them are up.
        server: What they are on.
        idle: What it was without them.
        calls: How many there are.
        seconds: How long to look.
        settle: How long to wait before that. Seconds.
    """
    notes = load.notes
    await asyncio.sleep(settle)
    notes.on = True
    began = _Counters.read(server)
    await asyncio.sleep(seconds)
    ended = _Counters.read(server)
    notes.on = False
    took = ended.at - began.at
    cpu = ended.server - began.server
    live = max(load.live, 1)
    return Figures(
        calls=calls,
        seconds=took,
        cpu_per_call=cpu / took / live,
        core=cpu / took,
        others=max(0.0, (ended.busy - began.busy - cpu) / took),
        rig_core=(ended.rig - began.rig) / took,
        memory_per_call=(server.size().rss - idle.size.rss) / live,
        alone_ms=idle.alone_ms,
        lost_probes=load.lost_probes(),
        **_from(notes),
    )


def _from(notes: Notes) -> dict[str, Any]:
    delays = ("up", "down", "barge_in", "to_response", "to_greeting", "health", "rig_lag")
    counts = ("replies", "underruns", "unavoidable", "lost_tails", "missed_barge_ins", "not_truncated")
    lists = ("truncations", "failed_calls")
    return (
        {name: Delay.of(getattr(notes, name)) for name in delays}
        | {name: getattr(notes, name) for name in counts}
        | {name: list(getattr(notes, name)) for name in lists}
    )


@dataclass(frozen=True, slots=True)
class _Counters:
    at: float
    server: float
    rig: float
    busy: float
    """Of the server's core, whoever used it."""

    @classmethod
    def read(cls, server: Server) -> "_Counters":
        return cls(now(), server.cpu_seconds(), cpu_seconds(os.getpid()), _busy_seconds(SERVERS_CORE))


def _busy_seconds(core: int) -> float:
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith(f"cpu{core} "):
            user, nice, system, _, _, irq, softirq, steal, *_ = map(int, line.split()[1:])
            return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
    return 0.0


@dataclass(frozen=True, slots=True)
class Growth:
    """A server before and after many calls."""

    calls: int
    failed: int
    before: Size
    after: Size

    @property
    def rss_mb(self) -> float:
        """What it holds more. Megabytes."""
        return (self.after.rss - self.before.rss) / 1e6


async def grow(load: Load, server: Server, *, calls: int, at_once: int, seconds: float) -> Growth:
    """Let many short calls come and go; a tenth as many come first, so that every buffer has its size."""
    await load.one_after_the_other(calls // 10, at_once=at_once, seconds=seconds)
    await asyncio.sleep(SETTLE_SECONDS)
    before, failed = server.size(), len(load.notes.failed_calls)
    await load.one_after_the_other(calls, at_once=at_once, seconds=seconds)
    await asyncio.sleep(SETTLE_SECONDS)
    return Growth(calls, len(load.notes.failed_calls) - failed, before, server.size())
