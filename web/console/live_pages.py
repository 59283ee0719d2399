"""The process in which live pages are made, as the server sees it.

It is begun when somebody keeps a page open, and ended some time after the last has gone. When it ends, whatever the
reason, calls go on: whoever looked comes back, and another one is begun for them. To begin one takes seconds: until it
is ready pages are made in the server, unless there are many calls. They come first.
"""

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from loguru import logger

from bot.archive import Archive
from bot.call import Call
from bot.loop_thread import LoopThread
from bot.news import News
from web.console.access import Role
from web.console.follower import Follower, Followers
from web.console.live.maker import Maker, are_many
from web.console.live.messages import (
    ENDINGS,
    Alive,
    Begin,
    Close,
    Failed,
    Known,
    Look,
    Looked,
    Looks,
    Open,
    Patch,
    Told,
    read,
    write,
)
from web.console.live.priority import give_way
from web.console.live.processes import Processes
from web.console.live.speakers import Speakers
from web.console.render import Renderer

GATHER_SECONDS = 0.05
"""News of this time goes to the process in one message."""

ALONE_SECONDS = 60.0
"""A process at whose pages nobody has looked for so long is ended: it would hear all the news for nothing."""

SILENT_SECONDS = 30.0
"""A process that says nothing for so long is ended: it says every few seconds that it lives."""

MOST_WAITING = 16 * 1024 * 1024
"""Bytes that may wait for it; one that is further behind is ended."""

BRIEF_SECONDS = 10.0
"""A process that did not live for so long will hardly do better at once."""

BRIEF_LIVES = 2
"""After so many, one behind the other, none is begun for a while: to begin one takes seconds of a processor."""

PAUSE_SECONDS = 10.0
"""The while."""

AT_ONCE = 20
"""Calls of one message. Calls that are on wait while one is written."""

_ROOT = Path(__file__).parent.parent.parent


class PagesGone(Exception):
    """The page cannot be made now; or its process has ended meanwhile, and another one may make it."""


class LivePages:
    """See the module. Lives on the thread beside the calls."""

    def __init__(
        self,
        aside: LoopThread,
        followers: Followers,
        archive: Archive,
        renderer: Renderer,
        begin: Callable[[Speakers, Processes], Begin],
        *,
        looks: Callable[[str], None],
    ) -> None:
        """Nothing is begun.

        Args:
            aside: The thread.
            followers: Give browsers what they are sent.
            archive: The record, for pages that are made here.
            renderer: Makes their HTML.
            begin: What a process is told first.
            looks: Told of each call that somebody looks at.
        """
        self._aside = aside
        self._followers = followers
        self._archive = archive
        self._renderer = renderer
        self._begin = begin
        self._looks = looks
        self._speakers, self._processes = Speakers(), Processes()
        self._process: _Process | None = None
        self._brief_lives = 0
        self._not_before = 0.0
        """When the next one may be begun, by the monotonic clock."""

        self._closed = False

    def heard(self, news: News) -> None:
        """A piece of news."""
        self._speakers.heard(news)
        self._processes.heard(news)
        if self._process is not None and not self._process.ended:
            self._process.tell(news)

    async def look(self, sid: str, role: Role, what: Mapping[str, Any], known: Sequence[Call]) -> str | None:
        """Make a page, once.

        Args:
            sid: The call's, or `BOARD`.
            role: For whom.
            what: More for its template.
            known: The calls of this server.

        Returns:
            The page; None for that of a call that nobody knows.

        Raises:
            PagesGone: It cannot be made now.
        """
        runs = self._process is not None and not self._process.ended
        if runs or self._closed or are_many(known):
            return await self._running(known).look(sid, role, what)
        maker = Maker(self._begin(self._speakers, self._processes), self._archive, self._renderer)
        maker.take(Known(known))
        try:
            return await maker.html(Look(0, sid, role, what))
        except Exception as error:
            logger.exception("a page cannot be made")
            raise PagesGone from error
        finally:
            maker.close()

    def open(self, follower: Follower, sid: str, role: Role, known: Sequence[Call]) -> None:
        """Somebody looks at a page from now on; see `look`."""
        try:
            self._running(known).open(follower, sid, role)
        except PagesGone:
            follower.end()

    def leave(self, follower: Follower) -> None:
        """They look no more."""
        if self._process is not None:
            self._process.leave(follower)

    def log_out(self, nonce: str) -> None:
        """A session is over."""
        for follower in self._process.followers if self._process is not None else ():
            if follower.nonce == nonce:
                follower.end()

    def close(self) -> None:
        """Send everybody away: the server ends."""
        self._closed = True
        if self._process is not None:
            self._process.end()

    def _running(self, known: Sequence[Call]) -> "_Process":
        if self._closed:
            raise PagesGone
        if self._process is not None and self._process.ended:
            self._over(self._process)
            self._process = None
        if self._process is None:
            if time.monotonic() < self._not_before:
                raise PagesGone
            begin, gives_way = self._begin(self._speakers, self._processes), are_many(known)
            self._process = process = _Process(self._followers, self._looks)
            process.put(begin)
            if not gives_way:
                process.make_meanwhile(partial(Maker, begin, self._archive, self._renderer))
            for at in range(0, len(known), AT_ONCE):
                process.put(Known(known[at : at + AT_ONCE]))
            self._aside.start(process.run(gives_way=gives_way))
        return self._process

    def _over(self, process: "_Process") -> None:
        if process.ended_at - process.began_at >= BRIEF_SECONDS:
            self._brief_lives = 0
            return
        self._brief_lives += 1
        if self._brief_lives >= BRIEF_LIVES:
            self._not_before = process.ended_at + PAUSE_SECONDS


