"""One end of a media stream in memory, and a real Pipecat pipeline around what is tested."""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from pipecat.frames.frames import Frame, StartFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.workers.runner import WorkerRunner

F = TypeVar("F", bound=Frame)

STREAM_SID = "MZ" + "d4" * 16
CALL_SID = "CA" + "c3" * 16


class Tape:
    """A `bot.wire.Wire` that keeps what is sent, and brings what it is given."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.closed = False
        self._take: Callable[[str | bytes], None] | None = None
        self._over = asyncio.Event()

    async def receive(self, take: Callable[[str | bytes], None]) -> None:
        self._take = take
        await self._over.wait()

    def send(self, message: str) -> None:
        self.sent.append(json.loads(message))

    async def close(self) -> None:
        self.closed = True
        self._over.set()

    def bring(self, message: str | bytes | dict[str, Any]) -> None:
        """A message arrives."""
        assert self._take is not None
        self._take(json.dumps(message) if isinstance(message, dict) else message)

    def end(self) -> None:
        """The other side hangs up."""
        self._over.set()

    @property
    def events(self) -> list[str]:
        return [message["event"] for message in self.sent]

    @property
    def marks(self) -> list[str]:
        return [message["mark"]["name"] for message in self.sent if message["event"] == "mark"]

    @property
    def payloads(self) -> list[str]:
        return [message["media"]["payload"] for message in self.sent if message["event"] == "media"]


class Recorder(FrameProcessor):
    """Keeps every frame that comes by, in both directions, and lets it pass."""

    def __init__(self) -> None:
        super().__init__()
        self.down: list[Frame] = []
        self.up: list[Frame] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        (self.down if direction is FrameDirection.DOWNSTREAM else self.up).append(frame)
        await self.push_frame(frame, direction)

    def of(self, kind: type[F]) -> list[F]:
        """The frames of one kind that went downstream."""
        return [frame for frame in self.down if isinstance(frame, kind)]


@asynccontextmanager
async def running(processors: Sequence[FrameProcessor], last: Recorder) -> AsyncIterator[PipelineWorker]:
    """A pipeline that has started, and is over afterwards."""
    worker = PipelineWorker(
        Pipeline([*processors, last]),
        params=PipelineParams(audio_in_sample_rate=8000, audio_out_sample_rate=8000),
        cancel_on_idle_timeout=False,
        idle_timeout_secs=None,
        enable_rtvi=False,
        enable_turn_tracking=False,
    )
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    run = asyncio.create_task(runner.run())
    await until(lambda: last.of(StartFrame))
    try:
        yield worker
    finally:
        await worker.cancel()
        await run


async def until(true: Callable[[], object]) -> None:
    """Wait for what other tasks bring about; the test's own time limit ends it."""
    while not true():
        await asyncio.sleep(0.005)


async def settled() -> None:
    """Let everything happen that needs nothing from outside."""
    for _ in range(200):
        await asyncio.sleep(0)


def payload(ms: float) -> str:
    """So much silence: µ-law of 8 kHz, in base64."""
    return b64encode(b"\xff" * round(ms * 8)).decode()
