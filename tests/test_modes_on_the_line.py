"""Modes where the law alone proves nothing: what phones do, and what people hear in them, over real sockets.

All the stories are played at once; the tests look at what became of each.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from serving import serving
from twilio.request_validator import RequestValidator

from bot.phrases import LANGUAGES
from sandbox.check import Played
from sandbox.people import Person
from sandbox.stage import AUTH_TOKEN, PUBLIC_URL, Stage
from sandbox.story import Act, Step, Story, Then

SIGN = RequestValidator(AUTH_TOKEN).compute_signature
GONE = LANGUAGES["en"].gone

FIRST = {
    "front_desk": "+12025550143",
    "billing": "+12025550199",
    "manager": "+12025550155",
    "crew": "+12025550161",
    "advisor": "+12025550181",
    "expert": "+12025550191",
}
"""Who is rung first of each target of the sandbox. `front_desk` is dialled, `billing` screened, the others attended."""

LEAVES = list(itertools.product(FIRST, ["rings", "answers"]))
KEYS = list(itertools.product(["billing", "manager", "crew", "advisor"], ["9", ""]))


def wants(target: str, *then: Step, people: dict[str, Person]) -> Story:
    """A caller who asks for somebody at once, and what they do then."""
    asked = [Act(say="Right away."), Act.model_validate({"call": "hand_off", "with": {"target": target}})]
    return Story(
        title=target,
        script=[Step(bot="Hello!"), Step(caller="A person, please."), Step(bot=asked), *then],
        people={number: [person] for number, person in people.items()},
        then=Then(end="", redirects=0),
    )


def leaves_when(target: str, moment: str) -> Story:
    undecided = Person("answer", after=0.4, digits="")
    people = dict.fromkeys((FIRST[target], "+12025550162"), undecided)
    return wants(target, Step(hang_up=True, when=moment, after=0.1), people=people)


def presses(target: str, keys: str) -> Story:
    """The first person presses this, or hangs up without a key; the caller leaves a little later."""
    person = Person("answer" if keys else "hang_up", after=0.3, digits=keys)
    people = {"+12025550156": Person("busy"), "+12025550182": Person("busy"), "+12025550162": Person("no_answer")}
    people[FIRST[target]] = person
    return wants(target, Step(hang_up=True, when="leg ended", after=1.0), people=people)


def two_press() -> Story:
    keen = Person("answer", after=0.5, hangs_up_after=1.0)
    return wants("crew", people={"+12025550161": keen, "+12025550162": keen})


STORIES = {
    **{f"leaves {target} {moment}": leaves_when(target, moment) for target, moment in LEAVES},
    **{f"presses {target} {keys}": presses(target, keys) for target, keys in KEYS},
    "two press": two_press(),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    folder: Path = tmp_path_factory.mktemp("modes")
    async with Stage() as opened, serving(opened, folder, LOG_LEVEL="WARNING"):
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def played(stage: Stage) -> dict[str, Played]:
    async def play(name: str, after: float) -> Played:
        await asyncio.sleep(after)
        result = await stage.play(name, STORIES[name])
        while any(leg.live for leg in (*result.call.children, *result.call.called)):
            await asyncio.sleep(0.05)  # who is being told that the caller has gone; the time limit ends the wait
        return result

    results = await asyncio.gather(*(play(name, 0.1 * n) for n, name in enumerate(STORIES)))
    return {result.name: result for result in results}


def rung(played: Played) -> set[str]:
    return {leg.number for leg in (*played.call.children, *played.call.called)}


def outcomes(played: Played) -> list[str]:
    return [attempt["outcome"] for attempt in played.record["attempts"]]


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("target", "moment"), LEAVES)
def test_a_caller_who_leaves_leaves_no_phone_ringing(played: dict[str, Played], target: str, moment: str):
    result = played[f"leaves {target} {moment}"]
    took = target == "front_desk" and moment == "answers"
    assert rung(result) <= {FIRST[target], "+12025550162"}
    assert result.record["end"] == ("put_through" if took else "caller_hung_up")
    assert set(outcomes(result)) == {"answered" if took else "caller_gone"}
    assert bool(result.of("person", "bridged")) is took


@pytest.mark.parametrize(("target", "keys"), KEYS)
def test_nobody_has_the_caller_who_presses_another_key_or_none(played: dict[str, Played], target: str, keys: str):
    result = played[f"presses {target} {keys}"]
    assert outcomes(result)[0] == "no_answer"
    assert result.call.bridged_to is None


def test_two_who_press_the_key_at_once_are_one_person_for_the_caller(played: dict[str, Played]):
    result = played["two press"]
    assert result.record["end"] == "put_through"
    assert sorted(outcomes(result)) == ["answered", "superseded"]
    assert len(result.of("person", "bridged")) == 1
    assert len({note.data["leg"] for note in result.of("network", "joins")}) == 2, "the caller and one person"


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("target", ["billing", "manager", "advisor", "expert"])
@pytest.mark.parametrize(("what", "digits"), [("picks up", {}), ("takes the call", {"Digits": "1"})])
async def test_who_is_late_for_a_caller_who_has_gone_is_told_so(
    stage: Stage, played: dict[str, Played], target: str, what: str, digits: dict[str, str]
):
    call = played[f"leaves {target} rings"].call
    [leg] = (*call.children, *call.called)
    screened = target == "billing"
    asked = {"picks up": "whisper" if screened else "answer", "takes the call": "key"}[what]
    path = f"/twilio/{'handoff' if screened else 'person'}/{asked}?attempt=1"
    path += "" if screened else f"&call={call.sid}"
    form = {"CallSid": leg.sid, **({"ParentCallSid": call.sid} if screened else {}), **digits}
    signed = {"X-Twilio-Signature": SIGN(f"{PUBLIC_URL}{path}", form)}
    async with aiohttp.ClientSession() as http:
        async with http.post(f"{stage.server_url}{path}", data=form, headers=signed) as answer:
            document = await answer.text()
    assert GONE in document
    assert "<Hangup" in document
    assert "<Gather" not in document
