"""`python -m bench`: run the bench, print what it found, and say which promises were kept."""

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from bench.plan import Plan, run
from bench.plot import plot
from bench.promises import Promise, promises, watched_promises
from bench.report import DOCS, terminal, watched_terminal, write_page
from bench.servers import COMMANDS, RIG_CORE
from bench.summary import here_and_now, summary
from bench.watched import LIVE_CALLS, SECONDS, STREAMS, TURNS, watch, watched_summary

FEW_CALLS = 8
"""So many calls every server holds: processor time is compared here."""

MANY_CALLS = 50
QUICK_CALLS = 15
FIGURES = "performance.json"
EXIT_BROKEN = 1

T = TypeVar("T")


def main(arguments: list[str] | None = None) -> int:
    """Run the bench. Returns the process's exit status: 1 when a promise is broken."""
    options = _options(arguments)
    plan = _plan(options)
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:5.0f} s  {text}", file=sys.stderr, flush=True)

    os.sched_setaffinity(0, {RIG_CORE})
    if options.watched:
        return _watched(options, say)
    results = uvloop.run(_ended_by_sigterm(run(plan, say)))
    folder = options.out or (DOCS if _is_whole(options) else None)
    document = summary(results)
    if folder == DOCS:
        document["watched"] = json.loads((DOCS / FIGURES).read_text()).get("watched")
    print(terminal(document))
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FIGURES).write_text(json.dumps(document, indent=1) + "\n")
        plot(document, folder / "performance.png")
        if folder == DOCS:
            write_page()
        say(f"written to {folder}")
    return _verdict(promises(document))


def _watched(options: argparse.Namespace, say: Callable[[str], None]) -> int:
    """The run with people at the console, and without."""
    live = options.calls or LIVE_CALLS
    seconds = options.seconds or SECONDS
    found = uvloop.run(_ended_by_sigterm(watch(live, min(live, STREAMS), seconds, say, turns=options.rounds or TURNS)))
    document = {**here_and_now(), **watched_summary(found)}
    print(watched_terminal(document))
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "watched.json").write_text(json.dumps(document, indent=1) + "\n")
    elif (options.calls, options.seconds, options.rounds) == (None, None, None):
        whole = json.loads((DOCS / FIGURES).read_text())
        (DOCS / FIGURES).write_text(json.dumps({**whole, "watched": document}, indent=1) + "\n")
        write_page()
    return _verdict(list(watched_promises(document)))


def _verdict(found: Sequence[Promise]) -> int:
    """Say how many promises are kept. Returns the process's exit status."""
    failures = sum(promise.kept is False for promise in found)
    print(f"\n{failures} promises broken." if failures else "\nEvery promise that was measured is kept.")
    return EXIT_BROKEN if failures else 0


async def _ended_by_sigterm(work: Coroutine[Any, Any, T]) -> T:
    """Run something that SIGTERM ends as an interrupt does: with its servers."""
    task = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_CALLS} calls, one round, no special runs")
    parser.add_argument(
        "--watched", action="store_true", help="only ours: what open pages of the console cost its calls"
    )
    parser.add_argument("--only", help=f"some servers alone, with commas: {','.join(COMMANDS)}")
    parser.add_argument("--calls", type=int, help=f"calls at once ({MANY_CALLS}, after {FEW_CALLS})")
    parser.add_argument("--rounds", type=int, help="how often the servers take turns (3)")
    parser.add_argument("--seconds", type=float, help="how long each level is measured in each round (10)")
    parser.add_argument("--out", type=Path, help="a folder for performance.json and performance.png")
    options = parser.parse_args(arguments)
    options.servers = list(COMMANDS) if options.only is None else options.only.split(",")
    if unknown := set(options.servers) - set(COMMANDS):
        parser.error(f"no such server: {', '.join(sorted(unknown))}")
    return options


def _is_whole(options: argparse.Namespace) -> bool:
    """Whether this run may replace the project's own figures."""
    parts = (options.only, options.calls, options.rounds, options.seconds)
    return not options.quick and all(part is None for part in parts)


def _plan(options: argparse.Namespace) -> Plan:
    servers = [name for name in COMMANDS if name in options.servers]
    none = {"short_deltas": False, "blocked": False, "growth": False, "ramp": False}
    if options.quick:
        levels = [options.calls or QUICK_CALLS]
        return Plan(servers, levels, options.rounds or 1, options.seconds or 8.0, **none)
    many = options.calls or MANY_CALLS
    levels = [many] if many <= FEW_CALLS else [FEW_CALLS, many]
    return Plan(servers, levels, options.rounds or 3, options.seconds or 10.0)


if __name__ == "__main__":
    sys.exit(main())
