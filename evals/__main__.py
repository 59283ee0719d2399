"""`python -m evals`: every scenario against every pipeline that is named, with a table of how often each was passed."""

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import yaml
from dotenv import dotenv_values

from evals.judge import VARIABLE
from sandbox.clerk import Clerk
from sandbox.stage import Stage

FOLDER = Path(__file__).parent
EXIT_MISCONFIGURED = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the scenarios. Returns the process's exit status."""
    parser = argparse.ArgumentParser(prog="python -m evals", description=__doc__)
    parser.add_argument("pipeline", nargs="*", default=["openai_realtime"], help="names in pipelines/, or paths")
    parser.add_argument("--repeat", type=int, default=1, help="how often each scenario is run")
    parser.add_argument("--concurrency", type=int, default=2, help="how many run at once")
    parser.add_argument("--scenario", help="only the one of this name")
    parser.add_argument("--offline", action="store_true", help="the sandbox's model, and words for a judge")
    options = parser.parse_args(arguments)
    values = {**dotenv_values(".env"), **os.environ}
    if not options.offline and not values.get("OPENAI_API_KEY"):
        print("OPENAI_API_KEY is not set: the judge is a model of OpenAI's. --offline needs no key.", file=sys.stderr)
        return EXIT_MISCONFIGURED
    return asyncio.run(_run(options, {name: value for name, value in values.items() if value}))


def manifest(pipelines: Sequence[str], *, repeat: int, concurrency: int) -> dict[str, Any]:
    """What `pipecat eval suite` is told."""
    scenarios = sorted(path.stem for path in FOLDER.glob("*.yaml"))
    entries = [
        {
            "bot": "bot/__main__.py",
            "name": pipeline,
            "scenarios": scenarios,
            "runner_body": {"data": {"pipeline": pipeline}},
        }
        for pipeline in pipelines
    ]
    return {
        "bots_dir": str(FOLDER.parent.resolve()),
        "scenarios_dir": str(FOLDER.resolve()),
        "spawn": "{python} -m bot --port {port}",
        "repeat": repeat,
        "concurrency": concurrency,
        "suite": entries,
    }


async def _run(options: argparse.Namespace, values: Mapping[str, str]) -> int:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="putthrough-evals-")))
        environment = {**values, "EVALS": "on", "PYTHONPATH": "."}
        if options.offline:
            stage = await stack.enter_async_context(Stage(brain=Clerk()))
            environment |= {**stage.environment, VARIABLE: "words"}
        path = folder / "suite.yaml"
        path.write_text(
            yaml.safe_dump(manifest(options.pipeline, repeat=options.repeat, concurrency=options.concurrency))
        )
        command = ["suite", str(path), "--runs-dir", "eval-runs", "--repeat", str(options.repeat)]
        if options.scenario:
            command += ["--scenario", options.scenario]
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "pipecat.evals", *command, env=environment)
        return await process.wait()


if __name__ == "__main__":
    sys.exit(main())
