"""The telephone in the browser: one person plays a whole hand-off, as the caller and as the people who are rung."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from browser import CHROMIUM, browser
from playwright.async_api import expect
from serving import serving
from test_console_browser import Watched, accessible

from sandbox.stage import Stage
from sandbox.telephone.server import telephone


@pytest.fixture
async def url(stage: Stage, tmp_path: Path) -> AsyncIterator[str]:
    async with serving(stage, tmp_path), telephone(stage) as address:
        yield address


@pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium (Debian: apt-get install chromium)")
async def test_one_person_plays_a_whole_hand_off_in_both_roles_with_the_keyboard(stage: Stage, url: str):
    async with browser() as opened:
        context = await opened.new_context()
        watched = Watched(await context.new_page(), url)
        page = watched.page
        await page.goto(url)
        await accessible(page)
        await page.get_by_role("button", name="Call", exact=True).focus()
        await page.keyboard.press("Enter")
        await expect(page.locator("#said")).to_contain_text("Northwind", timeout=20_000)
        await expect(page.get_by_label("Say")).to_be_focused()
        [call] = stage.network.calls
        await call.until("speech stopped", timeout=20)
        await page.keyboard.type("I want to talk to billing, please")
        await page.keyboard.press("Enter")

        billing = page.locator("#people .card", has_text="+12025550199")
        await expect(billing).to_contain_text("rings", timeout=30_000)
        await accessible(page)
        await billing.get_by_role("button", name="Busy").focus()
        await page.keyboard.press("Enter")
        await expect(billing).to_contain_text("over: busy")
        await expect(page.locator("#said")).to_contain_text("nobody could take the call", timeout=30_000)
        await page.get_by_label("Say").fill("Then billing once more: I want to talk to a person of billing")
        await page.keyboard.press("Enter")

        again = page.locator("#people .card", has=page.get_by_role("button", name="Answer: +12025550199"))
        await expect(again).to_be_visible(timeout=40_000)
        await again.get_by_role("button", name="Answer").focus()
        await page.keyboard.press("Enter")
        picked_up = page.locator("#people .card.answered")
        await expect(picked_up).to_be_visible(timeout=10_000)
        await picked_up.get_by_role("button", name="Press 1").click()
        await expect(page.locator("#people .card.talks")).to_be_visible(timeout=20_000)
        await expect(page.locator("#lanes .b-talk")).to_have_count(1)
        await expect(page.locator("#lanes .b-ring")).to_have_count(2)
        await accessible(page)
        await page.get_by_role("button", name="Hang up: +12025550199").click()
        await expect(page.locator("#state")).to_have_text("The call has ended", timeout=20_000)
        record = await stage.record(call.sid)
        assert record["end"] == "put_through"
        assert [attempt["outcome"] for attempt in record["attempts"]] == ["busy", "answered"]
        await expect(page.locator("#said")).to_contain_text("hand_off(target: billing, reason:")
        assert watched.wrong == []
        await context.close()


async def receive(socket: aiohttp.ClientWebSocketResponse, what: str) -> dict[str, object]:
    """The next state or note of this name."""
    while True:
        message = await socket.receive(timeout=30)
        assert message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY)
        if message.type is aiohttp.WSMsgType.TEXT:
            told = message.json()
            if what in (told.get("state"), told.get("note")):
                return told


async def test_the_caller_hears_the_bot_and_is_heard_through_the_microphone(stage: Stage, url: str):
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{url}/line") as socket:
        await socket.send_json({"do": "call"})
        await receive(socket, "calling")
        heard = b""
        while len(heard) < 8000:
            message = await socket.receive(timeout=30)
            if message.type is aiohttp.WSMsgType.BINARY:
                heard += message.data
        assert max(heard) > 0
        [call] = stage.network.calls
        await call.until("speech stopped", timeout=20)
        loud = b"\x00\x20\x00\xe0" * 250
        for _ in range(24):
            await socket.send_bytes(loud)
            await asyncio.sleep(0.0625)
        await call.until(lambda note: note.lane == "bot" and note.what == "speech started", since=call.journal.now())
        await socket.send_json({"do": "hang up"})
        await receive(socket, "ended")


async def test_a_page_that_is_closed_hangs_up(stage: Stage, url: str):
    async with aiohttp.ClientSession() as http:
        async with http.ws_connect(f"{url}/line") as socket:
            await socket.send_json({"do": "call"})
            await receive(socket, "speech started")
        [call] = stage.network.calls
        await call.ended()
    assert not call.live


@pytest.mark.parametrize(
    "order",
    [
        {"do": "say", "text": "hello"},
        {"do": "key", "digit": "1"},
        {"do": "person", "leg": "CA1", "act": "answer"},
        {"do": "hang up"},
        {"do": "rm -rf"},
        {"do": 7},
        [],
        None,
    ],
)
async def test_an_order_that_makes_no_sense_does_nothing(stage: Stage, url: str, order: object):
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{url}/line") as socket:
        await receive(socket, "idle")
        await socket.send_json(order)
        await socket.send_str("{not json")
        await socket.send_bytes(b"\x01")
        await socket.send_json({"do": "call"})
        await receive(socket, "calling")
    assert len(stage.network.calls) == 1


async def test_the_telephone_is_for_this_machine_s_own_page_alone(url: str):
    async with aiohttp.ClientSession() as http:
        for headers in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}):
            for path in ("/", "/line"):
                async with http.get(f"{url}{path}", headers=headers) as answer:
                    assert answer.status == 403
        async with http.get(url) as answer:
            policy = answer.headers["Content-Security-Policy"]
            page = await answer.text()
    assert "unsafe" not in policy
    assert not re.search(r"<script(?![^>]* src=)|<style| style=| on\w+=", page)


async def test_a_production_server_has_no_telephone(stage: Stage, tmp_path: Path):
    async with serving(stage, tmp_path) as server, aiohttp.ClientSession() as http:
        for path in ("/telephone", "/line", "/telephone.js", "/console/telephone"):
            async with http.get(f"{server}{path}") as answer:
                assert answer.status == 404
