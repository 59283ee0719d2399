"""Pipecat's runner has the stream, and our own server answers what Twilio asks: two hosts, one record."""

import asyncio
from pathlib import Path

import aiohttp
import pytest
from dev_runner import dev_runner
from pipecat.runner.types import DailyRunnerArguments

from bot import bot
from sandbox.clerk import Clerk
from sandbox.network import Line
from sandbox.people import Person
from sandbox.process import server_process
from sandbox.stage import Stage
from sandbox.voice import speak

RUNNER, NUMBER = "https://runner.example", "+12025550101"


async def test_a_call_on_the_runner_is_handed_off_through_our_own_server(tmp_path: Path):
    clerk = Clerk()
    clerk.said = "I want a person."
    record = f"sqlite+aiosqlite:///{tmp_path}/calls.db"
    async with Stage(brain=clerk) as stage, server_process(stage, tmp_path) as server:
        told = {**stage.environment, "DATABASE_URL": record}
        async with dev_runner(stage, tmp_path, "-t", "twilio", "-x", "runner.example", **told) as address:
            stage.network.routes[RUNNER] = f"http://{address}"
            stage.network.numbers[NUMBER] = Line(voice_url=f"{RUNNER}/")
            people = {"+12025550143": Person(after=0.5, hangs_up_after=1.0)}
            call = await stage.network.call("+442079460123", NUMBER, people=people)
            await call.until("speech started", timeout=30)
            await call.until("speech stopped", timeout=30)
            await call.say(speak(clerk.said, voice="caller", rate=8000))
            await call.until("bridged", timeout=30)
            await asyncio.wait_for(call.ended(), 30)
            assert call.bridged_to == "+12025550143"
            assert call.errors == []
            async with aiohttp.ClientSession() as http, http.get(f"{server.url}/api/calls/{call.sid}") as answer:
                seen = await answer.json()
    assert [(attempt["number"], attempt["outcome"]) for attempt in seen["attempts"]] == [("+12025550143", "answered")]
    assert "no signature and no token is checked" in (tmp_path / "runner.log").read_text()


async def test_what_is_no_telephone_and_no_browser_is_refused():
    with pytest.raises(TypeError, match="DailyRunnerArguments"):
        await bot(DailyRunnerArguments(room_url="https://daily.example/room"))
