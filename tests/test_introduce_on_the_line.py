"""Mode `introduce` over real sockets: what both hear, and what becomes of it when Twilio does not announce it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from serving import serving

from sandbox.caller import CallerLeg
from sandbox.check import Played, problems
from sandbox.network import RestFault
from sandbox.people import Person
from sandbox.stage import Stage
from sandbox.story import Story, load

STORY = load("introduced")
SHORT = Person(after=0.5, hangs_up_after=1.0)


@pytest_asyncio.fixture(loop_scope="function")
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with Stage() as opened, serving(opened, tmp_path, LOG_LEVEL="ERROR"):
        yield opened


async def play(stage: Stage, story: Story, fault: RestFault | None = None) -> Played:
    """Play a story. Twilio's REST has the fault when the two are together."""
    waiting: list[asyncio.Task[None]] = []

    async def when_they_meet(call: CallerLeg) -> None:
        await call.until(lambda note: note.what == "joins" and note.data["leg"] == call.sid, timeout=30)
        if fault is not None:
            stage.network.rest_faults.append(fault)

    def begun(call: CallerLeg) -> None:
        waiting.append(asyncio.create_task(when_they_meet(call)))

    played = await stage.play("introduced", story, begun=begun)
    await asyncio.gather(*waiting)
    return played


def introduced(played: Played) -> bool | None:
    [attempt] = played.record["attempts"]
    return attempt["introduced"]


@pytest.mark.timeout(60)
async def test_both_hear_who_the_other_is(stage: Stage):
    played = await play(stage, STORY)
    assert problems(played, on_time=False) == []
    assert introduced(played) is True
    [announced] = played.of("network", "announces")
    [bridged] = played.of("person", "bridged")
    assert 0 <= announced.at - bridged.at < 3
    [handoff] = played.record["handoffs"]
    assert handoff["introduction"] == announced.data["text"]


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("kind", "heard", "told"), [("401", 0, False), ("500", 0, None), ("apply_then_hang", 1, True)])
async def test_an_introduction_that_twilio_does_not_take_harms_nobody(
    stage: Stage, kind: str, heard: int, told: bool | None
):
    played = await play(stage, STORY, RestFault(kind))  # type: ignore[arg-type] - one of the kinds
    assert len(played.of("network", "announces")) == heard
    assert introduced(played) is told
    assert (played.record["end"], played.call.bridged_to) == ("put_through", "+12025550181")
    [attempt] = played.record["attempts"]
    assert (attempt["outcome"], attempt["ended_by"]) == ("answered", "person")


@pytest.mark.timeout(60)
async def test_who_hangs_up_while_being_introduced_has_talked(stage: Stage):
    people = {number: [SHORT] for number in STORY.people}
    played = await play(stage, STORY.model_copy(update={"people": people}))
    assert introduced(played) is None
    assert [a["outcome"] for a in played.record["attempts"]] == ["answered"]
    assert played.record["end"] == "put_through"
