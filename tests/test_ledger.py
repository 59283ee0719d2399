"""The record: what survives, what happens once, and what many calls at once may do to it."""

import asyncio
import math
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from loguru import logger

from bot.call import Attempt, By, Call, End, Handoff, Message, Outcome, Phase
from bot.database import create_engine
from bot.effects import Timer
from bot.events import (
    CallEnded,
    DialEnded,
    Event,
    GoodbyeHeard,
    HandoffRequested,
    PersonAnswered,
    RedirectAccepted,
    StreamEnded,
    StreamStarted,
    TimerFired,
)
from bot.law import EVENTS, answer, step
from bot.ledger import Entry, Ledger, LedgerError, Line, Record, Stored, event_from
from bot.routing import Endpoint, Policy, Target, Voicemail
from bot.tables import METADATA

POLICY = Policy(
    targets={"sales": Target("sales", "New orders", (Endpoint("+12025550101", 20), Endpoint("+12025550102", 20)))},
    default="sales",
    failsafe="sales",
    voicemail=Voicemail("Please leave a message."),
    goodbye_line="One moment please.",
)

STORY: tuple[Event, ...] = (
    StreamStarted(at=1.0, leg=1),
    TimerFired(at=2.0, timer=Timer.CHECK, number=0),
    HandoffRequested(at=3.0, target="sales", reason="an order", summary="Wants 40 chairs – “soon”."),
    HandoffRequested(at=3.5, target="sales", reason="an order"),
    GoodbyeHeard(at=4.0, handoff=1),
    RedirectAccepted(at=4.2),
    StreamEnded(at=4.3, leg=1, stopped=True),
    DialEnded(at=9.0, attempt=1, status="busy", bridged=False, code=31486),
    PersonAnswered(at=15.0, attempt=2),
    DialEnded(at=70.0, attempt=2, status="completed", bridged=True),
    CallEnded(at=70.1),
)
"""A call that the second number takes, with facts in between that change nothing."""


def answered(sid: str = "CA1", at: float = 0.5) -> tuple[Call, Entry]:
    call, _ = answer(sid, "+12025550199", "+12025550100", at)
    return call, Entry(at, "CallAnswered", {}, call.phase, True)


async def apply(ledger: Ledger, stored: Stored, event: Event) -> Stored | None:
    """One step, as a session makes it; None when somebody else was first."""
    call, _ = step(stored.call, event, POLICY)
    changed = call != stored.call
    entry = Entry.of(event, call, changed)
    if not changed:
        await ledger.note(call.sid, entry)
        return stored
    return Stored(call, stored.version + 1) if await ledger.save(call, stored.version, entry) else None


async def record_of(ledger: Ledger, sid: str) -> Record:
    record = await ledger.record(sid)
    assert record is not None
    return record


@pytest.fixture
async def ledger(url: str, spool: Path) -> AsyncIterator[Ledger]:
    ledger = await Ledger.open(url, spool)
    yield ledger
    await ledger.close()


@pytest.fixture
def file(tmp_path: Path) -> str:
    """The address of an SQLite file that is not there yet."""
    return f"sqlite+aiosqlite:///{tmp_path}/calls.db"


@pytest.fixture
async def in_file(file: str, spool: Path) -> AsyncIterator[Ledger]:
    ledger = await Ledger.open(file, spool)
    yield ledger
    await ledger.close()


# --- what survives -------------------------------------------------------------------------------------

seconds = st.floats(min_value=0, max_value=4e9)
attempts = st.builds(
    Attempt,
    at=seconds,
    answered_at=st.none() | seconds,
    accepted_at=st.none() | seconds,
    ended_at=st.none() | seconds,
    outcome=st.none() | st.sampled_from(Outcome),
    code=st.none() | st.integers(),
)
calls = st.builds(
    Call,
    started_at=seconds,
    phase=st.sampled_from(Phase),
    handoffs=st.lists(st.builds(Handoff, at=seconds), max_size=3).map(tuple),
    attempts=st.lists(attempts, max_size=3).map(tuple),
    message=st.none() | st.builds(Message),
    end=st.none() | st.sampled_from(End),
    ended_at=st.none() | seconds,
)
events = st.sampled_from(EVENTS).flatmap(lambda kind: st.builds(kind, at=seconds))


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(calls, max_size=5, unique_by=lambda call: call.sid.replace("\0", "")))
def test_any_call_survives_the_record(url: str, spool: Path, stored: list[Call]):
    async def keep_and_read() -> None:
        ledger = await Ledger.open(url, spool)
        await forget_all(url)
        for call in stored:
            assert await ledger.add(call, Entry(0.0, "CallAnswered", {}, call.phase, True))
        assert [await ledger.load(call.sid) for call in stored] == [Stored(call, 1) for call in stored]
        await ledger.close()

    asyncio.run(keep_and_read())


