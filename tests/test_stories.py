"""Every story of the sandbox holds, all at once through one server process: twenty calls, none touching another.

Once with µ-law at the model, once with PCM.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from sandbox.check import TRUNCATION_MS, Played, problems
from sandbox.process import server_process
from sandbox.stage import Stage
from sandbox.story import load, names

ROUND = names()
"""All of them, at once: what one call does must not be heard in another."""


async def play(stage: Stage, name: str, *, after: float) -> Played:
    await asyncio.sleep(after)
    return await stage.play(name, load(name))


def pipeline(folder: Path, audio: str) -> str:
    """Ours, with the sound that the model shall have."""
    shipped = Path("pipelines/openai_realtime.yaml").read_text()
    path = folder / f"{audio}.yaml"
    path.write_text(shipped.replace("audio: pcmu", f"audio: {audio}"))
    assert f"audio: {audio}" in path.read_text()
    return str(path)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["pcmu", "pcm"])
async def played(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[list[Played]]:
    folder = tmp_path_factory.mktemp("stories")
    async with Stage() as stage, server_process(stage, folder, PIPELINE=pipeline(folder, request.param)):
        yield await asyncio.gather(*(play(stage, name, after=0.1 * n) for n, name in enumerate(ROUND)))
    assert "record is late" not in (folder / "server.log").read_text()


@pytest.mark.parametrize(("number", "name"), list(enumerate(ROUND)), ids=[f"{n}-{s}" for n, s in enumerate(ROUND)])
def test_the_story_holds(played: list[Played], number: int, name: str):
    assert problems(played[number], on_time=False) == []


def test_no_call_hears_of_another(played: list[Played]):
    assert len({result.call.sid for result in played}) == len(ROUND)
    for result in played:
        said = {note.data["text"] for note in result.of("model", "says")}
        script = f"{result.story.script} {result.story.then.says} One moment please."
        assert all(text in script for text in said)


def test_a_redirect_follows_the_goodbye_s_last_sample(played: list[Played]):
    gaps = [gap for result in played for gap in result.goodbye_gaps]
    assert gaps
    assert all(gap >= 0 for gap in gaps)


def test_the_model_is_never_told_that_more_was_heard_than_was(played: list[Played]):
    result = next(result for result in played if result.name == "barge_in")
    [error] = result.truncation_errors
    assert error <= TRUNCATION_MS


def test_a_phone_stops_ringing_when_the_caller_has_gone(played: list[Played]):
    result = next(result for result in played if result.name == "leaves_while_ringing")
    assert all(not child.live for child in result.call.children)


def test_nobody_is_hung_up_on_while_it_rings_or_with_a_person(played: list[Played]):
    for result in played:
        assert len(result.hang_ups) == (result.record["end"] == "bot_hung_up")
