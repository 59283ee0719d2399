"""Recordings at the console: who hears them, how a browser jumps in them, and the cursor that moves along the lanes."""

import asyncio
import io
import re
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from aiohttp import web
from browser import CHROMIUM, browser
from playwright.async_api import Page, expect
from serving import serving
from test_console_browser import PASSWORD, accessible, at_console
from test_recording import policy, reached

from bot.recordings import Recordings
from sandbox.stage import Stage
from web.console.playing import PassedOn

VIEWERS = "battery staple"
SOUND = bytes(range(200))
ADDRESS = f"https://api.twilio.com/2010-04-01/Accounts/AC{'1a' * 16}/Recordings/RE{'2b' * 16}"


# --- passed on from Twilio -------------------------------------------------------------------------------------------


@asynccontextmanager
async def twilio(*, ranges: bool, asked: list[str]) -> AsyncIterator[str]:
    """A REST host that has one recording, and may know nothing of parts."""

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request.headers.get("Range", ""))
        if not request.path.endswith(f"RE{'2b' * 16}.wav"):
            return web.Response(status=404)
        if ranges and request.headers.get("Range"):
            part = request.http_range
            told = SOUND[part]
            begin = part.start if part.start >= 0 else len(SOUND) + part.start
            headers = {"Content-Range": f"bytes {begin}-{begin + len(told) - 1}/{len(SOUND)}"}
            return web.Response(status=206, body=told, headers=headers)
        return web.Response(body=SOUND)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def passed_on(url: str, byte_range: str, address: str = ADDRESS) -> httpx2.Response:
    """What a browser gets."""
    app = PassedOn(Recordings(url, "AC1", "secret"), address, byte_range)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://console") as client:
        return await client.get("/")


@pytest.mark.parametrize("ranges", [True, False], ids=["by Twilio", "by us"])
@pytest.mark.parametrize(
    ("byte_range", "told"),
    [
        ("bytes=0-", "bytes 0-199/200"),
        ("bytes=50-", "bytes 50-199/200"),
        ("bytes=50-59", "bytes 50-59/200"),
        ("bytes=-20", "bytes 180-199/200"),
    ],
)
async def test_a_browser_that_jumps_gets_the_part_that_it_asks_for(ranges: bool, byte_range: str, told: str):
    asked: list[str] = []
    async with twilio(ranges=ranges, asked=asked) as url:
        answer = await passed_on(url, byte_range)
    begin, end = (int(n) for n in told.split()[1].split("/")[0].split("-"))
    assert (answer.status_code, answer.headers["content-range"]) == (206, told)
    assert answer.content == SOUND[begin : end + 1]
    assert answer.headers["content-length"] == str(end - begin + 1)
    assert asked == [byte_range]


@pytest.mark.parametrize("byte_range", ["", "bytes=-", "items=0-1", "bytes=0-1,5-6"])
async def test_whoever_asks_for_no_part_gets_the_whole(byte_range: str):
    asked: list[str] = []
    async with twilio(ranges=True, asked=asked) as url:
        answer = await passed_on(url, byte_range)
    assert (answer.status_code, answer.content, asked) == (200, SOUND, [""])
    assert answer.headers["accept-ranges"] == "bytes"


async def test_a_part_behind_the_end_is_none():
    async with twilio(ranges=False, asked=[]) as url:
        assert (await passed_on(url, "bytes=200-")).status_code == 416


async def test_what_twilio_does_not_give_is_told_as_such():
    async with twilio(ranges=True, asked=[]) as url:
        assert (await passed_on(url, "", ADDRESS.replace("2b", "3c"))).status_code == 502
    assert (await passed_on("http://127.0.0.1:9", "")).status_code == 502


# --- at the console --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Console:
    url: str
    sid: str

    @property
    def page(self) -> str:
        return f"/console/calls/{self.sid}"


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[Console]:
    """A call with a recording of each part."""
    passwords = {"CONSOLE_PASSWORD": PASSWORD, "CONSOLE_VIEWER_PASSWORD": VIEWERS}
    async with Stage() as stage, serving(stage, tmp_path, HANDOFF_POLICY=policy(tmp_path, "both"), **passwords) as url:
        played = await stage.play("front_desk", reached("front_desk"))
        yield Console(url, played.call.sid)


