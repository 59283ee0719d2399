"""Processors are replaced in a running pipeline; its neighbours notice nothing but other frames."""

import asyncio
import inspect

from pipecat.frames.frames import CancelFrame, Frame, StartFrame, TextFrame
from pipecat.pipeline.base_pipeline import BasePipeline
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.workers.runner import WorkerRunner

from pipelines.slot import Slot


class Stamp(FrameProcessor):
    """Writes its name on every text that goes by, and remembers what it saw."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name)
        self.seen: list[str] = []
        self.cleaned = False

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        self.seen.append(type(frame).__name__)
        if isinstance(frame, TextFrame):
            frame = TextFrame(f"{frame.text} {self.name}")
        await self.push_frame(frame, direction)

    async def cleanup(self) -> None:
        await super().cleanup()
        self.cleaned = True


class Ear(FrameProcessor):
    """What comes out at the end."""

    def __init__(self) -> None:
        super().__init__(name="Ear")
        self.texts: asyncio.Queue[str] = asyncio.Queue()
        self.starts = 0

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        self.starts += isinstance(frame, StartFrame)
        if isinstance(frame, TextFrame):
            self.texts.put_nowait(frame.text)
        await self.push_frame(frame, direction)


async def test_others_take_the_place_of_processors_that_end_apart():
    first, second, ear = [Stamp("a"), Stamp("b")], [Stamp("c")], Ear()
    slot = Slot(first)
    worker = PipelineWorker(Pipeline([slot, ear]), params=PipelineParams(), enable_rtvi=False)
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    await worker.queue_frame(TextFrame("one"))
    assert await ear.texts.get() == "one a b"
    await slot.refill(second)
    await first[-1].push_frame(TextFrame("late"))  # nobody hears what was replaced
    await worker.queue_frame(TextFrame("two"))
    assert await ear.texts.get() == "two c"
    while not all(stamp.cleaned for stamp in first):
        await asyncio.sleep(0.01)
    assert all("CancelFrame" in stamp.seen for stamp in first)
    assert "StartFrame" in second[0].seen
    assert ear.starts == 1
    await worker.queue_frame(CancelFrame())
    await worker.cancel()
    await running
    assert second[0].cleaned


def test_a_pipeline_still_keeps_its_processors_where_the_slot_finds_them():
    source = inspect.getsource(Pipeline.__init__)
    assert "self._processors: list[FrameProcessor] = [self._source, *processors, self._sink]" in source
    assert "self._link_processors()" in source
    for name in ("_setup_processors", "_cleanup_processors"):
        assert inspect.iscoroutinefunction(getattr(BasePipeline, name))
