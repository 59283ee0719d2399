"""A pipeline's settings: what is understood, and how a mistake in them is told."""

from pathlib import Path
from typing import get_args

import pytest
from openai.types.realtime.realtime_audio_config_output import RealtimeAudioConfigOutput
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.services.ai_service import AIService

from pipelines.build import Credentials, build_leg
from pipelines.config import FOLDER
from pipelines.load import load
from pipelines.problems import ConfigurationError, Problem
from pipelines.realtime_config import RealtimeConfig, SemanticVad, ServerVad, Voice

KEYS = {"OPENAI_API_KEY": "sk-test"}


def written(folder: Path, text: str) -> str:
    path = folder / "shop.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def problems(folder: Path, text: str, **environ: str) -> tuple[Problem, ...]:
    """What is wrong with a pipeline of this text, with places relative to its folder."""
    with pytest.raises(ConfigurationError) as caught:
        load(written(folder, text), KEYS | environ)
    prefix = f"{folder}/"
    return tuple(Problem(p.where.removeprefix(prefix), p.what, p.remedy) for p in caught.value.problems)


def test_the_default_pipeline_is_right_and_has_the_sample_tools():
    config = load("openai_realtime", KEYS)
    assert config.model == "gpt-realtime-2.1"
    assert config.voice == "marin"
    assert config.turn_detection == ServerVad()
    assert config.transcription.model == "gpt-realtime-whisper"
    assert config.tools == ("pipelines.tools.order_status", "pipelines.tools.opening_hours")
    assert "hand_off" in config.instructions


def test_instructions_are_all_that_is_needed(tmp_path):
    config = load(written(tmp_path, "instructions: Answer the phone."), KEYS)
    assert config == RealtimeConfig(instructions="Answer the phone.")


def test_turns_can_be_detected_by_meaning(tmp_path):
    text = "instructions: x\nturn_detection: {type: semantic_vad, eagerness: low}"
    config = load(written(tmp_path, text), KEYS)
    assert config.turn_detection == SemanticVad(type="semantic_vad", eagerness="low")


def test_a_language_is_added_to_what_the_model_is_told():
    config = RealtimeConfig(instructions="Answer the phone.", language="de")
    assert config.system_instruction.startswith("Answer the phone.")
    assert "`de`" in config.system_instruction
    without = RealtimeConfig(instructions="Answer the phone.")
    assert without.system_instruction == "Answer the phone."


def test_variables_are_replaced_everywhere_in_a_text(tmp_path):
    text = 'instructions: |\n  You answer for ${SHOP}.\ngreeting: "${WORD:-Hello}, ${SHOP}! $${x}"'
    config = load(written(tmp_path, text), KEYS | {"SHOP": "Northwind"})
    assert config.instructions == "You answer for Northwind."
    assert config.greeting == "Hello, Northwind! ${x}"


def test_a_variable_can_be_a_number(tmp_path):
    text = "instructions: x\ntool_seconds: ${LIMIT}"
    assert load(written(tmp_path, text), KEYS | {"LIMIT": "2.5"}).tool_seconds == 2.5


def test_no_is_norwegian_and_half_past_ten_is_text(tmp_path):
    text = "instructions: 10:30\nlanguage: no"
    config = load(written(tmp_path, text), KEYS)
    assert (config.instructions, config.language) == ("10:30", "no")


def test_the_voices_are_those_that_the_sdk_knows():
    annotation = RealtimeAudioConfigOutput.model_fields["voice"].annotation
    known = {name for part in get_args(annotation) for name in get_args(part)}
    assert set(get_args(Voice)) == known - {type(None)}