async def test_a_supervisor_hears_both_parts_and_a_viewer_does_not_know_of_them(console: Console):
    async with httpx2.AsyncClient(base_url=console.url) as client:
        await client.post("/console/login", data={"name": "Anna", "password": PASSWORD})
        text = (await client.get(console.page)).text
        for n in (1, 2):
            assert f'src="{console.page}/recordings/{n}"' in text
            answer = await client.get(f"{console.page}/recordings/{n}")
            assert answer.headers["content-type"] == "audio/wav"
            with wave.open(io.BytesIO(answer.content)) as sound:
                assert sound.getnchannels() == 2
                assert sound.getnframes() / sound.getframerate() > 1
        assert (await client.get(f"{console.page}/recordings/3")).status_code == 404
        await client.post("/console/login", data={"name": "Ben", "password": VIEWERS})
        assert "/recordings/" not in (await client.get(console.page)).text
        assert (await client.get(f"{console.page}/recordings/1")).status_code == 403
        export = (await client.get(f"{console.page}/export.json")).text
        assert re.search(r"RE[0-9a-f]{32}", export) is None
    async with httpx2.AsyncClient(base_url=console.url) as stranger:
        assert (await stranger.get(f"{console.page}/recordings/1")).status_code == 303


async def until(page: Page, what: str) -> None:
    """Wait for something on the page. Playwright's own way of waiting would need a policy that lets it evaluate."""
    async with asyncio.timeout(20):
        while not await page.evaluate(what):
            await asyncio.sleep(0.05)


async def cursor(page: Page) -> float:
    return float(await page.locator("#lanes .cursor").get_attribute("x1") or "nan")


@pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium (Debian: apt-get install chromium)")
async def test_the_cursor_moves_along_the_lanes_while_a_recording_is_heard(console: Console):
    async with browser() as opened, at_console(opened, console.url) as page:
        await page.goto(console.page)
        await expect(page.locator("#recordings audio")).to_have_count(2)
        await expect(page.get_by_label("Recording 1: with the bot")).to_have_count(1)
        await accessible(page)
        assert await cursor(page) < 0

        await page.locator("#audio-1").focus()
        await page.keyboard.press("Space")
        await until(page, "document.querySelector('#audio-1').currentTime > 0.4")
        first = await cursor(page)
        await until(page, "document.querySelector('#audio-1').currentTime > 0.9")
        assert 0 <= first < await cursor(page)
        await page.evaluate("(window.heard = document.querySelector('#audio-1'), rest(), link('down', ''), follow())")
        await expect(page.locator("#link-words")).to_have_text("live")
        assert await page.evaluate("heard === document.querySelector('#audio-1') && !heard.paused"), "it was sent again"
        await page.keyboard.press("Space")
        await until(page, "document.querySelector('#audio-1').paused")
        stands = await page.evaluate(
            """() => {
                const sound = document.querySelector('#audio-1'), svg = document.querySelector('#lanes svg');
                const at = Number(sound.dataset.began) + sound.currentTime - Number(svg.dataset.began);
                return at * Number(svg.dataset.scale);
            }"""
        )
        async with asyncio.timeout(20):  # the browser tells of a pause later than it pauses
            while abs(await cursor(page) - stands) >= 1:
                await asyncio.sleep(0.05)
        await page.evaluate(
            "document.querySelector('#lanes').replaceWith(document.querySelector('#lanes').cloneNode(true))"
        )
        await page.evaluate("document.querySelector('#lanes .cursor').setAttribute('x1', -9)")
        await page.evaluate(
            "document.querySelector('#lanes').replaceWith(document.querySelector('#lanes').cloneNode(true))"
        )
        assert abs(await cursor(page) - stands) < 1  # also when the lanes are drawn anew

        # A moment of the person's part, on the lanes: the other player goes there, and begins when it is told to.
        talk = page.locator("#lanes .l-person .talk rect").first
        box = await talk.bounding_box()
        assert box is not None
        await page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        await page.locator("#audio-2").focus()
        await page.keyboard.press("Space")
        await until(page, "!document.querySelector('#audio-2').paused")
        middle = await page.evaluate("document.querySelector('#audio-2').currentTime")
        assert middle > 0.5
        assert await cursor(page) > first
        assert await page.evaluate("document.querySelector('#audio-1').paused")
