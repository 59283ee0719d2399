"""Is the model still there? A fact, as an event."""

import asyncio
from collections.abc import Callable

from loguru import logger
from pipecat.frames.frames import ErrorFrame
from pipecat.utils.errors import ErrorCategory, classify_http_exception

from bot.events import LimitReached, ModelLost
from bot.session import Session
from pipelines.legs import Leg

LOOK_SECONDS = 0.5
"""How often the model is looked at."""

FILLER_SECONDS = 3.5
"""How long the caller waits for an answer before they are told that one is coming."""


LONGEST_FAULT = 200
"""Characters of what was seen that the record keeps."""


class ModelWatch:
    """Tells the call that its model is gone: once for each session of the model.

    A model is gone when its leg says so with an error (closed, refused, fatal for the session), or when an answer is
    overdue and nothing arrives. Errors of category `application` are our own tools' (the conversation goes on); those
    of other processors are not the model's.
    """

    def __init__(
        self,
        session: Session,
        leg: Leg,
        *,
        fill: Callable[[], None],
        silent: Callable[[], bool],
        most_tokens: int | None = None,
    ) -> None:
        """Watch over one conversation.

        Args:
            session: The call's session.
            leg: The model.
            fill: Says a word to the caller, who is waiting.
            silent: Whether the caller hears nothing now.
            most_tokens: How many tokens the conversation may use; None for any number.
        """
        self._most_tokens = most_tokens
        self._session = session
        self._leg = leg
        self._fill = fill
        self._silent = silent
        self._lost = False

    def error(self, frame: ErrorFrame) -> None:
        """An error has travelled up the pipeline."""
        if frame.processor in (*self._leg.ears, *self._leg.stages) and frame.category is not ErrorCategory.APPLICATION:
            self.lost(frame.error, frame.category or ErrorCategory.UNKNOWN)

    def failed(self, error: Exception) -> None:
        """No new session could be had."""
        self._lost = False
        self.lost(f"no new session: {error!r}", classify_http_exception(error))

    def lost(self, fault: str, category: ErrorCategory = ErrorCategory.UNKNOWN) -> None:
        """The model is gone.

        Args:
            fault: What was seen.
            category: What kind of fault that is, in Pipecat's classes.
        """
        if not self._lost:
            self._lost = True
            logger.error("model: {}", fault)
            for_good = category.is_permanent or category is ErrorCategory.QUOTA
            told = f"{category.value}: {fault}"[:LONGEST_FAULT]
            event = ModelLost(at=self._session.now(), reason="the model is gone", fault=told, for_good=for_good)
            self._session.post(event)

    def renewed(self, leg: Leg | None = None) -> None:
        """Another session has taken over.

        Args:
            leg: Of which leg, where it is another one.
        """
        self._leg = leg or self._leg
        self._lost = False

    def leave(self) -> None:
        """The bot has left: what becomes of its model is of no interest any more."""
        self._lost = True

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
            if self._most_tokens is not None and self._leg.usage.total > self._most_tokens:
                self._most_tokens = None  # told once
                self._session.post(LimitReached(at=self._session.now(), what="tokens"))
            self._leg.want_sign()
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
