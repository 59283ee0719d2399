"""A real browser at the console: what a supervisor sees, and does with the keyboard alone, while a call goes on."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from browser import CHROMIUM, browser
from playwright.async_api import Browser, Page, expect
from serving import serving

from sandbox.people import Person
from sandbox.process import server_process
from sandbox.stage import OUR_NUMBER, Stage
from sandbox.voice import speak

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium (Debian: apt-get install chromium)")

CALLER = "+442079460123"
FRONT_DESK = "+12025550143"
SUPERVISOR = "+12025550188"
PASSWORD = "correct horse"
SOON_MS = 1000
"""Within so long the board shows what has happened."""

PEOPLE = {FRONT_DESK: Person(after=0.4, hangs_up_after=1.0)}


class Watched:
    """A page, and everything that it must not have done."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.wrong: list[str] = []
        page.on("console", lambda message: self._said(message.type, message.text))
        page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        page.on("request", lambda request: self._asked(request.url))

    def _said(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.wrong.append(f"{kind}: {text}")

    def _asked(self, address: str) -> None:
        if not address.startswith((self.url, "data:", "blob:")):
            self.wrong.append(f"asked {address}")


async def accessible(page: Page) -> None:
    """axe-core finds nothing."""
    found = await Axe().run(page)
    told = [f"{v['id']}: {[n['target'] for n in v['nodes']]}" for v in found.response["violations"]]
    assert told == []


@asynccontextmanager
async def at_console(opened: Browser, url: str, **look: Any) -> AsyncIterator[Page]:
    """Somebody who has logged in, in a browser of their own."""
    context = await opened.new_context(base_url=url, **look)
    watched = Watched(await context.new_page(), url)
    await watched.page.goto("/console")
    await watched.page.get_by_label("Your name").fill("Anna")
    await watched.page.get_by_label("Password").fill(PASSWORD)
    await watched.page.keyboard.press("Enter")
    await expect(watched.page.locator("#link")).to_have_text(re.compile("live"))
    yield watched.page
    assert watched.wrong == []
    await context.close()


@pytest.fixture
async def url(stage: Stage, tmp_path: Path) -> AsyncIterator[str]:
    async with serving(stage, tmp_path, CONSOLE_PASSWORD=PASSWORD) as address:
        yield address


@pytest.fixture
async def opened() -> AsyncIterator[Browser]:
    async with browser() as started:
        yield started


async def test_a_call_is_followed_and_put_through_with_the_keyboard_alone(stage: Stage, url: str, opened: Browser):
    async with at_console(opened, url) as page:
        await expect(page.get_by_text("No call is going on.")).to_be_visible()
        call = await stage.network.call(CALLER, OUR_NUMBER, people=PEOPLE)
        row = page.locator(f"#call-{call.sid}")
        await expect(row).to_be_visible(timeout=SOON_MS)
        await expect(row.locator(".badge")).to_have_text("with the bot")
        await expect(row.locator(".speaks")).to_have_text("bot")
        await expect(row).not_to_contain_text(CALLER)  # whoever walks past need not read it
        await accessible(page)

        await row.get_by_role("link").focus()
        await page.keyboard.press("Enter")
        await expect(page.locator("#phase")).to_have_text("with the bot")
        await expect(page.get_by_role("heading", level=1)).to_have_text(CALLER)
        await expect(page.locator("#transcript li.r-bot").first).to_contain_text("Northwind", timeout=10_000)
        await accessible(page)

        await page.get_by_label("Hint to the bot").focus()
        await page.keyboard.type("offer the refund")
        await page.keyboard.press("Enter")
        await expect(page.locator("#told")).to_have_text("The bot has been told.")
        await expect(page.locator("#transcript")).to_contain_text("offer the refund", timeout=10_000)

        await page.get_by_label("Put through to").focus()
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("button", name="Put through now")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.locator("#told")).to_contain_text("puts the caller through")
        await expect(page.locator("#phase")).to_have_text("put through", timeout=20_000)
        await expect(page.locator("#attempts .attempt .badge")).to_have_text("answered")
        await expect(page.locator("#lanes .l-person .talk")).to_have_count(1)
        await expect(page.locator("#acts")).to_be_hidden()
        await page.get_by_text("Every fact and order").click()
        await expect(page.locator("#journal")).to_contain_text("who: Anna")
        await accessible(page)
        assert call.bridged_to == FRONT_DESK


async def test_a_supervisor_hears_the_call_in_the_browser_and_takes_it_over(
    stage: Stage, tmp_path: Path, opened: Browser
):
    people = {SUPERVISOR: Person(after=0.4, hangs_up_after=1.0)}
    async with server_process(stage, tmp_path, CONSOLE_PASSWORD=PASSWORD) as server:
        async with at_console(opened, server.url) as page:
            call = await stage.network.call(CALLER, OUR_NUMBER, people=people)
            await call.until("speech stopped", timeout=20)
            await page.goto(f"/console/calls/{call.sid}")
            button = page.get_by_role("button", name="Listen in")
            await button.focus()
            await page.keyboard.press("Enter")
            await expect(page.get_by_role("button", name="Stop listening")).to_be_focused()
            await expect(page.locator("#listen-words")).to_contain_text("You hear")
            await page.get_by_text("Every fact and order").click()
            await expect(page.locator("#journal")).to_contain_text("listening began")
            await call.say(speak("Where is my order?"))
            await page.wait_for_selector("#being-said", timeout=15_000)  # before the turn is over
            await page.wait_for_function("document.querySelector('#listen-level').value > 0.05")
            await accessible(page)

            await page.get_by_role("button", name="Take over").click()
            await expect(page.locator("#told")).to_contain_text("Your phone is rung")
            await expect(page.locator("#phase")).to_have_text("put through", timeout=20_000)
            await expect(page.locator("#journal")).to_contain_text("listening ended")
            await expect(page.locator("#attempts")).to_contain_text("a supervisor, to take over")
            assert call.bridged_to == SUPERVISOR


