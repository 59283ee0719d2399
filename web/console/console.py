"""The console as the server's loop sees it: ask for a page, follow one. All work is done on the console's thread."""

import time
from collections.abc import AsyncIterator
from typing import Any

from bot.archive import Archive, Found, Search
from bot.call import Call
from bot.feed import Feed, News
from bot.line import Line
from bot.loop_thread import LoopThread
from bot.record import Record
from web.console.access import Visitor
from web.console.board import Board
from web.console.call_page import CallPage
from web.console.pages import Page, Pieces, Watcher, ends_for
from web.console.render import Renderer
from web.console.speakers import Speakers

FORGET_PAGES = 200
"""Pages of calls that nobody looks at are forgotten beyond this number."""


class Console:
    """Pages, and the news that keeps them up to date. Made on the server's loop."""

    def __init__(self, line: Line) -> None:
        """Args: line: whose calls are shown."""
        self._line = line
        self._archive: Archive = line.archive
        self._aside: LoopThread = line.aside
        self._feed: Feed = line.feed
        self._speakers = Speakers()
        receptions = line.receptions
        self._renderer = Renderer(lambda called: receptions.of(called).policy, line.prices)
        self._known: dict[str, Call] = {}
        self._board = Board(
            self._archive,
            receptions.targets,
            self._renderer.piece,
            failsafe=receptions.default.policy.failsafe,
            known=self._known_calls,
            speakers=self._speakers,
        )
        self._calls: dict[str, CallPage] = {}
        self._closed = False
        self._end = self._feed.subscribe(self._heard)

    def close(self) -> None:
        """Send everybody away: the process ends."""
        self._closed = True
        self._end()
        self._aside.call_soon(self._board.end)
        for page in list(self._calls.values()):
            self._aside.call_soon(page.end)

    # --- pages ---------------------------------------------------------------------------------------

    async def page(self, template: str, **what: Any) -> str:
        """A page that does not change."""

        async def make() -> str:
            return self._renderer.page(template, **what)

        return await self._aside.run(make())

    async def board_page(self, visitor: Visitor, **what: Any) -> str:
        """The live board."""
        return await self._page(self._board, "board", visitor, live="/console/live", here="live", **what)

    async def call_page(self, sid: str, visitor: Visitor, **what: Any) -> str | None:
        """One call's page; None for a call that nobody knows."""
        page = self._call(sid)
        pieces = await self._snapshot(page, visitor)
        if (call := page.call) is None:
            return None
        live = f"/console/calls/{call.sid}/live"  # recordings become ready, and are deleted, when it is over
        what |= {"pieces": pieces, "inside": ends_for(pieces)}
        return await self.page("call", visitor=visitor, call=call, live=live, **what)

    async def follow_board(self, visitor: Visitor) -> AsyncIterator[str]:
        """What changes on the live board."""
        async for text in self._follow(self._board, visitor):
            yield text

    async def follow_call(self, sid: str, visitor: Visitor) -> AsyncIterator[str]:
        """What changes on one call's page."""
        async for text in self._follow(self._call(sid), visitor):
            yield text

    # --- the record ----------------------------------------------------------------------------------

    async def search(self, search: Search, *, limit: int, before: float | None) -> Found:
        """See `Archive.search`."""
        return await self._aside.run(self._archive.search(search, limit=limit, before=before))

    async def knows(self, sid: str) -> bool:
        """Whether there is such a call. Raises `LedgerError`."""
        here = any(call.sid == sid for call in self._line.switchboard.calls())
        return here or bool(await self._aside.run(self._archive.some([sid])))

    async def record(self, sid: str) -> Record | None:
        """See `Archive.record`."""
        return await self._aside.run(self._archive.record(sid))

    # --- inside --------------------------------------------------------------------------------------

    async def _page(self, page: Page, name: str, visitor: Visitor, **what: Any) -> str:
        pieces = await self._snapshot(page, visitor)
        return await self.page(name, pieces=pieces, inside=ends_for(pieces), visitor=visitor, **what)

    async def _snapshot(self, page: Page, visitor: Visitor) -> Pieces:
        self._note_what_is_known()

        async def look() -> Pieces:
            return await page.look(visitor.role)

        return await self._aside.run(look())

    async def _follow(self, page: Page, visitor: Visitor) -> AsyncIterator[str]:
        watcher = Watcher(visitor.role, visitor.nonce)
        self._note_what_is_known()
        await self._aside.run(page.open(watcher))
        try:
            while not self._closed and (text := await watcher.next()) is not None and time.time() < visitor.until:
                yield text
        finally:
            self._aside.call_soon(page.close, watcher)

    def _call(self, sid: str) -> CallPage:
        page = self._calls.get(sid)
        if page is None:
            if len(self._calls) >= FORGET_PAGES:
                self._calls = {known: each for known, each in self._calls.items() if each.watched}
            page = CallPage(
                sid,
                self._archive,
                self._renderer.piece,
                known=lambda sid: self._known.get(sid),
                look=lambda: self._feed.publish(News("looks", sid)),
                speakers=self._speakers,
            )
            self._calls = {**self._calls, sid: page}
        return page

    def _note_what_is_known(self) -> None:
        """Hand this process's calls to the other thread, whole: it must not look into the sessions itself."""
        self._known = {call.sid: call for call in self._line.switchboard.calls()}

    def _known_calls(self) -> list[Call]:
        return [*self._known.values()]

    def _heard(self, news: News) -> None:
        """A piece of news, on the console's thread."""
        if news.kind == "logged_out":
            for each in (self._board, *self._calls.values()):
                each.end(news.data["nonce"])
            return
        self._speakers.heard(news)
        self._board.heard(news)
        for sid in self._calls if news.kind == "missed" else (news.sid,):
            if (page := self._calls.get(sid)) is not None:
                page.heard(news)
