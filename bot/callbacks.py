"""Callers who are called back: booked into the record, and made from there by whichever process is there.

A person of ours is called first; when they have pressed the key, the caller's telephone rings and the two are joined.
What follows from what is `bot/callback.py`'s to say. Which process carries it out, the record decides.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from math import inf

from loguru import logger
from sqlalchemy.ext.asyncio import AsyncConnection

from bot import callback_book as book
from bot.addresses import Addresses
from bot.call import Call
from bot.callback import (
    Callback,
    CallbackEvent,
    CallbackOutcome,
    CallSomebody,
    CameDue,
    LetGo,
    State,
    TryBegan,
    TryNotMade,
    WasCancelled,
    newly_over,
    step,
)
from bot.events import CallbackBooked
from bot.finder import FindsPeople, NobodyIsAsked
from bot.ledger import Ledger, LedgerError
from bot.notices import Notice
from bot.numbers import dialable
from bot.observers import Observer
from bot.outbound_book import in_pace
from bot.routing import Policy, finders, resolve
from bot.telephony import Ambiguous, CallGone, NewCall, Telephony, TelephonyError, Unavailable

LOOK_SECONDS = 0.5
"""How often a process looks into the book."""

COUNT_SECONDS = 10.0
"""How often it counts those that are open."""

UNKNOWN_RING_SECONDS = 20
"""How long a telephone rings that is not in the policy any more."""


async def nothing_is_held() -> str | None:
    """No reason to wait."""


class BeingMade(Exception):
    """The caller is being called just now: it cannot be cancelled any more."""


class Callbacks:
    """Books callbacks, and makes them."""

    def __init__(
        self,
        ledger: Ledger,
        telephony: Telephony,
        addresses: Addresses,
        policy: Callable[[str], Policy],
        *,
        clock: Callable[[], float],
        tells: bool = False,
        held: Callable[[], Awaitable[str | None]] = nothing_is_held,
        finder: FindsPeople | None = None,
        observer: Observer | None = None,
    ) -> None:
        """Prepare; nobody is called yet.

        Args:
            ledger: The record, which holds them.
            telephony: Twilio's REST.
            addresses: Our own addresses.
            policy: The operator's rules, by the number of ours that was called.
            clock: Unix seconds.
            tells: Whether the operator's own systems are told.
            held: Why this process calls nobody back now, if so.
            finder: Knows where people are; without one, the policy does.
            observer: Told of what happens to callbacks.
        """
        self._ledger = ledger
        self._telephony = telephony
        self._addresses = addresses
        self._policy = policy
        self._clock = clock
        self._tells = tells
        self._held = held
        self._finder = finder or NobodyIsAsked()
        self._observer = observer or Observer()
        self._open: dict[str, int] = {}
        self._counted_at = -inf

    # --- booking -----------------------------------------------------------------------------------

    async def book(self, call: Call, n: int) -> CallbackBooked:
        """Book the `n`-th wish of a call, from 1. The fact that comes of it says whether that could be done."""
        taken = await self._book(call, n)
        if taken is None:
            return CallbackBooked(at=self._clock(), wish=n)
        return CallbackBooked(at=self._clock(), wish=n, callback=taken.uid, due_at=taken.due_at)

    async def _book(self, call: Call, n: int) -> Callback | None:
        wish, policy = call.wishes[n - 1], self._policy(call.called)
        rules = policy.callback
        try:
            number = dialable(wish.number)
        except ValueError:
            logger.warning("a callback is refused: its number is none to be called")
            return None
        if rules is None or not may_be_called(number, call, rules.allows):
            logger.warning("a callback is refused: its number is not allowed")
            return None
        due = rules.next_time(max(wish.at, wish.not_before))
        target = resolve(policy, rules.target or wish.target).key
        new = Callback(
            uid_of(call.sid, n), call.sid, number, call.called, target, wish.reason, wish.summary, wish.at, due, due
        )
        told = self._notices("callback.requested", new)
        try:
            async with self._ledger.patience.wait():
                taken = await self._ledger.transact(lambda connection: book.enter(connection, new, told))
        except (LedgerError, TimeoutError) as error:
            logger.error("a callback could not be booked: {!r}", error)
            return None
        if taken is new:
            self._observer.booked(new)
        return taken

    # --- the book ----------------------------------------------------------------------------------

    async def read(self, uid: str) -> Callback | None:
        """A callback as it is now; None for one that nobody asked for. Raises `LedgerError`."""
        kept = await self._ledger.transact(lambda connection: book.read(connection, uid))
        return None if kept is None else kept[0]

    async def some(
        self, *, open_only: bool = True, call_sid: str | None = None, limit: int = 50, before: float | None = None
    ) -> list[Callback]:
        """Callbacks, the newest first. Raises `LedgerError`.

        Args:
            open_only: Only those that are not over.
            call_sid: Only those that were asked for in this call.
            limit: The most that are wanted.
            before: Only those that were asked for earlier. Unix seconds.
        """
        return await self._ledger.transact(
            lambda connection: book.some(connection, open_only=open_only, call_sid=call_sid, limit=limit, before=before)
        )

    def open_in(self, state: State) -> int:
        """How many are in a state, as they were counted last."""
        return self._open.get(state, 0)

    async def cancel(self, uid: str) -> Callback | None:
        """Nobody is to be called any more. Returns the callback as it is then; None for one that nobody asked for.

        Raises:
            BeingMade: The caller is being called, or talks with a person.
            LedgerError: The record does not answer.
        """
        callback = await self.take(uid, WasCancelled(at=self._clock()))
        if callback is not None and callback.state is not State.DONE:
            raise BeingMade
        return callback

    # --- what happens ------------------------------------------------------------------------------

    async def take(self, uid: str, event: CallbackEvent) -> Callback | None:
        """Apply a fact and carry out what follows, unless another process has made that step.

        Returns:
            The callback as it is then; None for one that nobody asked for.

        Raises:
            LedgerError: The record does not answer.
        """
        in_pace_already = False
        while True:
            kept = await self._ledger.transact(lambda connection: book.read(connection, uid))
            if kept is None:
                return None
            before, version = kept
            policy = self._policy(before.called)
            after, effects = step(before, event, policy)
            if after is before:
                return before
            calls = not in_pace_already and any(isinstance(effect, CallSomebody) for effect in effects)
            if calls and isinstance(event, CameDue) and before.person == 0 and finders(policy, before.target):
                # Asked only by who may call now, and not each time that somebody looks.
                if not await self._in_pace(event.at):
                    return before
                in_pace_already = True
                event = await self._completed(event, before, policy)
                continue
            saved = await self._save(before, after, version, event.at, paced=calls)
            if saved is None:
                return before  # the pace does not allow a call yet
            if not saved:
                continue
            self._observer.callback_stepped(before, after)
            if after.state is State.DONE and before.state is not State.DONE:
                with logger.contextualize(call_sid=after.call_sid):
                    logger.info("a callback is over after {} calls: {}", len(after.tries), after.outcome)
            for effect in effects:
                match effect:
                    case CallSomebody(n):
                        await self._call(after, n)
                    case LetGo(n):
                        await self._let_go(after, n)
            return after

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Make callbacks for ever."""
        while True:
            try:
                await self.work()
            except LedgerError as error:
                logger.debug("nobody is called back while the record does not answer: {}", error)
            await sleep(LOOK_SECONDS)

    async def work(self) -> None:
        """Go on with every callback that is due. Those whose next person is to be called wait while all are held.

        Raises:
            LedgerError: The record does not answer.
        """
        now = self._clock()
        if now >= self._counted_at + COUNT_SECONDS:
            self._counted_at = now
            self._open = await self._ledger.transact(book.open_by_state)
        due = await self._ledger.transact(lambda connection: book.due(connection, now))
        if due and (why := await self._held()) is not None:
            logger.debug("nobody is called back from here: {}", why)
            due = await self._ledger.transact(lambda connection: book.due(connection, now, begun_only=True))
        for uid in due:
            await self.take(uid, CameDue(at=now))

    async def _save(self, before: Callback, after: Callback, version: int, at: float, *, paced: bool) -> bool | None:
        """Write a step. Returns whether nobody else was first; None where the pace does not allow what it needs."""
        told = self._news(before, after)

        async def save(connection: AsyncConnection) -> bool | None:
            if paced and not await in_pace(connection, at):
                return None
            return await book.save(connection, after, version, at, told)

        return await self._ledger.transact(save)

    async def _in_pace(self, at: float) -> bool:
        return await self._ledger.transact(lambda connection: in_pace(connection, at))

    async def _completed(self, event: CameDue, callback: Callback, policy: Policy) -> CameDue:
        """The event with where the people of the callback's target are now."""
        why: dict[str, object] = {
            "call_sid": callback.call_sid,
            "caller": callback.number,
            "called": callback.called,
            "by": "callback",
            "reason": callback.reason,
            "summary": callback.summary,
            "wants": (),
        }
        found = await self._finder.find(policy, callback.target, why)
        return replace(event, at=self._clock(), found=found)

    async def _call(self, callback: Callback, n: int) -> None:
        tried, policy = callback.tries[n - 1], self._policy(callback.called)
        target = resolve(policy, tried.target, callback.found)
        person = next((each for each in target.people if each.address == tried.number), None)
        new = NewCall(
            to=tried.number,
            from_=callback.called,
            url=self._addresses.callback_of("answer", callback.uid, n),
            status_callback=self._addresses.callback_of("progress", callback.uid, n),
            ring_seconds=person.ring_seconds if person is not None else UNKNOWN_RING_SECONDS,
            digits=person.digits if person is not None else "",
            machine_detection=target.machine_detection,
        )
        try:
            sid = await self._telephony.call(new)
        except Ambiguous as error:
            # It may be ringing: Twilio's webhooks say so, or the next person is called when its time has come.
            logger.warning("whether a person is called is not known: {}", error)
        except TelephonyError as error:
            logger.warning("a person who is to call somebody back is not called: {}", error)
            unavailable = isinstance(error, Unavailable)
            await self.take(callback.uid, TryNotMade(at=self._clock(), n=n, unavailable=unavailable))
        else:
            await self.take(callback.uid, TryBegan(at=self._clock(), n=n, leg_sid=sid))

    async def _let_go(self, callback: Callback, n: int) -> None:
        sid = callback.tries[n - 1].leg_sid
        if sid is None:
            return
        try:
            await self._telephony.hang_up(sid)
        except CallGone:
            pass
        except TelephonyError as error:
            logger.warning("a person's telephone may go on ringing: {}", error)

    # --- what is told ------------------------------------------------------------------------------

    def _news(self, before: Callback, after: Callback) -> tuple[Notice, ...]:
        told: tuple[Notice, ...] = ()
        for n in newly_over(before, after):
            told += self._notices("callback.tried", after, n)
        if after.outcome is not None and before.outcome is None:
            told += self._notices("callback.done", after)
        return told

    def _notices(self, kind: str, callback: Callback, n: int = 0) -> tuple[Notice, ...]:
        if not self._tells:
            return ()
        data: dict[str, object] = {
            "call_sid": callback.call_sid,
            "callback": callback.uid,
            "number": callback.number,
            "called": callback.called,
            "target": callback.target,
            "reason": callback.reason,
            "summary": callback.summary,
            "due_at": callback.due_at,
            "tries": len(callback.tries),
            "outcome": _plain(callback.outcome),
        }
        if n:
            tried = callback.tries[n - 1]
            data["try"] = {"n": n, "person": tried.number, "at": tried.at, "outcome": _plain(tried.outcome)}
        return (Notice(kind, data),)


def may_be_called(number: str, call: Call, allows: Callable[[str], bool]) -> bool:
    """Whether somebody may be called back there: they call from it, have typed it, or the operator allows it."""
    return number in (call.caller, *call.typed) or allows(number)


def uid_of(call_sid: str, n: int) -> str:
    """The id of the `n`-th wish of a call: whoever books it twice has booked it once."""
    return hashlib.sha256(f"{call_sid} {n}".encode()).hexdigest()[:32]


def _plain(value: CallbackOutcome | object | None) -> str | None:
    return None if value is None else str(value)