async def forget_all(url: str) -> None:
    engine = create_engine(url)
    async with engine.begin() as connection:
        for table in METADATA.sorted_tables:
            await connection.execute(table.delete())
    await engine.dispose()


@settings(deadline=None)
@given(events, st.sampled_from(Phase), st.booleans())
def test_any_event_can_be_read_back_from_its_entry(event: Event, phase: Phase, changed: bool):
    entry = Entry.of(event, replace(answered()[0], phase=phase), changed)
    assert event_from(entry) == event
    assert (entry.at, entry.event, entry.phase, entry.changed) == (event.at, type(event).__name__, phase, changed)
    assert set(entry.data) == {field.name for field in fields(event)} - {"at"}


def test_an_order_in_the_journal_is_no_event():
    assert event_from(Entry(4.1, "redirect_sent", {"seconds": 0.08}, Phase.REDIRECTING, False)) is None


def test_an_entry_without_the_fields_of_its_event_is_an_error():
    with pytest.raises(LedgerError, match="GoodbyeHeard"):
        event_from(Entry(4.1, "GoodbyeHeard", {}, Phase.LEAVING, True))


async def test_replaying_the_journal_gives_the_same_call(ledger: Ledger):
    first, entry = answered()
    assert await ledger.add(first, entry)
    stored: Stored | None = Stored(first, 1)
    for event in STORY:
        stored = await apply(ledger, stored, event)
        assert stored is not None

    record = await record_of(ledger, first.sid)
    assert record.stored == stored
    assert record.stored.call.end is End.PUT_THROUGH
    assert [entry.event for entry in record.journal] == ["CallAnswered", *(type(event).__name__ for event in STORY)]
    replayed = first
    for entry in record.journal:
        event = event_from(entry)
        if event is not None and entry.changed:
            replayed, _ = step(replayed, event, POLICY)
    assert replayed == record.stored.call


async def test_a_call_outlives_the_process(url: str, spool: Path):
    call, entry = answered()
    before = await Ledger.open(url, spool)
    await before.add(call, entry)
    await before.keep_conversation(call.sid, [{"role": "user", "content": "Grüezi, where is my order? 🪑"}])
    await before.close()

    after = await Ledger.open(url, spool)
    assert await after.load(call.sid) == Stored(call, 1, [{"role": "user", "content": "Grüezi, where is my order? 🪑"}])
    await after.close()


async def test_text_that_no_database_takes_is_kept_without_what_is_wrong_in_it(ledger: Ledger):
    call, entry = answered()
    call = replace(call, caller="+1\0202", handoffs=(Handoff("sales", "half a \ud83d", "", By.MODEL, 1.0),))
    await ledger.add(call, entry)
    await ledger.add_line(call.sid, 1, "caller", "a\0b \udc00", 1.0)
    await ledger.keep_conversation(call.sid, [{"content": "\ud800"}])

    record = await record_of(ledger, call.sid)
    assert record.stored.call.handoffs[0].reason == "half a ?"
    assert record.stored.conversation == [{"content": "?"}]
    assert record.transcript == [Line(1, 1.0, "caller", "ab ?")]


async def test_the_transcript_is_in_the_order_of_speaking(ledger: Ledger):
    call, entry = answered()
    await ledger.add(call, entry)
    await ledger.add_line(call.sid, 1, "bot", "Hello.", 3.0)
    await ledger.add_line(call.sid, 1, "caller", "Hi.", 2.0)
    await ledger.add_line("CA2", 1, "caller", "Somebody else.", 2.0)
    await ledger.add_line(call.sid, 2, "tool", "order_status: shipped", 4.0)
    assert (await record_of(ledger, call.sid)).transcript == [
        Line(1, 2.0, "caller", "Hi."),
        Line(1, 3.0, "bot", "Hello."),
        Line(2, 4.0, "tool", "order_status: shipped"),
    ]


async def test_an_unknown_call_is_none(ledger: Ledger):
    assert await ledger.load("CA404") is None
    assert await ledger.record("CA404") is None


# --- what happens once ---------------------------------------------------------------------------------


async def test_a_retried_webhook_adds_nothing(ledger: Ledger):
    call, entry = answered()
    assert await ledger.add(call, entry)
    assert not await ledger.add(replace(call, phase=Phase.ENDED), entry)
    record = await record_of(ledger, call.sid)
    assert record.stored == Stored(call, 1)
    assert record.journal == [entry]


