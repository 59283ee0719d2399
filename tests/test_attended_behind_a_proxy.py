"""A server that is killed while it has people called for its caller: nobody waits for a call that has lost them."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest
from chaos.proxy import PROGRAM
from chaos.replica import Replica
from chaos.world import Replicas, two_replicas
from postgres import Cluster
from test_behind_a_proxy import answered, ended, is_with_the_bot, quiet, record

from bot.phrases import LANGUAGES
from sandbox.brain import Call, Reply, Say, Turn
from sandbox.caller import CallerLeg
from sandbox.people import Person
from sandbox.sound import tone
from sandbox.stage import OUR_NUMBER

MANAGER = "+12025550155"

pytestmark = [
    pytest.mark.skipif(PROGRAM is None, reason="HAProxy is not installed (Debian: apt-get install haproxy)"),
    pytest.mark.timeout(180),
]


class Secretary:
    """A brain that calls the manager at the caller's first word, and chats with them afterwards."""

    def __init__(self) -> None:
        self.asked = False
        self.call_sid: str | None = None
        self.prompts: list[str] = []

    def transcript(self) -> str:
        return "The manager, please." if not self.asked else "Are you there?"

    async def reply(self, turn: Turn) -> Reply:
        if turn.why in ("greeting", "prompt"):
            self.prompts.append(turn.prompt)
            return [Say("One moment please." if "Say exactly" in turn.prompt else "Hello, this is the bot.")]
        if turn.why != "speech":
            return []
        if self.asked:
            return [Say("Yes, I am here.")]
        self.asked = True
        return [Say("I am looking for her."), Call("hand_off", {"target": "manager", "reason": "a fire"})]


async def asks_for_the_manager(world: Replicas, person: Person) -> tuple[CallerLeg, Secretary]:
    """A caller for whom the manager is about to be called."""
    brain = Secretary()
    people = {MANAGER: person, "+12025550156": Person("no_answer")}
    call = await world.stage.network.call("+442079460123", OUR_NUMBER, hum=world.stage.line(brain), people=people)
    brain.call_sid = call.sid
    await call.until("speech started", timeout=60)
    await quiet(call)
    await call.say(tone(600, seconds=0.6))
    return call, brain


async def who_has(world: Replicas, folder: Path, call: CallerLeg) -> Replica:
    """The server whose bot has the caller: it was its model that asked for the person."""
    while True:
        for name, replica in (("one", world.one), ("two", world.two)):
            lines = (folder / name / "server.log").read_text().splitlines()
            if any(call.sid in line and "HandoffRequested" in line for line in lines):
                return replica
        await asyncio.sleep(0.05)


async def is_killed(world: Replicas, folder: Path, call: CallerLeg) -> None:
    replica = await who_has(world, folder, call)
    replica.befalls(signal.SIGKILL)
    await replica.ended()


def patient(folder: Path) -> str:
    """The sandbox's people, whose phones ring longer than this test takes."""
    rules = Path("sandbox/handoff.yaml").read_text()
    path = folder / "handoff.yaml"
    path.write_text(rules.replace("ring_seconds: 5", "ring_seconds: 60"))
    return str(path)


def heard_by(call: CallerLeg, leg: CallerLeg) -> list[str]:
    """What Twilio has said into this person's ear."""
    notes = call.journal.of(call.sid)
    return [note.data["text"] for note in notes if note.what == "says" and note.data.get("leg") == leg.sid]


async def one_attempt(world: Replicas, call: CallerLeg) -> dict[str, Any]:
    [attempt] = (await record(world, call.sid))["attempts"]
    return attempt


@pytest.mark.parametrize("moment", ["rings", "answers"])
async def test_the_caller_is_taken_back_and_the_person_let_go(cluster: Cluster, tmp_path: Path, moment: str):
    undecided = Person("answer", after=0.5, digits="") if moment == "answers" else Person("no_answer")
    async with two_replicas(tmp_path, cluster, HANDOFF_POLICY=patient(tmp_path)) as world:
        call, brain = await asks_for_the_manager(world, undecided)
        await call.until(moment, timeout=30)
        [leg] = call.called
        if moment == "answers":
            await call.until(lambda note: note.what == "says" and note.data.get("leg") == leg.sid, timeout=30)
        await is_killed(world, tmp_path, call)
        while leg.live:
            await asyncio.sleep(0.05)
        gone = LANGUAGES["en"].gone
        assert leg.status == ("canceled" if moment == "rings" else "completed")
        assert (gone in heard_by(call, leg)) is (moment == "answers")
        await is_with_the_bot(call)
        assert "not being called any more" in brain.prompts[-1]
        await answered(call)
        assert (await one_attempt(world, call))["outcome"] == "superseded"
        assert len(call.called) == 1, "nobody is called anew unless the bot asks"
        await call.hang_up()
        told = await ended(world, call.sid)
        assert (told["end"], told["rescues"]) == ("caller_hung_up", 1)


async def test_a_caller_whose_server_is_killed_when_the_person_took_the_call_is_brought_to_them(
    cluster: Cluster, tmp_path: Path
):
    keen = Person("answer", after=0.5, hangs_up_after=1.0)
    async with two_replicas(tmp_path, cluster, HANDOFF_POLICY=patient(tmp_path)) as world:
        call, _ = await asks_for_the_manager(world, keen)
        await call.until("joins", timeout=30)  # she waits; the last sentence is being said
        await is_killed(world, tmp_path, call)
        await call.until("bridged", timeout=30)
        told = await ended(world, call.sid)
        assert (told["end"], told["rescues"]) == ("put_through", 1)
        assert (await one_attempt(world, call))["outcome"] == "answered"
        assert call.bridged_to == MANAGER


async def test_a_caller_who_hangs_up_as_their_server_is_killed_leaves_no_phone_ringing(
    cluster: Cluster, tmp_path: Path
):
    async with two_replicas(tmp_path, cluster, HANDOFF_POLICY=patient(tmp_path)) as world:
        call, _ = await asks_for_the_manager(world, Person("no_answer"))
        await call.until("rings", timeout=30)
        replica = await who_has(world, tmp_path, call)
        replica.befalls(signal.SIGKILL)
        await call.hang_up()
        [leg] = call.called
        while leg.live:
            await asyncio.sleep(0.05)
        assert leg.status == "canceled", "and not because it had rung for long enough"
        assert (await ended(world, call.sid))["end"] == "caller_hung_up"
        assert (await one_attempt(world, call))["outcome"] == "caller_gone"