async def test_hanging_up_with_a_goodbye_ends_the_call(stage: Stage, url: str, opened: Browser):
    async with at_console(opened, url) as page:
        call = await stage.network.call(CALLER, OUR_NUMBER)
        await call.until("speech stopped", timeout=20)
        await page.goto(f"/console/calls/{call.sid}")
        await page.get_by_text("Hang up with a goodbye").click()
        await page.get_by_role("button", name="Hang up").click()
        await expect(page.locator("#phase")).to_have_text("bot hung up", timeout=20_000)
        await expect(page.locator("#transcript")).to_contain_text("Goodbye")


async def test_the_console_fits_a_phone_and_the_dark_and_old_calls_are_found(stage: Stage, url: str, opened: Browser):
    call = await stage.network.call(CALLER, OUR_NUMBER)
    await call.until("speech stopped", timeout=20)
    narrow: dict[str, Any] = {"viewport": {"width": 360, "height": 700}, "color_scheme": "dark"}
    async with at_console(opened, url, **narrow) as page:
        for path in ("/console", f"/console/calls/{call.sid}", "/console/calls", "/console/calls?digits=0123"):
            await page.goto(path)
            await expect(page.locator("main")).to_be_visible()
            wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wide <= 0, f"{path} is {wide} pixels too wide"
            await accessible(page)
        await expect(page.locator(".found tbody tr")).to_have_count(1)
        await page.goto("/console/calls?digits=999")
        await expect(page.get_by_text("No call fits")).to_be_visible()
        await page.get_by_label("Number ends with").fill("123")
        await page.keyboard.press("Enter")
        await page.locator(".found tbody a").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text(CALLER)
    await call.hang_up()
    await call.ended()


async def test_what_a_caller_says_is_text_in_the_browser_too(stage: Stage, url: str, opened: Browser):
    hostile = '<img src=x onerror="alert(1)"><script>alert(2)</script> 🙂 \u202emirror مرحبا ' + "y" * 100_000
    async with at_console(opened, url) as page:
        page.on("dialog", lambda dialog: pytest.fail(f"a script has run: {dialog.message}"))
        call = await stage.network.call(CALLER, OUR_NUMBER)
        await call.until("speech stopped", timeout=20)
        await page.goto(f"/console/calls/{call.sid}")
        await expect(page.locator("#link")).to_have_text(re.compile("live"))
        form = await page.evaluate("document.querySelector('meta[name=form-token]').content")
        short = {"form": form, "text": hostile[:480]}
        answer = await page.request.post(f"/console/calls/{call.sid}/hint", form=short, headers={"Origin": url})
        assert answer.ok
        await page.get_by_text("Every fact and order").click()
        await expect(page.locator("#journal")).to_contain_text("<script>alert(2)</script>", timeout=5000)
        assert await page.locator("#journal img, #journal script, #transcript img, #transcript script").count() == 0
        await call.hang_up()
        await call.ended()


async def test_a_page_whose_server_is_gone_says_so(stage: Stage, tmp_path: Path, opened: Browser):
    context = await opened.new_context()
    page = await context.new_page()
    async with serving(stage, tmp_path) as url:
        await page.goto(f"{url}/console")
        await expect(page.locator("#link")).to_have_text(re.compile("live"))
    await expect(page.locator("#link")).to_have_text(re.compile("reconnecting"))
    await asyncio.sleep(0)
    await context.close()


async def test_whoever_logs_out_is_out_in_every_tab(url: str, opened: Browser):
    async with at_console(opened, url) as page:
        board, calls = await page.context.new_page(), await page.context.new_page()
        await board.goto("/console")
        await calls.goto("/console/calls")
        await page.get_by_role("button", name="Log out").click()
        for each in (page, board, calls):
            await expect(each.get_by_label("Password")).to_be_visible(timeout=10_000)
        await board.goto("/console")
        await board.get_by_label("Password").fill(PASSWORD)
        await board.keyboard.press("Enter")
        await expect(board.locator("#link")).to_have_text(re.compile("live"))


async def test_a_page_whose_session_has_ended_elsewhere_leads_to_the_login_and_back(url: str, opened: Browser):
    context = await opened.new_context(base_url=url)
    page = await context.new_page()
    await page.goto("/console/login")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page.locator("#link")).to_have_text(re.compile("live"))
    answer = await page.request.post("/console/logout", headers={"Origin": url}, max_redirects=0)
    assert answer.status == 303
    await expect(page.get_by_label("Password")).to_be_visible(timeout=20_000)
    await context.close()


async def test_a_page_that_comes_back_shows_nothing_that_has_gone_meanwhile(stage: Stage, url: str, opened: Browser):
    async with at_console(opened, url) as page:
        call = await stage.network.call(CALLER, OUR_NUMBER)
        await expect(page.locator(f"#call-{call.sid}")).to_be_visible()
        await page.evaluate("rest()")  # as a tab that nobody sees does, after a while
        await call.hang_up()
        await call.ended()
        await asyncio.sleep(0.5)
        await expect(page.locator(f"#call-{call.sid}")).to_be_visible()
        await page.evaluate("seen()")
        await expect(page.locator(f"#call-{call.sid}")).to_have_count(0)
        await expect(page.get_by_text("No call is going on.")).to_be_visible()
