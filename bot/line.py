"""One line of the business: everything that the calls on it share, composed from its configuration."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import WebSocket
from loguru import logger
from pipecat.observers.base_observer import BaseObserver

from bot.addresses import Addresses
from bot.admission import Admission, Limits
from bot.anteroom import Anteroom
from bot.archive import Archive
from bot.call import Call, Phase
from bot.callbacks import Callbacks
from bot.consulting import Consulting
from bot.conversation import Conversation
from bot.desk import Desk
from bot.events import ImpossibleEvent, StreamEnded, StreamStarted
from bot.feed import Feed
from bot.finder import PeopleFinder
from bot.ledger import Ledger
from bot.lending import Lending, LentWire
from bot.loop_thread import LoopThread
from bot.metrics import Metrics
from bot.news import News
from bot.observers import Observers
from bot.outbound import Outbound
from bot.outbox import Outbox
from bot.prices import Prices
from bot.queues import Queues
from bot.reception import Receptions
from bot.reconciler import Reconciler, TwilioLegs
from bot.recorder import TwilioRecorder
from bot.recordings import Recordings
from bot.reporter import Reporter
from bot.retention import Retention
from bot.session import Session
from bot.settings import Configuration, Settings
from bot.start import Start
from bot.supervising import SupervisorTalk
from bot.sweeper import Sweeper
from bot.switchboard import Switchboard
from bot.telephony import Telephony
from bot.tokens import PersonPages, Seal, StreamTokens
from bot.traces import Traces
from bot.transcripts import OPENAI_URL, Transcripts
from bot.twilio_rest import TwilioTelephony
from bot.wire import Wire, wire_of

PREPARED_AT_ONCE = 50
"""How many model sessions may be open for streams that have not started. A call takes one for a second at most."""

ASIDE_SECONDS = 0.2
"""How long the last news may take to go out when the process ends."""


@dataclass(frozen=True, slots=True)
class Line:
    """What every call of this process shares."""

    settings: Settings
    receptions: Receptions
    switchboard: Switchboard
    anteroom: Anteroom
    admission: Admission
    metrics: Metrics
    desk: Desk
    outbound: Outbound
    callbacks: Callbacks
    queues: Queues
    consulting: Consulting
    feed: Feed
    archive: Archive
    recordings: Recordings
    aside: LoopThread
    """For everything that calls shall not wait for: news, the console's reading and writing of pages."""

    prices: Prices | None

    @property
    def addresses(self) -> Addresses:
        """Our own addresses, for documents of no call of ours."""
        return Addresses(self.settings.public_url)

    async def converse(self, websocket: WebSocket, start: Start) -> bool:
        """Put the bot on a media stream, of a caller's or of a person's who is called for one, until the stream ends.

        Returns:
            False when the stream is refused: its token is not one of this call, expired, or used. No model session has
            been opened then.
        """
        if "consultation" in start.parameters:
            return await self.consulting.converse(websocket, start)
        with logger.contextualize(call_sid=start.call_sid):
            try:
                given = start.parameters.get
                session = await self.switchboard.open_stream(start.call_sid, given("token", ""), given("state", ""))
            except ImpossibleEvent as error:
                logger.warning("the stream is refused: {}", error)
                return False
            if session is None:
                logger.warning("the stream is refused: its token opens nothing")
                return False
            await self.talk(wire_of(websocket), start.stream_sid, session)
            return True

    async def converse_unannounced(self, websocket: WebSocket, start: Start) -> None:
        """Put the bot on a stream that no webhook of ours announced: whoever accepted the socket vouches for it."""
        with logger.contextualize(call_sid=start.call_sid):
            number = start.parameters.get
            await self.switchboard.answer_call(start.call_sid, number("from_number", ""), number("to_number", ""))
            session = await self.switchboard.find(start.call_sid)
            if session is not None:
                await session.apply(StreamStarted(at=self.switchboard.now(), leg=session.call.leg))
                await self.talk(wire_of(websocket), start.stream_sid, session)

    async def talk(
        self,
        wire: Wire,
        stream_sid: str,
        session: Session,
        *,
        observers: Sequence[BaseObserver] = (),
        begun: Callable[[Conversation], None] = lambda _: None,
    ) -> None:
        """Put the bot on a media stream of a call, which has started there, until the stream ends.

        A supervisor may have its place for a while. The bot that comes back is a new one, which knows what was said.

        Args:
            wire: The stream's socket, or what stands for one.
            stream_sid: The stream's SID.
            session: The call.
            observers: Pipecat's, who see every frame of the conversation.
            begun: Told of each conversation of the bot before it runs.
        """
        leg = session.call.leg
        talk: Conversation | SupervisorTalk | None = None
        try:
            async with Lending(session.tap.on(wire)) as lending:
                while True:
                    lent = lending.lend()
                    phase = session.call.phase
                    with_bot = phase is not Phase.JOINED if talk is None else phase in (Phase.BOT, Phase.SEEKING)
                    if with_bot and not lending.over:
                        talk = self._bot(lent, stream_sid, session, observers)
                        begun(talk)
                    else:  # who reads on to the end, too, where nobody has the caller any more
                        talk = SupervisorTalk(lent, stream_sid, session)
                    session.attach(talk)
                    await talk.run()
                    if not lent.given_back:
                        break
        finally:
            if talk is not None:
                session.detach(talk)
            session.post(StreamEnded(at=self.switchboard.now(), leg=leg, stopped=False))

    def _bot(
        self, wire: LentWire, stream_sid: str, session: Session, observers: Sequence[BaseObserver]
    ) -> Conversation:
        call, reception = session.call, self.receptions.of(session.call.called)
        return Conversation(
            wire,
            stream_sid,
            session,
            reception=reception,
            leg=self.anteroom.take(session.sid, call.leg, lambda: reception.build(call.model, call.change)),
            observers=observers,
        )


