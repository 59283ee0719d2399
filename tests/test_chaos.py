"""A slice of the chaos: calls on which things break, judged by what the caller heard. `make chaos` plays more."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from chaos.caller import Caller
from chaos.invariants import called
from chaos.mind import Mind
from chaos.plan import SERVER_WEATHER, Story, WeatherKind, plan
from chaos.play import Outcome
from chaos.proxy import PROGRAM
from chaos.report import Report
from chaos.run import run
from chaos.world import World, one_process, two_replicas
from postgres import Cluster

from sandbox.caller import CallerLeg, PersonLeg
from sandbox.scene import Journal, Note
from sandbox.stage import OUR_NUMBER

SEED = 7
ALONE = 24
"""How many calls with faults of their own."""

TOGETHER = 6
"""How many calls one weather befalls."""


async def played(stories: list[Story], world: World, folder: Path) -> Report:
    report = Report()

    await run(stories, world, at_once=8, told=report.add, folder=folder)
    assert report.calls == len(stories)
    return report


@pytest.mark.timeout(240)
async def test_no_caller_is_dropped_when_model_and_rest_break(tmp_path: Path):
    stories = [story for story in plan(SEED, 2 * ALONE) if story.round == 0][:ALONE]
    async with one_process(tmp_path) as world:
        assert (await played(stories, world, tmp_path)).wrong == []


@pytest.mark.skipif(PROGRAM is None, reason="HAProxy is not installed (Debian: apt-get install haproxy)")
@pytest.mark.timeout(240)
async def test_no_caller_is_dropped_when_a_server_stands_still_or_is_replaced(cluster: Cluster, tmp_path: Path):
    async with two_replicas(tmp_path, cluster) as world:
        stories = [*a_round("SIGSTOP", 1), *a_round("SIGTERM", 2)]
        assert (await played(stories, world, tmp_path)).wrong == []


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


def test_a_long_plan_has_callers_of_every_kind_in_every_weather():
    together = {(story.goal, story.weather.kind) for story in plan(1, 3000) if story.weather}
    assert {kind for goal, kind in together if goal == "manager"} == {kind for _, kind in together}


# --- what the chaos does not let pass -----------------------------------------------------------------------

GONE_AT = 10.0
DESK, MANAGER = "+12025550143", "+12025550155"


def judged(
    legs: Sequence[tuple[str, str, float | None]], notes: Sequence[tuple[float, str, dict[str, str]]]
) -> list[str]:
    """What is wrong with the people of a call; see `played_out`."""
    return list(called(played_out(legs, notes)))


def played_out(
    legs: Sequence[tuple[str, str, float | None]], notes: Sequence[tuple[float, str, dict[str, str]]]
) -> Outcome:
    """A call whose caller hung up at `GONE_AT`.

    Args:
        legs: Who was called while the bot had the caller: SID, number, and when they were off the phone.
        notes: What people did: when, what, and more of it.
    """
    journal = Journal()
    about = {"from_": "+442079460123", "account_sid": "AC", "journal": journal}
    call = CallerLeg(to=OUR_NUMBER, direction="inbound", hum=None, people={}, **about)
    call.ended_at = GONE_AT
    for sid, number, ended in legs:
        leg = PersonLeg(to=number, for_=call, **about)
        leg.sid, leg.ended_at = sid, ended
        call.called.append(leg)
    story = next(story for story in plan(1, 100) if story.goal == "manager" and story.rest is story.weather is None)
    told = [Note(at, "person", what, call.sid, data) for at, what, data in notes]
    caller = Caller(story, Mind(story, None), call)
    return Outcome(story, call, caller, told, (), 1, ())


def rings(at: float, leg: str) -> tuple[float, str, dict[str, str]]:
    return at, "rings", {"leg": leg}


def meets(at: float, leg: str, number: str) -> tuple[float, str, dict[str, str]]:
    return at, "bridged", {"leg": leg, "number": number}


def says_yes(at: float, number: str) -> tuple[float, str, dict[str, str]]:
    return at, "presses", {"number": number, "digit": "1"}


def test_a_phone_that_rings_on_for_nobody_is_found():
    assert judged([("A", MANAGER, 10.5)], [rings(5.0, "A")]) == []
    assert judged([("A", MANAGER, 14.0)], [rings(5.0, "A")]) == [
        f"{MANAGER} was still on the phone for a caller who had gone"
    ]
    assert judged([("A", MANAGER, None)], [rings(5.0, "A")]) != []


def test_a_caller_who_is_with_two_people_at_once_is_found():
    yes = says_yes(2.0, MANAGER)
    first, second = meets(3.0, "A", MANAGER), meets(6.0, "B", DESK)
    assert judged([("A", MANAGER, 5.0), ("B", DESK, 9.0)], [yes, first, second]) == []
    assert judged([("A", MANAGER, 7.0), ("B", DESK, 9.0)], [yes, first, second]) == [
        f"the caller was with {MANAGER} and {DESK} at once"
    ]


def test_a_person_who_was_not_asked_is_found():
    assert judged([("A", MANAGER, 5.0)], [meets(3.0, "A", MANAGER)]) == [
        f"{MANAGER} had the caller and had not taken the call"
    ]


def test_it_is_written_down_what_the_network_saw_and_what_the_record_says():
    outcome = played_out([("A", MANAGER, 10.5)], [rings(5.0, "A")])
    outcome.record["timeline"] = [{"at": "2026-01-01T00:00:00Z", "event": "CallEnded"}]
    text = outcome.written_down()
    assert "rings" in text
    assert "CallEnded" in text
