"""What the caller hears of a server that stands still, and how exactly the model knows what was heard."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from sandbox.brain import Reply, Say, Turn
from sandbox.caller import CallerLeg
from sandbox.hum import Hum, hum_for
from sandbox.process import ServerProcess, server_process
from sandbox.stage import OUR_NUMBER, Stage
from sandbox.view import SessionView
from sandbox.voice import speak

SENTENCE = "We are open from nine in the morning until six in the evening, on all days but Sunday and holidays. "
TELLS_MS = 20
"""How far the model may be told wrong what was heard."""


class Talker:
    """A model that says one long thing after the other."""

    call_sid: str | None = None

    def __init__(self, *replies: list[Say]) -> None:
        self._replies = list(replies)

    def transcript(self) -> str:
        return "Hold on."

    async def reply(self, turn: Turn) -> Reply:
        return self._replies.pop(0) if self._replies else []


@asynccontextmanager
async def calling(stage: Stage, brain: Talker) -> AsyncIterator[tuple[CallerLeg, Hum]]:
    """A call whose model is this one, until the end of the test."""
    hum = hum_for(0)
    stage.model.lines[hum] = brain
    call = await stage.network.call("+442079460123", OUR_NUMBER, hum=hum)
    brain.call_sid = call.sid
    try:
        yield call, hum
    finally:
        await call.hang_up()
        await call.ended()
        await call.settle()


async def stop_again_and_again(server: ServerProcess) -> None:
    """The process stands still for 400 ms of every second."""
    while True:
        await asyncio.sleep(0.6)
        os.kill(server.process.pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(0.4)
        finally:
            os.kill(server.process.pid, signal.SIGCONT)


def gaps(pcm: np.ndarray) -> list[float]:
    """Silences of 40 ms and more between the first and the last sound. Seconds."""
    loud = np.flatnonzero(np.abs(pcm.astype(int)) > 60)
    apart = np.diff(loud)
    return [gap / 8000 for gap in apart[apart >= 320].tolist()]


async def test_a_server_that_stands_still_again_and_again_is_not_heard(tmp_path: Path):
    reply = [Say(SENTENCE * 2), Say(SENTENCE)]
    async with Stage() as stage, server_process(stage, tmp_path) as server:
        async with calling(stage, Talker(reply)) as (call, hum):
            await call.until("speech started", timeout=30)
            stopping = asyncio.create_task(stop_again_and_again(server))
            try:
                stopped = await call.until("speech stopped", timeout=60)
            finally:
                stopping.cancel()
            notes = stage.journal.of(call.sid)
            session = of(stage, hum)
            assert len([n for n in notes if n.what == "speech started"]) == 1
            sent = sum(len(speak(say.text, voice="bot", rate=24_000)) / 24 for say in reply)
            assert stopped.data["played_ms"] == pytest.approx(sent, abs=2)
            assert gaps(call.heard) == []
            assert session.truncations == []
        record = await stage.record(call.sid)
    said = [line["text"] for line in record["transcript"] if line["role"] == "bot"]
    assert " ".join("".join(said).split()) == " ".join("".join(say.text for say in reply).split())


def of(stage: Stage, hum: Hum) -> SessionView:
    [session] = [session for session in stage.model.sessions if session.hum == hum]
    return session


def pipeline(folder: Path, audio: str) -> str:
    """Ours, with the sound that the model shall have."""
    path = folder / f"{audio}.yaml"
    path.write_text(Path("pipelines/openai_realtime.yaml").read_text().replace("audio: pcmu", f"audio: {audio}"))
    return str(path)


@pytest.mark.parametrize(("audio", "times"), [("pcmu", 20), ("pcm", 8)])
async def test_at_whatever_moment_the_caller_interrupts_the_model_is_told_what_was_played(
    tmp_path: Path, audio: str, times: int
):
    chance = random.Random(audio)  # noqa: S311 - moments, not secrets
    replies = [[Say(f"{n}. {SENTENCE}" * 2)] for n in range(times + 1)]
    async with Stage() as stage, server_process(stage, tmp_path, PIPELINE=pipeline(tmp_path, audio)):
        async with calling(stage, Talker(*replies)) as (call, hum):
            since = 0.0
            for _ in range(times):
                started = await call.until("speech started", timeout=30, since=since)
                await asyncio.sleep(chance.uniform(0.05, 1.8))
                await call.say(speak("Stop!", voice="caller", rate=8000))
                since = (await call.until("truncated", timeout=10, since=started.at)).at
            await call.until("speech started", timeout=30, since=since)
            notes = stage.journal.of(call.sid)
            told = {n.data["item_id"]: n.data["audio_end_ms"] for n in notes if n.what == "truncated"}
            played = [n.data["played_ms"] for n in notes if n.what == "clear"]
            errors = of(stage, hum).errors
        record = await stage.record(call.sid)
    assert errors == []
    assert len(told) == len(played) == times
    wrong = [t - p for t, p in zip(told.values(), played, strict=True)]
    assert max(wrong) <= 1, wrong  # never more than was heard
    late = sum(ms < -TELLS_MS for ms in wrong)  # a machine that is busy tells an echo late
    assert late <= max(times // 10, 1), wrong
    said = [line["text"] for line in record["transcript"] if line["role"] == "bot"]
    for n, text in enumerate(said[:times]):
        whole = replies[n][0].text
        assert whole.startswith(text.strip())
        assert len(text) < len(whole)