async def test_a_step_from_an_old_version_writes_nothing(ledger: Ledger):
    call, entry = answered()
    await ledger.add(call, entry)
    assert await apply(ledger, Stored(call, 1), STORY[0]) is not None
    before = await record_of(ledger, call.sid)

    assert not await ledger.save(replace(call, phase=Phase.ENDED), 1, Entry.of(CallEnded(at=9.0), call, True))
    assert await record_of(ledger, call.sid) == before


async def test_a_step_of_a_call_without_a_row_writes_nothing(ledger: Ledger):
    call, entry = answered()
    assert not await ledger.save(call, 1, entry)
    assert await ledger.add(call, entry)
    assert (await record_of(ledger, call.sid)).journal == [entry]


async def test_keeping_the_conversation_makes_no_new_version(ledger: Ledger):
    call, entry = answered()
    await ledger.add(call, entry)
    await ledger.keep_conversation(call.sid, [{"role": "user"}])
    stored = await apply(ledger, Stored(call, 1), STORY[0])
    assert stored is not None
    assert await ledger.load(call.sid) == Stored(stored.call, 2, [{"role": "user"}])


async def test_two_processes_on_one_database_win_each_version_once(ledger: Ledger, url: str, spool: Path):
    call, entry = answered()
    await ledger.add(call, entry)
    other = await Ledger.open(url, spool)

    async def race(mine: Ledger, name: str, wins: list[int]) -> None:
        while (stored := await mine.load(call.sid)) and stored.version <= 100:
            won = Entry(float(stored.version), name, {}, Phase.BOT, True)
            if await mine.save(replace(call, caller=name), stored.version, won):
                wins.append(stored.version)

    wins: dict[str, list[int]] = {"a": [], "b": []}
    await asyncio.gather(race(ledger, "a", wins["a"]), race(other, "b", wins["b"]))
    await other.close()

    assert sorted(wins["a"] + wins["b"]) == list(range(1, 101))
    record = await record_of(ledger, call.sid)
    assert record.stored.version == 101
    assert [(entry.at, entry.event) for entry in record.journal[1:]] == sorted(
        (float(version), name) for name, versions in wins.items() for version in versions
    )


# --- many at once, and trouble -------------------------------------------------------------------------


async def test_twenty_calls_write_thirty_steps_each_at_once(ledger: Ledger, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("bot.writer.ANSWER_SECONDS", 60.0)  # a machine that stands still for a moment is no outage here

    async def live(sid: str) -> None:
        call, entry = answered(sid)
        assert await ledger.add(call, entry)
        for version in range(1, 31):
            call = replace(call, tried=version)
            step_taken = Entry.of(TimerFired(at=float(version), timer=Timer.CHECK, number=version), call, True)
            saved, *_ = await asyncio.gather(
                ledger.save(call, version, step_taken),
                ledger.add_line(sid, 1, "caller", f"line {version}", float(version)),
            )
            assert saved
        assert len(await ledger.calls()) == 20

    sids = [f"CA{n}" for n in range(20)]
    await asyncio.gather(*(live(sid) for sid in sids))
    for sid in sids:
        record = await record_of(ledger, sid)
        assert (record.stored.version, record.stored.call.tried) == (31, 30)
        assert [entry.at for entry in record.journal if entry.event == "TimerFired"] == list(range(1, 31))
        assert len(record.journal) == 31
        assert [line.text for line in record.transcript] == [f"line {version}" for version in range(1, 31)]


async def test_several_processes_may_open_a_new_database_at_once(url: str, spool: Path, tmp_path: Path):
    ledgers = await asyncio.gather(*(Ledger.open(url, spool) for _ in range(8)))
    call, entry = answered()
    assert sorted(await asyncio.gather(*(each.add(call, entry) for each in ledgers))) == [False] * 7 + [True]
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(tmp_path / "calls.db")) as somebody:
            assert somebody.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    await asyncio.gather(*(each.close() for each in ledgers))


async def test_whoever_stops_waiting_does_not_stop_the_writing(in_file: Ledger, tmp_path: Path):
    ledger = in_file
    call, entry = answered()
    await ledger.add(call, entry)
    with closing(sqlite3.connect(tmp_path / "calls.db")) as somebody:
        somebody.execute("BEGIN IMMEDIATE")
        for version in range(1, 21):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await ledger.save(replace(call, tried=version), version, entry)
        somebody.rollback()
    # Queued behind them, and so after them.
    assert await ledger.load(call.sid) == Stored(replace(call, tried=20), 21)
    assert len((await record_of(ledger, call.sid)).journal) == 21


async def test_closing_waits_for_what_is_still_to_be_written(ledger: Ledger, url: str, spool: Path):
    notes = [asyncio.create_task(ledger.note("CA1", Entry(at, "late", {}, Phase.BOT, False))) for at in range(20)]
    await asyncio.sleep(0)
    for note in notes:
        note.cancel()
    await ledger.close()

    other = await Ledger.open(url, spool)
    await other.add(*answered())
    assert [entry.at for entry in (await record_of(other, "CA1")).journal] == [*range(20), 0.5]
    await other.close()


