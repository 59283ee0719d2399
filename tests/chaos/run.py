"""Play a plan: calls of their own as many at once as there is room for, then round by round those with a weather."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from pathlib import Path

import aiohttp

from chaos.invariants import Verdict, judge
from chaos.plan import Story
from chaos.play import settle
from chaos.world import World

Told = Callable[[Verdict], None]


async def run(stories: Sequence[Story], world: World, *, at_once: int, told: Told, folder: Path) -> None:
    """Play stories of one world.

    Args:
        stories: Which; those of a round stand together.
        world: What they are played in.
        at_once: How many of those without a weather are played at once.
        told: Called with each as soon as the record knows its end, or should.
        folder: Where it is written down what happened in each in which something was wrong.
    """
    room = asyncio.Semaphore(at_once)
    async with aiohttp.ClientSession() as http:

        async def play(story: Story, room: contextlib.AbstractAsyncContextManager[object]) -> None:
            await asyncio.sleep(story.begins)
            async with room:
                outcome = await world.player.play(story)
            await settle(outcome, world.urls, http)
            verdict = judge(outcome)
            if verdict.wrong:
                (folder / f"{story.id}.txt").write_text(outcome.written_down())
            told(verdict)
            world.stage.network.forget(outcome.call)

        async def together(some: Iterable[Story], room: contextlib.AbstractAsyncContextManager[object]) -> None:
            async with asyncio.TaskGroup() as playing:
                for story in some:
                    playing.create_task(play(story, room))

        for number, some in groupby(stories, key=lambda story: story.round):
            if number == 0:
                await together(some, room)
            else:
                round_ = list(some)
                async with world.in_(round_[0].weather):
                    await together(round_, contextlib.nullcontext())
