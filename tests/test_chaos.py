"""A slice of the chaos: calls on which things break, judged by what the caller heard. `make chaos` plays more."""

from dataclasses import replace
from pathlib import Path

import pytest
from chaos.plan import SERVER_WEATHER, Story, WeatherKind, plan
from chaos.proxy import PROGRAM
from chaos.report import Report
from chaos.run import run
from chaos.world import World, one_process, two_replicas
from postgres import Cluster

SEED = 7
ALONE = 24
"""How many calls with faults of their own."""

TOGETHER = 6
"""How many calls one weather befalls."""


async def played(stories: list[Story], world: World) -> Report:
    report = Report()

    await run(stories, world, at_once=8, told=report.add)
    assert report.calls == len(stories)
    return report


@pytest.mark.timeout(240)
async def test_no_caller_is_dropped_when_model_and_rest_break(tmp_path: Path):
    stories = [story for story in plan(SEED, 2 * ALONE) if story.round == 0][:ALONE]
    async with one_process(tmp_path) as world:
        assert (await played(stories, world)).wrong == []


@pytest.mark.skipif(PROGRAM is None, reason="HAProxy is not installed (Debian: apt-get install haproxy)")
@pytest.mark.timeout(240)
async def test_no_caller_is_dropped_when_a_server_stands_still_or_is_replaced(cluster: Cluster, tmp_path: Path):
    async with two_replicas(tmp_path, cluster) as world:
        stories = [*a_round("SIGSTOP", 1), *a_round("SIGTERM", 2)]
        assert (await played(stories, world)).wrong == []


def a_round(kind: WeatherKind, number: int) -> list[Story]:
    """Some calls that this weather befalls at once."""
    with_it = [story for story in plan(SEED, 2000) if story.weather is not None and story.weather.kind == kind]
    return [replace(story, round=number) for story in with_it if story.round == with_it[0].round][:TOGETHER]


def test_a_seed_says_which_calls_there_are():
    assert plan(3, 50) == plan(3, 50)
    assert plan(3, 50) != plan(4, 50)
    assert [story.id for story in plan(3, 50)] == [f"3-{n}" for n in range(50)]


def test_a_long_plan_has_every_weather():
    assert set(SERVER_WEATHER) <= {story.weather.kind for story in plan(1, 1000) if story.weather}
