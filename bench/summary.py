"""Results → one plain document: medians of the rounds and ratios within each round. What is printed comes from it."""

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.measure import Delay, Figures, Growth, median, quantile
from bench.plan import Results, mostly_held

Json = dict[str, Any]

DELAYS = ("up", "down", "barge_in", "to_response", "to_greeting", "health", "rig_lag")
COUNTS = (
    "replies",
    "underruns",
    "unavoidable",
    "lost_tails",
    "lost_probes",
    "missed_barge_ins",
    "not_truncated",
)
SHARES = ("cpu_per_call", "core", "others", "rig_core", "memory_per_call")


def summary(results: Results) -> Json:
    """The document; see the module. Delays are in milliseconds, shares of a core, memory in bytes."""
    plan = results.plan
    return {
        **here_and_now(),
        "plan": {"rounds": plan.rounds, "seconds": plan.seconds, "levels": list(plan.levels)},
        "servers": list(plan.servers),
        "levels": {str(calls): {name: _level(results, name, calls) for name in plan.servers} for calls in plan.levels},
        "short_deltas": {name: _figures([one]) for name, one in results.short_deltas.items()},
        "blocked": {name: _figures([one]) for name, one in results.blocked.items()},
        "growth": _growth(results.growth) if results.growth else None,
        "ramp": {
            name: [{**_figures([one]), "holds": one.holds, "rig_holds": one.rig_holds} for one in steps]
            for name, steps in results.ramp.items()
        },
        "calls_per_core": {name: _calls_per_core(results, name) for name in plan.servers},
    }


def here_and_now() -> Json:
    """When and on what something was measured."""
    return {
        "when": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": {
            "cpu": _cpu_name(),
            "cores": os.cpu_count(),
            "system": f"{platform.system()} {platform.release()}",
            "python": platform.python_version(),
            "pipecat": version("pipecat-ai"),
        },
    }


def _level(results: Results, name: str, calls: int) -> Json:
    rounds = results.rounds.get(name, {}).get(calls, [])
    if not rounds:
        return {"not_tried": results.not_tried.get(name, {}).get(calls, "")}
    ratios: Json = {}
    for other in results.plan.servers:
        pairs = zip(rounds, results.rounds.get(other, {}).get(calls, []), strict=False)
        against = [own.cpu_per_call / theirs.cpu_per_call for own, theirs in pairs if theirs.cpu_per_call]
        if against:
            ratios[other] = median(against)
    return {**_figures(rounds), "cpu_ratio": ratios, "holds": mostly_held(rounds)}


def _figures(rounds: Sequence[Figures]) -> Json:
    truncations = [abs(ms) for one in rounds for ms in one.truncations]
    return {
        "calls": rounds[0].calls,
        **{name: median([getattr(one, name) for one in rounds]) for name in SHARES},
        **{name: _delay([getattr(one, name) for one in rounds]) for name in DELAYS},
        **{name: sum(getattr(one, name) for one in rounds) for name in COUNTS},
        "truncation": {
            "p50": quantile(truncations, 0.5),
            "p95": quantile(truncations, 0.95),
            "max": max(truncations),
            "count": len(truncations),
        }
        if truncations
        else None,
        "failed_calls": [reason for one in rounds for reason in one.failed_calls],
    }


def _delay(rounds: Sequence[Delay | None]) -> Json | None:
    found = [one for one in rounds if one is not None]
    if not found:
        return None
    return {
        "p50": median([one.p50 for one in found]),
        "p99": median([one.p99 for one in found]),
        "count": sum(one.count for one in found),
    }


def _growth(growth: Growth) -> Json:
    sizes = {"before": growth.before, "after": growth.after}
    return {
        "calls": growth.calls,
        "failed": growth.failed,
        **{when: {"rss": size.rss, "fds": size.fds, "threads": size.threads} for when, size in sizes.items()},
    }


def _calls_per_core(results: Results, name: str) -> Json:
    """The most calls that were held, and whether it was the rig that ended the search."""
    levels = results.rounds.get(name, {})
    best = results.held(name)
    limited = None
    for step in results.ramp.get(name, []):
        if step.holds and step.rig_holds:
            best = step.calls
        else:
            limited = "server" if step.rig_holds else "rig"
    tried_in_vain = bool(results.not_tried.get(name)) or best < max(levels, default=0)
    if limited is None and tried_in_vain:
        limited = "server"
    return {"calls": best, "limit": limited}


def _cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown")
