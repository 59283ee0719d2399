"""What nobody waits for is written together; whoever does wait is not kept, and nothing is lost or out of order."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy.engine import Engine
from sqlalchemy.event import listen, remove

from bot import batches
from bot.call import Call, Phase
from bot.ledger import Entry, Ledger, LedgerError

FOR_EVER = 600.0


def sid(n: int) -> str:
    return f"CA{n:032x}"


def note(at: float, **data: object) -> Entry:
    return Entry(at, "Spoke", data, Phase.BOT, False)


@contextmanager
def commits() -> Iterator[list[object]]:
    """Every commit meanwhile."""
    made: list[object] = []

    def count(connection: object) -> None:
        made.append(connection)

    listen(Engine, "commit", count)
    try:
        yield made
    finally:
        remove(Engine, "commit", count)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that stands still for a moment is no outage here."""
    monkeypatch.setattr("bot.writer.ANSWER_SECONDS", 60.0)


@pytest.fixture
async def ledger(url: str, tmp_path: Path) -> AsyncIterator[Ledger]:
    opened = await Ledger.open(url, tmp_path / "spool")
    for n in range(20):
        call = Call(sid(n), "+12025550199", "+12025550100", 0.5, Phase.BOT)
        await opened.add(call, Entry(0.5, "CallAnswered", {}, call.phase, True))
    yield opened
    await opened.close()


async def test_a_turn_of_many_calls_is_one_transaction_and_all_of_it_is_there_in_order(ledger: Ledger):
    async def turn(n: int) -> None:
        async with asyncio.TaskGroup() as group:
            for at in (1.0, 2.0, 3.0):
                group.create_task(ledger.add_line(sid(n), 1, "caller", f"line {at}", at))
                group.create_task(ledger.note(sid(n), note(at)))
                group.create_task(ledger.keep_conversation(sid(n), [{"role": "user", "content": f"{at}"}]))

    with commits() as made:
        await asyncio.gather(*(turn(n) for n in range(20)))
    assert 1 <= len(made) < 10, "of 180 writings"
    for n in range(20):
        record = await ledger.record(sid(n))
        assert record is not None
        assert [line.at for line in record.transcript] == [1.0, 2.0, 3.0]
        assert [entry.at for entry in record.journal] == [0.5, 1.0, 2.0, 3.0]
        assert record.stored.conversation == [{"role": "user", "content": "3.0"}]


async def test_a_step_and_whoever_reads_do_not_wait_for_others_to_come(ledger: Ledger, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(batches, "GATHER_SECONDS", FOR_EVER)
    stored = await ledger.load(sid(1))
    assert stored is not None
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        group.create_task(ledger.note(sid(1), note(1.0)))
        await asyncio.sleep(0.05)
        ended = replace(stored.call, phase=Phase.ENDED, ended_at=2.0)
        assert await ledger.save(ended, stored.version, Entry(2.0, "CallEnded", {}, Phase.ENDED, True))
        group.create_task(ledger.note(sid(1), note(3.0)))
        await asyncio.sleep(0.05)
        record = await ledger.record(sid(1))
    assert record is not None
    assert [entry.at for entry in record.journal] == [0.5, 1.0, 2.0, 3.0]


async def test_what_has_gathered_between_two_steps_keeps_the_second_one_no_longer(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(batches, "GATHER_SECONDS", FOR_EVER)
    stored = await ledger.load(sid(1))
    assert stored is not None
    leaving = replace(stored.call, phase=Phase.LEAVING)
    ended = replace(stored.call, phase=Phase.ENDED, ended_at=5.0)
    async with asyncio.timeout(5):
        results = await asyncio.gather(
            ledger.save(leaving, stored.version, Entry(1.0, "HandoffRequested", {}, Phase.LEAVING, True)),
            *(ledger.note(sid(1), note(at)) for at in (2.0, 3.0)),
            ledger.add_line(sid(1), 1, "bot", "Goodbye.", 3.5),
            ledger.keep_conversation(sid(1), []),
            ledger.note(sid(1), note(4.0)),
            ledger.save(ended, stored.version + 1, Entry(5.0, "CallEnded", {}, Phase.ENDED, True)),
        )
        record = await ledger.record(sid(1))
    assert results[0]
    assert results[-1]
    assert record is not None
    assert [entry.at for entry in record.journal] == [0.5, 1.0, 2.0, 3.0, 4.0, 5.0]


async def test_a_long_row_of_notes_behind_a_step_is_written_together(ledger: Ledger):
    stored = await ledger.load(sid(1))
    assert stored is not None
    leaving = replace(stored.call, phase=Phase.LEAVING)
    with commits() as made:
        await asyncio.gather(
            ledger.save(leaving, stored.version, Entry(1.0, "HandoffRequested", {}, Phase.LEAVING, True)),
            *(ledger.note(sid(1), note(2.0 + n)) for n in range(100)),
        )
    assert 1 <= len(made) < 10
    assert ledger.spooled == 0


async def test_what_the_database_refuses_takes_nothing_else_with_it(ledger: Ledger):
    results = await asyncio.gather(
        ledger.note(sid(1), note(1.0)),
        ledger.note(sid(2), note(1.0, wrong=object())),
        ledger.add_line(sid(3), 1, "bot", "Hello.", 1.0),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [type(None), LedgerError, type(None)]
    records = [await ledger.record(sid(n)) for n in (1, 2, 3)]
    assert [record and (len(record.journal), len(record.transcript)) for record in records] == [(2, 0), (1, 0), (1, 1)]
    assert ledger.spooled == 0, "the database is not in trouble"


async def test_a_ledger_that_is_closed_at_once_has_written_what_it_was_given(url: str, tmp_path: Path):
    first = await Ledger.open(url, tmp_path / "spool")
    call = Call(sid(1), "+12025550199", "+12025550100", 0.5, Phase.BOT)
    await first.add(call, Entry(0.5, "CallAnswered", {}, call.phase, True))
    noting = asyncio.create_task(first.note(sid(1), note(1.0)))
    await asyncio.sleep(0)
    await first.close()
    await noting
    second = await Ledger.open(url, tmp_path / "spool")
    record = await second.record(sid(1))
    await second.close()
    assert record is not None
    assert [entry.at for entry in record.journal] == [0.5, 1.0]
