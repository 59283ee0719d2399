"""Model sessions that are opened while Twilio is still opening its stream, each for one stream of one call."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from loguru import logger

from pipelines.legs import Leg

WAIT_SECONDS = 10.0
"""How long a session waits for its stream. Twilio opens one within a second, or not at all."""

Key = tuple[str, int]
"""CallSid and the number of the call's media stream."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    leg: Leg
    opening: asyncio.Task[None]
    timeout: asyncio.TimerHandle


class Anteroom:
    """Opens sessions ahead, and drops those that nobody came for."""

    def __init__(self, *, places: int) -> None:
        """Open it.

        Args:
            places: How many may wait at once. Beyond, a session is opened when its stream starts.
        """
        self._places = places
        self._waiting: dict[Key, _Waiting] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def prepare(self, sid: str, number: int, build: Callable[[], Leg]) -> None:
        """A stream of this call is about to open: open its session.

        Args:
            sid: The CallSid.
            number: The stream's number.
            build: Makes a leg.
        """
        key = (sid, number)
        if key in self._waiting or len(self._waiting) >= self._places:
            return
        leg = build()
        opening = asyncio.create_task(self._open(leg))
        timeout = asyncio.get_running_loop().call_later(WAIT_SECONDS, self.drop, sid, number)
        self._waiting[key] = _Waiting(leg, opening, timeout)

    def take(self, sid: str, number: int, build: Callable[[], Leg]) -> Leg:
        """The leg for a stream that has started: the one that waits for it, open or opening, or a new one."""
        waiting = self._waiting.pop((sid, number), None)
        if waiting is None:
            return build()
        waiting.timeout.cancel()
        return waiting.leg

    def drop(self, sid: str, number: int) -> None:
        """No stream will come."""
        waiting = self._waiting.pop((sid, number), None)
        if waiting is not None:
            waiting.timeout.cancel()
            task = asyncio.create_task(waiting.leg.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Drop them all."""
        for sid, number in list(self._waiting):
            self.drop(sid, number)
        await asyncio.gather(*self._closing, return_exceptions=True)

    async def _open(self, leg: Leg) -> None:
        try:
            await leg.open()
        except Exception as error:  # the pipeline will tell it to the call
            logger.warning("the model's session cannot be opened ahead: {!r}", error)
