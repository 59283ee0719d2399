"""What runs beside the calls stays out of their way: no garbage to be collected, no page that comes with all others."""

import asyncio
import gc
import itertools
import json
from pathlib import Path

from bot.ledger import Entry, Ledger
from web.console.access import Role
from web.console.live.page import APART_SECONDS, Page, Piece, Pieces, Watcher

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
    """A page that shows a number, and when each browser was sent it."""

    lists = ()
    number = 0

    def pieces(self, role: Role) -> Pieces:
        return {"number": Piece(str(self.number))}


class Browser(Watcher):
    def __init__(self) -> None:
        super().__init__(Role.VIEWER, self._take)
        self.sent: list[tuple[float, str]] = []

    def _take(self, text: str) -> None:
        self.sent.append((asyncio.get_running_loop().time(), json.loads(text)["changed"]["number"]))


async def test_browsers_are_sent_a_patch_one_after_the_other_and_each_gets_all_in_order():
    page, browsers = Count(), [Browser() for _ in range(BROWSERS)]
    for browser in browsers:
        await page.open(browser)
    for _ in range(30):
        page.number += 1
        page.changed()
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.6)
    for browser in browsers:
        numbers = [int(number) for _, number in browser.sent]
        assert numbers == sorted(numbers)
        assert numbers[-1] == 30, "what changes while others are sent what was before is sent as well"
    moments = sorted(browser.sent[-1][0] for browser in browsers)
    assert moments[-1] - moments[0] >= APART_SECONDS * (BROWSERS - 2)
    assert all(later > earlier for earlier, later in itertools.pairwise(moments))
