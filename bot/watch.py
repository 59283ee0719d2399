"""Is the model still there? A fact, as an event."""

import asyncio
from collections.abc import Callable

from loguru import logger
from pipecat.frames.frames import ErrorFrame
from pipecat.utils.errors import ErrorCategory

from bot.events import ModelLost
from bot.session import Session
from pipelines import Leg

LOOK_SECONDS = 0.5
"""How often the model is looked at."""

FILLER_SECONDS = 3.5
"""How long the caller waits for an answer before they are told that one is coming."""


class ModelWatch:
    """Tells the call that its model is gone: once for each session of the model.

    A model is gone when its leg says so with an error (closed, refused, fatal for the session), or when an answer is
    overdue and nothing arrives. Errors of category `application` are our own tools' (the conversation goes on); those
    of other processors are not the model's.
    """

    def __init__(self, session: Session, leg: Leg, *, fill: Callable[[], None], silent: Callable[[], bool]) -> None:
        """Watch over one conversation.

        Args:
            session: The call's session.
            leg: The model.
            fill: Says a word to the caller, who is waiting.
            silent: Whether the caller hears nothing now.
        """
        self._session = session
        self._leg = leg
        self._fill = fill
        self._silent = silent
        self._lost = False

    def error(self, frame: ErrorFrame) -> None:
        """An error has travelled up the pipeline."""
        if frame.processor in self._leg.stages and frame.category is not ErrorCategory.APPLICATION:
            self.lost(frame.error)

    def lost(self, reason: str) -> None:
        """The model is gone."""
        if not self._lost:
            self._lost = True
            logger.error("model: {}", reason)
            self._session.post(ModelLost(at=self._session.now(), reason="the model is gone"))

    def renewed(self) -> None:
        """Another session has taken over."""
        self._lost = False

    async def run(self) -> None:
        """Look until cancelled."""
        filled = False
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            waiting = self._leg.waiting_seconds
            if waiting < FILLER_SECONDS:
                filled = False
            elif not filled and not self._lost:
                filled = True
                self._fill()
            if (overdue := self._leg.overdue) is not None:
                self.lost(overdue)
            elif self._leg.ends_soon and self._leg.resting and self._silent() and not self._lost:
                await self._renew_unnoticed()

    async def _renew_unnoticed(self) -> None:
        """A session that is about to end is replaced in a pause of the conversation."""
        try:
            await self._leg.renew(None)
        except Exception as error:
            self.lost(f"no new session for one that is about to end: {error!r}")
        else:
            logger.info("the model's session was about to end; a new one has taken over")
