"""Callbacks that fall due when nobody is to be called: they wait, and what is under way goes on."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from fakes import ScriptedTelephony
from serving import serving
from test_admission import Clock, board
from test_callback import FIRST, NEW, RULED, SECOND, TAKES, done, get

from bot import callback_book as book
from bot.addresses import Addresses
from bot.callback import Callback, CallbackOutcome, State, TryOutcome
from bot.callbacks import Callbacks
from bot.ledger import Ledger
from sandbox.people import Person
from sandbox.stage import Stage
from sandbox.story import load


@pytest.fixture
async def ledger(url: str, spool: Path) -> AsyncIterator[Ledger]:
    opened = await Ledger.open(url, spool)
    await opened.transact(lambda connection: book.enter(connection, NEW, ()))
    yield opened
    await opened.close()


class Office:
    """Callbacks of one process, whose work can be held."""

    def __init__(self, ledger: Ledger) -> None:
        self.now = NEW.due_at
        self.why: str | None = None
        self.telephony = ScriptedTelephony()
        addresses = Addresses("https://bot.example")
        self.callbacks = Callbacks(
            ledger, self.telephony, addresses, lambda called: RULED, clock=lambda: self.now, held=self.held
        )

    async def held(self) -> str | None:
        return self.why

    async def works(self, after: float = 0.0) -> Callback:
        self.now += after
        await self.callbacks.work()
        kept = await self.callbacks.read(NEW.uid)
        assert kept is not None
        return kept


async def test_one_that_falls_due_meanwhile_is_made_afterwards(ledger: Ledger):
    office = Office(ledger)
    office.why = "the bot is switched off"
    for _ in range(3):
        assert await office.works(after=60.0) == NEW, "nothing is counted, and it stays due"
    assert office.telephony.orders == []
    assert office.callbacks.open_in(State.WAITING) == 1
    office.why = None
    assert (await office.works(after=1.0)).state is State.PERSON
    await office.works(after=10.0)
    assert (office.callbacks.open_in(State.WAITING), office.callbacks.open_in(State.PERSON)) == (0, 1)
    assert [order for order, _ in office.telephony.orders] == ["call"]


async def test_who_is_called_already_is_waited_for_and_the_next_one_is_called_afterwards(ledger: Ledger):
    office = Office(ledger)
    assert (await office.works()).state is State.PERSON
    office.why = "the bot is switched off"
    callback = await office.works(after=3600.0)
    assert (callback.state, [each.outcome for each in callback.tries]) == (State.WAITING, [TryOutcome.UNKNOWN])
    assert await office.works(after=60.0) == callback
    office.why = None
    assert len((await office.works(after=60.0)).tries) == 2


async def test_one_that_is_held_for_longer_than_it_is_wanted_expires_unmade(ledger: Ledger):
    office = Office(ledger)
    office.why = "the bot is switched off"
    await office.works(after=RULED.callback.expire_seconds + 1 if RULED.callback else 0)
    office.why = None
    assert (await office.works()).outcome is CallbackOutcome.EXPIRED
    assert office.telephony.orders == []


async def test_those_that_wait_do_not_stand_in_the_way_of_those_that_are_under_way(ledger: Ledger):
    office = Office(ledger)
    assert (await office.works()).state is State.PERSON
    for n in range(30):
        other = replace(NEW, uid=f"{n:032x}", number=f"+4420794601{n:02}")
        await ledger.transact(lambda connection, other=other: book.enter(connection, other, ()))
    office.why = "the bot is switched off"
    assert (await office.works(after=3600.0)).state is State.WAITING


async def test_the_outage_switch_and_a_server_that_is_to_end_hold_them_and_a_full_bot_does_not(ledger: Ledger):
    one = board(ledger, Clock(), places=0)
    assert await one.held() is None
    await one._admission.switch(True, "the model is ill", 1.0)
    assert await one.held() == "the model is ill"
    await one._admission.switch(False, "", 2.0)
    one.draining = True
    assert await one.held() == "the bot's server is being replaced"
    await one.close()


async def test_while_the_outage_switch_is_on_nobody_is_called_back(tmp_path: Path):
    async with Stage() as stage, serving(stage, tmp_path) as url, aiohttp.ClientSession() as http:

        async def turn(on: bool) -> None:
            async with http.put(f"{url}/api/outage", json={"on": on}) as answer:
                answer.raise_for_status()

        story = load("callback")
        caller = Person("answer", after=0.2, says="Yes?", hangs_up_after=0.5)
        stage.network.people.update({FIRST: TAKES, SECOND: TAKES, story.caller: caller})
        turning: list[asyncio.Task[None]] = []
        played = await stage.play("callback", story, begun=lambda call: turning.append(asyncio.create_task(turn(True))))
        await turning[0]
        await asyncio.sleep(1.5)
        assert len(stage.network.calls) == 1
        [waiting] = (await get(f"{url}/api/callbacks"))["callbacks"]
        assert (waiting["state"], waiting["tries"]) == ("waiting", [])
        await turn(False)
        assert (await done(url, played.call.sid))["outcome"] == "joined"
        async with http.get(f"{url}/metrics") as answer:
            figures = await answer.text()
        for figure in ("callbacks_booked_total", 'callbacks_done_total{outcome="joined"}'):
            assert f"putthrough_{figure} 1.0" in figures
