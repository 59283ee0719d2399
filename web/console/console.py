"""The console as the server's loop sees it: ask for a page, follow one, look into the record.

Live pages are made in a process of their own (`web.console.live`), all others on the thread beside the calls. While
calls are few, a live page for one look is made there, too.
"""

import time
from collections.abc import AsyncIterator
from typing import Any

from bot.archive import Archive, Found, Search
from bot.call import Call
from bot.feed import Feed
from bot.line import Line
from bot.loop_thread import LoopThread
from bot.news import News
from bot.record import Record
from web.console.access import Visitor
from web.console.follower import Follower, Followers
from web.console.gate import Refused
from web.console.live.messages import BOARD, Begin
from web.console.live.processes import Processes
from web.console.live.speakers import Speakers
from web.console.live_pages import LivePages, PagesGone
from web.console.render import Renderer

TRIES = 2
"""So often a page is asked for whose process has just ended."""


class Console:
    """Pages, and the news that keeps them up to date. Made on the server's loop."""

    def __init__(self, line: Line) -> None:
        """Args: line: whose calls are shown."""
        self._line = line
        self._archive: Archive = line.archive
        self._aside: LoopThread = line.aside
        self._feed: Feed = line.feed
        receptions = line.receptions
        self._renderer = Renderer(lambda called: receptions.of(called).policy, line.prices)
        self._live = LivePages(
            line.aside,
            Followers(),
            line.archive,
            self._renderer,
            self._begin,
            looks=lambda sid: self._feed.publish(News("looks", sid)),
        )
        self._closed = False
        self._end = self._feed.subscribe(self._heard)

    def close(self) -> None:
        """Send everybody away: the process ends."""
        self._closed = True
        self._end()
        self._aside.call_soon(self._live.close)

    # --- pages ---------------------------------------------------------------------------------------

    async def page(self, template: str, **what: Any) -> str:
        """A page that does not change."""

        async def make() -> str:
            return self._renderer.page(template, **what)

        return await self._aside.run(make())

    async def board_page(self, visitor: Visitor, **what: Any) -> str:
        """The live board. Raises `Refused`."""
        page = await self._look(BOARD, visitor, live="/console/live", here="live", **what)
        return page or ""

    async def call_page(self, sid: str, visitor: Visitor, **what: Any) -> str | None:
        """One call's page; None for a call that nobody knows. Raises `Refused`."""
        live = f"/console/calls/{sid}/live"  # recordings become ready, and are deleted, when it is over
        return await self._look(sid, visitor, live=live, **what)

    def follow_board(self, visitor: Visitor) -> AsyncIterator[bytes]:
        """What changes on the live board, as server-sent events."""
        return self._follow(BOARD, visitor)

    def follow_call(self, sid: str, visitor: Visitor) -> AsyncIterator[bytes]:
        """What changes on one call's page; the same."""
        return self._follow(sid, visitor)

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

    async def _look(self, sid: str, visitor: Visitor, **what: Any) -> str | None:
        for _ in range(TRIES):
            looking = self._live.look(sid, visitor.role, {"visitor": visitor, **what}, self._known())
            try:
                return await self._aside.run(looking)
            except PagesGone:
                continue  # the next one finds another process
        raise Refused(503, "Not now", "The page cannot be made now. Calls go on.")

    async def _follow(self, sid: str, visitor: Visitor) -> AsyncIterator[bytes]:
        follower = Follower(visitor.nonce)
        self._aside.call_soon(self._live.open, follower, sid, visitor.role, self._known())
        try:
            while not self._closed and (patch := await follower.next()) is not None and time.time() < visitor.until:
                yield patch
        finally:
            self._aside.call_soon(self._live.leave, follower)

    def _known(self) -> list[Call]:
        """This process's calls, for the other thread: it must not look into the sessions itself."""
        return [*self._line.switchboard.calls()]

    def _begin(self, speakers: Speakers, processes: Processes) -> Begin:
        settings, receptions = self._line.settings, self._line.receptions
        return Begin(
            database_url=settings.database_url,
            policy=receptions.default.policy,
            policies=receptions.policies,
            targets=receptions.targets,
            prices=self._line.prices,
            speakers=speakers,
            processes=processes,
            log_level=settings.log_level,
            log_format=settings.log_format,
        )

    def _heard(self, news: News) -> None:
        """A piece of news, on the thread beside the calls."""
        if news.kind == "logged_out":
            self._live.log_out(news.data["nonce"])
        else:
            self._live.heard(news)
