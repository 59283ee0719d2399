"""The files in docs/examples, each played in the sandbox."""

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from serving import ROOT, serving

from bot.policy_file import load_policy
from bot.routing import route
from sandbox.check import problems
from sandbox.stage import Stage
from sandbox.story import load

EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.stem for path in EXAMPLES])
async def test_the_example_does_what_its_business_needs(path: Path, tmp_path: Path):
    story = load(f"examples/{path.stem}")
    async with Stage() as stage, serving(stage, tmp_path, HANDOFF_POLICY=str(path)):
        played = await stage.play(path.stem, story)
    found = problems(played, on_time=False)
    if path.stem == "sales":  # which of them it is, the call's SID decides
        [attempt] = played.record["attempts"]
        assert attempt["outcome"] == "answered"
        found = [each for each in found if not each.startswith("attempts: ")]
    assert found == []


@pytest.mark.parametrize(
    ("when", "rung"),
    [("2026-11-25T12:00", ["+12025550161"]), ("2026-11-26T12:00", []), ("2026-11-27T15:00", [])],
    ids=["a Wednesday", "Thanksgiving", "a Friday afternoon"],
)
def test_the_clinic_s_reception_is_rung_when_it_is_open(when: str, rung: list[str]):
    at = datetime.fromisoformat(when).replace(tzinfo=ZoneInfo("America/New_York")).timestamp()
    policy = load_policy(ROOT / "docs" / "examples" / "clinic.yaml", {})
    assert [stop.addresses for stop in route(policy, "reception", at)] == rung
