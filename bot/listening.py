"""Is the conversation one? Turns that nobody understood, a line on which nobody speaks: facts, as events."""

import asyncio
from collections.abc import Callable

from bot.events import CallerSaid, LineSilent
from bot.session import Session

LOOK_SECONDS = 0.25

UNDERSTOOD_SECONDS = 6.0
"""How long the words of a turn may take to be written down. Past it, the turn was not understood."""


class Listening:
    """Listens for what the law's triggers want to know. See `bot.triggers`."""

    def __init__(
        self,
        session: Session,
        *,
        silence_seconds: float,
        playing: Callable[[], bool],
        clock: Callable[[], float] | None = None,
    ) -> None:
        """Listen to one conversation.

        Args:
            session: The call's session.
            silence_seconds: For how long nobody may say anything; 0 for ever. Seconds.
            playing: Whether the caller is hearing something.
            clock: Seconds, monotonic; the event loop's by default.
        """
        self._session = session
        self._silence_seconds = silence_seconds
        self._playing = playing
        self._clock = clock or asyncio.get_running_loop().time
        self._sound_at = self._clock()
        self._speaks = False
        self._turn_ended_at: float | None = None

    def caller_began(self) -> None:
        """The caller begins to speak."""
        self._speaks = True
        self.look()

    def caller_ended(self) -> None:
        """The caller has stopped speaking."""
        self._speaks = False
        self._sound_at = self._clock()
        self._turn_ended_at = self._turn_ended_at or self._sound_at

    def understood(self, text: str) -> None:
        """What the caller said was written down."""
        self._turn_ended_at = None
        self._session.post(CallerSaid(at=self._session.now(), text=text))

    async def run(self) -> None:
        """Listen for ever."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """Look once."""
        now = self._clock()
        if self._turn_ended_at is not None and now - self._turn_ended_at > UNDERSTOOD_SECONDS:
            self._turn_ended_at = None
            self._session.post(CallerSaid(at=self._session.now(), text=""))
        if self._speaks or self._playing():
            self._sound_at = now
        elif 0 < self._silence_seconds <= now - self._sound_at:
            self._sound_at = now  # once for each silence
            self._session.post(LineSilent(at=self._session.now()))
