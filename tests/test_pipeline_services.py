"""Services of a pipeline: any of Pipecat's catalogue, checked against its class; mistakes come with their remedies."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema

from pipelines.build import Credentials, build_leg
from pipelines.catalogue import find, names
from pipelines.config import FOLDER
from pipelines.frame_config import CascadeConfig
from pipelines.load import load, load_chain
from pipelines.problems import ConfigurationError, Problem
from pipelines.schema import PATH, text

KEYS = {"OPENAI_API_KEY": "sk-test", "DEEPGRAM_API_KEY": "dg-test", "CARTESIA_API_KEY": "ca-test"}

CASCADE = """\
leg: cascade
instructions: x
stt:
  service: deepgram
llm:
  service: openai
tts:
  service: cartesia
"""


def written(folder: Path, content: str, name: str = "shop") -> str:
    path = folder / f"{name}.yaml"
    path.write_text(content, encoding="utf-8")
    return str(path)


def problems(folder: Path, content: str, environ: dict[str, str]) -> tuple[Problem, ...]:
    with pytest.raises(ConfigurationError) as caught:
        load_chain(written(folder, content), environ)
    prefix = f"{folder}/"
    return tuple(Problem(p.where.removeprefix(prefix), p.what, p.remedy) for p in caught.value.problems)


DEAF = """\
leg: speech_to_speech
instructions: x
service: pipecat.services.inworld.realtime.llm.InworldRealtimeLLMService
settings:
  api_key: ${OPENAI_API_KEY}
