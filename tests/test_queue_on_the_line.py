"""Queues over real sockets: callers wait in them, leave them, are taken out of them, and wait on when a server ends."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import yaml
from serving import ROOT, serving

from bot.queue_words import queue_words
from sandbox.caller import CallerLeg
from sandbox.check import problems
from sandbox.people import Person
from sandbox.script import Script
from sandbox.stage import OUR_NUMBER, PUBLIC_URL, TAKERS_NUMBER, Stage
from sandbox.story import Act, Step, Story, Then, load

SAM, ALEX, STRANGER = "+12025550166", "+12025550167", "+12025550199"
TAKES = {SAM: Person(hangs_up_after=6.0, after=0.5, says="")}
"""Who is called to take somebody hangs up so long after picking up: the question and the key are in it."""

NOBODY_WAITS = queue_words("en").nobody


def policy(folder: Path) -> str:
    """The sandbox's, with a queue for each test, so that they do not take each other's callers."""
    rules: dict[str, Any] = yaml.safe_load((ROOT / "sandbox" / "handoff.yaml").read_text())
    support = rules["targets"]["support"]

    def queue(name: str, **more: object) -> None:
        given = {"name": name, "max_wait": 60, "announce_every": 5, **more}
        rules["targets"][name] = {**support, "queue": given}

    for name in ("taken", "hung_up", "mailbox", "gone", "ends", "wrong_key", "by_console"):
        queue(name)
    queue("calls_back", leave="callback", leave_key=9)
    queue("full")
    queue("no_music", music=f"{PUBLIC_URL}/no-such-music.mp3")
    path = folder / "handoff.yaml"
    path.write_text(yaml.safe_dump(rules))
    return str(path)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    folder = tmp_path_factory.mktemp("queues")
    async with Stage() as opened, serving(opened, folder, LOG_LEVEL="WARNING", HANDOFF_POLICY=policy(folder)):
        yield opened


@dataclass
class Waiting:
    """A call whose caller is in a queue."""

    stage: Stage
    call: CallerLeg

    async def record(self) -> dict[str, Any]:
        await asyncio.wait_for(self.call.ended(), 40)
        return await self.stage.record(self.call.sid)

    async def take(self, target: str, number: str) -> int:
        """The button: somebody is to be called to take the next one."""
        address = f"{self.stage.server_url}/api/queues/{target}/take"
        async with aiohttp.ClientSession() as http, http.post(address, json={"number": number}) as answer:
            return answer.status

    @property
    def taker(self) -> CallerLeg:
        """The latest call that our server has made to somebody, or somebody to us."""
        return [call for call in self.stage.network.calls if call.sid != self.call.sid][-1]


async def waiting(
    stage: Stage, target: str, people: dict[str, Person] | None = None, *, until: str = "queued"
) -> Waiting:
    """A caller who asks for a target with a queue."""
    asked = [Act(say="One moment."), Act.model_validate({"call": "hand_off", "with": {"target": target}})]
    script = [Step(bot="Hello!"), Step(caller="Somebody, please."), Step(bot=asked), Step(bot="I am back.")]
    story = Story(title=target, script=script, then=Then(end="", redirects=0))
    brain = Script(story, stage.journal)
    hum = stage.line(brain)
    call = await stage.network.call("+442079460123", OUR_NUMBER, hum=hum, people=people or {})
    brain.call_sid = call.sid
    stage.network.people.update(people or {})
    speaking = asyncio.create_task(brain.act(call))
    call.background(_until_over(call, speaking))
    await call.until(until, timeout=30)
    while until == "queued" and (await stage.record_now(call.sid)).get("state") != "queued":
        await asyncio.sleep(0.05)
    return Waiting(stage, call)


async def _until_over(call: CallerLeg, speaking: asyncio.Task[None]) -> None:
    await call.over.wait()
    speaking.cancel()
    await asyncio.gather(speaking, return_exceptions=True)


def outcome(record: dict[str, Any]) -> tuple[str, str]:
    return record["end"], record["attempts"][0]["outcome"]


# --- the stories ---------------------------------------------------------------------------------------


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", ["queue", "queue_key", "queue_nobody"])
async def test_the_story_holds(stage: Stage, name: str):
    played = await stage.play(name, load(name))
    assert problems(played, on_time=False) == []
    heard = [note.data["text"] for note in played.of("network", "says")]
    assert any("leave a message" in text or "You are being connected" in text for text in heard)


# --- the button ----------------------------------------------------------------------------------------


@pytest.mark.asyncio(loop_scope="module")
async def test_the_next_caller_is_taken_by_whoever_is_called_for_it_and_presses_the_key(stage: Stage):
    caller = await waiting(stage, "taken", TAKES)
    assert await caller.take("taken", SAM) == 202
    assert await caller.take("taken", ALEX) == 409, "somebody is being called for everybody who waits"
    record = await caller.record()
    assert outcome(record) == ("put_through", "answered")
    assert record["attempts"][0]["answered_by"] == SAM
    assert caller.call.bridged_to == SAM
    assert await caller.take("taken", SAM) == 409, "nobody waits"
    assert await caller.take("taken", STRANGER) == 409
    assert await caller.take("billing", SAM) == 404
    assert not caller.call.errors


@pytest.mark.asyncio(loop_scope="module")
async def test_a_supervisor_has_the_next_caller_taken_and_the_journal_knows_it(stage: Stage):
    caller = await waiting(stage, "by_console", TAKES)
    page = f"{stage.server_url}/console/calls/{caller.call.sid}"
    jar = aiohttp.CookieJar(unsafe=True)  # of an address in numbers, too
    async with aiohttp.ClientSession(headers={"Accept": "application/json"}, cookie_jar=jar) as http:
        async with http.get(page) as answer:
            found = re.search(r'name="form-token" content="(\w+)"', await answer.text())
        assert found
        for number, status in ((STRANGER, 422), (SAM, 200), (ALEX, 409)):
            async with http.post(f"{page}/take", data={"form": found[1], "number": number}) as answer:
                assert answer.status == status
    record = await caller.record()
    assert outcome(record) == ("put_through", "answered")
    [entry] = [entry for entry in record["timeline"] if entry["event"] == "TakerCalled"]
    assert (entry["data"]["target"], entry["data"]["number"]) == ("by_console", SAM)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_mailbox_takes_nobody(stage: Stage):
    caller = await waiting(stage, "mailbox", {SAM: Person("voicemail", after=0.3)})
    assert await caller.take("mailbox", STRANGER) == 422
    assert await caller.take("mailbox", SAM) == 202
    await asyncio.wait_for(caller.taker.ended(), 20)
    assert (await stage.record_now(caller.call.sid))["state"] == "queued"
    await caller.call.hang_up()
    assert outcome(await caller.record()) == ("caller_hung_up", "caller_gone")
    assert caller.call.bridged_to is None


@pytest.mark.asyncio(loop_scope="module")
async def test_a_telephone_stops_when_the_caller_for_whom_it_rings_has_gone(stage: Stage):
    caller = await waiting(stage, "gone", {SAM: Person("no_answer")})
    assert await caller.take("gone", SAM) == 202
    await caller.taker.until("rings")
    await caller.call.hang_up()
    await asyncio.wait_for(caller.taker.ended(), 4.5)
    assert caller.taker.status == "canceled"
    assert outcome(await caller.record()) == ("caller_hung_up", "caller_gone")


# --- people who call in --------------------------------------------------------------------------------


@pytest.mark.asyncio(loop_scope="module")
async def test_two_who_call_in_at_once_do_not_have_the_same_caller(stage: Stage):
    caller = await waiting(stage, "support", TAKES)
    one = await stage.take(SAM, {SAM: Person(hangs_up_after=2.0)})
    other = await stage.take(ALEX, {ALEX: Person(hangs_up_after=2.0)})
    assert outcome(await caller.record()) == ("put_through", "answered")
    for leg in (one, other):
        await leg.hang_up()
    numbers = [note.data["number"] for note in stage.journal.of(caller.call.sid) if note.what == "bridged"]
    assert len(numbers) == 1


@pytest.mark.asyncio(loop_scope="module")
async def test_whoever_is_none_of_the_people_is_refused(stage: Stage):
    stranger = await stage.network.call(STRANGER, TAKERS_NUMBER)
    await asyncio.wait_for(stranger.ended(), 10)
    assert stranger.answered_at is None


@pytest.mark.asyncio(loop_scope="module")
async def test_who_calls_in_while_nobody_waits_is_told_so(stage: Stage):
    stage.network.numbers["+12025550164"] = type(stage.network.numbers[OUR_NUMBER])(f"{PUBLIC_URL}/twilio/queue/ends")
    taker = await stage.network.call(SAM, "+12025550164")
    await asyncio.wait_for(taker.ended(), 10)
    assert NOBODY_WAITS in [note.data["text"] for note in stage.journal.of(taker.sid) if note.what == "says"]


# --- nobody takes them ---------------------------------------------------------------------------------


@pytest.mark.asyncio(loop_scope="module")
async def test_a_caller_who_hangs_up_in_the_queue_is_gone(stage: Stage):
    caller = await waiting(stage, "hung_up")
    await caller.call.hang_up()
    assert outcome(await caller.record()) == ("caller_hung_up", "caller_gone")


async def _back_with_the_bot(caller: Waiting) -> dict[str, Any]:
    """What the record says when the bot has them again."""
    since = caller.stage.journal.now()
    await caller.call.until("speech started", timeout=20, since=since)
    record = await caller.stage.record_now(caller.call.sid)
    await caller.call.hang_up()
    await caller.record()
    return record


@pytest.mark.asyncio(loop_scope="module")
async def test_a_full_queue_gives_the_caller_back_to_the_bot(stage: Stage):
    stage.network.queues.named("full").max_size = 0
    caller = await waiting(stage, "full", until="left the queue")
    record = await _back_with_the_bot(caller)
    assert (record["state"], record["attempts"][0]["outcome"]) == ("bot", "busy")


@pytest.mark.asyncio(loop_scope="module")
async def test_music_that_cannot_be_had_costs_nobody_the_caller(stage: Stage):
    caller = await waiting(stage, "no_music", until="left the queue")
    record = await _back_with_the_bot(caller)
    assert (record["state"], record["attempts"][0]["outcome"]) == ("bot", "failed")


@pytest.mark.asyncio(loop_scope="module")
async def test_the_key_for_a_callback_gives_the_caller_to_the_bot_which_knows_of_it(stage: Stage):
    caller = await waiting(stage, "calls_back")
    await asyncio.sleep(1.0)
    await caller.call.press("9")
    record = await _back_with_the_bot(caller)
    assert (record["state"], record["attempts"][0]["outcome"]) == ("bot", "gave_up")
    texts = [session.text for session in stage.model.sessions if "They want to be called back" in session.text]
    assert texts


@pytest.mark.asyncio(loop_scope="module")
async def test_another_key_means_nothing(stage: Stage):
    caller = await waiting(stage, "wrong_key")
    await asyncio.sleep(1.0)
    await caller.call.press("5")
    await asyncio.sleep(1.0)
    assert (await stage.record_now(caller.call.sid))["state"] == "queued"
    await caller.call.hang_up()
    await caller.record()
    assert not caller.call.errors


# --- servers end ---------------------------------------------------------------------------------------


async def test_a_caller_waits_on_when_their_server_ends_and_another_one_answers(tmp_path: Path):
    async def life(stage: Stage, end: Callable[[], Awaitable[None]]) -> None:
        caller = await waiting(stage, "ends", TAKES)
        async with serving(stage, tmp_path, LOG_LEVEL="WARNING", HANDOFF_POLICY=policy(tmp_path)):
            await end()
            await asyncio.sleep(7)  # the other one is asked for what the caller hears
            assert (await stage.record_now(caller.call.sid))["state"] == "queued"
            assert await caller.take("ends", SAM) == 202
            assert outcome(await caller.record()) == ("put_through", "answered")
            assert not caller.call.errors

    async with Stage() as stage:
        first = serving(stage, tmp_path, LOG_LEVEL="WARNING", HANDOFF_POLICY=policy(tmp_path))
        await first.__aenter__()
        ended = False

        async def end() -> None:
            nonlocal ended
            ended = True
            await first.__aexit__(None, None, None)

        try:
            await life(stage, end)
        finally:
            if not ended:
                await end()
