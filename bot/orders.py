"""Orders to Twilio for one live call, and the facts that come of them."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from loguru import logger

from bot.call import Call, Phase
from bot.effects import Document, HangUp
from bot.events import (
    CallEnded,
    CallLives,
    Event,
    Failure,
    HangUpFailed,
    PersonCalled,
    PersonNotCalled,
    RedirectAccepted,
    RedirectFailed,
)
from bot.person_events import IntroductionEnded
from bot.telephony import Ambiguous, CallGone, NewCall, NewText, Telephony, TelephonyError

ENDED_STATUSES = {"completed", "busy", "failed", "no-answer", "canceled"}
"""What Twilio calls a call that is over (Twilio: Call resource, `Status`)."""


class Calling(Protocol):
    """How the people of attended attempts are called, and told that they are not needed any more."""

    def order(self, call: Call, attempt: int) -> NewCall:
        """The call to the person of this attempt."""
        ...

    def texts(self, call: Call, attempt: int) -> list[NewText]:
        """The text messages for the people of this attempt."""
        ...

    def bring(self, call: Call, attempt: int) -> str:
        """The document that leads the person of this attempt to the caller."""
        ...

    def introduction(self, call: Call, attempt: int) -> str:
        """The address of the document by which the caller and this person are introduced to each other."""
        ...

    def page(self, call: Call, attempt: int) -> str:
        """The address of the page of the person of this attempt."""
        ...

    def release(self, call: Call, attempt: int) -> str:
        """What they hear who are on the line for a caller who is not."""
        ...


class Orders:
    """Gives the orders of one call. None of them raises what Twilio answers."""

    def __init__(
        self,
        telephony: Telephony,
        render: Callable[[Document, Call], str],
        calling: Calling,
        clock: Callable[[], float],
    ) -> None:
        """Args: see `bot.session.Session`."""
        self._telephony = telephony
        self._render = render
        self._calling = calling
        self._clock = clock

    async def deliver(
        self, call: Callable[[], Call], document: Document, ready: Callable[[], Awaitable[None]]
    ) -> Event | None:
        """Redirect the live call, or end it, when it is `ready` for that. Its answer is one more fact."""
        await ready()
        try:
            if isinstance(document, HangUp):
                if call().phase is Phase.CLOSING:  # the only phase in which a call may be ended
                    await self._telephony.hang_up(call().sid)
                return None
            await self._telephony.redirect(call().sid, self._render(document, call()))
        except TelephonyError as error:
            logger.error("Twilio did not confirm {}: {}", type(document).__name__, error)
            return self._failed(document, error)
        return RedirectAccepted(at=self._clock())

    def _failed(self, document: Document, error: TelephonyError) -> Event:
        failure = Failure.NOT_DONE
        if isinstance(error, CallGone):
            failure = Failure.GONE
        elif isinstance(error, Ambiguous):
            failure = Failure.UNKNOWN
        if isinstance(document, HangUp):
            return HangUpFailed(at=self._clock(), failure=failure)
        return RedirectFailed(at=self._clock(), failure=failure, code=error.code)

    async def call_person(self, call: Call, attempt: int, *, ask: bool) -> Event:
        """Call somebody who may take the call. Never twice for one attempt.

        Args:
            call: The call.
            attempt: Whom, from 1.
            ask: Whether Twilio is asked first if the caller is still there. A process that does not have their stream
                may not have been told.
        """
        if ask and isinstance(ended := await self.ask(call.sid), CallEnded):
            return ended
        try:
            leg_sid = await self._telephony.call(self._calling.order(call, attempt))
        except TelephonyError as error:
            logger.error("Twilio did not confirm the call to a person: {}", error)
            failure = Failure.UNKNOWN if isinstance(error, Ambiguous) else Failure.NOT_DONE
            return PersonNotCalled(at=self._clock(), attempt=attempt, failure=failure, code=error.code)
        return PersonCalled(at=self._clock(), attempt=attempt, leg_sid=leg_sid)

    async def text_person(self, call: Call, attempt: int, told: Callable[[dict[str, Any]], None]) -> None:
        """Send whoever is rung the address of their page. `told` takes what the record shall say of each message."""
        for text in self._calling.texts(call, attempt):
            failure: str | None = None
            try:
                await self._telephony.text(text)
            except TelephonyError as error:
                logger.error("Twilio did not confirm a text message: {}", error)
                failure = str(error)
            told({"attempt": attempt, "number": text.to, "failure": failure})

    async def bring_person(self, call: Callable[[], Call], attempt: int) -> None:
        """Move somebody who took the call at their page from the words in their ear into the conference."""
        leg_sid = call().attempts[attempt - 1].leg_sid
        if leg_sid is None:
            return
        try:
            await self._telephony.redirect(leg_sid, self._calling.bring(call(), attempt))
        except TelephonyError as error:
            logger.error("Twilio did not confirm that a person is brought to the caller: {}", error)

    async def introduce(self, call: Call, attempt: int, conference: str) -> Event | None:
        """Have both told who the other is. Never twice; how it went, the conference's own callback tells."""
        try:
            await self._telephony.announce(conference, self._calling.introduction(call, attempt))
        except Ambiguous as error:
            logger.error("Twilio did not say whether it introduces the two: {}", error)
        except TelephonyError as error:
            logger.error("Twilio does not introduce the two: {}", error)
            return IntroductionEnded(at=self._clock(), attempt=attempt, said=False)
        return None

    async def release_person(self, call: Callable[[], Call], attempt: int) -> None:
        """End a ringing that nobody waits for; who has picked up is told."""
        person = call().attempts[attempt - 1]
        if person.leg_sid is None:
            return
        try:
            if person.answered_at is None or person.declined:
                await self._telephony.hang_up(person.leg_sid)
            else:
                await self._telephony.redirect(person.leg_sid, self._calling.release(call(), attempt))
        except CallGone:
            pass  # they have hung up themselves
        except TelephonyError as error:
            logger.error("Twilio did not confirm that a person is let go: {}", error)

    async def ask(self, sid: str) -> Event:
        """Ask whether a call lives."""
        try:
            ended = await self._telephony.status(sid) in ENDED_STATUSES
        except CallGone:
            ended = True
        except TelephonyError as error:
            logger.warning("Twilio did not say whether the call lives: {}", error)
            ended = False
        return CallEnded(at=self._clock()) if ended else CallLives(at=self._clock())
