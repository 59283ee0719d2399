"""All live pages: who looks at which, what is new on them."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from loguru import logger

from bot.archive import Archive
from bot.call import BOT_PHASES, Call, Phase
from bot.news import News
from web.console.event_stream import event
from web.console.live.board import Board
from web.console.live.call_page import CallPage
from web.console.live.messages import BOARD, Begin, Close, Failed, Known, Look, Looked, Looks, Open, Patch, Told
from web.console.live.page import Page, Watcher, ends_for
from web.console.render import Renderer

MANY_STREAMS = 10
"""When the server has so many, pages are made only when no call wants the processor."""

FORGET_PAGES = 200
"""Pages of calls that nobody looks at are forgotten beyond this number."""


def are_many(calls: Iterable[Call]) -> bool:
    """Whether so many of these are with the bot; see `MANY_STREAMS`."""
    return sum(call.phase in BOT_PHASES for call in calls) >= MANY_STREAMS


class Maker:
    """See the module. What it answers goes through `send`."""

    def __init__(
        self, begin: Begin, archive: Archive, renderer: Renderer, send: Callable[[object], None] = lambda _: None
    ) -> None:
        """Nothing is read before somebody looks.

        Args:
            begin: What does not change, and what has been heard so far.
            archive: The record.
            renderer: Makes HTML.
            send: Takes what the server is told.
        """
        self._send = send
        self._archive = archive
        self._renderer = renderer
        self._speakers, self._processes = begin.speakers, begin.processes
        self._known: dict[str, Call] = {}
        """The calls that the server carries."""

        self._board = Board(
            self._archive,
            begin.targets,
            self._renderer.piece,
            failsafe=begin.policy.failsafe,
            known=lambda: [*self._known.values()],
            speakers=self._speakers,
            processes=self._processes,
        )
        self._calls: dict[str, CallPage] = {}
        self._opened: dict[int, asyncio.Task[tuple[Page, Watcher]]] = {}
        self._patches: dict[str, list[int]] = {}
        """What is to be sent, and to whom."""

        self._running: set[asyncio.Task[Any]] = set()

    @property
    def gives_way(self) -> bool:
        """Whether calls come first; see `MANY_STREAMS`."""
        return are_many(self._known.values())

    def close(self) -> None:
        """Nobody follows a page any more; what was asked for is still answered."""
        for opening in self._opened.values():
            opening.cancel()
        for page in (self._board, *self._calls.values()):
            page.close_all()

    def take(self, message: object) -> None:
        """A message of the server's."""
        match message:
            case Told():
                for news in message.news:
                    try:
                        self._heard(news)
                    except Exception:  # a newer server on the same record may tell what is not known here
                        logger.exception("news could not be followed")
            case Known():
                for call in message.calls:
                    self._know(call)
            case Look():
                self._run(self._look(message))
            case Open():
                self._opened[message.number] = self._run(self._open(message))
            case Close():
                if (opening := self._opened.pop(message.number, None)) is not None:
                    self._run(self._leave(opening))
            case _:
                logger.error("the server says what nobody understands: {!r:.200}", message)

    # --- who looks -----------------------------------------------------------------------------------

    async def _look(self, look: Look) -> None:
        try:
            self._send(Looked(look.number, await self.html(look)))
        except Exception:  # one page's mistake is not the others'
            logger.exception("a page cannot be made")
            self._send(Failed(look.number))

    async def html(self, look: Look) -> str | None:
        """Make a page, once; None for that of a call that nobody knows."""
        page, template, what = self._page(look.sid), "board", dict(look.what)
        pieces = await page.look(look.role)
        if isinstance(page, CallPage):
            if page.call is None:
                return None
            template, what["call"] = "call", page.call
        return self._renderer.page(template, pieces=pieces, inside=ends_for(pieces), **what)

    async def _open(self, opening: Open) -> tuple[Page, Watcher]:
        page = self._page(opening.sid)
        watcher = Watcher(opening.role, lambda text: self._patch(opening.number, text))
        try:
            await page.open(watcher)
        except Exception:
            logger.exception("a page cannot be made")
        return page, watcher

    def _patch(self, number: int, text: str) -> None:
        """Send it, together with the others that get the same: it is the server that is spared.

        A page sends each watcher one text at a time, so that they stay in order.
        """
        if not self._patches:
            asyncio.get_running_loop().call_soon(self._send_patches)
        self._patches.setdefault(text, []).append(number)

    def _send_patches(self) -> None:
        patches, self._patches = self._patches, {}
        for text, numbers in patches.items():
            self._send(Patch(numbers, event(text)))

    async def _leave(self, opening: asyncio.Task[tuple[Page, Watcher]]) -> None:
        page, watcher = await opening
        page.close(watcher)

    def _page(self, sid: str) -> Page:
        return self._board if sid == BOARD else self._call(sid)

    def _call(self, sid: str) -> CallPage:
        page = self._calls.get(sid)
        if page is None:
            if len(self._calls) >= FORGET_PAGES:
                self._calls = {known: each for known, each in self._calls.items() if each.watched}
            page = self._calls[sid] = CallPage(
                sid,
                self._archive,
                self._renderer.piece,
                known=self._known.get,
                look=lambda: self._send(Looks(sid)),
                speakers=self._speakers,
            )
        return page

    # --- what happens --------------------------------------------------------------------------------

    def _heard(self, news: News) -> None:
        if news.call is not None:
            self._know(news.call)
        self._speakers.heard(news)
        self._processes.heard(news)
        self._board.heard(news)
        for sid in [*self._calls] if news.kind == "missed" else (news.sid,):
            if (page := self._calls.get(sid)) is not None:
                page.heard(news)

    def _know(self, call: Call) -> None:
        if call.phase is Phase.ENDED:
            self._known.pop(call.sid, None)
        else:
            self._known[call.sid] = call

    def _run(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task
