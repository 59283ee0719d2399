"""The model changes its language, its voice and its settings in mid-call; whom the caller reaches follows."""

from pathlib import Path

import pytest
from serving import serving

from pipelines.load import load
from pipelines.problems import ConfigurationError
from sandbox.check import Played, problems
from sandbox.stage import Stage
from sandbox.story import Story

KEYS = {"OPENAI_API_KEY": "k"}

REALTIME = """\
extends: openai_realtime
changes:
  spanish:
    when: The caller speaks Spanish.
    language: es
    instructions: Be formal.
    voice: {voice}
    targets: {{front_desk: billing}}
"""

CASCADE = """\
extends: cascade_openai
changes:
  spanish:
    when: The caller speaks Spanish.
    language: es
    instructions: Be formal.
    voice: sage
    llm: {temperature: 0.2}
    targets: {front_desk: billing}
"""

STORY = Story.model_validate(
    {
        "title": "Speaks Spanish, is answered in Spanish, and reaches who speaks it",
        "script": [
            {"bot": "Northwind Outfitters, hello!"},
            {"caller": "¿Habla español?"},
            {"bot": [{"call": "change", "with": {"to": "spanish"}}]},
            {"bot": "Claro, ¿en qué puedo ayudarle?"},
            {"caller": "Una persona, por favor."},
            {
                "bot": [
                    {"say": "Le comunico."},
                    {"call": "hand_off", "with": {"target": "front_desk", "reason": "x", "summary": "y"}},
                ]
            },
        ],
        "people": {"+12025550199": [{"behaviour": "answer", "after": 0.5, "hangs_up_after": 1.0}]},
        "then": {
            "end": "put_through",
            "attempts": [{"number": "+12025550199", "outcome": "answered"}],
            "redirects": 1,
            "says": ["Claro"],
            "tools": ["change"],
        },
    }
)


async def played(folder: Path, pipeline: str) -> tuple[Played, Stage]:
    path = folder / "shop.yaml"
    path.write_text(pipeline)
    async with Stage() as stage, serving(stage, folder, PIPELINE=str(path)):
        return await stage.play("spanish", STORY), stage


async def test_a_realtime_session_is_told_the_language_and_what_it_is_to_be(tmp_path):
    result, _ = await played(tmp_path, REALTIME.format(voice="marin"))
    [session] = result.sessions
    assert [p for p in problems(result, on_time=False) if "screening" not in p] == []
    assert "Be formal." in session.instructions
    assert "`es`" in session.instructions
    assert session.config["audio"]["input"]["transcription"]["language"] == "es"


async def test_another_voice_takes_a_new_session_which_goes_on(tmp_path):
    result, _ = await played(tmp_path, REALTIME.format(voice="sage"))
    assert [session.config["audio"]["output"]["voice"] for session in result.sessions] == ["marin", "sage"]
    assert "¿Habla español?" in result.sessions[-1].text
    assert result.record["end"] == "put_through"
    assert result.record["falls"] == []


async def test_a_cascade_s_services_take_their_parts(tmp_path):
    result, stage = await played(tmp_path, CASCADE)
    assert problems(result, on_time=False) == []
    assert "Be formal." in result.sessions[-1].instructions
    assert [note.data["voice"] for note in result.of("model", "speaks")][-1] == "sage"
    assert result.of("model", "hears")[-1].data["language"] == "es"
    assert stage.openai.requests[-1].config["temperature"] == 0.2


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("{when: x, voice: nobody}", "`changes.a.voice` cannot be `nobody`"),
        ("{voice: sage}", "`changes.a.when` is missing"),
        ("{when: x, colour: red}", "`changes.a.colour` is not a setting"),
    ],
)
def test_a_mistake_in_a_change_is_told(tmp_path, change, what):
    path = tmp_path / "shop.yaml"
    path.write_text(f"instructions: x\nchanges:\n  a: {change}\n")
    with pytest.raises(ConfigurationError) as caught:
        load(str(path), KEYS)
    assert what in caught.value.problems[0].what


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("{when: x, tts: {sample_rate: 8000}}", "`changes.a.tts.sample_rate` cannot change in mid-call"),
        ("{when: x, llm: {temprature: 1}}", "no setting of `openai"),
    ],
)
def test_what_cannot_change_in_mid_call_is_told_at_start(tmp_path, change, what):
    path = tmp_path / "shop.yaml"
    path.write_text(f"extends: cascade_openai\nchanges:\n  a: {change}\n")
    with pytest.raises(ConfigurationError) as caught:
        load(str(path), KEYS)
    assert what in caught.value.problems[0].what


def test_a_vendor_that_cannot_change_its_voice_is_not_asked_to(tmp_path):
    path = tmp_path / "shop.yaml"
    path.write_text("extends: grok_realtime\nchanges:\n  a: {when: x, voice: Eve}\n")
    with pytest.raises(ConfigurationError) as caught:
        load(str(path), {"XAI_API_KEY": "k"})
    assert "`changes.a.voice` is not a setting" in caught.value.problems[0].what
