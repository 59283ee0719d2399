"""Where the people of a target are, asked of the operator's own system; and the numbers of the file when it fails."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from calls import POLICY, Story
from serving import serving

from bot import effects as ef, events as ev
from bot.addresses import Addresses
from bot.call import By, Call, Outcome, Phase
from bot.finder import ANSWER_BYTES, PeopleFinder
from bot.people import People
from bot.policy_file import load_policy
from bot.routing import Endpoint, Finder, Found, Policy
from bot.settings import load_all
from bot.tokens import PersonPages
from bot.twiml import document
from pipelines.problems import ConfigurationError
from sandbox.check import problems
from sandbox.stage import Stage
from sandbox.story import load

SECRET = "a secret of sixteen or more"
ALLOW = ("+4420794602*", "sip:*@pbx.example.com", "client:robin")
ROBIN = Endpoint("+442079460200", 12)

Say = Callable[[web.Request], Any]


@asynccontextmanager
async def asked(say: Say) -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
    """An operator's system. Yields its address and what it was asked."""
    questions: list[dict[str, Any]] = []

    async def take(request: web.Request) -> web.StreamResponse:
        body = await request.text()
        signed = f"{request.headers['Putthrough-Timestamp']}.{body}".encode()
        expected = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
        assert request.headers["Putthrough-Signature"] == f"v1={expected}"
        questions.append(json.loads(body))
        said = say(request)
        if asyncio.iscoroutine(said):
            said = await said
        return said if isinstance(said, web.Response) else web.json_response(said)

    app = web.Application()
    app.router.add_post("/who", take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/who", questions
    await runner.cleanup()


def asking(url: str, key: str = "desk", *, following: str | None = None) -> Policy:
    """The policy of the tests, with a target whose people are asked for."""
    target = replace(POLICY.targets[key], finder=Finder(url, ALLOW), next=following)
    return replace(POLICY, targets={**POLICY.targets, key: target})


async def completed(policy: Policy, call: Call, **facts: Any) -> ev.HandoffRequested:
    finder = PeopleFinder(SECRET, lambda: 1000.0)
    try:
        request = ev.HandoffRequested(**{"at": 1000.0, "target": "desk", "reason": "asked", **facts})
        return await finder.complete(request, call, policy)
    finally:
        await finder.close()


async def test_who_is_there_is_asked_with_what_is_known_and_counts():
    numbers = [
        {"number": "+44 20 7946 0200", "ring_seconds": 12},
        {"sip": "sip:kim@pbx.example.com"},
        {"client": "robin"},
    ]
    async with asked(lambda request: {"numbers": numbers}) as (url, questions):
        call = Story().with_bot().call
        request = await completed(asking(url), call, summary="A parcel.", wants=("es",))
    assert request.found == (
        Found("desk", (ROBIN, Endpoint("sip:kim@pbx.example.com", 20), Endpoint("client:robin", 20))),
    )
    assert questions == [
        {
            "call_sid": call.sid,
            "caller": call.caller,
            "called": call.called,
            "target": "desk",
            "by": "model",
            "reason": "asked",
            "summary": "A parcel.",
            "wants": ["es"],
        }
    ]


async def never(request: web.Request) -> web.Response:
    await asyncio.sleep(30)
    return web.Response()


@pytest.mark.parametrize(
    "said",
    [
        lambda request: web.Response(status=500),
        lambda request: web.Response(status=302, headers={"Location": str(request.url)}),
        lambda request: web.Response(text="Robin is there"),
        lambda request: web.Response(body=b'{"numbers": ["+442079460200"]}' + b" " * ANSWER_BYTES),
        lambda request: ["+442079460200"],
        lambda request: {"numbers": "+442079460200"},
        lambda request: {"numbers": ["+442079460200"] * 11},
        lambda request: {"numbers": []},
        lambda request: {"numbers": ["+442079460200"], "mode": "dial"},
        lambda request: {"numbers": ["+442079460300"]},
        lambda request: {"numbers": ["+442079460200", "+442079460300"]},
        lambda request: {"numbers": ["+449098790000"]},
        lambda request: {"numbers": ["999"]},
        lambda request: {"numbers": [{"sip": "sip:kim@elsewhere.example.com"}]},
        lambda request: {"numbers": [{"client": "kim"}]},
        never,
    ],
    ids=[
        "an error", "a redirect", "no JSON", "too much", "a list", "no list", "too many", "nobody",
        "more than was asked", "not allowed", "one that is not allowed", "premium rate", "emergency", "another host",
        "another client", "nothing",
    ],
)  # fmt: skip
async def test_whatever_else_it_says_the_numbers_of_the_file_hold(said: Say, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("bot.finder.ANSWER_SECONDS", 0.5)
    async with asked(said) as (url, questions):
        assert (await completed(asking(url), Story().with_bot().call)).found == ()
        assert len(questions) == 1


async def test_a_system_that_is_not_there_is_not_waited_for():
    assert (await completed(asking("http://127.0.0.1:1/who"), Story().with_bot().call)).found == ()


async def test_those_who_come_next_are_asked_for_as_well_and_nobody_for_a_call_that_is_over():
    async with asked(lambda request: {"numbers": ["+442079460200"]}) as (url, questions):
        policy = asking(url, "billing")
        policy = replace(policy, targets={**policy.targets, "desk": replace(POLICY.targets["desk"], next="billing")})
        call = Story().with_bot().call
        assert [found.target for found in (await completed(policy, call)).found] == ["billing"]
        assert (await completed(policy, call, target=None)).found == ()
        assert (await completed(policy, call, by=By.WATCH)).found == (), "a caller without a bot waits for nobody"
        assert (await completed(policy, replace(call, phase=Phase.ENDED))).found == ()
    assert len(questions) == 1


# --- what the law makes of it --------------------------------------------------------------------------


def begun(key: str = "desk") -> Story:
    found = (Found(key, (ROBIN, Endpoint("+442079460201", 20))),)
    story = Story(asking("http://crm.example/who", key)).with_bot()
    return story.happens(ev.HandoffRequested, target=key, found=found)


def test_the_people_who_were_found_are_rung_one_after_the_other_and_nobody_else():
    story = begun().happens(ev.GoodbyeHeard, handoff=1).happens(ev.RedirectAccepted)
    story.happens(ev.DialEnded, attempt=1, status="busy", bridged=False)
    story.happens(ev.DialEnded, attempt=2, status="busy", bridged=False)
    assert [(each.number, each.outcome) for each in story.call.attempts] == [
        ("+442079460200", Outcome.BUSY),
        ("+442079460201", Outcome.BUSY),
    ]
    assert story.call.phase is Phase.CONNECTING, "back to the bot"


def test_a_later_hand_off_to_which_no_answer_came_rings_the_numbers_of_the_file():
    story = begun().happens(ev.GoodbyeInterrupted, handoff=1)
    story = begun().happens(ev.GoodbyeHeard, handoff=1).happens(ev.RedirectAccepted)
    for attempt in (1, 2):
        story.happens(ev.DialEnded, attempt=attempt, status="busy", bridged=False)
    story.with_bot().asks("desk").happens(ev.GoodbyeHeard, handoff=2)
    assert story.call.attempts[-1].number == "+442079460101"


def test_the_document_rings_as_long_as_was_said():
    story = begun().happens(ev.GoodbyeHeard, handoff=1)
    [dial] = story.documents
    assert isinstance(dial, ef.DialPerson)
    twiml = document(dial, story.call, story.policy, Addresses("https://bot.example"))
    assert 'timeout="12"' in twiml
    assert "+442079460200</Number>" in twiml


@pytest.mark.parametrize(
    "known", [True, False], ids=["by the process that asked", "by one that knows the address alone"]
)
def test_somebody_who_was_found_is_called_while_the_bot_has_the_caller(known: bool):
    story = begun("doctor")
    call = story.call
    if not known:
        call = replace(call, handoffs=(replace(call.handoffs[0], found=()),))
    pages = PersonPages.from_auth_token("secret")
    people = People(story.policy, lambda call: Addresses("https://bot.example"), pages, lambda: 1000.0)
    order = people.order(call, 1)
    assert (order.to, order.ring_seconds) == ("+442079460200", 12 if known else 30)


@pytest.mark.parametrize(
    ("event", "by"),
    [
        (ev.KeyPressed(at=1001.0, digit="0"), By.KEY),
        (ev.CallerSaid(at=1001.0, text="I want a person"), By.PHRASE),
        (ev.LineSilent(at=1001.0), By.SILENCE),
    ],
)
def test_what_leads_to_a_person_without_the_model_asks_for_them_first(event: ev.Event, by: By):
    story = Story(asking("http://crm.example/who")).with_bot()
    facts = {name: getattr(event, name) for name in ("digit", "text") if hasattr(event, name)}
    story.happens(type(event), **facts)
    [find] = story.effects
    assert isinstance(find, ef.FindPeople)
    assert (find.target, find.by, story.call.phase) == ("desk", by, Phase.BOT)


# --- the file ------------------------------------------------------------------------------------------

RESOLVE = """
targets:
  desk:
    description: Everything
    numbers: ["+44 20 7946 0101"]
    resolve: {{url: {url}, allow: [{allow}]}}
default: desk
"""


def test_the_file_says_who_is_asked_and_whom_they_may_name(tmp_path: Path):
    path = tmp_path / "handoff.yaml"
    path.write_text(RESOLVE.format(url="https://crm.example.com/who", allow='"+44 20 7946*", "sip:*@pbx.example.com"'))
    assert load_policy(path, {}).targets["desk"].finder == Finder(
        "https://crm.example.com/who", ("+44207946*", "sip:*@pbx.example.com")
    )


@pytest.mark.parametrize(
    ("url", "allow", "words"),
    [
        ("crm.example.com", '"+44*"', "is no address"),
        ("https://crm.example.com", '"*"', "does not say"),
        ("https://crm.example.com", '"sip:*@*"', "does not say"),
        ("https://crm.example.com", "44207946", "without quotes"),
        ("https://crm.example.com", "", "allow"),
    ],
)
def test_a_file_that_lets_anybody_be_named_is_refused(tmp_path: Path, url: str, allow: str, words: str):
    path = tmp_path / "handoff.yaml"
    path.write_text(RESOLVE.format(url=url, allow=allow))
    with pytest.raises(ConfigurationError, match=words):
        load_policy(path, {})


def test_a_question_that_could_not_be_signed_is_a_mistake_of_the_configuration(tmp_path: Path):
    path = tmp_path / "handoff.yaml"
    path.write_text(RESOLVE.format(url="https://crm.example.com/who", allow='"+44207946*"'))
    environ = {
        "PUBLIC_URL": "https://bot.example.com",
        "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
        "TWILIO_AUTH_TOKEN": "0" * 32,
        "OPENAI_API_KEY": "key",
        "HANDOFF_POLICY": str(path),
    }
    with pytest.raises(ConfigurationError, match="`WEBHOOK_SECRET` is missing"):
        load_all(environ, None)
    assert load_all({**environ, "WEBHOOK_SECRET": SECRET}, None).policy.targets["desk"].finder is not None


# --- on the line ---------------------------------------------------------------------------------------


async def test_a_real_call_rings_whoever_is_there(tmp_path: Path):
    rules = Path("sandbox/handoff.yaml").read_text()
    assert '"+12025550143"' in rules
    async with asked(lambda request: {"numbers": ["+12025550143"]}) as (url, questions), Stage() as stage:
        resolve = f'    resolve: {{url: "{url}", allow: ["+1202555*"]}}\n'
        path = tmp_path / "handoff.yaml"
        there = rules.replace('"+12025550143"', '"+12025550111"')
        path.write_text(there.replace("    ring_seconds: 5\n", f"    ring_seconds: 5\n{resolve}", 1))
        async with serving(stage, tmp_path, WEBHOOK_SECRET=SECRET, HANDOFF_POLICY=str(path)):
            played = await stage.play("put_through", load("put_through"))
        assert problems(played, on_time=False) == []
    assert [question["target"] for question in questions] == ["front_desk"]
    assert played.call.bridged_to == "+12025550143"
