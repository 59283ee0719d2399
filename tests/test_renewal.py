"""A session of the model that comes to its end is replaced in a pause, and nobody notices."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from serving import serving

from sandbox.check import problems
from sandbox.session import Timing
from sandbox.stage import Stage
from sandbox.story import Story

STORY = Story.model_validate(
    {
        "title": "The session would end in the middle of the call",
        "script": [
            {"bot": "Northwind Outfitters, hello!"},
            {"caller": "Where is my order?", "after": 8.0},
            {"bot": "It comes on Monday."},
            {"hang_up": True, "after": 0.5},
        ],
        "then": {
            "end": "caller_hung_up",
            "redirects": 0,
            "sessions": 2,
            "knows": ["Northwind Outfitters, hello!"],
            "says": ["It comes on Monday."],
        },
    }
)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with Stage(timing=Timing(session=10.0)) as opened:
        yield opened


async def test_a_session_that_is_about_to_end_is_replaced_in_a_pause(stage: Stage, tmp_path: Path):
    async with serving(stage, tmp_path):
        played = await stage.play("renewal", STORY)
    assert problems(played, on_time=False) == []
    assert [note.data["text"] for note in played.of("model", "says")] == [
        "Northwind Outfitters, hello!",
        "It comes on Monday.",
    ]
