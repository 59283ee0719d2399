"""`make chaos CALLS=1000 SEED=7`: that many calls, each with its own fault, and what became of them."""

import argparse
import json
import multiprocessing
import queue
import random
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from postgres import PROGRAMS
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

from chaos.invariants import Verdict
from chaos.parts import play_alone, play_together
from chaos.plan import Story, plan
from chaos.proxy import PROGRAM as PROXY
from chaos.report import Report

LOOK_SECONDS = 1.0
"""How often it is looked whether those who play still live."""


def main(options: argparse.Namespace) -> int:
    """Play a plan. Returns the exit status: 1 when something was wrong."""
    console = Console()
    stories = plan(options.seed, options.calls)
    if options.only:
        stories = [story for story in stories if story.id in options.only.split(",")]
    if any(story.replicas for story in stories) and (missing := _missing()):
        console.print(f"Without {missing}, the stories with two servers are left out.")
        stories = [story for story in stories if not story.replicas]
    if not stories:
        console.print("There is no such story in this plan: ONLY needs the CALLS and the SEED of its run.")
        return 2
    report = Report()
    with Progress(*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn()) as progress:
        bar = progress.add_task(f"seed {options.seed}", total=len(stories))
        with _folder(options.keep) as folder:
            for verdict in _played(stories, folder, options.at_once):
                report.add(verdict)
                for wrong in verdict.wrong:
                    progress.console.print(f"[red]{wrong}[/]  {verdict.story}", highlight=False)
                progress.advance(bar)
    console.print(report.table())
    for seconds, at, story in report.longest:
        console.print(f"silent for {seconds:.1f} s from {at:.1f} s on: {story}", highlight=False)
    if report.back_after:
        median = statistics.median(report.back_after)
        console.print(f"a session cut off in mid-sentence: the next one is heard within {median:.1f} s (median)")
    if options.json:
        options.json.write_text(json.dumps({"seed": options.seed, **report.summary()}, indent=1) + "\n")
    if report.calls < len(stories):
        console.print(f"{len(stories) - report.calls} stories were not played to their end.")
    if report.wrong:
        console.print(f"To play one alone: make chaos CALLS={options.calls} SEED={options.seed} ONLY=<its id>")
    return 1 if report.wrong or report.calls < len(stories) else 0


def _played(stories: Sequence[Story], folder: Path, at_once: int) -> Iterator[Verdict]:
    """The stories' verdicts as they come: those on one server and those on two are played beside each other."""
    fresh = multiprocessing.get_context("spawn")
    verdicts = fresh.Queue()
    parts = [
        (play_alone, [story for story in stories if not story.replicas]),
        (play_together, [story for story in stories if story.replicas]),
    ]
    players = [fresh.Process(target=play, args=(some, folder, at_once, verdicts)) for play, some in parts if some]
    for player in players:
        player.start()
    while any(player.is_alive() for player in players) or not verdicts.empty():
        try:
            yield verdicts.get(timeout=LOOK_SECONDS)
        except queue.Empty:
            continue
    for player in players:
        player.join()


@contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept
        return
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        yield Path(folder)


def _missing() -> str:
    """What two servers need and this machine does not have."""
    needed = {"PostgreSQL (Debian: postgresql)": PROGRAMS, "HAProxy (Debian: haproxy)": PROXY}
    return " and ".join(name for name, there in needed.items() if not there)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))  # noqa: S311
    parser.add_argument("--only", default="", help="the ids of stories, joined by commas")
    parser.add_argument("--at-once", type=int, default=16, help="how many of those on one server")
    parser.add_argument(
        "--keep", type=Path, help="a folder for logs, and for all that happened where something was wrong"
    )
    parser.add_argument("--json", type=Path, help="where the figures go")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main(_options()))
