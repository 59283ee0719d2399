"""What people do to a live call: a fact of the call, told where its stream is, with the name of who did it."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from calls import CALLER, SID, US
from fakes import Orders, ScriptedTelephony
from test_session import switchboard, until, with_bot

from bot.call import By, Phase
from bot.desk import Desk, NobodyCarries, Order
from bot.feed import Feed
from bot.ledger import Ledger
from bot.loop_thread import LoopThread
from bot.switchboard import Switchboard


class Process:
    """One process: its calls and its desk."""

    def __init__(self, ledger: Ledger, spool: Path) -> None:
        self.ledger = ledger
        self.aside = LoopThread("aside")
        self.feed = Feed(ledger.url, self.aside)
        self.feed.start()
        self.board: Switchboard = switchboard(ledger, ScriptedTelephony())
        self.desk = Desk(self.board, self.feed, name=f"process {spool.name}")

    @classmethod
    async def open(cls, url: str, spool: Path) -> "Process":
        return cls(await Ledger.open(url, spool), spool)

    async def close(self) -> None:
        async def nothing() -> None:
            pass

        self.desk.close()
        await self.board.close()
        await self.ledger.close()
        await self.aside.close(0.1, last=nothing)


@pytest.fixture
async def one(tmp_path: Path) -> AsyncIterator[Process]:
    process = await Process.open(f"sqlite+aiosqlite:///{tmp_path}/calls.db", tmp_path / "spool")
    yield process
    await process.close()


async def test_a_supervisor_puts_a_caller_through_and_the_journal_says_who_did(one: Process):
    session, orders = await with_bot(one.board)
    assert await one.desk.order(SID, Order("put_through", who="Anna", target="billing", reason="a refund"))
    assert session.call.phase is Phase.LEAVING
    assert (session.call.handoffs[0].target, session.call.handoffs[0].by) == ("billing", By.CONSOLE)
    assert orders.told == ["goodbye 1"]
    record = await one.ledger.record(SID)
    assert record is not None
    [entry] = [entry for entry in record.journal if entry.event == "HandoffRequested"]
    assert (entry.data["who"], entry.changed) == ("Anna", True)


async def test_a_caller_who_is_being_put_through_is_not_put_through_again(one: Process):
    await with_bot(one.board)
    order = Order("put_through", who="Anna", target="desk")
    assert await one.desk.order(SID, order)
    assert not await one.desk.order(SID, order)


async def test_a_hint_reaches_the_bot_and_the_journal(one: Process):
    _, orders = await with_bot(one.board)
    assert await one.desk.order(SID, Order("hint", who="Anna", text="Offer the refund."))
    assert orders.told == ["advice: Offer the refund."]
    record = await one.ledger.record(SID)
    assert record is not None
    [entry] = [entry for entry in record.journal if entry.event == "HintGiven"]
    assert entry.data == {"text": "Offer the refund.", "who": "Anna"}


async def test_a_bot_that_says_goodbye_gets_no_hint(one: Process):
    _, orders = await with_bot(one.board)
    await one.desk.order(SID, Order("hang_up", who="Anna"))
    assert not await one.desk.order(SID, Order("hint", who="Anna", text="Wait."))
    assert orders.told == ["farewell 1 prompted"]


async def test_hanging_up_begins_with_a_goodbye_that_the_bot_is_asked_for(one: Process):
    session, orders = await with_bot(one.board)
    assert await one.desk.order(SID, Order("hang_up", who="Anna"))
    assert session.call.phase is Phase.PARTING
    assert orders.told == ["farewell 1 prompted"]


async def test_a_call_that_nobody_knows_is_told_as_such(one: Process):
    with pytest.raises(KeyError):
        await one.desk.order("CA" + "00" * 16, Order("hint", who="Anna", text="Hello."))


@pytest.fixture
async def two(postgresql: str, tmp_path: Path) -> AsyncIterator[tuple[Process, Process]]:
    processes = [await Process.open(postgresql, tmp_path / name) for name in ("one", "other")]
    yield processes[0], processes[1]
    for process in processes:
        await process.close()


async def carried(process: Process) -> Orders:
    """A call that this process carries, and which the other one can reach."""
    _, orders = await with_bot(process.board)
    return orders


async def test_an_order_is_carried_out_by_the_process_that_has_the_caller(two: tuple[Process, Process]):
    here, there = two
    orders = await carried(there)
    agreed = False
    while not agreed:  # until both listen
        try:
            agreed = await here.desk.order(SID, Order("hint", who="Anna", text="Offer the refund."))
        except NobodyCarries:
            continue
    assert set(orders.told) == {"advice: Offer the refund."}
    assert await here.desk.order(SID, Order("put_through", who="Anna", target="desk"))
    assert orders.told[-1] == "goodbye 1"
    assert not await here.desk.order(SID, Order("put_through", who="Anna", target="desk"))


async def test_whoever_carries_a_call_says_so(two: tuple[Process, Process]):
    here, there = two
    with pytest.raises(NobodyCarries):
        await here.desk.whereabouts(SID)
    await carried(there)
    name = ""
    while not name:  # until both listen
        with contextlib.suppress(NobodyCarries):
            name = await here.desk.whereabouts(SID)
    assert (name, await there.desk.whereabouts(SID)) == ("process other", "process other")


async def test_an_order_for_a_caller_whose_process_is_gone_is_not_said_to_be_done(two: tuple[Process, Process]):
    here, there = two
    session, orders = await with_bot(there.board)
    session.detach(orders)
    with pytest.raises(NobodyCarries):
        await here.desk.order(SID, Order("put_through", who="Anna", target="desk"))
    await until(lambda: not here.desk._waiting)
    stored = await here.ledger.load(SID)
    assert stored is not None
    assert stored.call.phase is Phase.BOT


async def test_an_api_s_order_is_marked_as_one(one: Process):
    session, _ = await with_bot(one.board)
    assert await one.desk.request_handoff(SID, "desk", "a refund", "Order 1042.")
    assert (session.call.handoffs[0].by, session.call.caller, session.call.called) == (By.API, CALLER, US)
