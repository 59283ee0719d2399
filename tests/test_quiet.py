"""What runs beside the calls stays out of their way: no garbage to be collected, no page that comes with all others."""

import asyncio
import gc
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from looking import Looker

from bot.ledger import Entry, Ledger
from web.console.access import Role
from web.console.follower import APART_SECONDS, LATE_SECONDS, Follower, Followers
from web.console.live.page import Page, Piece, Pieces

SID = "CA" + "a1" * 16
BROWSERS = 10


async def test_what_is_written_at_every_turn_leaves_nothing_for_the_collector_of_garbage(tmp_path: Path):
    ledger = await Ledger.open(f"sqlite+aiosqlite:///{tmp_path}/calls.db")

    async def turn() -> None:
        await ledger.add_line(SID, 1, "caller", "Where is my order?", 1.0)
        await ledger.note(SID, Entry(2.0, "Responded", {"response_ms": 300}, "bot", False))
        await ledger.keep_conversation(SID, [{"role": "user", "content": "Where is my order?"}])

    try:
        await turn()  # what is made once is made now
        gc.collect()
        gc.disable()
        for _ in range(30):
            await turn()
        assert gc.collect() < 30
    finally:
        gc.enable()
        await ledger.close()


class Count(Page):
    """A page that shows a number."""

    lists = ()
    number = 0

    def pieces(self, role: Role) -> Pieces:
        return {"number": Piece(str(self.number))}


async def test_what_changes_in_the_meantime_is_sent_as_well():
    page, browsers = Count(), [Looker(Role.VIEWER) for _ in range(BROWSERS)]
    for browser in browsers:
        await page.open(browser)
    for _ in range(30):
        page.number += 1
        page.changed()
        await asyncio.sleep(0.02)
    for browser in browsers:
        numbers = [-1]
        while numbers[-1] != 30:
            numbers.append(int(json.loads(await browser.next())["changed"]["number"]))
        assert numbers == sorted(numbers)


async def test_browsers_are_sent_a_patch_one_after_the_other_and_each_gets_all_in_order():
    followers, browsers = Followers(), [Follower() for _ in range(BROWSERS)]
    began_at, came_at = time.monotonic(), dict[Follower, float]()

    async def follow(browser: Follower) -> list[bytes | None]:
        patches = [await browser.next()]
        came_at[browser] = time.monotonic()
        return [*patches, await browser.next(), await browser.next()]

    following = [asyncio.create_task(follow(browser)) for browser in browsers]
    await asyncio.to_thread(followers.send, browsers, b"one")
    await asyncio.to_thread(followers.send, browsers[::-1], b"two")
    await asyncio.sleep(0.5)
    followers.send(browsers, b"three")
    assert await asyncio.gather(*following) == [[b"one", b"two", b"three"]] * BROWSERS
    moments = [came_at[browser] - began_at for browser in browsers]
    assert moments == sorted(moments)
    assert moments[-1] >= APART_SECONDS * (BROWSERS - 2)


async def test_the_last_of_very_many_browsers_is_not_sent_its_patch_much_later(monkeypatch: pytest.MonkeyPatch):
    class Pauses:
        """A loop on which no time passes."""

        def __init__(self) -> None:
            self.taken = 0.0

        def call_soon_threadsafe(self, callback: Callable[..., None], *args: object) -> None:
            callback(*args)

        def call_later(self, seconds: float, callback: Callable[[], None]) -> None:
            self.taken += seconds
            callback()

    followers, browsers, pauses = Followers(), [Follower() for _ in range(100 * BROWSERS)], Pauses()
    monkeypatch.setattr(followers, "_loop", pauses)
    followers.send(browsers, b"one")
    assert [await browser.next() for browser in browsers] == [b"one"] * len(browsers)
    assert 0 < pauses.taken <= LATE_SECONDS, "one by one it would be 5 s"
