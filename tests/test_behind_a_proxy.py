"""Two servers with one record behind HAProxy, with the configuration that is shipped, and ten calls on them."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from chaos.proxy import PROGRAM
from chaos.replica import Replica
from chaos.world import Replicas, two_replicas
from postgres import Cluster, a_cluster

from sandbox.caller import CallerLeg
from sandbox.sound import tone
from sandbox.stage import OUR_NUMBER

CALLS = 10

OUTAGE_SECONDS = 30.0

STEADY = 20
"""Tenths of a second."""

pytestmark = [
    pytest.mark.skipif(PROGRAM is None, reason="HAProxy is not installed (Debian: apt-get install haproxy)"),
    pytest.mark.timeout(180),
]


@asynccontextmanager
async def ten_calls(world: Replicas) -> AsyncIterator[list[CallerLeg]]:
    """Ten callers who have been greeted, some on each server."""
    calls = []
    for n in range(CALLS):
        calls.append(await world.stage.network.call(f"+44207946{n:04}", OUR_NUMBER))
        await asyncio.sleep(0.1)
    for call in calls:
        await call.until("speech started", timeout=60)
        await quiet(call)
    yield calls
    await asyncio.gather(*(call.hang_up() for call in calls))


async def quiet(call: CallerLeg) -> None:
    while call.playing:
        await asyncio.sleep(0.05)


async def answered(call: CallerLeg) -> None:
    """The caller says something, and hears the bot."""
    since = call.journal.now()
    await call.say(tone(600, seconds=0.6))
    await call.until("speech started", since=since, timeout=30)
    await quiet(call)


async def is_with_the_bot(call: CallerLeg) -> None:
    """A stream is open, and what the bot had to say on it has been said."""
    open_since = 0
    while open_since < STEADY:
        open_since = open_since + 1 if call.stream is not None and call.stream.is_open and not call.playing else 0
        await asyncio.sleep(0.1)


async def record(world: Replicas, sid: str) -> dict[str, Any]:
    """The call's record, whichever server is there to tell it."""
    async with aiohttp.ClientSession() as http:
        for url in world.urls:
            try:
                async with http.get(f"{url}/api/calls/{sid}") as answer:
                    if answer.status == 200:
                        return await answer.json()
            except aiohttp.ClientError:
                continue
    raise AssertionError("no server tells the record")


async def ended(world: Replicas, sid: str) -> dict[str, Any]:
    while (told := await record(world, sid))["state"] != "ended":
        await asyncio.sleep(0.2)
    return told


def turns_of_the_caller(told: dict[str, Any]) -> int:
    return sum(line["role"] == "caller" for line in told["transcript"])


async def shipped(world: Replicas, sid: str, *, turns: int) -> dict[str, Any]:
    """The call's record when what its server had to keep for itself has been shipped, too."""
    while turns_of_the_caller(told := await ended(world, sid)) < turns:
        await asyncio.sleep(0.2)
    return told


async def live_on(replica: Replica) -> int:
    async with aiohttp.ClientSession() as http, http.get(f"{replica.url}/ready") as answer:
        return (await answer.json())["calls"]


def lost_its_stream(call: CallerLeg) -> bool:
    return any(note.what == "stream ended" for note in call.journal.of(call.sid))


async def test_a_server_that_is_told_to_end_keeps_its_calls_and_gets_no_new_ones(cluster: Cluster, tmp_path: Path):
    async with two_replicas(tmp_path, cluster, DRAIN_SECONDS="60") as world, ten_calls(world) as calls:
        world.one.befalls(signal.SIGTERM)
        await asyncio.sleep(1.0)  # for the proxy to notice
        before = await live_on(world.two)
        new = [await world.stage.network.call(f"+44207947{n:04}", OUR_NUMBER) for n in range(3)]
        for call in (*new, *calls):
            await call.until("speech started", timeout=30)
            await answered(call)
        assert await live_on(world.two) == before + len(new)
        assert not any(lost_its_stream(call) for call in calls)
        assert not any(call.errors for call in (*new, *calls))
        await asyncio.gather(*(call.hang_up() for call in (*new, *calls)))
        assert await world.one.ended() == 0
        records = [await ended(world, call.sid) for call in (*new, *calls)]
        assert {(told["end"], told["rescues"]) for told in records} == {("caller_hung_up", 0)}


async def test_the_callers_of_a_killed_server_talk_with_the_other_one(cluster: Cluster, tmp_path: Path):
    async with two_replicas(tmp_path, cluster) as world, ten_calls(world) as calls:
        world.one.befalls(signal.SIGKILL)
        await world.one.ended()
        await asyncio.gather(*(is_with_the_bot(call) for call in calls))
        for call in calls:
            await answered(call)
        cut = [call for call in calls if lost_its_stream(call)]
        assert 0 < len(cut) < CALLS
        records = [await record(world, call.sid) for call in calls]
        assert {told["state"] for told in records} == {"bot"}
        assert [told["rescues"] for told in records] == [int(call in cut) for call in calls]
        assert not any(call.children for call in calls)


async def test_no_call_notices_that_the_database_is_gone_and_its_record_is_whole_afterwards(tmp_path: Path):
    with a_cluster() as cluster:
        async with two_replicas(tmp_path, cluster) as world, ten_calls(world) as calls:
            await asyncio.to_thread(cluster.stop)
            await asyncio.gather(*(answered(call) for call in calls))
            await asyncio.sleep(OUTAGE_SECONDS)
            await asyncio.to_thread(cluster.start)
            await asyncio.gather(*(answered(call) for call in calls))
            await asyncio.gather(*(call.hang_up() for call in calls))
            for call in calls:
                told = await shipped(world, call.sid, turns=2)
                assert (told["end"], told["rescues"], told["falls"]) == ("caller_hung_up", 0, [])
                assert [entry["event"] for entry in told["timeline"]].count("StreamStarted") == 1
                assert turns_of_the_caller(told) == 2
