"""News of calls: in one process, and between the processes on one PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from calls import SID
from postgres import Cluster

from bot.feed import LONGEST, Feed
from bot.loop_thread import LoopThread
from bot.news import News


class Follower:
    """Keeps what it is told."""

    def __init__(self, feed: Feed) -> None:
        self.heard: list[News] = []
        feed.subscribe(self.heard.append)

    async def until(self, count: int) -> list[News]:
        while len(self.heard) < count:
            await asyncio.sleep(0.005)
        return self.heard


@pytest.fixture
async def made() -> AsyncIterator[Callable[[str], Feed]]:
    """Makes the feed of one process."""
    threads: list[LoopThread] = []

    def make(url: str) -> Feed:
        threads.append(LoopThread("aside"))
        feed = Feed(url, threads[-1])
        feed.start()
        return feed

    async def nothing() -> None:
        pass

    yield make
    for thread in threads:
        await thread.close(0.1, last=nothing)


async def test_news_reaches_every_follower_of_the_process_in_order(made: Callable[[str], Feed], tmp_path: Path):
    feed = made(f"sqlite+aiosqlite:///{tmp_path}/calls.db")
    one, other = Follower(feed), Follower(feed)
    for n in range(3):
        feed.publish(News("call", SID, {"n": n}))
    for follower in (one, other):
        assert [news.data["n"] for news in await follower.until(3)] == [0, 1, 2]
    assert not feed.shared


async def test_a_follower_that_makes_a_mistake_does_not_keep_news_from_the_others(
    made: Callable[[str], Feed], tmp_path: Path
):
    feed = made(f"sqlite+aiosqlite:///{tmp_path}/calls.db")
    feed.subscribe(lambda news: 1 / 0)
    follower = Follower(feed)
    feed.publish(News("call", SID))
    assert len(await follower.until(1)) == 1


async def test_who_has_ended_following_is_told_no_more(made: Callable[[str], Feed], tmp_path: Path):
    feed = made(f"sqlite+aiosqlite:///{tmp_path}/calls.db")
    heard: list[News] = []
    end = feed.subscribe(heard.append)
    follower = Follower(feed)
    end()
    feed.publish(News("call", SID))
    await follower.until(1)
    assert heard == []


async def both_connected(one: Feed, other: Feed) -> tuple[Follower, Follower]:
    followers = Follower(one), Follower(other)
    while not (followers[0].heard and followers[1].heard):
        for feed in (one, other):
            feed.publish(News("speaks", "warm up"))
        await asyncio.sleep(0.05)
        for follower, theirs in zip(followers, (other, one), strict=True):
            follower.heard[:] = [news for news in follower.heard if news.origin == theirs.origin]
    await asyncio.sleep(0.2)
    for follower in followers:
        follower.heard.clear()
    return followers


async def test_news_of_one_process_reaches_the_other_once(made: Callable[[str], Feed], postgresql: str):
    one, other = made(postgresql), made(postgresql)
    here, there = await both_connected(one, other)
    text = "quotes \"' and 🙂 and \udc00"
    one.publish(News("call", SID, {"text": text}))
    [news] = await there.until(1)
    assert (news.kind, news.sid, news.origin) == ("call", SID, one.origin)
    assert news.data["text"] == "quotes \"' and 🙂 and ?"
    other.publish(News("said", SID))
    assert [news.kind for news in await here.until(2)] == ["call", "said"]


async def test_news_too_long_for_postgresql_stays_in_its_process_and_breaks_nothing(
    made: Callable[[str], Feed], postgresql: str
):
    one, other = made(postgresql), made(postgresql)
    here, there = await both_connected(one, other)
    one.publish(News("call", SID, {"text": "é" * LONGEST}))
    one.publish(News("said", SID))
    assert [news.kind for news in await there.until(1)] == ["said"]
    assert [news.kind for news in await here.until(2)] == ["call", "said"]


async def test_after_an_outage_a_process_is_told_that_it_has_missed_something(
    made: Callable[[str], Feed], postgresql: str, cluster: Cluster
):
    one, other = made(postgresql), made(postgresql)
    here, there = await both_connected(one, other)
    cluster.stop()
    one.publish(News("call", SID))
    cluster.start()
    while not all(any(news.kind == "missed" for news in follower.heard) for follower in (here, there)):
        await asyncio.sleep(0.02)
    there.heard.clear()
    while not there.heard:
        one.publish(News("said", SID))
        await asyncio.sleep(0.05)
