"""Calls that the bot makes: taken as orders into the record, and made from there by one process at a time.

What goes wrong, by whom it is to be told:

    NotCalled            in words for whoever gave the order
    ├── CallingIsOff     the operator lets the bot call nobody
    ├── NotAllowed       not this number
    └── NotNow           not at this hour
"""

import asyncio
from collections.abc import Awaitable, Callable

from loguru import logger

from bot import outbound_book as book
from bot.addresses import Addresses
from bot.call import End
from bot.ledger import Ledger, LedgerError
from bot.numbers import dialable, digits
from bot.outbound_book import Ended, Order
from bot.routing import Outbound as Rules, Policy
from bot.switchboard import Switchboard
from bot.telephony import Ambiguous, NewCall, Telephony, TelephonyError, Unavailable

LOOK_SECONDS = 0.5
"""How often a process looks into the book."""

LEASE_SECONDS = 60.0
"""For so long nobody else makes a call that one process is making."""

WAIT_SECONDS = 30.0
"""How soon an order is looked at again that cannot be carried out: at this hour, or with Twilio out of reach."""

AGAIN = (End.BUSY, End.NO_ANSWER)
"""After these the number is called again."""

REFUSED = "refused"
"""Outcome: Twilio does not make the call."""

UNKNOWN = "unknown"
"""Outcome: whether the last call was made is not known, and nothing was heard of it."""


class NotCalled(Exception):
    """Nobody is called; the text says why."""


class CallingIsOff(NotCalled):
    """There is no `outbound:` in the policy."""


class NotAllowed(NotCalled):
    """The number is none, or not one that may be called."""


class NotNow(NotCalled):
    """It is outside of the hours."""


