"""The two parts of a plan, each played in a process of its own."""

import asyncio
from collections.abc import Sequence
from multiprocessing.queues import Queue
from pathlib import Path

from postgres import a_cluster

from chaos.invariants import Verdict
from chaos.plan import Story
from chaos.run import run
from chaos.world import one_process, two_replicas


def play_alone(stories: Sequence[Story], folder: Path, at_once: int, verdicts: "Queue[Verdict]") -> None:
    """Play stories on one server; see `chaos.run`."""

    async def play() -> None:
        async with one_process(folder) as world:
            await run(stories, world, at_once=at_once, told=verdicts.put, folder=folder)

    asyncio.run(play())


def play_together(stories: Sequence[Story], folder: Path, at_once: int, verdicts: "Queue[Verdict]") -> None:
    """Play stories on two servers; see `chaos.run`."""

    async def play() -> None:
        with a_cluster() as cluster:
            async with two_replicas(folder, cluster) as world:
                await run(stories, world, at_once=at_once, told=verdicts.put, folder=folder)

    asyncio.run(play())
