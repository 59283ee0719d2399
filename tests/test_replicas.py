"""Two servers on one record: what becomes of the calls of one of them when it is gone."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp

from sandbox.process import ServerProcess, server_process
from sandbox.stage import OUR_NUMBER, Stage

CALLER = "+442079460123"


async def record(server: ServerProcess, sid: str) -> dict[str, Any]:
    async with aiohttp.ClientSession() as http, http.get(f"{server.url}/api/calls/{sid}") as answer:
        return await answer.json()


async def ended(server: ServerProcess, sid: str) -> dict[str, Any]:
    """The call's record, once it has an end; the test's own time limit ends the wait."""
    while (told := await record(server, sid))["state"] != "ended":
        await asyncio.sleep(0.1)
    return told


async def test_a_caller_whose_server_is_killed_talks_with_the_bot_of_another_one(
    stage: Stage, tmp_path: Path, postgresql: str
):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    async with (
        server_process(stage, tmp_path / "other", DATABASE_URL=postgresql, SPOOL=str(tmp_path / "a")) as other,
        server_process(stage, tmp_path / "one", DATABASE_URL=postgresql, SPOOL=str(tmp_path / "b")) as one,
    ):
        call = await stage.network.call(CALLER, OUR_NUMBER)
        greeted = await call.until("speech stopped", timeout=30)
        stage.connect(other.url)
        await one.kill()
        await call.until("speech started", since=greeted.at, timeout=30)
        talking = await record(other, call.sid)
        assert (talking["state"], talking["leg"], talking["rescues"]) == ("bot", 2, 1)
        assert [fall["rung"] for fall in talking["falls"]] == ["rescue"]
        await call.hang_up()
        assert (await ended(other, call.sid))["end"] == "caller_hung_up"


async def test_a_caller_who_hangs_up_while_no_server_is_there_gets_an_end_in_the_record(
    stage: Stage, tmp_path: Path, postgresql: str
):
    (tmp_path / "other").mkdir()
    settings = {"DATABASE_URL": postgresql, "SPOOL": str(tmp_path / "spool")}
    async with server_process(stage, tmp_path, **settings) as one:
        call = await stage.network.call(CALLER, OUR_NUMBER)
        await call.until("speech started", timeout=30)
        stage.connect("http://127.0.0.1:9")  # the discard port: nobody listens
        await one.kill()
        await call.hang_up()
    async with server_process(stage, tmp_path / "other", **settings) as other:
        told = await ended(other, call.sid)
    assert told["end"] == "caller_hung_up"
