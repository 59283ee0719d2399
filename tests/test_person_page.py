"""The page of a person who is rung: who may open it, what it says, and that its buttons do what the keys do."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from calls import SID
from hypothesis import given, strategies as st
from serving import serving
from test_outbox import SECRET, Receiver, receiving

from bot.tokens import PAGE_SECONDS, PersonPages
from sandbox.check import Played, problems
from sandbox.stage import Stage
from sandbox.story import load

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
