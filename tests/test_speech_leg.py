"""A speech-to-speech service of Pipecat's as it comes, in calls: here its own OpenAI Realtime service."""

from pathlib import Path

import pytest
from serving import serving

from sandbox.check import Played, problems
from sandbox.stage import Stage
from sandbox.story import load

PIPELINE = """\
extends: openai_realtime
leg: speech_to_speech
service: openai_realtime
settings:
  base_url: ${OPENAI_REALTIME_URL}
  session_properties:
    audio:
      input:
        transcription: {model: gpt-realtime-whisper}
        turn_detection: {type: server_vad}
      output: {voice: marin}
turn_detection:
  type: model
"""


async def played(folder: Path, name: str) -> Played:
    path = folder / "shop.yaml"
    path.write_text(PIPELINE)
    async with Stage() as stage, serving(stage, folder, PIPELINE=str(path)):
        return await stage.play(name, load(name))


@pytest.mark.parametrize("name", ["put_through", "goodbye", "without_a_word", "tool_fails"])
async def test_a_story_holds(tmp_path, name):
    assert problems(await played(tmp_path, name), on_time=False) == []


async def test_a_caller_who_interrupts_is_heard(tmp_path):
    result = await played(tmp_path, "barge_in")
    assert result.record["end"] == "caller_hung_up"
    assert any(note.data["dropped_ms"] > 0 for note in result.of("bot", "clear"))


async def test_a_person_takes_over_when_its_session_breaks(tmp_path):
    result = await played(tmp_path, "model_dies")
    assert "person" in [fall["rung"] for fall in result.record["falls"]]
    assert result.redirects
