"""`make chaos CALLS=1000 SEED=7`: that many calls, each with its own fault, and what became of them."""

import argparse
import asyncio
import json
import random
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

from chaos.plan import plan
from chaos.play import Outcome
from chaos.report import Report
from chaos.run import run
from chaos.world import one_process


async def _main(options: argparse.Namespace) -> int:
    console = Console()
    stories = [story for story in plan(options.seed, options.calls) if not story.replicas]
    if options.only:
        stories = [story for story in stories if story.id in options.only.split(",")]
    if not stories:
        console.print("There is no such story in this plan: ONLY needs the CALLS and the SEED of its run.")
        return 2
    report = Report()
    with Progress(*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn()) as progress:
        bar = progress.add_task(f"seed {options.seed}", total=len(stories))

        def told(outcome: Outcome) -> None:
            for wrong in report.add(outcome):
                progress.console.print(f"[red]{wrong}[/]  {outcome.story}", highlight=False)
            progress.advance(bar)

        with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
            async with one_process(Path(folder)) as world:
                await run(stories, world, at_once=options.at_once, told=told)
    console.print(report.table())
    summary = {"seed": options.seed, **report.summary()}
    if options.json:
        options.json.write_text(json.dumps(summary, indent=1) + "\n")
    if report.wrong:
        console.print(f"To play one alone: make chaos CALLS={options.calls} SEED={options.seed} ONLY=<its id>")
    return 1 if report.wrong else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))  # noqa: S311
    parser.add_argument("--only", default="", help="the ids of stories, joined by commas")
    parser.add_argument("--at-once", type=int, default=16)
    parser.add_argument("--json", type=Path, help="where the figures go")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(asyncio.run(_main(_options())))