class _Process:
    """One of them: from `run` to its end."""

    def __init__(self, everybody: Followers, looks: Callable[[str], None]) -> None:
        self._everybody = everybody
        self._looks = looks
        self.ended = False
        self.began_at = self.ended_at = self._looked_at = time.monotonic()
        self._numbers = itertools.count(1)
        self._waiting: list[object] = []
        """What it has not been sent yet."""

        self._news: list[News] = []
        self._writer: asyncio.StreamWriter | None = None
        self._meanwhile: Maker | None = None
        """Makes pages here until it is ready."""

        self._answers: dict[int, asyncio.Future[str | None]] = {}
        self._followers: dict[Follower, int] = {}
        self._by_number: dict[int, Follower] = {}

    @property
    def followers(self) -> Sequence[Follower]:
        """Whoever looks."""
        return [*self._followers]

    def make_meanwhile(self, maker: Callable[[Callable[[object], None]], Maker]) -> None:
        """Until it is ready, pages are made here.

        Args:
            maker: Makes who makes them, told where to send what it makes.
        """
        self._meanwhile = maker(self._answer_meanwhile)

    def tell(self, news: News) -> None:
        """A piece of news."""
        if not self._news:
            asyncio.get_running_loop().call_later(GATHER_SECONDS, self._flush)
        self._news.append(news)

    def put(self, message: object) -> None:
        """Send something, behind the news."""
        self._flush()
        self._write(message)

    async def look(self, sid: str, role: Role, what: Mapping[str, Any]) -> str | None:
        """See `LivePages.look`."""
        number, self._looked_at = next(self._numbers), time.monotonic()
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        try:
            self.put(Look(number, sid, role, what))
            return await answer
        finally:
            self._answers.pop(number, None)

    def open(self, follower: Follower, sid: str, role: Role) -> None:
        """See `LivePages.open`."""
        number = self._followers[follower] = next(self._numbers)
        self._by_number[number] = follower
        self.put(Open(number, sid, role))

    def leave(self, follower: Follower) -> None:
        """See `LivePages.leave`."""
        if (number := self._followers.pop(follower, None)) is not None:
            self._looked_at = time.monotonic()
            del self._by_number[number]
            self.put(Close(number))

    def end(self) -> None:
        """Nobody is answered any more."""
        if not self.ended:
            self.ended, self.ended_at = True, time.monotonic()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(PagesGone())
        for follower in self._followers:
            follower.end()
        self._make_nothing_here()
        if self._writer is not None:
            self._writer.transport.abort()  # what waits for a process that does not read would keep it open

    async def run(self, *, gives_way: bool) -> None:
        """Let it live. Args: gives_way: from its beginning on; see `web.console.live.priority`."""
        try:
            ours, process = _start()
            if gives_way:
                give_way(process.pid)
        except Exception as error:  # whatever it is: whoever waits for a page is answered
            logger.warning("the console's pages cannot be made: {}", error)
            self.end()
            return
        try:
            await self._exchange(ours)
        except Exception:  # nobody waits for this task, so nobody else would tell
            logger.exception("the process that makes the console's pages is not understood")
        finally:
            expected = self.ended
            self.end()
            process.kill()
            status = await asyncio.to_thread(process.wait)
            if not expected:
                logger.warning("the process that makes the console's pages ended with {}; calls go on", status)

    async def _exchange(self, ours: socket.socket) -> None:
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        with contextlib.closing(writer):
            while self._waiting and not self.ended:
                write(writer, self._waiting.pop(0))
                await asyncio.sleep(0)
            self._writer = writer
            while not self.ended:
                try:
                    async with asyncio.timeout(SILENT_SECONDS):
                        message = await read(reader)
                except TimeoutError:
                    logger.warning("the process that makes the console's pages stands still")
                    return
                if message is None:
                    return
                if self._meanwhile is not None and not (isinstance(message, Alive) and self._followers):
                    self._make_nothing_here()  # it has sent the first whole page, or there is nobody to be sent one
                self._answer(message)
                if self._alone():  # it tells every few seconds that it lives
                    self.end()

    def _alone(self) -> bool:
        looked_at = time.monotonic() if self._followers or self._answers else self._looked_at
        return time.monotonic() - looked_at > ALONE_SECONDS

    def _make_nothing_here(self) -> None:
        if self._meanwhile is not None:
            self._meanwhile.close()
            self._meanwhile = None

    def _answer_meanwhile(self, message: object) -> None:
        if self._meanwhile is not None or not isinstance(message, Patch):  # a patch to a page that is another's by now
            self._answer(message)

    def _answer(self, message: object) -> None:
        match message:
            case Patch():
                known = [follower for n in message.numbers if (follower := self._by_number.get(n)) is not None]
                self._everybody.send(known, message.event)
            case Looked() | Failed() if (answer := self._answers.get(message.number)) is not None:
                if answer.done():
                    return
                if isinstance(message, Looked):
                    answer.set_result(message.html)
                else:
                    answer.set_exception(PagesGone())
            case Looks():
                self._looks(message.sid)
            case _:
                pass

    def _flush(self) -> None:
        if self._news:
            news, self._news = self._news, []
            self._write(Told(news))

    def _write(self, message: object) -> None:
        if self.ended:
            return
        if self._meanwhile is not None:
            self._meanwhile.take(message)
            if isinstance(message, Look):
                return
        if self._writer is None:
            self._waiting.append(message)
        elif self._writer.transport.get_write_buffer_size() > MOST_WAITING:
            logger.warning("the process that makes the console's pages is far behind")
            self.end()
        else:
            write(self._writer, message)


def _start() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """Our end of the socket, and the process at the other end. Raises `OSError`."""
    ours, theirs = socket.socketpair()
    path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
    program = ["-P", "-m", "web.console.live"]  # -P: what lies in the working folder is none of ours
    with theirs, _blocked(ENDINGS):
        try:
            process = subprocess.Popen(  # noqa: S603 - it is ourselves
                [sys.executable, *program, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={**os.environ, "PYTHONPATH": path},
            )
        except BaseException:
            ours.close()
            raise
    return ours, process


@contextlib.contextmanager
def _blocked(signals: set[signal.Signals]) -> Iterator[None]:
    """What this thread begins meanwhile is begun with these signals blocked."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
