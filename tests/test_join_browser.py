"""A real browser at the console, whose microphone takes the bot's place on a call."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from browser import CHROMIUM, browser
from playwright.async_api import Browser, Page, expect
from test_console_browser import CALLER, PASSWORD, accessible, at_console

from sandbox.caller import CallerLeg
from sandbox.process import server_process
from sandbox.stage import OUR_NUMBER, Stage
from sandbox.voice import speak

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium (Debian: apt-get install chromium)")


@pytest.fixture
async def opened() -> AsyncIterator[Browser]:
    async with browser() as started:
        yield started


async def hears_something(call: CallerLeg) -> None:
    """The caller hears what Chromium's microphone does: a beep every second."""
    async with asyncio.timeout(20):
        begun = len(call.heard)
        while np.abs(call.heard[begun:].astype(int)).max(initial=0) < 2000:
            await asyncio.sleep(0.1)


async def presses(page: Page, name: str) -> None:
    """With the keyboard."""
    await page.get_by_role("button", name=name, exact=True).focus()
    await page.keyboard.press("Enter")


async def test_a_supervisor_talks_with_the_caller_and_gives_them_back(tmp_path: Path, opened: Browser):
    async with Stage() as stage, server_process(stage, tmp_path, CONSOLE_PASSWORD=PASSWORD) as server:
        async with at_console(opened, server.url) as page:
            call = await stage.network.call(CALLER, OUR_NUMBER)
            await call.until("speech stopped", timeout=20)
            await page.goto(f"/console/calls/{call.sid}")
            await presses(page, "Listen in")
            await expect(page.locator("#listen-words")).to_contain_text("You hear")

            await presses(page, "Talk to the caller")
            await expect(page.locator("#phase")).to_have_text("with a supervisor")
            await expect(page.locator("#join-words")).to_contain_text("The caller hears you")
            await expect(page.locator("#listen-words")).to_contain_text("hear them there")
            await expect(page.locator("#acts")).to_contain_text("Anna talks with the caller")
            await expect(page.locator("#hint")).to_be_disabled()
            while await page.locator("#join-level").evaluate("meter => meter.value") < 0.01:
                await asyncio.sleep(0.05)
            await hears_something(call)
            await accessible(page)

            await presses(page, "Mute")
            await expect(page.locator("#mute-button")).to_have_attribute("aria-pressed", "true")
            await asyncio.sleep(4.0)  # longer than a browser may send nothing: silence is sent
            begun = len(call.heard)
            await call.say(speak("Hello, is somebody there?"))
            assert np.abs(call.heard[begun:].astype(int)).max(initial=0) < 500
            await expect(page.locator("#phase")).to_have_text("with a supervisor")

            await presses(page, "Give back to the bot")
            await expect(page.locator("#phase")).to_have_text("with the bot")
            await expect(page.get_by_role("button", name="Talk to the caller")).to_be_focused()
            await call.until("speech stopped", timeout=20)
            await expect(page.locator("#lanes")).to_contain_text("Anna")
            await call.hang_up()
            await expect(page.locator("#phase")).to_have_text("caller hung up", timeout=10_000)


async def test_a_page_that_is_closed_gives_the_caller_back(tmp_path: Path, opened: Browser):
    async with Stage() as stage, server_process(stage, tmp_path, CONSOLE_PASSWORD=PASSWORD) as server:
        async with at_console(opened, server.url) as page:
            call = await stage.network.call(CALLER, OUR_NUMBER)
            await call.until("speech stopped", timeout=20)
            await page.goto(f"/console/calls/{call.sid}")
            await presses(page, "Talk to the caller")
            await expect(page.locator("#join-words")).to_contain_text("The caller hears you")
            await page.goto("/console")
            await expect(page.locator(f"#call-{call.sid}")).to_contain_text("with the bot", timeout=10_000)
            await call.until("speech stopped", timeout=20)
            await call.hang_up()
            await call.ended()


async def test_without_a_microphone_the_bot_stays(tmp_path: Path, opened: Browser):
    async with Stage() as stage, server_process(stage, tmp_path, CONSOLE_PASSWORD=PASSWORD) as server:
        async with at_console(opened, server.url) as page:
            call = await stage.network.call(CALLER, OUR_NUMBER)
            await call.until("speech stopped", timeout=20)
            await page.add_init_script("navigator.mediaDevices.getUserMedia = async () => { throw Error('denied') }")
            await page.goto(f"/console/calls/{call.sid}")
            await presses(page, "Talk to the caller")
            await expect(page.locator("#join-words")).to_contain_text("the bot stays: denied")
            await expect(page.locator("#phase")).to_have_text("with the bot")
            await call.hang_up()
            await call.ended()