"""

SETTINGS = CASCADE + "  settings:\n"

BROKEN = {
    "a slip in a service": (CASCADE.replace("deepgram", "deepgran"), "4", "`deepgran`", "did you mean `deepgram`?"),
    "a service that nobody has": (CASCADE.replace("cartesia", "xyzzy"), "8", "catalogue does not have", "the path of"),
    "a service of another kind": (
        CASCADE.replace("openai", "cartesia_tts"),
        "6",
        "is `cartesia_tts`, which speaks",
        "choose one that writes answers",
    ),
    "an extra that is not installed": (
        CASCADE.replace("cartesia", "groq").replace("openai", "anthropic"),
        "6",
        "`anthropic_llm`, which is not installed",
        'pip install "pipecat-ai[anthropic]==',
    ),
    "a path that leads nowhere": (
        CASCADE.replace("openai", "shop.brains.Brain"),
        "6",
        "there is no module `shop`",
        "check the spelling",
    ),
    "a path to no class": (
        CASCADE.replace("openai", "pipecat.services.openai.llm.OpenAILLMServic"),
        "6",
        "has no class `OpenAILLMServic`",
        "did you mean `OpenAILLMService`?",
    ),
    "a slip in a setting": (SETTINGS + "    voise: x", "10", "no setting of `cartesia_tts`", "did you mean `voice`?"),
    "an unknown setting": (SETTINGS + "    zzz: x", "10", "`tts.settings.zzz`", "what can stand here: "),
    "a setting of the wrong type": (
        CASCADE.replace("service: openai", "service: openai\n  settings: {temperature: hot}"),
        "7",
        "`llm.settings.temperature` is `hot`",
        "write a number",
    ),
    "a language that the service does not know": (
        SETTINGS + "    language: [en]",
        "10",
        "`tts.settings.language`",
        "",
    ),
    "a secret in the file": (SETTINGS + "    api_key: sk-1234", "10", "holds a secret", "into the environment or .env"),
    "instructions in the wrong place": (
        CASCADE.replace("service: openai", "service: openai\n  settings: {system_instruction: Be kind.}"),
        "7",
        "is given to the model by the pipeline",
        "`instructions`",
    ),
    "no speech": (CASCADE.partition("tts:")[0], "1", "`tts` is missing", "what makes sound of its words"),
    "no service": (CASCADE.replace("  service: cartesia", "  settings: {}"), "7", "`tts.service` is missing", "add it"),
    "a realtime key in a cascade": (CASCADE + "voice: marin", "9", "`voice` is not a setting", ""),
    "a detector that does not exist": (
        CASCADE + "turn_detection: {type: silence, detector: ear}",
        "9",
        "cannot be `ear`",
        "choose from `silero`, `loudness`",
    ),
    "a service that cannot be told anything": (
        DEAF,
        "3",
        "cannot be told in mid-call what to say",
        "choose another service, or a cascade",
    ),
    "a base that is not there": ("extends: cascad\n", "1", "there is no pipeline `cascad`", "did you mean `cascade`?"),
    "a base that is itself": ("extends: shop.yaml\n", "1", "leads back to this file", "extend another"),
}


@pytest.mark.parametrize(("content", "line", "what", "remedy"), BROKEN.values(), ids=BROKEN)
def test_a_mistake_is_told_once_with_its_line_and_its_remedy(tmp_path, content, line, what, remedy):
    environ = KEYS | {"ANTHROPIC_API_KEY": "x", "GROQ_API_KEY": "x", "INWORLD_API_KEY": "x"}
    (problem, *others) = [p for p in problems(tmp_path, content, environ) if "groq" not in p.what]
    assert problem.where == f"shop.yaml:{line}"
    assert what in problem.what
    assert remedy in problem.remedy
    assert not others


def test_every_missing_key_is_told_by_the_name_of_its_variable(tmp_path):
    found = problems(tmp_path, CASCADE, {})
    assert [p.where for p in found] == ["environment"] * 3
    assert [p.what.split()[0] for p in found] == list(sorted(KEYS, key=lambda n: "DOC".index(n[0])))


def test_all_mistakes_are_told_at_once(tmp_path):
    content = CASCADE.replace("deepgram", "deepgran") + "  settings: {voise: x}\ngreeting: 5\n"
    found = problems(tmp_path, content, {"OPENAI_API_KEY": "x"})
    assert [p.where for p in found] == ["shop.yaml:4", "shop.yaml:9", "shop.yaml:10", "environment"]


async def test_settings_go_where_the_class_wants_them_and_words_become_what_they_stand_for(tmp_path):
    content = CASCADE + "  settings: {voice: somebody, model: sonic-3, language: es}\nlanguage: en\n"
    config = load(written(tmp_path, content), KEYS)
    leg = build_leg(config, Credentials(KEYS, ""), ToolsSchema([]))
    speaking = leg.stages[3]
    assert (speaking._settings.voice, speaking._settings.model) == ("somebody", "sonic-3")  # pyright: ignore
    assert speaking._settings.language == "es"  # pyright: ignore
    assert leg.stages[1]._settings.system_instruction == config.system_instruction  # pyright: ignore


async def test_a_class_of_ones_own_is_a_service(tmp_path, monkeypatch):
    source = "from pipecat.services.openai.llm import OpenAILLMService\nclass Brain(OpenAILLMService):\n    pass\n"
    (tmp_path / "own_brains.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    content = CASCADE.replace("service: openai", "service: own_brains.Brain\n  settings: {api_key: '${MY_KEY}'}")
    config = load(written(tmp_path, content), KEYS | {"MY_KEY": "mine"})
    leg = build_leg(config, Credentials(KEYS, ""), ToolsSchema([]))
    assert type(leg.stages[1]).__name__ == "Brain"


def test_a_pipeline_can_change_one_line_of_another(tmp_path):
    base = load("cascade", KEYS)
    content = "extends: cascade\ntts:\n  settings:\n    voice: other\n"
    changed = load(written(tmp_path, content), KEYS)
    assert isinstance(base, CascadeConfig)
    assert isinstance(changed, CascadeConfig)
    assert changed.tts.settings == {"voice": "other"}
    assert changed.model_copy(update={"tts": base.tts}) == base


def test_another_service_brings_none_of_the_settings_of_the_one_before(tmp_path):
    content = "extends: cascade\ntts: {service: openai, settings: {voice: ash}}\n"
    changed = load(written(tmp_path, content), KEYS)
    assert isinstance(changed, CascadeConfig)
    assert changed.tts.settings == {"voice": "ash"}


def test_a_mistake_in_a_base_is_told_where_it_stands(tmp_path):
    written(tmp_path, CASCADE + "greeting: 5\n", "base")
    (problem,) = problems(tmp_path, "extends: base\ninstructions: y\n", KEYS)
    assert problem.where == "base.yaml:9"


def test_a_fallback_is_checked_with_the_pipeline_that_names_it(tmp_path):
    found = problems(tmp_path, "instructions: x\nfallback: [cascade, cascad, shop]\n", {"OPENAI_API_KEY": "x"})
    assert [p.what.split()[0] for p in found] == [
        "DEEPGRAM_API_KEY",
        "CARTESIA_API_KEY",
        "`fallback`:",
        "`fallback`",
    ]


def test_the_whole_catalogue_can_be_named():
    assert {"deepgram_stt", "assemblyai_stt"} <= names("stt").keys()
    assert len(names("stt")) + len(names("llm")) + len(names("tts")) + len(names("realtime")) > 80
    assert find("realtime", "gemini_live") == find("realtime", "gemini_live_realtime")


def test_the_schema_for_editors_is_current():
    assert PATH.read_text() == text(), "run `make docs`"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_shipped_pipelines_name_the_schema_and_fit_it(path: Path):
    content = path.read_text()
    assert content.startswith("# yaml-language-server: $schema=schema.json\n")
    errors = list(Draft202012Validator(json.loads(text())).iter_errors(yaml.safe_load(content)))
    assert not errors


def test_the_schema_refuses_a_slip():
    validator = Draft202012Validator(json.loads(text()))
    assert not validator.is_valid({"instructions": "x", "voise": "marin"})
    assert not validator.is_valid({"leg": "cascade", "instructions": "x", "stt": {"sevice": "deepgram"}})
    assert validator.is_valid({"instructions": "x", "speed": "${SPEED}"})


def test_check_names_what_is_wrong_and_ends_without_a_traceback(tmp_path):
    path = written(tmp_path, CASCADE.replace("deepgram", "deepgran"))
    command = [sys.executable, "server.py", "check", path]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, env={"PATH": "/bin"}, check=False)  # noqa: S603
    assert run.returncode == 2
    assert "did you mean `deepgram`?" in run.stderr
    assert "OPENAI_API_KEY is missing" in run.stderr
    assert "Traceback" not in run.stderr
