"""All live calls of this process, by CallSid. Where a fact about a call finds its session."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from loguru import logger

from bot.call import By, Call, Phase
from bot.events import ConnectBot, Document, Event, HandoffRequested, StreamStarted
from bot.law import answer
from bot.ledger import Entry, Ledger, LedgerError
from bot.routing import Policy
from bot.session import LEDGER_SECONDS, Session
from bot.telephony import Telephony
from bot.tokens import StreamTokens
from bot.twiml import Addresses, document


class Switchboard:
    """Finds, opens and forgets the sessions of calls."""

    def __init__(
        self,
        *,
        policy: Policy,
        ledger: Ledger,
        telephony: Telephony,
        addresses: Addresses,
        tokens: StreamTokens,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Compose it.

        Args:
            policy: The operator's rules.
            ledger: The record.
            telephony: Twilio's REST.
            addresses: Our own addresses as Twilio sees them.
            tokens: The maker of stream tokens.
            clock: Unix seconds.
        """
        self.policy = policy
        self.ledger = ledger
        self.addresses = addresses
        self._telephony = telephony
        self._tokens = tokens
        self._clock = clock
        self._sessions: dict[str, Session] = {}
        self._finding = asyncio.Lock()

    @property
    def live(self) -> int:
        """How many calls this process knows of that have not ended."""
        return len(self._sessions)

    def now(self) -> float:
        """Unix seconds, on the switchboard's clock."""
        return self._clock()

    async def answer_call(self, sid: str, caller: str, called: str) -> str:
        """A call comes in. Returns the TwiML that connects it with the bot.

        Asked again (a retried webhook, a call that somebody sent here once more), it answers with the same document:
        its token opens the stream only if that has not been opened yet; otherwise Twilio goes on to the person who
        stands after it.
        """
        session = await self.find(sid) or await self._open(sid, caller, called)
        return self._render(ConnectBot(session.call.leg), session.call)

    async def answer_callback(self, sid: str, caller: str, called: str, event: Event) -> str:
        """A webhook brings a fact about a call. Returns the TwiML that answers it.

        A call that nobody knows (its record is lost) goes to the bot.
        """
        session = await self.find(sid)
        if session is None:
            logger.error("a callback came for a call without a record")
            return await self.answer_call(sid, caller, called)
        return await session.answer(event)

    async def once(self, sid: str, token: str, answer: Callable[[], Awaitable[str]]) -> str:
        """Answer a webhook; a retry of it gets what it was answered with first, whichever process it reaches.

        Args:
            sid: Twilio's CallSid.
            token: What is the same on a retry; empty where nothing is.
            answer: Makes the answer.
        """
        told = None
        try:
            async with asyncio.timeout(LEDGER_SECONDS):
                told = await self.ledger.recall(sid, token) if token else None
        except (LedgerError, TimeoutError) as error:
            logger.warning("whether a webhook is a retry is not known: {!r}", error)
        if told is not None:
            logger.info("a webhook is retried")
            return told
        document = await answer()
        try:
            async with asyncio.timeout(LEDGER_SECONDS):
                return await self.ledger.remember(sid, token, document) if token else document
        except (LedgerError, TimeoutError) as error:
            logger.warning("the answer to a webhook is not kept: {!r}", error)
            return document

    async def open_stream(self, sid: str, token: str) -> Session | None:
        """A media stream begins. Returns its call's session; None refuses the stream.

        Raises:
            ImpossibleEvent: The token has been used, or is one of an earlier leg.
        """
        leg = self._tokens.leg(token, sid, self.now())
        session = await self.find(sid) if leg is not None else None
        if leg is None or session is None:
            return None
        await session.apply(StreamStarted(at=self.now(), leg=leg))
        return session

    async def request_handoff(self, sid: str, target: str, reason: str, summary: str) -> bool:
        """Somebody outside asks for a person. Returns whether the hand-off is agreed.

        Raises:
            KeyError: Nobody knows this call.
        """
        session = await self.find(sid)
        if session is None:
            raise KeyError(sid)
        before = len(session.call.handoffs)
        await session.apply(HandoffRequested(at=self.now(), target=target, reason=reason, summary=summary, by=By.API))
        return len(session.call.handoffs) > before

    async def find(self, sid: str) -> Session | None:
        """The session of a call, from memory or from the record; None for a call nobody knows."""
        async with self._finding:
            if sid in self._sessions:
                return self._sessions[sid]
            try:
                async with asyncio.timeout(LEDGER_SECONDS):
                    stored = await self.ledger.load(sid)
            except (LedgerError, TimeoutError) as error:
                logger.error("the record cannot be read: {!r}", error)
                return None
            if stored is None:
                return None
            session = self._take(stored.call, stored.version)
            session.messages = stored.conversation or []
            return session

    async def close(self) -> None:
        """Let go of every call: the process is ending."""
        await asyncio.gather(*(session.close() for session in self._sessions.values()))

    async def _open(self, sid: str, caller: str, called: str) -> Session:
        call, effects = answer(sid, caller, called, self.now())
        try:
            async with asyncio.timeout(LEDGER_SECONDS):
                await self.ledger.add(call, Entry(call.started_at, "CallAnswered", {}, call.phase, True))
        except (LedgerError, TimeoutError) as error:
            logger.error("the record is not kept, the call goes on: {!r}", error)
        session = self._sessions.get(sid) or self._take(call, 1)
        session.begin(effects)
        logger.info("a call comes in")
        return session

    def _take(self, call: Call, version: int) -> Session:
        session = Session(
            call,
            version,
            policy=self.policy,
            ledger=self.ledger,
            telephony=self._telephony,
            render=self._render,
            clock=self._clock,
            on_end=self._forget,
        )
        if call.phase is not Phase.ENDED:
            self._sessions[call.sid] = session
        return session

    def _forget(self, session: Session) -> None:
        self._sessions.pop(session.sid, None)

    def _render(self, order: Document, call: Call) -> str:
        token = ""
        if isinstance(order, ConnectBot):
            token = self._tokens.make(call.sid, order.leg, self.now())
        return document(order, call, self.policy, self.addresses, token=token)