class Outbound:
    """Takes orders for calls, and makes them."""

    def __init__(
        self,
        ledger: Ledger,
        switchboard: Switchboard,
        telephony: Telephony,
        addresses: Addresses,
        default: Policy,
        *,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        """Prepare; nobody is called yet.

        Args:
            ledger: The record, which holds the orders.
            switchboard: All live calls.
            telephony: Twilio's REST.
            addresses: Our own addresses.
            default: The policy of an order that names no number of ours.
            look_seconds: How often to look.
        """
        self._ledger = ledger
        self._switchboard = switchboard
        self._telephony = telephony
        self._addresses = addresses
        self._default = default
        self._look_seconds = look_seconds

    # --- orders ------------------------------------------------------------------------------------

    async def order(self, callee: str, number: str | None = None, purpose: str = "") -> Order:
        """Take an order.

        Args:
            callee: Who is to be called, as somebody wrote it.
            number: Our number that they see; the default policy's where None.
            purpose: What the call is for; the bot is told.

        Raises:
            NotCalled: Nobody is called.
            LedgerError: The record does not take the order.
        """
        rules = self.rules(number)
        callee = _checked(callee, rules)
        now = self._switchboard.now()
        if rules.hours is not None and not rules.hours.open_at(now):
            opens = rules.hours.next_opening(now)
            raise NotNow(f"No calls are made at this hour{f'; again {opens}' if opens else ''}.")

        async def enter(connection: book.AsyncConnection) -> Order | None:
            return await book.read(connection, await book.enter(connection, callee, rules.number, purpose, now))

        taken = await self._ledger.transact(enter)
        assert taken is not None  # noqa: S101 - it was entered in the same transaction
        return taken

    async def read(self, uid: str) -> Order | None:
        """An order as it is now; None for one that nobody gave.

        Raises:
            LedgerError: The record cannot be read.
        """
        return await self._ledger.transact(lambda connection: book.read(connection, uid))

    def rules(self, number: str | None) -> Rules:
        """What holds for calls from this number of ours.

        Raises:
            CallingIsOff: No calls are made from there.
        """
        rules = (self._default if number is None else self._switchboard.policy_of(digits(number))).outbound
        if rules is None or (number is not None and rules.number != digits(number)):
            whose = "handoff.yaml" if number is None else f"the policy of {number}"
            raise CallingIsOff(f"The bot calls nobody: `outbound:` in {whose} would say whom it may call.")
        return rules

    # --- calls -------------------------------------------------------------------------------------

    async def began(self, uid: str, sid: str, callee: str, number: str) -> None:
        """Twilio has made the call of this order. It may be told more than once, and by several of us."""
        order = None
        try:
            async with self._ledger.patience.wait():
                order = await self._ledger.transact(lambda connection: book.link(connection, uid, sid))
        except (LedgerError, TimeoutError) as error:
            logger.error("whose order a call is, is not known: {!r}", error)
        await self._switchboard.place(sid, callee, number, order.purpose if order else "")

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Make calls for ever."""
        while True:
            try:
                await self.work()
            except LedgerError as error:
                logger.debug("nobody is called while the record does not answer: {}", error)
            await sleep(self._look_seconds)

    async def work(self) -> None:
        """Look once: draw the conclusions of calls that are over, and make the next call that is due.

        Raises:
            LedgerError: The record does not answer.
        """
        for each in await self._ledger.transact(book.ended):
            await self._conclude(each)
        now = self._switchboard.now()
        due = await self._ledger.transact(lambda connection: book.due(connection, now))
        if due and (why := await self._switchboard.closed()) is not None:
            logger.debug("calls wait here: {}", why)  # where another process has room, it makes them
            return
        for order in due:
            if await self._carry_out(order, now):
                return

    async def _conclude(self, ended: Ended) -> None:
        order = ended.order
        rules = self._rules_of(order)
        if ended.end in AGAIN and rules is not None and order.tries < rules.tries:
            due = ended.at + rules.retry_seconds
            await self._ledger.transact(lambda connection: book.again(connection, order, due))
        else:
            await self._close(order, ended.end)

    def _rules_of(self, order: Order) -> Rules | None:
        """The rules of today; None where the operator has forbidden the call meanwhile."""
        rules = self._default.outbound
        if rules is None or rules.number != order.number:
            rules = self._switchboard.policy_of(order.number).outbound
        return rules if rules is not None and rules.allows(order.callee) else None

    async def _carry_out(self, order: Order, now: float) -> bool:
        """Make the order's next call. Returns whether the pace has been used up, by us or by others."""
        rules = self._rules_of(order)
        if rules is None:
            await self._close(order, REFUSED)
            return False
        if order.tries >= rules.tries:
            await self._close(order, UNKNOWN)  # of the last call nothing was heard
            return False
        if rules.hours is not None and not rules.hours.open_at(now):
            await self._put_off(order, now + WAIT_SECONDS, tries=order.tries)
            return False
        until = now + max(LEASE_SECONDS, rules.retry_seconds)
        if await self._ledger.transact(lambda connection: book.take(connection, order, now, until)):
            await self._call(order, rules)
        return True

    async def _call(self, order: Order, rules: Rules) -> None:
        new = NewCall(
            to=order.callee,
            from_=order.number,
            url=self._addresses.outbound("answer", order.uid),
            status_callback=self._addresses.outbound("progress", order.uid),
            ring_seconds=rules.ring_seconds,
            machine_detection=rules.machine_detection,
            waits_for_beep=bool(rules.message),
        )
        try:
            sid = await self._telephony.call(new)
        except Ambiguous as error:
            # It may be ringing: Twilio's webhooks say so, or it is called again only when its time has come.
            logger.warning("whether a call is made is not known: {}", error)
        except Unavailable as error:
            logger.warning("a call waits: {}", error)
            await self._put_off(order, self._switchboard.now() + WAIT_SECONDS, tries=order.tries)
        except TelephonyError as error:
            logger.error("Twilio does not make a call: {}", error)
            await self._close(order, REFUSED)
        else:
            await self.began(order.uid, sid, order.callee, order.number)

    async def _put_off(self, order: Order, until: float, *, tries: int) -> None:
        await self._ledger.transact(lambda connection: book.put_off(connection, order, until, tries=tries))

    async def _close(self, order: Order, outcome: str) -> None:
        now = self._switchboard.now()
        await self._ledger.transact(lambda connection: book.close(connection, order, outcome, now))


def _checked(written: str, rules: Rules) -> str:
    """The number in E.164 form.

    Raises:
        NotAllowed: It may not be called.
    """
    number = digits(written)
    if number in rules.allow:
        return number
    try:
        number = dialable(written)
    except ValueError as error:
        raise NotAllowed(f"The number {error}.") from None
    if not rules.allows(number):
        raise NotAllowed(f"{number} is not among the numbers of `outbound.allow`.")
    return number
