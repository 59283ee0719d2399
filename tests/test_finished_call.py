"""The page of a call that is over: what comes in late appears on it, and what is deleted vanishes, while it is open."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
from browser import CHROMIUM, browser
from playwright.async_api import expect
from serving import serving
from test_console_browser import PASSWORD, accessible, at_console
from test_console_replicas import SOON, Follower, following
from test_recording import policy, reached
from test_transcripts import SAID, Understands, rules
from twilio.request_validator import RequestValidator

from bot import retention
from sandbox.caller import CallerLeg
from sandbox.stage import AUTH_TOKEN, PUBLIC_URL, Stage
from sandbox.story import load


class Late:
    """Twilio tells of recordings when the test says so."""

    def __init__(self, stage: Stage) -> None:
        self._held: list[tuple[str, dict[str, str]]] = []
        stage.network.lost_webhooks.append("/twilio/recording")
        stage.journal.subscribe(
            lambda note: self._held.append((note.data["url"], note.data["form"])) if note.what == "is lost" else None
        )

    async def tell(self, server: str) -> None:
        """Twilio tells this server of all that are ready."""
        async with aiohttp.ClientSession() as http:
            for url, form in self._held:
                headers = {"X-Twilio-Signature": RequestValidator(AUTH_TOKEN).compute_signature(url, form)}
                async with http.post(url.replace(PUBLIC_URL, server), data=form, headers=headers) as answer:
                    assert answer.status == 204


@pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium (Debian: apt-get install chromium)")
async def test_a_recording_that_becomes_ready_appears_and_everything_that_is_deleted_vanishes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(retention, "DAY", 1.0)
    monkeypatch.setattr(retention, "LOOK_SECONDS", 0.5)
    settings = {"HANDOFF_POLICY": policy(tmp_path, "both"), "RETENTION_DAYS": "15", "CONSOLE_PASSWORD": PASSWORD}
    async with Stage() as stage, serving(stage, tmp_path, **settings) as url, browser() as opened:
        twilio = Late(stage)
        played = await stage.play("front_desk", reached("front_desk"))
        async with at_console(opened, url) as page:
            await page.goto(f"/console/calls/{played.call.sid}")
            await expect(page.locator("#phase")).to_have_text("put through")
            await expect(page.locator("#link")).to_contain_text("live")
            await expect(page.locator("#transcript li")).not_to_have_count(0)
            await expect(page.locator("#recordings audio")).to_have_count(0)
            await twilio.tell(url)
            await expect(page.locator("#recordings audio")).to_have_count(2, timeout=1000)
            await accessible(page)
            await expect(page.locator("#recordings audio")).to_have_count(0, timeout=20_000)
            await expect(page.locator("#transcript li")).to_have_count(0)
            await expect(page.get_by_text("Nothing was said, or it is deleted.")).to_be_visible()
            await expect(page.locator("#journal")).not_to_contain_text("Right away")
            await accessible(page)
    assert stage.network.recordings == {}


@pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium (Debian: apt-get install chromium)")
async def test_a_message_appears_when_it_is_left_and_what_it_says_when_that_is_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("bot.transcripts.LOOK_SECONDS", 0.1)
    monkeypatch.setattr("bot.transcripts.RETRY_SECONDS", 1.0)
    settings = {"HANDOFF_POLICY": str(rules(tmp_path)), "CONSOLE_PASSWORD": PASSWORD}
    async with Stage(brain=Understands()) as stage, serving(stage, tmp_path, **settings) as url, browser() as opened:
        stage.openai.refuse["transcriptions"] = 503
        calls = asyncio.Queue[CallerLeg]()
        playing = asyncio.create_task(stage.play("message", load("message"), begun=calls.put_nowait))
        call = await calls.get()
        async with at_console(opened, url) as page:
            await page.goto(f"/console/calls/{call.sid}")
            await expect(page.locator("#transcript li")).not_to_have_count(0)
            await expect(page.locator("#message")).to_have_count(0)
            await playing
            await expect(page.locator("#phase")).to_have_text("message left")
            await expect(page.get_by_label("The caller's message")).to_have_count(1)
            await expect(page.locator("#message-text")).to_be_hidden()
            del stage.openai.refuse["transcriptions"]
            await expect(page.locator("#message-text")).to_have_text(SAID, timeout=20_000)
            await accessible(page)


async def test_a_page_of_one_server_shows_what_another_is_told_of_a_finished_call(tmp_path: Path, postgresql: str):
    async with AsyncExitStack() as stack:
        stage = await stack.enter_async_context(Stage())
        rules, urls = policy(tmp_path, "both"), []
        for name in ("a", "b"):
            settings = {"DATABASE_URL": postgresql, "SPOOL": str(tmp_path / name), "HANDOFF_POLICY": rules}
            urls.append(await stack.enter_async_context(serving(stage, tmp_path, **settings)))
        twilio = Late(stage)
        played = await stage.play("front_desk", reached("front_desk"))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        page: Follower = await stack.enter_async_context(
            following(http, f"{urls[0]}/console/calls/{played.call.sid}/live")
        )
        assert "recording-1" not in page.pieces
        await twilio.tell(urls[1])
        await page.until(lambda pieces: {"recording-1", "recording-2"} <= pieces.keys(), SOON)