async def test_closing_does_not_wait_for_ever_and_leaves_the_rest_to_the_next_process(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("bot.database.BUSY_SECONDS", 0.3)
    monkeypatch.setattr("bot.ledger.CLOSE_SECONDS", 0.1)
    ledger = await Ledger.open(file)
    call, entry = answered()
    with closing(sqlite3.connect(tmp_path / "calls.db")) as somebody:
        somebody.execute("BEGIN IMMEDIATE")
        adding = asyncio.create_task(ledger.add(call, entry))
        await asyncio.sleep(0)
        await ledger.close()
        with pytest.raises(asyncio.CancelledError):
            await adding
    after = await Ledger.open(file)
    assert await after.load(call.sid) == Stored(call, 1)
    await after.close()


async def test_what_is_told_of_a_database_in_trouble_tells_nothing_of_the_call(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("bot.database.BUSY_SECONDS", 0.1)
    told: list[str] = []
    sink = logger.add(lambda line: told.append(line), format="{message}")
    ledger = await Ledger.open(file)
    call, entry = answered()
    with closing(sqlite3.connect(tmp_path / "calls.db")) as somebody:
        somebody.execute("BEGIN IMMEDIATE")
        assert await ledger.add(call, entry)
        somebody.rollback()
    await ledger.close()
    logger.remove(sink)
    assert any("database is locked" in line for line in told)
    assert call.caller not in "".join(told)


async def test_a_row_that_cannot_be_read_is_a_ledger_error(in_file: Ledger, tmp_path: Path):
    ledger = in_file
    call, entry = answered()
    await ledger.add(call, entry)
    with closing(sqlite3.connect(tmp_path / "calls.db")) as somebody:
        somebody.execute("""UPDATE calls SET state = '{"sid": "CA1", "phase": "on the moon"}'""")
        somebody.commit()
    with pytest.raises(LedgerError, match="validation errors for Call"):
        await ledger.load(call.sid)
    with pytest.raises(LedgerError):
        await ledger.calls()


async def test_a_conversation_that_is_no_json_is_a_ledger_error(ledger: Ledger):
    call, entry = answered()
    await ledger.add(call, entry)
    with pytest.raises(LedgerError, match="not JSON serializable"):
        await ledger.keep_conversation(call.sid, [{"frame": object()}])
    assert await ledger.load(call.sid) == Stored(call, 1)


@pytest.mark.parametrize("address", ["sqlite:///calls.db", "nonsense", "sqlite+nonsense://"])
async def test_an_address_that_is_none_is_a_ledger_error(address: str, spool: Path):
    with pytest.raises(LedgerError):
        await Ledger.open(address, spool)


async def test_a_folder_that_is_missing_is_a_ledger_error(tmp_path: Path):
    with pytest.raises(LedgerError, match=f"the folder {tmp_path}/records does not exist"):
        await Ledger.open(f"sqlite+aiosqlite:///{tmp_path}/records/calls.db")


async def test_a_file_that_is_something_else_is_a_ledger_error(file: str, tmp_path: Path):
    (tmp_path / "calls.db").write_text("Dear diary, " * 100)
    with pytest.raises(LedgerError, match="file is not a database"):
        await Ledger.open(file)


async def test_a_closed_record_leaves_one_file(file: str, tmp_path: Path):
    ledger = await Ledger.open(file)
    await ledger.add(*answered())
    await ledger.close()
    assert os.listdir(tmp_path) == ["calls.db"]


# --- the list ------------------------------------------------------------------------------------------


async def test_calls_are_listed_newest_first_and_page_by_page(ledger: Ledger):
    begun = [1_700_000_000.0 + math.pi * n for n in range(5)]
    for n, at in enumerate(begun):
        call, entry = answered(f"CA{n}", at)
        await ledger.add(replace(call, phase=Phase.ENDED) if n % 2 else call, entry)

    async def listed(**wanted: Any) -> list[str]:
        return [stored.call.sid for stored in await ledger.calls(**wanted)]

    assert await listed() == ["CA4", "CA3", "CA2", "CA1", "CA0"]
    assert await listed(limit=2) == ["CA4", "CA3"]
    assert await listed(limit=2, before=begun[3]) == ["CA2", "CA1"]
    assert await listed(before=begun[0]) == []
    assert await listed(phase=Phase.ENDED) == ["CA3", "CA1"]
    assert await listed(phase="connecting", before=begun[4]) == ["CA2", "CA0"]
