"""The behavioural evals, run by Pipecat's own harness against our bot, with a model that follows its prompt."""

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest
from dev_runner import dev_runner
from pipecat.classifiers.base_classifier import ChoiceQuestion

from evals.judge import Words, judge as judge_of
from sandbox.clerk import Clerk
from sandbox.stage import Stage

SHIPPED = Path("pipelines/openai_realtime.yaml")


async def evaluate(bot: str, logs: Path, *scenarios: str) -> dict[str, bool]:
    """Run scenarios. Returns which of them were passed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pipecat.evals", "run", "--bot-url", f"ws://{bot}/ws", "--logs-dir", str(logs)),
        *scenarios,
        env={**os.environ, "PYTHONPATH": ".", "EVAL_JUDGE": "words", "COLUMNS": "200"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output = (await process.communicate())[0].decode()
    verdicts = {name: mark == "✓" for mark, name in re.findall(r"([✓✗]) ws://\S+ (\S+)", output)}
    assert verdicts, output
    assert (process.returncode == 0) is all(verdicts.values())
    return verdicts


@pytest.mark.parametrize("pipeline", ["openai_realtime", "cascade_openai"])
async def test_the_bot_passes_every_scenario(tmp_path: Path, pipeline: str):
    async with Stage(brain=Clerk()) as stage, dev_runner(stage, tmp_path, EVALS="on", PIPELINE=pipeline) as bot:
        verdicts = await evaluate(bot, tmp_path, "evals")
    assert len(verdicts) >= len(list(Path("evals").glob("*.yaml")))
    assert [name for name, passed in verdicts.items() if not passed] == []


@pytest.mark.parametrize(
    ("rule", "instead", "failed"),
    [
        ("When the caller names a number", "When the caller is silent", "own_number/my_brother"),
        ("they stay upset after you have tried to help,", "they are upset,", "angry_but_solvable/where_is_my_order"),
        ("they ask for a person", "they pay for a person", "asks_for_a_person/by_place"),
    ],
    ids=["no rule about numbers", "hands off whoever is upset", "no rule about persons"],
)
async def test_a_broken_prompt_fails_a_scenario(tmp_path: Path, rule: str, instead: str, failed: str):
    prompt = SHIPPED.read_text()
    assert rule in prompt
    broken = tmp_path / "broken.yaml"
    broken.write_text(prompt.replace(rule, instead))
    scenario = tmp_path / "scenario.yaml"
    shared = str(Path("evals/shared").resolve())
    shipped = Path("evals", failed.split("/")[0] + ".yaml").read_text()
    scenario.write_text(shipped.replace("!include shared", f"!include {shared}").replace("20000", "5000"))
    async with (
        Stage(brain=Clerk()) as stage,
        dev_runner(stage, tmp_path, EVALS="on", PIPELINE=str(broken)) as bot,
    ):
        verdicts = await evaluate(bot, tmp_path, str(scenario))
    assert verdicts[failed] is False


async def test_no_harness_is_let_in_unless_a_setting_allows_it(tmp_path: Path):
    async with Stage(brain=Clerk()) as stage, dev_runner(stage, tmp_path) as bot:
        verdicts = await evaluate(bot, tmp_path, "evals/own_number.yaml")
    assert verdicts == {"own_number/my_brother": False}
    assert "EVALS=on allows it" in (tmp_path / "runner.log").read_text()
    assert not stage.model.sessions


async def test_one_command_runs_a_suite_and_tells_each_pipeline_s_pass_rate():
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "evals", "openai_realtime", "--offline", "--repeat", "2", "--scenario", "my_brother"),
        env={**os.environ, "COLUMNS": "200"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output = (await process.communicate())[0].decode()
    assert process.returncode == 0, output
    assert re.search(r"openai_realtime\s+own_number/my_brother.*(2/2|100%)", output), output


@pytest.mark.parametrize(("reply", "verdict"), [("I CANNOT do that.", "yes"), ("Sure!", "continue")])
async def test_offline_a_criterion_is_met_by_the_words_in_its_brackets(reply: str, verdict: str):
    question = ChoiceQuestion(
        instructions="Criterion: it refuses [cannot | won't]", options={"yes": "", "continue": ""}
    )
    answers = await Words().choice({"conversation": [], "latest_bot_reply": reply}, {"verdict": question})
    assert answers["verdict"].choice == verdict


async def test_online_a_model_judges(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-nobody's")
    monkeypatch.delenv("EVAL_JUDGE", raising=False)
    assert not isinstance(judge_of({}), Words)
