"""Calls of our own that are due again when nobody may be called: they wait for the hours, and nothing is counted."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from calls import POLICY, US
from fakes import ScriptedTelephony

from bot import events as ev
from bot.addresses import Addresses
from bot.admission import Admission, Limits
from bot.hours import Hours
from bot.ledger import Ledger
from bot.outbound import Outbound
from bot.outbound_book import Order
from bot.routing import Outbound as Rules
from bot.switchboard import Switchboard
from bot.tokens import PersonPages, Seal, StreamTokens

CALLEE = "+442079460122"
NINE_TO_SIX = Hours("Europe/London", ((((9 * 60, 18 * 60)),),) * 5 + ((),) * 2)
RULES = Rules(US, ("+4420794601*",), hours=NINE_TO_SIX, tries=3, retry_seconds=900.0)
POLICED = replace(POLICY, outbound=RULES)


class Office:
    """Calls of our own of one process, on a clock that is put forward."""

    def __init__(self, ledger: Ledger, now: float) -> None:
        self.now, self.telephony = now, ScriptedTelephony()
        addresses = Addresses("https://bot.example")
        self.switchboard = Switchboard(
            policy=lambda called: POLICED,
            ledger=ledger,
            telephony=self.telephony,
            addresses=addresses,
            tokens=StreamTokens.from_auth_token("secret"),
            seal=Seal.from_auth_token("secret", "callback"),
            pages=PersonPages.from_auth_token("secret"),
            admission=Admission(ledger, Limits(places=10)),
            clock=lambda: self.now,
        )
        self.outbound = Outbound(ledger, self.switchboard, self.telephony, addresses, POLICED)

    @property
    def called(self) -> int:
        return len(self.telephony.calls)

    async def works(self, at: float) -> None:
        """Look twice a second, as far as it matters: at this time, and what follows at once."""
        self.now = at
        await self.outbound.work()

    async def misses(self, order: Order) -> None:
        """The phone that rings is busy."""
        kept = await self.outbound.read(order.uid)
        assert kept is not None
        assert kept.call_sid is not None
        session = await self.switchboard.find(kept.call_sid)
        assert session is not None
        await session.apply(ev.CalleeMissed(at=self.now, status="busy"))


@pytest.fixture
async def ledger(url: str, spool: Path) -> AsyncIterator[Ledger]:
    opened = await Ledger.open(url, spool)
    yield opened
    await opened.close()


def london(day: int, hour: int, minute: int, second: int = 0) -> float:
    """November 2026, when London's clock is that of UTC."""
    return datetime(2026, 11, day, hour, minute, second, tzinfo=UTC).timestamp()


async def test_a_retry_that_falls_due_in_the_evening_is_made_when_the_hours_begin(ledger: Ledger):
    office = Office(ledger, london(27, 17, 50))  # a Friday
    order = await office.outbound.order(CALLEE)
    await office.works(london(27, 17, 50, 1))
    assert office.called == 1
    await office.misses(order)
    for at in (london(27, 17, 59), london(27, 18, 5), london(27, 23, 0), london(28, 12, 0), london(30, 8, 59, 29)):
        await office.works(at)
    kept = await office.outbound.read(order.uid)
    assert kept is not None
    assert (office.called, kept.tries, kept.outcome) == (1, 1, None)
    await office.works(london(30, 9, 0))
    assert office.called == 2
    await office.misses(order)
    await office.works(london(30, 9, 14))
    assert office.called == 2, "and the pause between two calls is kept"
    await office.works(london(30, 9, 15, 1))
    assert office.called == 3
    await office.misses(order)
    await office.works(london(30, 10, 0))
    kept = await office.outbound.read(order.uid)
    assert kept is not None
    assert (office.called, kept.tries, kept.outcome) == (3, 3, "busy")
    await office.switchboard.close()
