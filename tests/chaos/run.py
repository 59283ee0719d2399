"""Play a plan: calls of their own as many at once as there is room for, then round by round those with a weather."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import groupby

import aiohttp

from chaos.plan import Story, Weather
from chaos.play import Outcome, settle
from chaos.world import World

Told = Callable[[Outcome], None]


async def run(stories: Sequence[Story], world: World, *, at_once: int, told: Told) -> None:
    """Play stories of one world.

    Args:
        stories: Which; those of a round stand together.
        world: What they are played in.
        at_once: How many of those without a weather are played at once.
        told: Called with each as soon as the record knows its end, or should.
    """
    room = asyncio.Semaphore(at_once)
    async with aiohttp.ClientSession() as http:

        async def play(story: Story, room: contextlib.AbstractAsyncContextManager[object]) -> None:
            await asyncio.sleep(story.begins)
            async with room:
                outcome = await world.player.play(story)
            await settle(outcome, world.urls, http)
            told(outcome)

        async def together(some: Iterable[Story], room: contextlib.AbstractAsyncContextManager[object]) -> None:
            async with asyncio.TaskGroup() as playing:
                for story in some:
                    playing.create_task(play(story, room))

        for number, some in groupby(stories, key=lambda story: story.round):
            if number == 0:
                await together(some, room)
            else:
                round_ = list(some)
                async with _in(world, round_[0].weather):
                    await together(round_, contextlib.nullcontext())


@asynccontextmanager
async def _in(world: World, weather: Weather | None) -> AsyncIterator[None]:
    """The weather comes and goes while the round is played."""
    if weather is None:
        yield
        return
    coming = asyncio.create_task(_come_and_go(world, weather))
    try:
        yield
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)


async def _come_and_go(world: World, weather: Weather) -> None:
    model = world.stage.model
    await asyncio.sleep(weather.at)
    try:
        match weather.kind:
            case "model refuses: 401":
                model.refuse = 401
            case "model refuses: 429":
                model.refuse = 429
            case "model refuses: 503":
                model.refuse = 503
            case "model refuses: never":
                model.refuse = "never"
            case "slow handshake":
                model.handshake_seconds = 2.0
            case _:
                raise NotImplementedError(weather.kind)
        for session in list(model.open)[::2]:  # half of them have to come back in this weather
            session.break_now("close")
        await asyncio.sleep(weather.lasts)
    finally:
        model.refuse, model.handshake_seconds = None, 0.0
