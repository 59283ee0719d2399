"""A place in a running pipeline whose processors can be replaced by others: how a leg takes over in mid-call."""

import asyncio
from collections.abc import Sequence

from loguru import logger
from pipecat.frames.frames import CancelFrame, Frame, StartFrame
from pipecat.pipeline.pipeline import Pipeline, PipelineSink, PipelineSource
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

CLOSING_SECONDS = 2.0
"""How long what was replaced may take to end. Nobody waits for it."""


class Slot(Pipeline):
    """A pipeline within a pipeline. What is put into it starts as if the call began."""

    def __init__(self, processors: Sequence[FrameProcessor]) -> None:
        """Begin with these processors, in order."""
        self._started = asyncio.Event()
        self._start: StartFrame | None = None
        super().__init__(processors, sink=PipelineSink(self._leave, name="Slot::Sink"))

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Keep what the pipeline starts with."""
        if isinstance(frame, StartFrame):
            self._start = frame
        await super().process_frame(frame, direction)

    async def _leave(self, frame: Frame, direction: FrameDirection) -> None:
        """What comes out behind the last processor. The rest of the pipeline is started once."""
        if isinstance(frame, StartFrame):
            if self._started.is_set():
                return
            self._started.set()
        await self.push_frame(frame, direction)

    async def refill(self, processors: Sequence[FrameProcessor]) -> None:
        """Let other processors take the place of those that are in it; these end beside the call.

        Args:
            processors: In order, new ones.
        """
        before = self._processors[1:-1]
        self._apart(before)
        self._processors = [self._source, *processors, self._sink]
        self._link_processors()
        await self._setup_processors(processors, self.processor_setup)
        if self._start is not None:
            await self._source.queue_frame(self._start, FrameDirection.DOWNSTREAM)
        self.create_task(self._end(before), "end of what was replaced")

    def _apart(self, processors: Sequence[FrameProcessor]) -> None:
        """Take a row of processors out of the pipeline: what they still push goes nowhere."""
        PipelineSource(_nowhere, name="Slot::Before").link(processors[0])
        processors[-1].link(PipelineSink(_nowhere, name="Slot::After"))

    async def _end(self, processors: Sequence[FrameProcessor]) -> None:
        try:
            async with asyncio.timeout(CLOSING_SECONDS):
                for processor in processors:
                    await processor.process_frame(CancelFrame(), FrameDirection.DOWNSTREAM)
        except Exception as error:
            logger.warning("what was replaced does not end in order: {!r}", error)
        await self._cleanup_processors(processors)


async def _nowhere(frame: Frame, direction: FrameDirection) -> None:
    """What was taken out has nobody to talk to."""