@asynccontextmanager
async def open_line(configuration: Configuration, telephony: Telephony | None = None) -> AsyncIterator[Line]:
    """Open the record and the way to Twilio; close them when the line closes.

    Args:
        configuration: Everything that an operator has set.
        telephony: Takes the orders instead of Twilio.
    """
    settings = configuration.settings
    auth_token = settings.twilio_auth_token.get_secret_value()
    ledger = await Ledger.open(settings.database_url, settings.spool)
    telephony = telephony or TwilioTelephony(
        settings.twilio_account_sid,
        auth_token=auth_token,
        api_key=settings.twilio_api_key,
        api_url=settings.twilio_api_url,
    )
    addresses = Addresses(settings.public_url)
    receptions = Receptions(configuration)
    anteroom = Anteroom(places=PREPARED_AT_ONCE)

    def expect_stream(call: Call) -> None:
        anteroom.prepare(call.sid, call.leg, lambda: receptions.of(call.called).build(call.model, call.change))

    limits = Limits(settings.max_calls, settings.max_calls_together, settings.max_calls_per_caller, settings.outage)
    admission = Admission(ledger, limits)
    aside = LoopThread("console")
    feed = Feed(settings.database_url, aside)
    archive = Archive(settings.database_url)
    reporter = Reporter(feed)
    credentials = settings.twilio_api_key or (settings.twilio_account_sid, auth_token)
    recordings = Recordings(settings.twilio_api_url, *credentials)
    retention = None
    if settings.retention_days is not None:
        days = settings.retention_days
        retention = Retention(
            settings.database_url,
            recordings,
            days=days,
            clock=time.time,
            forgot=lambda sid: feed.publish(News("forgotten", sid)),
        )
    secret = settings.webhook_secret.get_secret_value() if settings.webhook_secret is not None else ""
    finder = PeopleFinder(secret, time.time)
    metrics = Metrics(
        live=lambda phase: switchboard.live_in(phase),
        spooled=lambda: ledger.spooled,
        callbacks=lambda state: callbacks.open_in(state),
    )
    callbacks = Callbacks(
        ledger,
        telephony,
        addresses,
        lambda called: receptions.of(called).policy,
        clock=time.time,
        tells=settings.webhook_url is not None,
        held=lambda: switchboard.held(),
        finder=finder,
        observer=metrics,
    )
    switchboard = Switchboard(
        policy=lambda called: receptions.of(called).policy,
        ledger=ledger,
        telephony=telephony,
        addresses=addresses,
        tokens=StreamTokens.from_auth_token(auth_token),
        seal=Seal.from_auth_token(auth_token, "callback"),
        pages=PersonPages.from_auth_token(auth_token),
        admission=admission,
        observer=Observers((metrics, reporter, Traces())),
        on_stream_expected=expect_stream,
        tells=settings.webhook_url is not None,
        finder=finder,
        book=callbacks.book,
        recorder=TwilioRecorder(telephony) if isinstance(telephony, TwilioTelephony) else None,
    )
    consultations = StreamTokens(Seal.from_auth_token(auth_token, "consultation"))
    desk = Desk(switchboard, feed, name=reporter.name)
    outbound = Outbound(ledger, switchboard, telephony, addresses, receptions.default.policy)
    queues = Queues(ledger, telephony, addresses, switchboard.policy_of, clock=time.time)

    def state() -> dict[str, Any]:
        return {"calls": switchboard.live, "draining": switchboard.draining, "spooled": ledger.spooled}

    feed.start()
    if retention is not None:
        aside.start(retention.run())
    background = [
        asyncio.create_task(Sweeper(switchboard, telephony).run()),
        asyncio.create_task(reporter.run(state)),
        asyncio.create_task(metrics.watch_loop()),
    ]
    if settings.webhook_url is not None:
        outbox = Outbox(ledger, settings.webhook_url, secret, clock=switchboard.now)
        background.append(asyncio.create_task(outbox.run()))
    if (key := settings.openai_api_key) is not None and receptions.transcribe:
        base_url = configuration.environ.get("OPENAI_BASE_URL", OPENAI_URL)
        transcripts = Transcripts(switchboard, recordings, aside, api_key=key.get_secret_value(), base_url=base_url)
        background.append(asyncio.create_task(transcripts.run()))
    if isinstance(telephony, TwilioTelephony):
        background.append(asyncio.create_task(Reconciler(switchboard, TwilioLegs(telephony.client)).run()))
    if receptions.call_out:
        background.append(asyncio.create_task(outbound.run()))
    background.append(asyncio.create_task(callbacks.run()))
    try:
        yield Line(
            settings,
            receptions,
            switchboard,
            anteroom,
            admission,
            metrics,
            desk,
            outbound,
            callbacks,
            queues,
            Consulting(switchboard, receptions, anteroom, consultations),
            feed,
            archive,
            recordings,
            aside,
            configuration.prices,
        )
    finally:
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        reporter.beat(state(), gone=True)
        desk.close()
        await queues.close()
        await anteroom.close()
        await switchboard.close()
        await telephony.close()
        await finder.close()
        await ledger.close()

        async def last() -> None:
            await archive.close()
            if retention is not None:
                await retention.close()

        await aside.close(ASIDE_SECONDS, last=last)
