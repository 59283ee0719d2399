"""A live call: applies events, performs effects, owns the timers. Outlives every pipeline of the call.

A fact comes in (`apply`), the law decides, the ledger's compare-and-set makes the step happen once, and only then are
the orders carried out: to the running conversation, to Twilio, to the clock. A document answers the webhook that
brought the fact, or redirects the live call where no webhook did.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from loguru import logger

from bot import briefing
from bot.attended import UNKNOWN_CALL_SECONDS, wait_for
from bot.call import Call, Phase
from bot.carried import Carried
from bot.effects import (
    Adjust,
    Advise,
    AskTwilio,
    BookCallback,
    BringPerson,
    CallPerson,
    ChangeModel,
    CloseStream,
    ConnectBot,
    DialPerson,
    Document,
    Effect,
    Enqueue,
    FindPeople,
    GiveWay,
    HangUp,
    Introduce,
    LeaveMessage,
    ListenAgain,
    MeetPerson,
    ReleasePerson,
    RenewModel,
    SayFarewell,
    SayGoodbye,
    StartRecording,
    StartTimer,
    StopRecording,
    TakeMessage,
    TellBot,
    TextPerson,
    Timer,
)
from bot.events import Event, HandoffRequested, ImpossibleEvent, TimerFired
from bot.finder import FindsPeople, NobodyIsAsked
from bot.law import standing_document
from bot.ledger import Entry, Ledger, LedgerError, Role
from bot.notices import notices
from bot.observers import Observer
from bot.orders import Calling, Orders
from bot.recorder import CallRecorder
from bot.routing import Policy
from bot.speaking import Speaker, Speaking, Spoke
from bot.steps import Steps
from bot.talk import Conversation
from bot.tap import Tap
from bot.telephony import Telephony
from bot.timers import Timers
from pipelines.usage import Usage

CLOSE_SECONDS = 2.0
"""How long what is being written may take when the process ends."""

FOLLOW_SECONDS = 1.0
"""How often a process whose bot has the caller looks whether another one has heard of the people who are called."""


class Session:
    """One live call. Made by the switchboard."""

    def __init__(
        self,
        call: Call,
        version: int,
        *,
        policy: Policy,
        ledger: Ledger,
        telephony: Telephony,
        render: Callable[[Document, Call], str],
        calling: Calling,
        clock: Callable[[], float],
        observer: Observer,
        on_end: Callable[["Session"], None],
        tells: bool = False,
        finder: FindsPeople | None = None,
        book: Callable[[Call, int], Awaitable[Event]] | None = None,
        recorder: CallRecorder | None = None,
    ) -> None:
        """Take a call as the ledger has it.

        Args:
            call: What is known of the call.
            version: The version of its row.
            policy: The operator's rules.
            ledger: The record.
            telephony: Twilio's REST.
            render: A document as TwiML.
            calling: How people are called while the bot has the caller.
            clock: Unix seconds.
            observer: Told of what happens to the call here.
            on_end: Told once, when the call has ended.
            tells: Whether the operator's own systems are told of what happens.
            finder: Knows where people are; without one, the policy does.
            book: Books a wish to be called back, by its number. Without it, nobody is.
            recorder: Has the call recorded. Without it, nothing is.
        """
        self._steps = Steps(
            call,
            version,
            policy=policy,
            ledger=ledger,
            notices=lambda before, after: notices(before, after, lambda n: calling.page(after, n)) if tells else (),
            made=observer.stepped,
            caught_up=self._caught_up,
        )
        self.messages: list[Any] = []
        """The conversation so far, with which the next pipeline of this call starts."""

        self.tap = Tap()
        """Where supervisors listen in."""

        self._policy = policy
        self._finder = finder or NobodyIsAsked()
        self._book = book
        self._recorder = recorder or CallRecorder(None, lambda call, n: "", clock)
        self._ledger = ledger
        self._render = render
        self._orders = Orders(telephony, render, calling, clock)
        self._clock = clock
        self._observer = observer
        self._on_end = on_end
        self._conversation: Conversation | None = None
        self._speaking = Speaking(clock())
        self._step_lock = asyncio.Lock()
        self._timers = Timers(self._timer_fired)
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def call(self) -> Call:
        """What is known of the call."""
        return self._steps.call

    @property
    def sid(self) -> str:
        """Twilio's CallSid."""
        return self.call.sid

    def now(self) -> float:
        """Unix seconds, on the session's clock."""
        return self._clock()

    def catch_up(self, call: Call, version: int, messages: list[Any] | None) -> None:
        """Another process has gone on with the call, and this is how the record has it now."""
        self._steps.catch_up(call, version)
        if messages and self._conversation is None:
            self.messages = messages

    def advance(self, carried: Carried) -> None:
        """A callback's address says that the call has come further than is known here."""
        self._steps.advance(carried)

    def attach(self, conversation: Conversation) -> None:
        """Somebody begins to talk with the caller on the current leg's stream: the bot, or a supervisor."""
        self._conversation = conversation
        self._speaking = Speaking(self.now())

    def detach(self, conversation: Conversation) -> None:
        """They talk with the caller no more, and nobody does after them."""
        if self._conversation is conversation:
            self._conversation = None

    @property
    def talks(self) -> bool:
        """Whether this process carries the call: it has the stream on which somebody talks with the caller."""
        return self._conversation is not None

    def begin(self, effects: tuple[Effect, ...]) -> Document | None:
        """Carry out the orders that came with the call itself. Returns the document that answers the voice webhook.

        A call of ours has none before it is answered.
        """
        return self._perform(effects)

    def let_go(self) -> None:
        """Close the media stream, if there is one."""
        self._tell(lambda line: line.close())

    def relay(self, audio: bytes) -> None:
        """A supervisor in the bot's place says something: µ-law of 8 kHz."""
        self._tell(lambda line: line.relay(audio))

    def post(self, event: Event) -> None:
        """Apply an event without waiting for it: for the media path, which waits for nothing."""
        self._spawn(self._apply_and_order(event))

    async def apply(self, event: Event) -> None:
        """Apply an event that no webhook brought; a document that follows redirects the live call.

        Raises:
            ImpossibleEvent: The event contradicts the call, which is unchanged.
        """
        if isinstance(event, HandoffRequested):
            event = await self._finder.complete(event, self.call, self._policy)
        document = await self._step(event)
        if document is not None:
            self._spawn(self._order(document))

    async def answer(self, event: Event) -> str:
        """Apply an event that a webhook brought, and answer the webhook.

        Returns:
            TwiML: what follows from the event, or what Twilio shall be doing anyway where the event changed nothing or
            was impossible. A caller never hears an application error.
        """
        try:
            document = await self._step(event)
        except ImpossibleEvent as error:
            logger.warning("{}", error)
            document = None
        await self._recorder.stopped()
        return self._render(document or standing_document(self.call), self.call)

    def add_line(self, role: Role, text: str, at: float) -> None:
        """A line of the transcript, begun at `at`, for the record."""
        leg = self.call.leg

        async def keep() -> None:
            await self._record(lambda: self._ledger.add_line(self.sid, leg, role, text, at))
            self._observer.said(self.call, role)

        self._spawn(keep())

    def words_heard(self, text: str) -> None:
        """The caller has heard some more words of the bot's turn, which is no line of the transcript yet."""
        self._observer.words(self.call, text)

    def speaks(self, who: Speaker, on: bool) -> None:
        """Somebody begins to speak on the media stream, or falls silent."""
        now = self.now()
        if on:
            response = self._speaking.begins(who, now)
            if response is not None:
                self._observer.responded(self.call, response)
        elif (spoke := self._speaking.ends(who, now)) is not None:
            self._note_speech(spoke)
        if who != "person":  # who talks in the bot's place has the whole stretch: when they speak, nobody listens to
            self._observer.speaks(self.call, who, on)

    def stream_over(self, usage: Usage) -> None:
        """The pipeline of a leg is over; so many tokens were used on it."""
        now = self.now()
        for spoke in self._speaking.close(now):
            self._note_speech(spoke)
            self._observer.speaks(self.call, spoke.who, False)
        silence = self._speaking.longest_silence
        self._observer.silent(self.call, silence)
        facts = {"tokens": usage.total, "usage": usage.facts(), "longest_silence_ms": round(silence * 1000)}
        self._note(now, "StreamMeasured", facts)

    def _note_speech(self, spoke: Spoke) -> None:
        self._note(spoke.until, "Spoke", spoke.facts())

    def _note(self, at: float, what: str, facts: dict[str, Any]) -> None:
        self._spawn(self.note(at, what, facts))

    async def note(self, at: float, what: str, facts: dict[str, Any]) -> None:
        """Journal something that is no event of the law's."""
        entry = Entry(at, what, facts, self.call.phase, False)
        await self._record(lambda: self._ledger.note(self.sid, entry))

    def _note_text(self, facts: dict[str, Any]) -> None:
        self._note(self.now(), "PersonTexted", facts)

    def keep_conversation(self, messages: list[Any], leg: int) -> None:
        """Keep what was said, for the next pipeline and for any other process.

        Args:
            messages: The conversation so far.
            leg: The media stream on which it was led.
        """
        kept = [dict(message) for message in messages if isinstance(message, Mapping)]
        self.messages = kept
        self._spawn(self._record(lambda: self._ledger.keep_conversation(self.sid, kept, leg)))

    async def close(self) -> None:
        """Let go of the call: the process is ending."""
        self._timers.stop_all()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_SECONDS)  # what is being written
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- a step ------------------------------------------------------------------------------------

    async def _step(self, event: Event) -> Document | None:
        async with self._step_lock:
            before = self.call
            effects = await self._steps.take(event, elsewhere=not self.talks)
            if self.call.phase is not before.phase:
                logger.info("{} → {} ({})", before.phase, self.call.phase, type(event).__name__)
            document = self._perform(effects)
        if self.call.phase is Phase.SEEKING and before.phase is not Phase.SEEKING and self.talks:
            self._spawn(self._follow())
        if self.call.phase is Phase.ENDED and before.phase is not Phase.ENDED:
            self._timers.stop_all()
            self._on_end(self)
        return document

    async def _follow(self) -> None:
        """Give the bot here the orders that followed from what another process was told.

        What a person presses reaches any process, but only the one that has the socket can have the caller told.
        """
        while self.call.phase is Phase.SEEKING and self.talks:
            await asyncio.sleep(FOLLOW_SECONDS)
            async with self._step_lock:
                if self.call.phase is Phase.SEEKING:
                    await self._steps.reread()

    def _caught_up(self, before: Call) -> None:
        """Another process has gone on with the call, and gave orders that only the bot here can carry out."""
        if not self.talks or before.phase not in (Phase.BOT, Phase.SEEKING):
            return
        match self.call.phase:
            case Phase.SEEKING:
                self._hear_of_people(before)
            case Phase.LEAVING:
                n = len(self.call.handoffs)
                self._timers.start(Timer.GOODBYE, n, self._policy.goodbye_seconds)
                self._tell(lambda line: line.say_goodbye(n))
            case Phase.BOT if before.phase is Phase.SEEKING:
                self._hear_of_people(before)
                self._tell(lambda line: line.listen_again(briefing.nobody_came(self.call, self._policy)))
            case _:
                pass

    def _hear_of_people(self, before: Call) -> None:
        """Another process was told of the people who are called. Should it die, their waiting ends here."""
        for n, attempt in enumerate(self.call.attempts, 1):
            known = before.attempts[n - 1] if n <= len(before.attempts) else None
            if known is None and attempt.attended and attempt.outcome is None:
                wait = wait_for(self.call, n, self._policy)
                self._timers.start(wait.timer, wait.number, wait.seconds)
                self._timers.start(Timer.UNCALLED, n, UNKNOWN_CALL_SECONDS)
            elif known is not None and known.outcome is None and attempt.outcome is not None:
                told, speaks = briefing.tried(attempt), bool(attempt.message)
                self._tell(lambda line, t=told, s=speaks: line.listen_again(t) if s else line.tell(t))

    def _perform(self, effects: tuple[Effect, ...]) -> Document | None:
        """Carry out the orders; a document is handed back to whoever can deliver it."""
        document: Document | None = None
        for effect in effects:
            match effect:
                case DialPerson() | Enqueue() | MeetPerson() | ConnectBot() | TakeMessage() | LeaveMessage() | HangUp():
                    document = effect
                case StartTimer(timer, number, seconds):
                    self._timers.start(timer, number, seconds)
                case FindPeople(target, reason, by):
                    self.post(HandoffRequested(at=self.now(), target=target, reason=reason, by=by))
                case AskTwilio():
                    self._spawn(self._report(self._orders.ask(self.sid)))
                case CallPerson(attempt) if not (self.talks or self._steps.confirmed):
                    # Each process would call somebody. The one that has the caller goes on after this attempt.
                    logger.warning("the record is not there to say who calls the person of attempt {}", attempt)
                case CallPerson(attempt):
                    self._spawn(self._report(self._orders.call_person(self.call, attempt, ask=not self.talks)))
                case BookCallback(wish) if self._book is not None:
                    self._spawn(self._report(self._book(self.call, wish)))
                case TextPerson(attempt):
                    self._spawn(self._orders.text_person(self.call, attempt, self._note_text))
                case BringPerson(attempt):
                    self._spawn(self._report(self._orders.bring_person(lambda: self.call, attempt)))
                case Introduce(attempt, conference):
                    self._spawn(self._report(self._orders.introduce(self.call, attempt, conference)))
                case ReleasePerson(attempt):
                    self._spawn(self._report(self._orders.release_person(lambda: self.call, attempt)))
                case StartRecording(recording):
                    self._spawn(self._report(self._recorder.start(self.call, recording)))
                case StopRecording(recording):
                    self._spawn(self._report(self._recorder.stop(lambda: self.call, recording)))
                case TellBot(text):
                    self._tell(lambda line, text=text: line.tell(text))
                case SayGoodbye(handoff):
                    self._tell(lambda line, n=handoff: line.say_goodbye(n))
                case SayFarewell(farewell, prompted):
                    self._tell(lambda line, n=farewell, p=prompted: line.say_farewell(n, prompted=p))
                case Advise(text):
                    self._tell(lambda line, text=text: line.advise(text))
                case ListenAgain(advice):
                    self._tell(lambda line, text=advice: line.listen_again(text))
                case GiveWay():
                    self._tell(lambda line: line.give_way())
                case RenewModel(renewal):
                    self._tell(lambda line, n=renewal: line.renew_model(n))
                case Adjust(change):
                    self._tell(lambda line, name=change: line.adjust(name))
                case ChangeModel(model, renewal):
                    self._tell(lambda line, m=model, n=renewal: line.change_model(m, n))
                case CloseStream():
                    self._tell(lambda line: line.close())
        return document

    def _tell(self, order: Callable[[Conversation], None]) -> None:
        if self._conversation is not None:
            order(self._conversation)

    async def _apply_and_order(self, event: Event) -> None:
        try:
            await self.apply(event)
        except ImpossibleEvent as error:
            logger.warning("{}", error)

    def _timer_fired(self, timer: Timer, number: int) -> None:
        self.post(TimerFired(at=self.now(), timer=timer, number=number))

    async def _report(self, order: Awaitable[Event | None]) -> None:
        """Carry out an order to Twilio. What comes of it is one more fact."""
        event = await order
        if event is not None:
            await self._apply_and_order(event)

    def _order(self, document: Document) -> Coroutine[Any, Any, None]:
        """Deliver a document over REST."""
        return self._report(self._orders.deliver(lambda: self.call, document, self._recorder.stopped))

    async def _record(self, write: Callable[[], Awaitable[None]]) -> None:
        try:
            async with self._ledger.patience.wait():
                await write()
        except (LedgerError, TimeoutError) as error:
            logger.error("the record is not kept, the call goes on: {!r}", error)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