BROKEN = {
    "an empty file": ("", 1, "the file is empty", "write at least"),
    "only comments": ("# nothing\n", 1, "the file is empty", "write at least"),
    "a list instead of keys": ("- a\n- b", 1, "the configuration is a list", "keys and values"),
    "a tab": ("instructions: x\nlog:\n\ttiming: true", 3, "is not YAML", "indent with spaces"),
    "a colon in a text": ("instructions: Say: hello", 1, "is not YAML", "in quotes"),
    "an open bracket": ("instructions: x\ntools: [a.b", 2, "is not YAML", "check quotes"),
    "two documents": ("instructions: x\n---\ninstructions: y", 2, "is not YAML", "check quotes"),
    "a key twice": (
        "instructions: x\nvoice: ash\nvoice: sage",
        3,
        "`voice` stands here a second time; the first is on line 2",
        "keep one",
    ),
    "no instructions": ("voice: ash", 1, "`instructions` is missing", "what the model is told"),
    "empty instructions": (
        'voice: ash\ninstructions: " "',
        2,
        "`instructions` is empty",
        "what the model is told",
    ),
    "a key without a value": ("instructions: x\nmodel:", 2, "`model` is empty", "write text"),
    "a slip in a key": (
        "instructions: x\ntranscripton: {}",
        2,
        "`transcripton` is not a setting",
        "did you mean `transcription`?",
    ),
    "an unknown key": (
        "instructions: x\nlog:\n  colour: true",
        3,
        "`log.colour` is not a setting",
        "what can stand here: `events`, `timing`",
    ),
    "a slip in a nested key": (
        "instructions: x\nturn_detection:\n  type: server_vad\n  treshold: 0.5",
        4,
        "`turn_detection.treshold` is not a setting",
        "did you mean `threshold`?",
    ),
    "another kind of turn detection": (
        "instructions: x\nturn_detection:\n  type: semantic",
        2,
        "`turn_detection` cannot be `semantic`",
        "did you mean `semantic_vad`?",
    ),
    "turn detection of no kind": (
        "instructions: x\nturn_detection:\n  threshold: 0.5",
        2,
        "`turn_detection.type` is missing",
        "choose from `semantic_vad`, `server_vad`",
    ),
    "an unknown leg": (
        "leg: gemini\ninstructions: x",
        1,
        "cannot be `gemini`",
        "`openai_realtime`",
    ),
    "a slip in a voice": ("instructions: x\nvoice: marine", 2, "`marine`", "did you mean `marin`?"),
    "a number out of range": (
        "instructions: x\nspeed: 2",
        2,
        "`speed` is 2",
        "use a number from 0.25 to 1.5",
    ),
    "a word for a number": ("instructions: x\nspeed: fast", 2, "is `fast`", "write a number"),
    "a number for a word": (
        "instructions: x\ngreeting: 42",
        2,
        "`greeting` is 42, which is not text",
        'put it in quotes: "42"',
    ),
    "a word for a truth value": (
        "instructions: x\nlog: {timing: sometimes}",
        2,
        "`log.timing` is `sometimes`",
        "write true or false",
    ),
    "a word for a list": (
        "instructions: x\ntools: pipelines.tools.order_status",
        2,
        "`tools` is `pipelines.tools.order_status`",
        "one item a line",
    ),
    "a word for a group": ("instructions: x\nlog: loud", 2, "`log` is `loud`", "keys and values"),
    "a language by name": (
        "instructions: x\nlanguage: English",
        2,
        "is `English`",
        "two small letters",
    ),
    "an event that does not exist": (
        "instructions: x\nlog:\n  events:\n    - response.done\n    - response.don",
        5,
        "`log.events[2]` is `response.don`",
        "did you mean `response.done`?",
    ),
    "a variable that is not set": (
        "instructions: |\n  Hello\n  ${SHOP_NAME} is who you are.",
        3,
        "the variable SHOP_NAME is not set",
        "${SHOP_NAME:-a default}",
    ),
    "something that is no variable": (
        "instructions: x\ngreeting: ${shop name}",
        2,
        "`${shop name}` names no variable",
        "$${ stands for a plain ${",
    ),
    "a text that contains itself": (
        "instructions: x\ntools: &all [*all]",
        2,
        "this value contains itself",
        "write it out",
    ),
    "a tag": ("instructions: !!python/name:os.system x", 1, "has the tag", "remove the tag"),
    "a key that is a list": ("? [a]\n: b\ninstructions: x", 1, "not a word", "use a word"),
    "a tool without a module": (
        "instructions: x\ntools: [order]",
        2,
        "no dotted path",
        "module.function",
    ),
    "a tool in no module": (
        "instructions: x\ntools: [shop.tools.order]",
        2,
        "there is no module `shop`",
        "check the spelling",
    ),
    "a slip in a tool": (
        "instructions: x\ntools:\n  - pipelines.tools.order_state",
        3,
        "`pipelines.tools` has no `order_state`",
        "did you mean `order_status`?",
    ),
    "a tool that is not async": (
        "instructions: x\ntools: [pipelines.tools.weekday]",
        2,
        "which is no async function",
        "write `async def weekday(params, …)`",
    ),
    "one tool twice": (
        "instructions: x\ntools: [pipelines.tools.order_status, pipelines.tools.order_status]",
        2,
        "more than one function named `order_status`",
        "keep one",
    ),
}


@pytest.mark.parametrize(("text", "line", "what", "remedy"), BROKEN.values(), ids=BROKEN)
def test_a_mistake_is_told_once_with_its_line_and_its_remedy(tmp_path, text, line, what, remedy):
    (problem,) = problems(tmp_path, text)
    assert problem.where == f"shop.yaml:{line}"
    assert what in problem.what
    assert remedy in problem.remedy


