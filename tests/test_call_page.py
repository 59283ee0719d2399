"""The page of one call: what the bot is saying is on it word by word, as the caller hears it, while somebody looks."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from calls import CALLER, POLICY, SID, US
from looking import Looker

from bot.archive import Archive
from bot.call import Call, Phase
from bot.feed import Feed
from bot.ledger import Ledger
from bot.loop_thread import LoopThread
from bot.news import Kind, News
from bot.reporter import LOOKING_SECONDS, Reporter
from web.console.access import Role
from web.console.live.call_page import CallPage
from web.console.render import Renderer

CALL = Call(SID, CALLER, US, 1_700_000_000.0, Phase.BOT)


class Clock:
    def __init__(self) -> None:
        self.now = CALL.started_at + 60

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def archive(tmp_path: Path) -> AsyncIterator[Archive]:
    ledger = await Ledger.open(f"sqlite+aiosqlite:///{tmp_path}/calls.db")
    made = Archive(ledger.url)
    yield made
    await made.close()
    await ledger.close()


class Looking:
    """A supervisor who looks at the call, and what reaches the page."""

    def __init__(self, archive: Archive) -> None:
        self.asked = 0
        render = Renderer(lambda called: POLICY).piece
        self.page = CallPage(SID, archive, render, known=lambda sid: CALL, look=self._look, clock=Clock())
        self.watcher = Looker(Role.SUPERVISOR)

    def _look(self) -> None:
        self.asked += 1

    def hears(self, kind: Kind, **data: str) -> None:
        self.page.heard(News(kind, SID, data))

    async def patch(self) -> dict[str, Any]:
        """What the browser is sent next that is not only the lanes, which grow."""
        while True:
            told = json.loads(await self.watcher.next())
            told.get("changed", {}).pop("lanes", None)
            if any(told.values()):
                return told


async def test_the_words_of_the_bot_are_shown_as_they_are_heard_until_they_are_a_line(archive: Archive):
    looking = Looking(archive)
    await looking.page.open(looking.watcher)
    assert looking.asked == 1, "whoever carries the call is told that somebody looks"
    await looking.patch()
    looking.hears("words", text="Call 020 7946 0123 ")
    [[parent, _, html]] = (await looking.patch())["added"]
    assert parent == "transcript"
    assert "Call 020 7946 0123…" in html
    looking.hears("words", text="<b>now</b>")
    assert "&lt;b&gt;now&lt;/b&gt;…" in (await looking.patch())["changed"]["being-said"]
    assert "7946" not in looking.page.pieces(Role.VIEWER)["being-said"].html
    looking.hears("said", role="caller")
    assert "being-said" in looking.page.pieces(Role.SUPERVISOR), "a line of the caller's does not end the bot's turn"
    looking.hears("said", role="bot")
    assert (await looking.patch())["removed"] == ["being-said"]
    looking.page.close(looking.watcher)


async def test_words_are_told_while_somebody_looks_at_the_call_and_no_longer(tmp_path: Path):
    aside, clock, told = LoopThread("aside"), Clock(), list[str]()
    feed = Feed(f"sqlite+aiosqlite:///{tmp_path}/calls.db", aside)
    reporter = Reporter(feed, clock)
    feed.subscribe(lambda news: told.append(f"{news.kind} {news.data.get('text', '')}".strip()))

    async def nothing() -> None:
        pass

    async def until(last: str) -> None:
        async with asyncio.timeout(5):
            while last not in told:
                await asyncio.sleep(0.005)

    reporter.words(CALL, "unheard")
    feed.publish(News("looks", SID))
    await until("looks")
    reporter.words(CALL, "heard")
    clock.now += LOOKING_SECONDS + 1
    reporter.words(CALL, "unheard again")
    feed.publish(News("missed"))
    await until("missed")
    await aside.close(1.0, last=nothing)
    assert told == ["looks", "words heard", "missed"]
