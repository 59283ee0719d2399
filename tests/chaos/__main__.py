"""`make chaos CALLS=1000 SEED=7`: that many calls, each with its own fault, and what became of them."""

import argparse
import asyncio
import json
import random
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from postgres import PROGRAMS, a_cluster
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

from chaos.plan import plan
from chaos.play import Outcome
from chaos.proxy import PROGRAM as PROXY
from chaos.report import Report
from chaos.run import run
from chaos.world import one_process, two_replicas


async def _main(options: argparse.Namespace) -> int:
    console = Console()
    stories = plan(options.seed, options.calls)
    if options.only:
        stories = [story for story in stories if story.id in options.only.split(",")]
    if not stories:
        console.print("There is no such story in this plan: ONLY needs the CALLS and the SEED of its run.")
        return 2
    if any(story.replicas for story in stories) and (missing := _missing()):
        console.print(f"Without {missing}, the stories with two servers are left out.")
        stories = [story for story in stories if not story.replicas]
    report = Report()
    with Progress(*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn()) as progress:
        bar = progress.add_task(f"seed {options.seed}", total=len(stories))

        def told(outcome: Outcome) -> None:
            for wrong in report.add(outcome):
                progress.console.print(f"[red]{wrong}[/]  {outcome.story}", highlight=False)
            progress.advance(bar)

        with _folder(options.keep) as folder:
            if alone := [story for story in stories if not story.replicas]:
                async with one_process(folder) as world:
                    await run(alone, world, at_once=options.at_once, told=told)
            if together := [story for story in stories if story.replicas]:
                with a_cluster() as cluster:
                    async with two_replicas(folder, cluster) as world:
                        await run(together, world, at_once=options.at_once, told=told)
    console.print(report.table())
    for seconds, at, story in report.longest:
        console.print(f"silent for {seconds:.1f} s from {at:.1f} s on: {story}", highlight=False)
    summary = {"seed": options.seed, **report.summary()}
    if options.json:
        options.json.write_text(json.dumps(summary, indent=1) + "\n")
    if report.wrong:
        console.print(f"To play one alone: make chaos CALLS={options.calls} SEED={options.seed} ONLY=<its id>")
    return 1 if report.wrong else 0


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
    parser.add_argument("--at-once", type=int, default=16)
    parser.add_argument("--keep", type=Path, help="a folder for the servers' logs, which are thrown away otherwise")
    parser.add_argument("--json", type=Path, help="where the figures go")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(asyncio.run(_main(_options())))
