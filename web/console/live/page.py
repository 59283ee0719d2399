"""Pages that stay up to date: what is on them in pieces, and which of them changed since they were last sent.

One page of a kind serves everybody who looks at it: it is made once for each role, however many watch.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from loguru import logger

from bot.record import LedgerError
from web.console.access import Role

GATHER_SECONDS = 0.4
"""What changes within this time is sent at once."""


@dataclass(frozen=True, slots=True)
class Piece:
    """An element of the page with an id of its own."""

    html: str
    parent: str = ""
    """The id of the element in which it appears when it is new; empty for one that is always there."""

    part: tuple[str, str] | None = None
    """The id and the HTML of an element in it that changes more often than the rest: a browser is sent it alone."""

    @property
    def rest(self) -> str:
        """The HTML without that part."""
        return self.html if self.part is None else self.html.replace(self.part[1], "", 1)


Pieces = Mapping[str, Piece]
"""By their ids, in the page's order."""


def patch(before: Pieces, after: Pieces) -> str | None:
    """What a browser that shows the one has to change to show the other, as JSON; None for nothing."""
    changed = dict(_changed(key, before[key], piece) for key, piece in after.items() if before.get(key, piece) != piece)
    added: list[tuple[str, str, str]] = []
    latest: dict[str, str] = {}
    for key, piece in after.items():
        if key not in before:
            added.append((piece.parent, latest.get(piece.parent, ""), piece.html))
        latest[piece.parent] = key
    removed = [key for key in before if key not in after]
    if not (changed or added or removed):
        return None
    return json.dumps({"changed": changed, "added": added, "removed": removed}, ensure_ascii=False)


def _changed(key: str, before: Piece, after: Piece) -> tuple[str, str]:
    """The id and the HTML of what has to be put in place of what was there."""
    return after.part if after.part is not None and before.rest == after.rest else (key, after.html)


def ends_for(pieces: Pieces) -> Mapping[str, str]:
    """What stands in each parent, as HTML, for a page that is made whole."""
    inside: dict[str, str] = {}
    for piece in pieces.values():
        if piece.parent:
            inside[piece.parent] = inside.get(piece.parent, "") + piece.html
    return inside


def whole(pieces: Pieces, lists: Iterable[str]) -> str:
    """The same for a browser of which nobody knows what it shows. `lists`: every parent, empty or not."""
    alone = {key: piece.html for key, piece in pieces.items() if not piece.parent}
    inside = {parent: [key for key, piece in pieces.items() if piece.parent == parent] for parent in lists}
    html = {key: piece.html for key, piece in pieces.items() if piece.parent}
    return json.dumps({"changed": alone, "inside": inside, "html": html}, ensure_ascii=False)


@dataclass(eq=False)
class Watcher:
    """One browser that looks at a page."""

    role: Role
    """Whose page it is."""

    send: Callable[[str], None]
    """Takes each patch."""


class Page:
    """One page and everybody who looks at it."""

    lists: ClassVar[tuple[str, ...]]
    """The ids of the elements in which pieces appear and vanish."""

    def __init__(self) -> None:
        """Nobody looks yet."""
        self._watchers: dict[Role, set[Watcher]] = {}
        self._shown: dict[Role, Pieces] = {}
        self._refreshing: asyncio.Task[None] | None = None
        self._outdated = False
        """Something has changed since everybody was sent what has."""

        self._reading = asyncio.Lock()
        """Nobody is shown a page that is half read."""

    # --- what a kind of page is made of ----------------------------------------------------------------

    async def prepare(self) -> None:
        """Read what the page shows, before it is shown for the first time. Raises `LedgerError`."""

    async def update(self) -> None:
        """Read what has changed since. Raises `LedgerError`."""

    def pieces(self, role: Role) -> Pieces:
        """What is on the page now."""
        raise NotImplementedError

    # --- who looks at it -------------------------------------------------------------------------------

    @property
    def watched(self) -> bool:
        """Whether anybody looks."""
        return any(self._watchers.values())

    async def look(self, role: Role) -> Pieces:
        """The page as it is now, for one look at it."""
        async with self._reading:
            if not self.watched:
                await self._read(self.prepare())
            return self.pieces(role)

    async def open(self, watcher: Watcher) -> None:
        """Somebody looks at the page from now on."""
        async with self._reading:
            first = not self.watched
            self._watchers.setdefault(watcher.role, set()).add(watcher)
            if first:
                self._shown.clear()
                await self._read(self.prepare())
            if watcher.role not in self._shown:
                self._shown[watcher.role] = self.pieces(watcher.role)
            watcher.send(whole(self._shown[watcher.role], self.lists))

    def close(self, watcher: Watcher) -> None:
        """They look no more."""
        self._watchers.get(watcher.role, set()).discard(watcher)

    def close_all(self) -> None:
        """Nobody looks any more."""
        self._watchers.clear()

    def changed(self) -> None:
        """Something on the page is another one now: everybody gets it, together with what else changes soon."""
        self._outdated = True
        if self.watched and self._refreshing is None:
            self._refreshing = asyncio.get_running_loop().create_task(self._refresh())

    async def _refresh(self) -> None:
        try:
            while self._outdated and self.watched:
                await asyncio.sleep(GATHER_SECONDS)
                self._outdated = False
                async with self._reading:
                    await self._read(self.update())
                    patches = [*self._patches()]
                for watcher, text in patches:
                    watcher.send(text)
        finally:
            self._refreshing = None

    def _patches(self) -> Iterable[tuple[Watcher, str]]:
        """Whom to send what, now that the page has been read again."""
        for role, watchers in self._watchers.items():
            if not watchers:
                self._shown.pop(role, None)
                continue
            before = self._shown.get(role)
            after = self._shown[role] = self.pieces(role)
            text = whole(after, self.lists) if before is None else patch(before, after)
            if text is not None:
                yield from ((watcher, text) for watcher in watchers)

    async def _read(self, reading: Awaitable[None]) -> None:
        try:
            await reading
        except LedgerError as error:
            logger.debug("a page shows what is known without the record: {}", error)
