"""The page of a person who is rung: who may open it, what it says, and that its buttons do what the keys do."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
import yaml
from calls import POLICY, SID, Story
from hypothesis import given, strategies as st
from serving import serving
from test_outbox import SECRET, Receiver, receiving

from bot import events as ev
from bot.routing import Endpoint, Order
from bot.tokens import PAGE_SECONDS, PersonPages
from sandbox.check import Played, problems
from sandbox.stage import Stage
from sandbox.story import Story as Scenario, load

PAGES = PersonPages.from_auth_token("secret")


def test_a_link_opens_one_attempt_of_one_call_until_it_expires():
    token = PAGES.make(SID, 2, 1000.0)
    assert PAGES.read(token, 1000.0 + PAGE_SECONDS) == (SID, 2)
    assert PAGES.read(token, 1001.0 + PAGE_SECONDS) is None
    assert PAGES.read(token.replace(".2.", ".1."), 1000.0) is None
    assert PersonPages.from_auth_token("another").read(token, 1000.0) is None


@given(st.text(max_size=200))
def test_what_was_made_up_opens_nothing(token: str):
    assert PAGES.read(token, 0.0) is None


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def link(receiver: Receiver) -> str:
    """The path of the page, as the operator's own system is told of it."""
    while True:
        for event in receiver.taken:
            if event["type"] == "handoff.ringing":
                return re.sub(r"^https?://[^/]+", "", event["data"]["page"])
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("button", ["accept", "decline"])
async def test_the_buttons_do_what_the_keys_do(tmp_path: Path, http: aiohttp.ClientSession, button: str):
    story = load("attended")
    [manager] = story.people["+12025550155"]
    silent = replace(manager, digits="", after=0.8)
    busy = replace(manager, behaviour="busy", after=0.2)
    story = story.model_copy(update={"people": {"+12025550155": [silent], "+12025550156": [busy]}})
    async with receiving() as receiver, Stage() as stage:
        async with serving(stage, tmp_path, WEBHOOK_URL=receiver.url, WEBHOOK_SECRET=SECRET) as url:
            playing = asyncio.create_task(stage.play("attended", story))
            path = await link(receiver)
            async with http.get(url + path) as answer:
                page = await answer.text()
                assert answer.headers["Referrer-Policy"] == "no-referrer"
                assert "script" not in answer.headers["Content-Security-Policy"]
            assert "&lt;all&gt; &amp; sundry" in page
            assert "<all>" not in page
            async with http.post(f"{url}{path}/accept", allow_redirects=False) as answer:
                assert answer.status == 303
            assert "handoff.accepted" not in {event["type"] for event in receiver.taken}, "nobody has picked up yet"
            while "handoff.answered" not in {event["type"] for event in receiver.taken}:
                await asyncio.sleep(0.05)
            async with http.get(f"{url}{path}/live") as answer:
                assert "I need the manager at once!" in await answer.text()
            form = {"reason": "in a meeting"} if button == "decline" else {}
            async with http.post(f"{url}{path}/{button}", data=form, allow_redirects=False) as answer:
                assert answer.status == 303
            if button == "decline":
                call = stage.network.calls[0]
                while "handoff.declined" not in {event["type"] for event in receiver.taken}:
                    await asyncio.sleep(0.05)
                while any(leg.live for leg in call.called):
                    await asyncio.sleep(0.05)
                await call.hang_up()
            played: Played = await playing
            async with http.get(f"{url}/handoff/{SID}.1.99999999999.forged") as answer:
                assert answer.status == 404
    if button == "accept":
        assert problems(played, on_time=False) == []
    else:
        assert [attempt["outcome"] for attempt in played.record["attempts"]] == ["declined", "busy"]
        assert any("in a meeting" in session.text for session in played.sessions)


def test_of_several_who_are_asked_at_once_a_button_does_not_say_who_it_was():
    both = (Endpoint("+442079460103", 20), Endpoint("+442079460109", 20))
    billing = replace(POLICY.targets["billing"], endpoints=both, order=Order.ALL)
    for target, taken in ((POLICY.targets["billing"], True), (billing, False)):
        story = Story(replace(POLICY, targets={**POLICY.targets, "billing": target})).leaving("billing")
        story.happens(ev.GoodbyeHeard, handoff=1).happens(ev.RedirectAccepted)
        story.happens(ev.PersonAccepted, attempt=1, at_page=True)
        assert story.call.attempts[0].accepted_at is None, "nobody has picked up"
        story.happens(ev.PersonAnswered, attempt=1).happens(ev.PersonAccepted, attempt=1, at_page=True)
        assert (story.call.attempts[0].accepted_at is not None) is taken


SCREENED = """
title: Billing takes the call, or does not, by a button
script:
  - bot: Northwind Outfitters, hello!
  - caller: My invoice is wrong.
  - bot:
      - say: One moment please.
      - {call: hand_off, with: {target: billing, reason: an invoice, summary: "Too high by half."}}
people:
  "+12025550199": [{behaviour: answer, after: 0.5, digits: "", hangs_up_after: 1.0}]
then:
  end: put_through
  attempts: [{number: "+12025550199", outcome: answered}]
  redirects: 1
  bridged_to: "+12025550199"
"""


@pytest.mark.parametrize("button", ["accept", "decline"])
async def test_a_button_counts_for_somebody_who_hears_who_calls_and_presses_no_key(
    tmp_path: Path, http: aiohttp.ClientSession, button: str
):
    story = Scenario.model_validate(yaml.safe_load(SCREENED))
    async with receiving() as receiver, Stage() as stage:
        async with serving(stage, tmp_path, WEBHOOK_URL=receiver.url, WEBHOOK_SECRET=SECRET) as url:
            playing = asyncio.create_task(stage.play("screened", story))
            path = await link(receiver)
            while "handoff.answered" not in {event["type"] for event in receiver.taken}:
                await asyncio.sleep(0.05)
            async with http.get(url + path) as answer:
                assert "Take the call" in await answer.text()
            for _ in range(2):  # a second press changes nothing
                async with http.post(f"{url}{path}/{button}", data={}, allow_redirects=False) as answer:
                    assert answer.status == 303
            if button == "decline":
                call = stage.network.calls[0]
                while call.children[0].live:
                    await asyncio.sleep(0.05)
                await call.until("stream started", since=call.children[0].ended_at or 0.0)
                await call.hang_up()
            played: Played = await playing
    if button == "accept":
        assert problems(played, on_time=False) == []
    else:
        assert [attempt["outcome"] for attempt in played.record["attempts"]] == ["declined"]
        assert played.call.bridged_to is None
