"""All live calls of this process, by CallSid. Where a fact about a call finds its session."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from loguru import logger

from bot.addresses import Addresses
from bot.admission import Admission
from bot.call import STREAM_PHASES, Call, Phase
from bot.carried import Carried
from bot.effects import ConnectBot, Document, HangUp
from bot.events import Event, RescueAsked, StreamStarted
from bot.finder import FindsPeople
from bot.law import answer, answer_without_bot, standing_document
from bot.ledger import Entry, Ledger, LedgerError
from bot.notices import notices
from bot.observers import Observer
from bot.outgoing import place
from bot.people import People
from bot.recorder import CallRecorder, Recorder
from bot.routing import Policy
from bot.session import Session
from bot.telephony import Telephony
from bot.tokens import PersonPages, Seal, StreamTokens
from bot.twiml import document

DRAINS = "the bot's server is being replaced"


class Switchboard:
    """Finds, opens and forgets the sessions of calls."""

    def __init__(
        self,
        *,
        policy: Callable[[str], Policy],
        ledger: Ledger,
        telephony: Telephony,
        addresses: Addresses,
        tokens: StreamTokens,
        seal: Seal,
        pages: PersonPages,
        admission: Admission,
        observer: Observer | None = None,
        on_stream_expected: Callable[[Call], None] = lambda call: None,
        clock: Callable[[], float] = time.time,
        tells: bool = False,
        finder: FindsPeople | None = None,
        book: Callable[[Call, int], Awaitable[Event]] | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        """Compose it.

        Args:
            policy: The operator's rules for a number of ours that was called.
            ledger: The record.
            telephony: Twilio's REST.
            addresses: Our own addresses as Twilio sees them.
            tokens: The maker of stream tokens.
            seal: Of what the addresses of callbacks carry.
            pages: The maker of what opens a person's page.
            admission: Who decides whether the bot takes one more call.
            observer: Told of what happens to calls.
            on_stream_expected: Told of the call whose next stream Twilio is about to open.
            clock: Unix seconds.
            tells: Whether the operator's own systems are told of what happens.
            finder: Knows where people are; without one, the policy does.
            book: Books a wish to be called back, by its number.
            recorder: Records calls.
        """
        self.policy_of = policy
        self.ledger = ledger
        self._addresses = addresses
        self._telephony = telephony
        self._tokens = tokens
        self._seal = seal
        self.pages = pages
        self._admission = admission
        self._observer = observer or Observer()
        self._on_stream_expected = on_stream_expected
        self._clock = clock
        self._tells = tells
        self._finder = finder
        self._book = book
        self._recorder = recorder
        self._sessions: dict[str, Session] = {}
        self._finding = asyncio.Lock()
        self.draining = False
        """The process is to end: new calls go to a person, live ones go on."""

    @property
    def live(self) -> int:
        """How many calls this process knows of that have not ended."""
        return len(self._sessions)

    def now(self) -> float:
        """Unix seconds, on the switchboard's clock."""
        return self._clock()

    def holds(self, sid: str) -> bool:
        """Whether this process knows of the call."""
        return sid in self._sessions

    def live_in(self, phase: Phase) -> int:
        """How many of them are in this phase."""
        return sum(session.call.phase is phase for session in self._sessions.values())

    async def answer_call(self, sid: str, caller: str, called: str) -> str:
        """A call comes in. Returns the TwiML that connects it with the bot, or with a person when the bot takes none.

        Asked again (a retried webhook, a call that somebody sent here once more), it answers with the same document:
        its token opens the stream only if that has not been opened yet; otherwise Twilio goes on to the person who
        stands after it.
        """
        session = await self.find(sid)
        if session is not None:
            document = standing_document(session.call)
            if isinstance(document, HangUp):  # nobody is hung up on for calling
                document = ConnectBot(session.call.leg)
            return self._render(document, session.call)
        return await self._open(sid, caller, called)

    async def answer_callback(self, sid: str, caller: str, called: str, event: Event, state: str = "") -> str:
        """A webhook brings a fact about a call. Returns the TwiML that answers it.

        A call that nobody knows goes to the bot.

        Args:
            sid: Twilio's CallSid.
            caller: The caller's number, for a call that nobody knows.
            called: Our number, for the same.
            event: The fact.
            state: What the webhook's address carries of the call.
        """
        session = await self.find(sid, state)
        if session is None:
            logger.error("a callback came for a call without a record")
            return await self.answer_call(sid, caller, called)
        return await session.answer(event)

    async def rescue(self, sid: str, caller: str, called: str, leg: int, state: str) -> str:
        """Twilio asks what to do with a caller whose stream of this leg is gone. Returns TwiML."""
        session = await self.find(sid, state)
        closed = await self._admission.closed_to_all(None, self.now()) or self._closed_here(session) or ""
        event = RescueAsked(at=self.now(), leg=leg, closed=closed)
        logger.warning("a caller without a stream is taken back")
        return await self.answer_callback(sid, caller, called, event, state)

    async def once(self, sid: str, token: str, answer: Callable[[], Awaitable[str]]) -> str:
        """Answer a webhook; a retry of it gets what it was answered with first, whichever process it reaches.

        Args:
            sid: Twilio's CallSid.
            token: What is the same on a retry; empty where nothing is.
            answer: Makes the answer.
        """
        told = None
        try:
            async with self.ledger.patience.wait():
                told = await self.ledger.recall(sid, token) if token else None
        except (LedgerError, TimeoutError) as error:
            logger.warning("whether a webhook is a retry is not known: {!r}", error)
        if told is not None:
            logger.info("a webhook is retried")
            return told
        document = await answer()
        try:
            async with self.ledger.patience.wait():
                return await self.ledger.remember(sid, token, document) if token else document
        except (LedgerError, TimeoutError) as error:
            logger.warning("the answer to a webhook is not kept: {!r}", error)
            return document

    async def open_stream(self, sid: str, token: str, state: str = "") -> Session | None:
        """A media stream begins. Returns its call's session; None refuses the stream.

        Args:
            sid: Twilio's CallSid.
            token: What opens it.
            state: What the document that opened it carries of the call: another process may have given that.

        Raises:
            ImpossibleEvent: The token has been used, or is one of an earlier leg.
        """
        leg = self._tokens.leg(token, sid, self.now())
        session = await self.find(sid, state) if leg is not None else None
        if leg is None or session is None:
            return None
        await session.apply(StreamStarted(at=self.now(), leg=leg))
        return session

    def talks_here(self, sid: str) -> bool:
        """Whether a pipeline of this process carries the call."""
        session = self._sessions.get(sid)
        return session is not None and session.talks

    def calls(self) -> list[Call]:
        """Every call that this process knows of and that has not ended."""
        return [session.call for session in self._sessions.values()]

    async def find(self, sid: str, state: str = "") -> Session | None:
        """The session of a call, from memory or from the record; None for a call nobody knows.

        Args:
            sid: Twilio's CallSid.
            state: What a webhook's address carries of the call; it counts where the record is behind, or away.
        """
        carried = Carried.read(state, sid, self._seal) if state else None
        async with self._finding:
            session = self._sessions.get(sid)
            if session is None or (carried is not None and carried.is_ahead_of(session.call)):
                session = await self._read(sid, session)
            if session is None and carried is not None:
                logger.warning("a call that only a callback's own address knows")
                session = self._take(carried.new_call(sid), 0)
            elif session is not None and carried is not None:
                session.advance(carried)
            return session

    async def conversation(self, session: Session) -> list[Any]:
        """What was said on a call so far, as whoever carries it has kept it."""
        if not session.talks:
            try:
                async with self.ledger.patience.wait():
                    stored = await self.ledger.load(session.sid)
            except (LedgerError, TimeoutError) as error:
                logger.error("the record cannot be read: {!r}", error)
            else:
                return (stored.conversation if stored is not None else None) or session.messages
        return session.messages

    async def _read(self, sid: str, session: Session | None) -> Session | None:
        """The session as the record has it, which another process may have written."""
        try:
            async with self.ledger.patience.wait():
                stored = await self.ledger.load(sid)
        except (LedgerError, TimeoutError) as error:
            logger.error("the record cannot be read: {!r}", error)
            return session
        if stored is None:
            return session
        if session is None:
            session = self._take(stored.call, stored.version)
        session.catch_up(stored.call, stored.version, stored.conversation)
        return session

    def let_go(self) -> None:
        """Close every media stream: Twilio goes on with the person who stands behind it."""
        for session in list(self._sessions.values()):
            session.let_go()

    async def close(self) -> None:
        """Let go of every call: the process is ending."""
        await asyncio.gather(*(session.close() for session in self._sessions.values()))

    async def _open(self, sid: str, caller: str, called: str) -> str:
        closed = await self._admission.closed_to_all(caller, self.now())
        if (session := self._sessions.get(sid)) is not None:  # asked twice at once
            return self._render(standing_document(session.call), session.call)
        if closed := self._closed_here() or closed:
            logger.warning("the bot does not take this call: {}", closed)
            call, effects = answer_without_bot(sid, caller, called, self.now(), self.policy_of(called), closed)
        else:
            call, effects = answer(sid, caller, called, self.now())
        session = self._take(call, 1)  # at once: its place is taken, whatever the record takes
        try:
            async with self.ledger.patience.wait():
                told = notices(None, call) if self._tells else ()
                await self.ledger.add(call, Entry(call.started_at, "CallAnswered", {}, call.phase, True, notices=told))
        except (LedgerError, TimeoutError) as error:
            logger.error("the record is not kept, the call goes on: {!r}", error)
        self._observer.began(call)
        document = session.begin(effects) or standing_document(call)
        logger.info("a call comes in")
        return self._render(document, call)

    async def place(self, sid: str, callee: str, ours: str, purpose: str) -> None:
        """Twilio has taken our order for a call, of which this may be told more than once; see `bot.outgoing.place`."""
        if await self.find(sid) is not None or sid in self._sessions:
            return
        call, effects = place(sid, callee, ours, self.now(), purpose)
        session = self._take(call, 1)
        try:
            async with self.ledger.patience.wait():
                told = notices(None, call) if self._tells else ()
                await self.ledger.add(call, Entry(call.started_at, "CallPlaced", {}, call.phase, True, notices=told))
        except (LedgerError, TimeoutError) as error:
            logger.error("the record is not kept, the call goes on: {!r}", error)
        self._observer.began(call)
        session.begin(effects)
        logger.info("a call goes out")

    async def closed(self) -> str | None:
        """Why no call can be made now, if so: the bot would not take it."""
        return self._closed_here() or await self._admission.closed_to_all(None, self.now())

    async def held(self) -> str | None:
        """Why no call is begun now for which the bot is not needed, if so."""
        return DRAINS if self.draining else await self._admission.closed_to_all(None, self.now())

    def _closed_here(self, taken: Session | None = None) -> str | None:
        """Why the bot of this process takes no more calls (or, of those that it knows, not this one), if so."""
        if self.draining:
            return DRAINS
        with_bot = (Phase.CONNECTING, *STREAM_PHASES)
        talking = sum(session.call.phase in with_bot for session in self._sessions.values() if session is not taken)
        return self._admission.closed_here(talking)

    def _take(self, call: Call, version: int) -> Session:
        session = Session(
            call,
            version,
            policy=self.policy_of(call.called),
            ledger=self.ledger,
            telephony=self._telephony,
            render=self._render,
            calling=People(self.policy_of(call.called), self.addresses, self.pages, self._clock),
            clock=self._clock,
            observer=self._observer,
            on_end=self._forget,
            tells=self._tells,
            finder=self._finder,
            book=self._book,
            recorder=CallRecorder(self._recorder, self._told_of_recording, self._clock),
        )
        if call.phase is not Phase.ENDED:
            self._sessions[call.sid] = session
        return session

    async def forget_ended(self) -> None:
        """Let go of calls that another process has ended: those that no stream of ours carries.

        Raises:
            LedgerError: The record cannot be read.
        """
        for session in [session for session in self._sessions.values() if not session.talks]:
            stored = await self.ledger.load(session.sid)
            if stored is not None and stored.call.phase is Phase.ENDED and not self.ledger.behind(session.sid):
                await session.close()
                self._forget(session)

    def _forget(self, session: Session) -> None:
        self._sessions.pop(session.sid, None)

    def _render(self, order: Document, call: Call) -> str:
        token = ""
        if isinstance(order, ConnectBot):
            token = self._tokens.make(call.sid, order.leg, self.now())
            if call.phase is Phase.CONNECTING:
                self._on_stream_expected(call)
        return document(order, call, self.policy_of(call.called), self.addresses(call), token=token)

    def _told_of_recording(self, call: Call, n: int) -> str:
        """Where Twilio tells that the call's `n`-th recording is ready."""
        recording = call.recordings[n - 1]
        which = {"recording": n, "attempt": recording.attempt}
        return self.addresses(call).recording(recording.part, call.sid, **which)

    def addresses(self, call: Call) -> Addresses:
        """Our addresses for one document of a call, which carry how far the call is."""
        return replace(self._addresses, state=Carried.of(call).seal(call.sid, self._seal))