TOOLS = '''
from __future__ import annotations
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from decimal import Decimal

async def lonely(): "Does it."
async def silent(params, order: str): pass
async def terse(params, order: str): "Does it."
async def untyped(params, order):
    """Does it.

    Args:
        order: Which one.
    """
async def anything(params, **order): "Does it."
async def unreadable(params, price: Decimal): "Does it."
'''


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("lonely", "whose first parameter is not `params`"),
        ("silent", "which does not say what it does"),
        ("terse", "which does not explain its argument `order`"),
        ("untyped", "which does not say of which type `order` is"),
        ("anything", "whose `**order` the model cannot fill in"),
        ("unreadable", "which cannot be read: NameError"),
    ],
)
def test_a_tool_that_the_model_could_not_use_is_refused(tmp_path, monkeypatch, name, what):
    (tmp_path / "shop_tools.py").write_text(TOOLS)
    monkeypatch.syspath_prepend(tmp_path)
    (problem,) = problems(tmp_path, f"instructions: x\ntools: [shop_tools.{name}]")
    assert problem.where == "shop.yaml:2"
    assert what in problem.what


def test_a_tool_whose_module_cannot_be_imported_says_why(tmp_path, monkeypatch):
    (tmp_path / "broken_shop_tools.py").write_text("import no_such_library")
    monkeypatch.syspath_prepend(tmp_path)
    (problem,) = problems(tmp_path, "instructions: x\ntools: [broken_shop_tools.order]")
    assert "cannot be imported: ModuleNotFoundError: No module named 'no_such_library'" in problem.what


def test_a_tool_cannot_take_the_name_of_one_that_every_call_has(tmp_path, monkeypatch):
    (tmp_path / "taken_tools.py").write_text('async def hand_off(params):\n    "Hands off."')
    monkeypatch.syspath_prepend(tmp_path)
    path = written(tmp_path, "instructions: x\ntools: [taken_tools.hand_off]")
    with pytest.raises(ConfigurationError) as caught:
        load(path, KEYS, taken=["hand_off"])
    (problem,) = caught.value.problems
    assert "every call has a tool `hand_off` already" in problem.what


def test_all_mistakes_are_told_at_once_in_the_order_of_their_lines(tmp_path):
    text = "voice: marine\nspeed: 9\ngreeting: ${HELLO}\ngreeting: x\nnoise_reduction: near\n"
    found = problems(tmp_path, text)
    assert [p.where for p in found] == [f"shop.yaml:{line}" for line in (1, 1, 2, 3, 4, 5)]


def test_a_missing_variable_hides_no_other_mistake_and_is_not_told_twice(tmp_path):
    found = problems(tmp_path, "instructions: x\nvoice: ${VOICE}\nspeed: ${SPEED}\nmodel: 5")
    assert [p.what.split()[0] for p in found] == ["the", "the", "`model`"]


def test_an_unknown_name_is_answered_with_the_names_that_there_are():
    with pytest.raises(ConfigurationError) as caught:
        load("openai_realtim", KEYS)
    (problem,) = caught.value.problems
    assert problem.where == "environment"
    assert "no pipeline `openai_realtim`" in problem.what
    assert "did you mean `openai_realtime`?" in problem.remedy


def test_a_file_that_is_not_there_is_told_with_the_setting_that_names_it(tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        load(str(tmp_path / "gone.yaml"), KEYS)
    (problem,) = caught.value.problems
    assert (problem.what, "PIPELINE" in problem.remedy) == ("there is no such file", True)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"instructions: \x07", b"[" * 5000])
def test_a_file_that_is_no_yaml_at_all_is_told_without_a_traceback(tmp_path, content):
    path = tmp_path / "shop.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        load(str(path), KEYS)
    assert len(caught.value.problems) == 1


def test_a_folder_is_no_file(tmp_path):
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load(str(tmp_path / "folder.yaml"), KEYS)


def test_a_report_is_aligned_and_holds_every_problem():
    error = ConfigurationError(
        [
            Problem("environment", "X is missing", "set it"),
            Problem("a.yaml:3", "is wrong", "mend it"),
        ]
    )
    assert str(error) == (
        "2 problems in the configuration:\n\n"
        "environment  X is missing\n"
        "             → set it\n\n"
        "a.yaml:3     is wrong\n"
        "             → mend it"
    )


EVERY_KEY = {
    name: "wss://vendor.example/v1" if name.endswith("URL") else "key"
    for name in (
        *("OPENAI_API_KEY", "DEEPGRAM_API_KEY", "CARTESIA_API_KEY", "GOOGLE_API_KEY", "XAI_API_KEY"),
        *("AZURE_REALTIME_API_KEY", "AZURE_REALTIME_BASE_URL"),
    )
}


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.yaml")))
async def test_every_pipeline_that_is_shipped_builds_with_its_vendors_real_classes(name):
    leg = build_leg(load(name, EVERY_KEY), Credentials(EVERY_KEY, "wss://vendor.example/v1"), ToolsSchema([]))
    services = [stage for stage in (*leg.ears, *leg.stages) if isinstance(stage, AIService)]
    assert len(services) == (3 if name.startswith("cascade") else 1)
    assert all(type(service).__module__.startswith(("pipecat.services.", "pipelines.")) for service in services)
