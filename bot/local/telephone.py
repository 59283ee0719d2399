"""A telephone network without telephones: it does what the law's documents say, and asks a tester how people behave.

Twilio's part in a call, on typed orders rather than TwiML: each document of the law is carried out, and its end comes
back as the same events that Twilio's webhooks bring. `sandbox/` is the strict one, which reads the TwiML itself.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar
from urllib.parse import parse_qs, urlsplit

from loguru import logger

from bot import briefing
from bot.call import Phase
from bot.effects import ConnectBot, DialPerson, Document, Enqueue, HangUp, MeetPerson, TakeMessage
from bot.events import (
    Bridged,
    CallEnded,
    DialEnded,
    Event,
    ImpossibleEvent,
    MessageRecorded,
    PersonAccepted,
    PersonAnswered,
    PersonDeclined,
    PersonLegEnded,
    PersonRinging,
    StreamEnded,
    StreamStarted,
)
from bot.law import standing_document
from bot.local.desk import Act, Tester
from bot.local.sound import ring_back
from bot.local.wire import LocalWire, Player
from bot.person_events import IntroductionEnded
from bot.queue_events import CallerWaits, QueueLeft, TakenFromQueue, WaitGivenUp
from bot.routing import Mode, Policy, failsafe_seconds, resolve
from bot.session import Session
from bot.telephony import CallGone, NewCall, NewText

SCREENING_SECONDS = 8.0
"""How long somebody has to press a key, as in `bot.twiml.whisper`."""

_T = TypeVar("_T")


class _CallerGone(Exception):
    """The caller has hung up."""


class LocalTelephone:
    """One call's telephone network: its `Telephony`, and what Twilio does by itself."""

    def __init__(self, policy: Policy, tester: Tester, player: Player) -> None:
        """A call that has not come in yet.

        Args:
            policy: The operator's rules.
            tester: Told of everything, asked what people do.
            player: Plays what the caller hears.
        """
        self.sid = f"CA{secrets.token_hex(16)}"
        self.wire: LocalWire | None = None
        """The media stream that is open, if one is."""

        self._policy = policy
        self._tester = tester
        self._player = player
        self._gone = asyncio.Event()
        self._session: Session | None = None
        self._people: dict[str, asyncio.Task[None]] = {}
        """Who is called while the bot has the caller, by CallSid."""

    # --- Telephony: what our session orders ----------------------------------------------------------

    async def redirect(self, call_sid: str, twiml: str) -> None:
        """See `Telephony`. What the caller gets next is carried out once the stream has ended."""
        if self._let_go(call_sid):
            return
        if call_sid != self.sid or self._gone.is_set():
            raise CallGone(20404, None, "there is no such call")
        logger.debug("Twilio would get: {}", twiml)
        if self.wire is not None:
            self.wire.stop()

    async def hang_up(self, call_sid: str) -> None:
        """See `Telephony`."""
        if self._let_go(call_sid):
            return
        if call_sid != self.sid or self._gone.is_set():
            raise CallGone(20404, None, "there is no such call")
        self._tester.tell("The bot hangs up.")
        self.caller_hangs_up()

    async def text(self, order: NewText) -> None:
        """See `Telephony`."""
        self._tester.tell(f"{order.to} gets a text message: {order.body}")

    async def call(self, order: NewCall) -> str:
        """See `Telephony`. The tester says what happens there, while the bot goes on with the caller."""
        sid = f"CA{secrets.token_hex(16)}"
        n = int(parse_qs(urlsplit(order.url).query)["attempt"][0])
        self._people[sid] = asyncio.create_task(self._call_person(n, order))
        return sid

    async def announce(self, conference_sid: str, url: str) -> None:
        """See `Telephony`. The tester reads what both would hear."""
        n = int(parse_qs(urlsplit(url).query)["attempt"][0])
        session = self._session
        if session is not None:
            target = resolve(self._policy, session.call.attempts[n - 1].target)
            self._tester.tell(f'Both hear: "{briefing.introduction(session.call, target, n)}"')
            await _tell(session, IntroductionEnded(at=session.now(), attempt=n, said=True))

    def _let_go(self, call_sid: str) -> bool:
        """Somebody who was called is not needed any more. Returns whether there is such a call."""
        person = self._people.pop(call_sid, None)
        if person is not None and not person.done():
            self._tester.tell("Their phone stops ringing.")
            person.cancel()
        return person is not None

    async def _call_person(self, n: int, order: NewCall) -> None:
        session = self._session
        if session is None:
            return
        await _tell(session, PersonRinging(at=session.now(), attempt=n))
        question = f"Twilio would call {order.to}, for {order.ring_seconds} s, while the bot stays. What happens there?"
        acts = (Act.ANSWER, Act.BUSY, Act.NO_ANSWER, Act.UNREACHABLE)
        self._tester.tell(f"{question} [{' | '.join(acts)}]")
        act = await self._tester.choose(question, acts, order.ring_seconds)
        if act is Act.ANSWER:
            await _tell(session, PersonAnswered(at=session.now(), attempt=n))
            with suppress(_CallerGone):
                if await self._screen(n, session):
                    return
            status = "completed"
        else:
            status = {Act.BUSY: "busy", Act.UNREACHABLE: "failed"}.get(act or Act.NO_ANSWER, "no-answer")
        await _tell(session, PersonLegEnded(at=session.now(), attempt=n, status=status))

    async def status(self, call_sid: str) -> str:
        """See `Telephony`."""
        return "completed" if call_sid != self.sid or self._gone.is_set() else "in-progress"

    async def close(self) -> None:
        """See `Telephony`."""
        for person in self._people.values():
            person.cancel()

    # --- the caller ----------------------------------------------------------------------------------

    def caller_hangs_up(self) -> None:
        """The call is over, whatever it is doing."""
        self._gone.set()
        if self.wire is not None:
            self.wire.stop()

    async def run(self, session: Session, talk: Callable[[LocalWire], Awaitable[None]]) -> None:
        """Live through the call.

        Args:
            session: The call.
            talk: Puts the bot on a media stream until it ends.
        """
        self._session = session
        document = standing_document(session.call)
        try:
            while not isinstance(document, HangUp):
                document = await self._carry_out(document, session, talk)
        except _CallerGone:
            pass
        self._gone.set()
        await _tell(session, CallEnded(at=session.now()))
        self._tester.tell(f"The call has ended: {session.call.end}.")

    # --- documents -----------------------------------------------------------------------------------

    async def _carry_out(
        self, document: Document, session: Session, talk: Callable[[LocalWire], Awaitable[None]]
    ) -> Document:
        """Do what a document says. Returns the next one."""
        match document:
            case ConnectBot(leg):
                await self._connect_bot(leg, session, talk)
            case DialPerson(attempt):
                await session.answer(await self._dial(attempt, session))
            case Enqueue(attempt):
                await session.answer(await self._enqueue(attempt, session))
            case MeetPerson(attempt):
                await session.answer(await self._meet(attempt, session))
            case TakeMessage():
                await session.answer(await self._record(session))
            case HangUp():
                pass
        return HangUp() if session.call.phase is Phase.ENDED else standing_document(session.call)

    async def _connect_bot(self, leg: int, session: Session, talk: Callable[[LocalWire], Awaitable[None]]) -> None:
        self.wire = wire = LocalWire(self._player)
        self._tester.tell("The caller is with the bot.")
        await session.apply(StreamStarted(at=session.now(), leg=leg))
        await talk(wire)
        self.wire = None
        # The pipeline's own report of it may still be under way; told twice, it changes nothing.
        await _tell(session, StreamEnded(at=session.now(), leg=leg, stopped=wire.stopped))
        if self._gone.is_set():
            raise _CallerGone
        if not wire.stopped:
            await self._failsafe(session)
            raise _CallerGone

    async def _failsafe(self, session: Session) -> None:
        """The bot has let go of the stream: Twilio goes on with what stands behind it in the document that it holds."""
        target = self._policy.targets[self._policy.failsafe]
        numbers = ", ".join(endpoint.address for endpoint in target.endpoints)
        seconds = failsafe_seconds(self._policy)
        self._tester.tell(f"The bot is gone. Twilio would ring {numbers} ({target.key}) by the document that it holds.")
        act = await self._ring("What happens there?", (Act.ANSWER, Act.NO_ANSWER), seconds)
        if act is Act.ANSWER:
            await _tell(session, PersonAnswered(at=session.now(), attempt=0))
            await self._ask("They are talking.", (Act.HANG_UP,), None)
        await _tell(session, PersonLegEnded(at=session.now(), attempt=0, talked=act is Act.ANSWER))

    async def _dial(self, n: int, session: Session) -> Event:
        """Ring somebody. Returns what Twilio's `action` request would say."""
        attempt = session.call.attempts[n - 1]
        target = resolve(self._policy, attempt.target)
        addresses = attempt.number.split(",")
        rung = [endpoint.ring_seconds for endpoint in target.endpoints if endpoint.address in addresses]
        seconds = max(rung, default=30)
        question = f"Twilio would dial {attempt.number} ({target.key}), for {seconds} s. What happens there?"
        acts = (Act.ANSWER, Act.BUSY, Act.NO_ANSWER, Act.UNREACHABLE)
        bridged = False
        try:
            match await self._ring(question, acts, seconds):
                case Act.ANSWER:
                    status = "completed"
                    await _tell(session, PersonAnswered(at=session.now(), attempt=n))
                    bridged = target.mode is Mode.DIAL or await self._screen(n, session)
                    if bridged:
                        await self._ask(f"The caller is with {target.key}.", (Act.HANG_UP,), None)
                    await _tell(session, PersonLegEnded(at=session.now(), attempt=n, talked=True))
                case Act.BUSY:
                    status = "busy"
                case Act.UNREACHABLE:
                    status = "failed"
                case _:
                    status = "no-answer"
        except _CallerGone:
            gone = DialEnded(at=session.now(), attempt=n, status="canceled", bridged=bridged, caller_gone=True)
            await session.answer(gone)
            raise
        self._tester.tell(f"{attempt.number}: {status}{', they talked' if bridged else ''}.")
        return DialEnded(at=session.now(), attempt=n, status=status, bridged=bridged)

    async def _screen(self, n: int, session: Session) -> bool:
        """Let the person hear who is calling. Returns whether they take the call."""
        target = resolve(self._policy, session.call.attempts[n - 1].target)
        question = f'They hear: "{briefing.for_person(session.call, target)}"'
        act = await self._ask(question, (Act.ACCEPT, Act.DECLINE), SCREENING_SECONDS)
        taken = act is Act.ACCEPT
        if act is None:  # no key: they have not taken it
            return False
        fact = PersonAccepted if taken else PersonDeclined
        await _tell(session, fact(at=session.now(), attempt=n))
        return taken

    async def _enqueue(self, n: int, session: Session) -> Event:
        """Let the caller wait in a queue. Returns what Twilio's `action` request would say."""
        target = resolve(self._policy, session.call.attempts[n - 1].target)
        seconds = target.queue.max_wait if target.queue is not None else 0
        await _tell(session, CallerWaits(at=session.now(), attempt=n, position=1, seconds=0))
        question = f"The caller waits in the queue of {target.key}, for {seconds} s. Does somebody take them?"
        result = "leave"
        try:
            match await self._ring(question, (Act.ANSWER, Act.NO_ANSWER, Act.LEAVE_QUEUE), seconds):
                case Act.ANSWER:
                    result = "bridged"
                    await _tell(session, TakenFromQueue(at=session.now()))
                    await self._ask(f"The caller is with {target.key}.", (Act.HANG_UP,), None)
                case Act.LEAVE_QUEUE:
                    await _tell(session, WaitGivenUp(at=session.now(), attempt=n))
                case _:
                    pass
        except _CallerGone:
            result = "hangup" if result == "leave" else result
            await session.answer(QueueLeft(at=session.now(), attempt=n, result=result, caller_gone=True))
            raise
        return QueueLeft(at=session.now(), attempt=n, result=result)

    async def _meet(self, n: int, session: Session) -> Event:
        """The caller comes to the person who waits. Returns what Twilio's `action` request would say."""
        await _tell(session, Bridged(at=session.now(), attempt=n, conference=f"CF{secrets.token_hex(16)}"))
        gone = False
        try:
            await self._ask(f"The caller is with {session.call.attempts[n - 1].target}.", (Act.HANG_UP,), None)
            over = PersonLegEnded(at=session.now(), attempt=n, talked=True, status="completed")
            await _tell(session, over)  # not a person who has stepped out to send the caller back
        except _CallerGone:
            gone = True
        ended = DialEnded(at=session.now(), attempt=n, status="answered", bridged=True, caller_gone=gone)
        if gone:
            await session.answer(ended)
            raise _CallerGone
        return ended

    async def _record(self, session: Session) -> Event:
        """Let the caller leave a message. Returns what Twilio's `action` request would say."""
        voicemail = self._policy.voicemail
        question = f'The caller hears: "{voicemail.greeting}", and a tone.'
        act = await self._ask(question, (Act.LEAVE_MESSAGE, Act.HANG_UP), voicemail.max_seconds)
        seconds = 5 if act is Act.LEAVE_MESSAGE else 0
        return MessageRecorded(at=session.now(), url="local:message" if seconds else "", seconds=seconds)

    async def _ring(self, question: str, acts: tuple[Act, ...], seconds: float) -> Act | None:
        """Ask what happens at a telephone; the caller hears it ring meanwhile."""
        ringing = asyncio.create_task(ring_back(self._player))
        try:
            return await self._ask(question, acts, seconds)
        finally:
            ringing.cancel()
            self._player.clear()

    async def _ask(self, question: str, acts: tuple[Act, ...], seconds: float | None) -> Act | None:
        """Ask the tester, unless the caller hangs up meanwhile."""
        self._tester.tell(f"{question} [{' | '.join(acts)}]")
        return await self._unless_gone(self._tester.choose(question, acts, seconds))

    async def _unless_gone(self, work: Awaitable[_T]) -> _T:
        task = asyncio.ensure_future(work)
        gone = asyncio.ensure_future(self._gone.wait())
        try:
            await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise _CallerGone
            return task.result()
        finally:
            task.cancel()
            gone.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(task, gone, return_exceptions=True)


async def _tell(session: Session, event: Event) -> None:
    """A fact that no document follows."""
    with suppress(ImpossibleEvent):
        await session.apply(event)
