"""While a person's phone rings, the bot answers its caller as it answers anybody: the two are measured side by side."""

import asyncio
import statistics
from pathlib import Path

import pytest
from serving import serving

from sandbox.check import Played
from sandbox.people import Person
from sandbox.stage import Stage
from sandbox.story import Act, Step, Story, Then

MANAGER = "+12025550155"
TURNS = 6
MOST = 2.0
"""How many times as long an answer may take. The calls are played at once: what else the machine does befalls both."""


def chat(*asked: Act) -> Story:
    """A caller who asks for somebody, and goes on talking with the bot."""
    turns = [step for n in range(TURNS) for step in (Step(caller=f"And what about {n}?"), Step(bot="Well, yes."))]
    return Story(
        title="chat",
        script=[
            Step(bot="Hello!"),
            Step(caller="The manager, please."),
            Step(bot=[Act(say="One moment."), *asked]),
            *turns,
            Step(hang_up=True, when="speech stopped", after=0.2),
        ],
        people={MANAGER: [Person("no_answer")]},
        then=Then(end="caller_hung_up", redirects=0),
    )


def patient(folder: Path) -> str:
    """The sandbox's people, whose phones ring for as long as the chat takes."""
    path = folder / "handoff.yaml"
    path.write_text(Path("sandbox/handoff.yaml").read_text().replace("ring_seconds: 5", "ring_seconds: 120"))
    return str(path)


@pytest.mark.timeout(120)
async def test_the_bot_answers_no_later_while_a_phone_rings(tmp_path: Path):
    seeks = Act.model_validate({"call": "hand_off", "with": {"target": "manager"}})
    async with Stage() as stage, serving(stage, tmp_path, HANDOFF_POLICY=patient(tmp_path), LOG_LEVEL="WARNING"):
        ringing: Played
        plain: Played
        ringing, plain = await asyncio.gather(stage.play("ringing", chat(seeks)), stage.play("plain", chat()))
    [leg] = ringing.call.called
    assert leg.status == "canceled", "it rang until the caller had gone"
    [rang] = ringing.of("person", "rings")
    answered = [note for note in ringing.of("bot", "speech started") if note.at > rang.at]
    assert len(answered) >= TURNS
    assert len(ringing.answer_gaps) == len(plain.answer_gaps) == TURNS + 1, "no turn of the caller's is left unanswered"
    assert statistics.median(ringing.answer_gaps) <= MOST * statistics.median(plain.answer_gaps)
