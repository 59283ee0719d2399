"""News of calls, between the processes on one record: what happened where, and orders for whoever carries a call.

On PostgreSQL they go from process to process by LISTEN and NOTIFY; on SQLite there is one process. Nobody who
publishes waits for anything, and news may be lost: the record is what counts. Whoever follows it is told when news
has been missed, and reads the record again.

Nothing here runs on the loop that carries calls: callbacks are called on the thread that the feed is given.
"""

import asyncio
import json
import uuid
from collections import deque
from collections.abc import Callable

import asyncpg
from loguru import logger

from bot import database
from bot.loop_thread import LoopThread
from bot.news import News
from bot.record import encodable

CHANNEL = "putthrough"
"""PostgreSQL's channel."""

LONGEST = 7900
"""Bytes of one piece of news (PostgreSQL: NOTIFY, a payload is shorter than 8000 bytes)."""

WAITING = 5000
"""So many pieces of news may wait for a database that is away; then the oldest are dropped."""

GATHER_SECONDS = 0.02
"""What is published within this time is told together, and goes to the database in one statement: at hundreds of calls
there is news every other millisecond, and to wake a thread for each piece costs more than the piece."""

CONNECT_AGAIN_SECONDS = 1.0


class Feed:
    """Publishes news, and tells of all that is published in any process on this record."""

    def __init__(self, url: str, aside: LoopThread) -> None:
        """Nothing is connected before `start`.

        Args:
            url: The record's database.
            aside: The thread on which callbacks are called and the connection lives.
        """
        self.origin = uuid.uuid4().hex[:12]
        """This process, among those on the record."""

        self.shared = database.is_postgresql(url)
        """Whether there can be other processes."""

        self._url = url
        self._aside = aside
        self._callbacks: tuple[Callable[[News], None], ...] = ()
        self._published = deque[News]()
        self._gathering = False
        """Whether the thread has been told that there is some."""

        self._outgoing: list[str] = []
        self._there_is_some = asyncio.Event()

    def start(self) -> None:
        """Connect, now or when the database is there, and go on for as long as the thread lives."""
        if self.shared:
            self._aside.start(self._connect_for_ever())

    def subscribe(self, callback: Callable[[News], None]) -> Callable[[], None]:
        """Call back with every piece of news from now on, this process's own included. Returns what ends that."""
        self._callbacks = (*self._callbacks, callback)

        def end() -> None:
            self._callbacks = tuple(each for each in self._callbacks if each is not callback)

        return end

    def publish(self, news: News) -> None:
        """Tell everybody, in a while. May be called on any thread; never raises, never waits."""
        if self._callbacks or self.shared:
            self._published.append(news)
            if not self._gathering:
                self._gathering = True
                self._aside.call_soon(self._gather)

    # --- on the thread of its own --------------------------------------------------------------------

    def _gather(self) -> None:
        asyncio.get_running_loop().call_later(GATHER_SECONDS, self._publish_all)

    def _publish_all(self) -> None:
        self._gathering = False  # what is published from here on is told now, or gathered again
        for _ in range(len(self._published)):
            self._publish(self._published.popleft())

    def _publish(self, news: News) -> None:
        self._deliver(News(news.kind, news.sid, news.data, news.call, self.origin))
        if not self.shared:
            return
        text = json.dumps({"o": self.origin, "k": news.kind, "s": news.sid, "d": news.data}, ensure_ascii=False)
        text = encodable(text)
        if len(text.encode()) > LONGEST:
            logger.warning("a piece of news is too long and stays in this process")
            return
        self._outgoing.append(text)
        del self._outgoing[:-WAITING]
        self._there_is_some.set()

    def _deliver(self, news: News) -> None:
        for callback in self._callbacks:
            try:
                callback(news)
            except Exception:  # one follower's mistake is not the others'
                logger.exception("news could not be followed")

    async def _connect_for_ever(self) -> None:
        first = True
        while True:
            try:
                connection = await database.connect_postgresql(self._url)
            except (*database.FAULTS, TimeoutError) as error:
                logger.debug("no news of other processes: {}", database.in_words(error, self._url))
                await asyncio.sleep(CONNECT_AGAIN_SECONDS)
                continue
            try:
                await self._exchange(connection, missed=not first)
            except (*database.FAULTS, TimeoutError) as error:
                logger.warning("no news of other processes: {}", database.in_words(error, self._url))
            finally:
                first = False
                connection.terminate()
            await asyncio.sleep(CONNECT_AGAIN_SECONDS)

    async def _exchange(self, connection: asyncpg.Connection, *, missed: bool) -> None:
        """Listen and send until the connection is lost."""
        connection.add_termination_listener(lambda *_: self._there_is_some.set())
        await connection.add_listener(CHANNEL, self._received)
        if missed:
            self._deliver(News("missed"))
        while not connection.is_closed():
            await self._there_is_some.wait()
            self._there_is_some.clear()
            outgoing, self._outgoing = self._outgoing, []
            if outgoing:
                await connection.execute(
                    "SELECT pg_notify($1, news) FROM unnest($2::text[]) AS news", CHANNEL, outgoing
                )

    def _received(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        try:
            told = json.loads(str(payload))
            if told["o"] != self.origin:
                self._deliver(News(told["k"], told["s"], told["d"], None, told["o"]))
        except (ValueError, KeyError, TypeError):
            logger.warning("news that cannot be read: {:.200}", str(payload))
