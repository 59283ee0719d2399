"""`python server.py call`: the telephone in the terminal, driven through its keyboard."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sandbox.process import server_process
from sandbox.stage import Stage
from sandbox.terminal import environment


class Terminal:
    """The command, its keyboard and its screen."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.shown = ""

    def type(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())

    async def shows(self, text: str) -> None:
        """Wait until it stands on the screen, below what was waited for before."""
        assert self.process.stdout is not None
        while text not in self.shown:
            line = await self.process.stdout.readline()
            assert line, f"{text!r} was never shown; the last was {self.shown!r}"
            self.shown += line.decode()
        self.shown = self.shown.partition(text)[2]

    async def ends(self) -> str:
        rest, _ = await self.process.communicate()
        assert self.process.returncode == 0
        return self.shown + rest.decode()


@asynccontextmanager
async def at_the_terminal(*arguments: str) -> AsyncIterator[Terminal]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "server.py",
        "call",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "SANDBOX_VOICE": "tones"},
    )
    try:
        yield Terminal(process)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def test_whoever_types_is_the_caller_and_everybody_who_is_rung():
    async with at_the_terminal() as terminal:
        await terminal.shows("was heard to the end")
        terminal.type("Billing, please. I want a person!")
        await terminal.shows("calls hand_off")
        await terminal.shows("rings")
        terminal.type("/busy")
        await terminal.shows("nobody could take the call")
        terminal.type("Then somebody else, a person at the front desk.")
        await terminal.shows("+12025550143 is rung")
        terminal.type("/answer")
        await terminal.shows("has the caller")
        terminal.type("/bye")
        end = await terminal.ends()
    assert "The call has ended: put_through" in end
    assert "billing +12025550199: busy" in end
    assert "front_desk +12025550143: answered" in end


async def test_a_key_that_nothing_waits_for_is_explained_and_hanging_up_ends_the_call():
    async with at_the_terminal() as terminal:
        await terminal.shows("speaks")
        terminal.type("/answer")
        await terminal.shows("Nobody's phone is ringing.")
        terminal.type("/dance")
        await terminal.shows("Type what the caller says.")
        terminal.type("/5")
        await terminal.shows("presses 5")
        terminal.type("/hangup")
        assert "The call has ended: caller_hung_up" in await terminal.ends()


async def test_a_server_that_runs_already_is_called(tmp_path: Path, unused_tcp_port: int):
    told = environment(unused_tcp_port)
    async with Stage() as elsewhere, server_process(elsewhere, tmp_path, **told) as server:
        async with at_the_terminal("--to", server.url, "--rest-port", str(unused_tcp_port)) as terminal:
            await terminal.shows("Northwind Outfitters, hello!")  # from the record: the model is not our own
            terminal.type("/hangup")
            assert "The call has ended: caller_hung_up" in await terminal.ends()


async def test_where_no_server_is_ready_it_says_how_to_start_one(unused_tcp_port: int):
    async with at_the_terminal("--to", f"http://127.0.0.1:{unused_tcp_port}") as terminal:
        await terminal.shows("TWILIO_API_URL=http://127.0.0.1:8021 python server.py")
        assert await terminal.process.wait() == 2


async def test_without_a_key_the_real_model_is_refused_in_the_server_s_own_words(
    monkeypatch: pytest.MonkeyPatch,
):
    for name in ("OPENAI_API_KEY", "PIPELINE"):
        monkeypatch.delenv(name, raising=False)
    async with at_the_terminal("--real") as terminal:
        await terminal.shows("OPENAI_API_KEY")
        assert await terminal.process.wait() == 2
