"""The server's process: how it ends, how many calls it takes, and what happens when it stands still."""

import asyncio
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import aiohttp

from bot.heartbeat import EXIT_FROZEN
from sandbox.check import Played, problems
from sandbox.process import server_process
from sandbox.stage import Stage
from sandbox.story import Story, load

TOO_LATE = Story.model_validate(
    {
        "title": "The bot takes no more calls; the caller gets a person",
        "script": [],
        "people": {"+12025550143": [{"behaviour": "answer", "after": 0.3, "hangs_up_after": 0.7}]},
        "then": {
            "end": "put_through",
            "attempts": [{"number": "+12025550143", "outcome": "answered"}],
            "redirects": 0,
            "sessions": 0,
        },
    }
)


async def a_call_with_the_bot(stage: Stage) -> "asyncio.Task[Played]":
    """A call that goes on until the caller has been put through."""
    began: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    playing = asyncio.create_task(
        stage.play("next_number", load("next_number"), begun=lambda call: began.set_result(call.sid))
    )
    await stage.journal.until("speech started", call_sid=await began, since=0)
    return playing


async def test_a_server_that_is_told_to_end_lets_its_calls_end(stage: Stage, tmp_path: Path):
    async with server_process(stage, tmp_path, DRAIN_SECONDS="60") as server, aiohttp.ClientSession() as http:
        playing = await a_call_with_the_bot(stage)
        server.process.terminate()
        await asyncio.sleep(0.3)
        async with http.get(f"{server.url}/ready") as answer:
            assert answer.status == 503
        assert problems(await stage.play("late", TOO_LATE), on_time=False) == []
        assert problems(await playing, on_time=False) == []
        assert await server.process.wait() == 0


async def test_a_caller_for_whom_there_is_no_place_gets_a_person(stage: Stage, tmp_path: Path):
    async with server_process(stage, tmp_path, MAX_CALLS="1"):
        playing = await a_call_with_the_bot(stage)
        assert problems(await stage.play("late", TOO_LATE), on_time=False) == []
        assert problems(await playing, on_time=False) == []


FROZEN = """
import asyncio, time
from bot.heartbeat import Heartbeat

async def stand_still():
    with Heartbeat(look_seconds=0.1):
        await asyncio.sleep(0.5)
        print("it beats", flush=True)
        time.sleep(60)

asyncio.run(stand_still())
"""


async def test_a_process_whose_event_loop_stands_still_ends_itself():
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", FROZEN, stdout=PIPE, stderr=PIPE)
    told, _ = await process.communicate()
    assert b"it beats" in told
    assert process.returncode == EXIT_FROZEN


async def test_what_is_left_when_the_time_is_up_is_handed_over(stage: Stage, tmp_path: Path):
    async with server_process(stage, tmp_path, DRAIN_SECONDS="1") as server:
        playing = await a_call_with_the_bot(stage)
        server.process.terminate()
        assert await server.process.wait() == 0
        playing.cancel()
        person = await stage.journal.until("rings", since=0)
        assert person.data["number"] == "+12025550143"


async def test_the_second_signal_ends_it_at_once(stage: Stage, tmp_path: Path):
    async with server_process(stage, tmp_path, DRAIN_SECONDS="600") as server:
        playing = await a_call_with_the_bot(stage)
        server.process.terminate()
        await asyncio.sleep(0.3)
        server.process.terminate()
        assert await asyncio.wait_for(server.process.wait(), 20) == 0
        playing.cancel()
