"""The stories of the sandbox hold with a cascade of OpenAI's services as they do with the Realtime API.

Nothing in a request over HTTP says whose call it is, so each stage has one call at a time; there are several stages.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
from serving import serving

from sandbox.check import Played, problems
from sandbox.stage import Stage
from sandbox.story import load, names

STAGES = 4
STORIES = [name for name in names() if not load(name).consult]
"""A person who consults the bot has a second call beside the caller's."""

pytestmark = pytest.mark.timeout(280)


async def play(folder: Path, chosen: list[str]) -> dict[str, Played]:
    """Some stories, one after the other, on a stage and a server of their own."""
    folder.mkdir()
    async with AsyncExitStack() as stack:
        stage = await stack.enter_async_context(Stage())
        await stack.enter_async_context(serving(stage, folder, PIPELINE="cascade_openai"))
        return {name: await stage.play(name, load(name)) for name in chosen}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def played(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, Played]]:
    folder = tmp_path_factory.mktemp("requests")
    parts = [STORIES[n::STAGES] for n in range(STAGES)]
    rows = await asyncio.gather(*(play(folder / str(n), part) for n, part in enumerate(parts)))
    yield {name: result for row in rows for name, result in row.items()}


@pytest.mark.parametrize("name", STORIES)
def test_the_story_holds(played: dict[str, Played], name: str):
    assert problems(played[name], on_time=False) == []


def test_a_redirect_follows_the_goodbye_s_last_sample(played: dict[str, Played]):
    gaps = [gap for result in played.values() for gap in result.goodbye_gaps]
    assert gaps
    assert all(gap >= 0 for gap in gaps)


def test_what_an_interrupted_caller_did_not_hear_is_not_in_the_record(played: dict[str, Played]):
    said = [line["text"] for line in played["barge_in"].record["transcript"] if line["role"] == "bot"]
    cut = next(text for text in said if text.startswith("We are open"))
    assert "Sunday" not in cut
