"""Is the model still there? A fact, as an event."""

from collections.abc import Sequence

from loguru import logger
from pipecat.frames.frames import ErrorFrame
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.utils.errors import ErrorCategory

from bot.events import ModelLost
from bot.session import Session


class ModelWatch:
    """Tells the call once that its model is gone.

    Errors of category `application` are our own tools' (the conversation goes on); those of other processors are not
    the model's.
    """

    def __init__(self, session: Session, model: Sequence[FrameProcessor]) -> None:
        """Args: session: the call's session. model: the processors that make up the model leg."""
        self._session = session
        self._model = model
        self._lost = False

    def error(self, frame: ErrorFrame) -> None:
        """An error has travelled up the pipeline."""
        if frame.processor not in self._model or frame.category is ErrorCategory.APPLICATION:
            return
        logger.error("model: {}", frame.error)
        if not self._lost:
            self._lost = True
            self._session.post(ModelLost(at=self._session.now(), reason="the model is gone"))
