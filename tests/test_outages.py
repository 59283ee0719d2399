"""The record while its database is gone, slow or read-only: calls go on, and afterwards everything is there, once."""

import asyncio
import shutil
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from calls import CALLER, POLICY, SID, US
from fakes import ScriptedTelephony
from postgres import Cluster

from bot import events as ev
from bot.addresses import Addresses
from bot.admission import Admission, Limits
from bot.call import Attempt, By, Call, End, Handoff, Outcome, Phase
from bot.ledger import Entry, Ledger, LedgerError, Line, Record, Stored
from bot.switchboard import Switchboard
from bot.tokens import PersonPages, Seal, StreamTokens

CALL = Call("CA1", "+12025550199", "+12025550100", 0.5)
NEVER = 3600.0


@pytest.fixture
def stoppable(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster, running again afterwards."""
    yield cluster
    try:
        cluster.sql("SELECT 1")
    except AssertionError:
        cluster.start()


@pytest.fixture
async def ledger(postgresql: str, spool: Path) -> AsyncIterator[Ledger]:
    opened = await Ledger.open(postgresql, spool)
    yield opened
    await opened.close()


@pytest.fixture(autouse=True)
def _probe_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.writer.LAST_PROBE_SECONDS", 0.1)
    monkeypatch.setattr("bot.writer.FIRST_PROBE_SECONDS", 0.02)


def entry(number: int, changed: bool = True) -> Entry:
    return Entry(float(number), f"event {number}", {}, Phase.BOT, changed)


async def begin(ledger: Ledger) -> None:
    assert await ledger.add(CALL, entry(0))


async def save(ledger: Ledger, version: int) -> bool:
    return await ledger.save(replace(CALL, tried=version), version, entry(version))


async def until(true: Callable[[], object]) -> None:
    """Wait for what background tasks bring about; the test's own time limit ends it."""
    while not true():
        await asyncio.sleep(0.01)


async def record_of(ledger: Ledger, sid: str = CALL.sid) -> Record:
    record = await ledger.record(sid)
    assert record is not None
    return record


def names(record: Record) -> list[str]:
    return [entry.event for entry in record.journal]


def all_up_to(version: int) -> list[str]:
    return [f"event {number}" for number in range(version)]


@asynccontextmanager
async def gate(port: int) -> AsyncIterator[tuple[int, asyncio.Event]]:
    """A way to a port that can be closed: what is connected stays connected, and nothing comes through any more."""
    passing = asyncio.Event()
    passing.set()
    writers: list[asyncio.StreamWriter] = []

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                await passing.wait()
                sink.write(data)
                await sink.drain()
        except OSError:
            pass
        finally:
            sink.close()

    async def let_through(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await passing.wait()
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
        writers.append(there_writer)
        await asyncio.gather(pump(reader, there_writer), pump(there_reader, writer))

    server = await asyncio.start_server(let_through, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1], passing
    passing.set()
    server.close()
    for writer in writers:
        writer.close()
    await server.wait_closed()


# --- gone ----------------------------------------------------------------------------------------------


async def test_everything_is_there_once_and_in_order_after_a_power_cut_in_the_middle_of_steps(
    stoppable: Cluster, ledger: Ledger
):
    sids = [f"CA{n}" for n in range(5)]
    halfway = asyncio.Event()

    async def live(sid: str) -> None:
        call = replace(CALL, sid=sid)
        assert await ledger.add(call, entry(0))
        for version in range(1, 40):
            assert await ledger.save(replace(call, tried=version), version, entry(version))
            await ledger.add_line(sid, 1, "caller", f"line {version}", float(version))
            await ledger.note(sid, Entry(version + 0.5, "note", {}, Phase.BOT, False))
            if version == 10:
                halfway.set()
        await ledger.keep_conversation(sid, [{"content": sid}])

    async def cut_power() -> None:
        await halfway.wait()
        await asyncio.to_thread(stoppable.stop)
        await until(lambda: ledger.spooled > 20)
        await asyncio.to_thread(stoppable.start)

    await asyncio.gather(cut_power(), *(live(sid) for sid in sids))
    await until(lambda: ledger.spooled == 0)
    for sid in sids:
        record = await record_of(ledger, sid)
        assert (record.stored.version, record.stored.call.tried) == (40, 39)
        assert record.stored.conversation == [{"content": sid}]
        assert [entry.event for entry in record.journal if entry.changed] == all_up_to(40)
        assert [entry.at for entry in record.journal if not entry.changed] == [n + 0.5 for n in range(1, 40)]
        assert [line.text for line in record.transcript] == [f"line {n}" for n in range(1, 40)]


async def test_a_process_starts_without_its_database_and_finds_it_later(
    stoppable: Cluster, postgresql: str, spool: Path
):
    stoppable.stop()
    ledger = await Ledger.open(postgresql, spool)
    await begin(ledger)
    assert await save(ledger, 1)
    assert not await save(ledger, 1)
    assert await ledger.load(CALL.sid) == Stored(replace(CALL, tried=1), 2)
    with pytest.raises(LedgerError):
        await ledger.load("CA404")
    stoppable.start()
    await until(lambda: ledger.spooled == 0)
    assert names(await record_of(ledger)) == all_up_to(2)
    await ledger.close()


async def test_connections_that_a_restart_of_the_server_broke_are_replaced(stoppable: Cluster, ledger: Ledger):
    await begin(ledger)
    stoppable.stop()
    stoppable.start()
    assert await save(ledger, 1)
    await until(lambda: ledger.spooled == 0)
    assert names(await record_of(ledger)) == all_up_to(2)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("postgresql://postgres@127.0.0.1:{port}/nosuch", "has no database `nosuch`: create it"),
        ("postgresql://nosuch:hush@127.0.0.1:{port}/postgres", "refuses the user: check user and password"),
    ],
)
async def test_an_address_that_will_never_do_is_told_at_start(cluster: Cluster, spool: Path, address: str, words: str):
    with pytest.raises(LedgerError, match=words) as raised:
        await Ledger.open(address.format(port=cluster.port), spool)
    assert "hush" not in str(raised.value)


# --- slow ----------------------------------------------------------------------------------------------


async def test_a_database_that_stops_answering_is_waited_for_once(
    cluster: Cluster, postgresql: str, spool: Path, monkeypatch: pytest.MonkeyPatch
):
    async with gate(cluster.port) as (port, passing):
        ledger = await Ledger.open(postgresql.replace(str(cluster.port), str(port)), spool)
        await begin(ledger)
        passing.clear()
        monkeypatch.setattr("bot.writer.ANSWER_SECONDS", 0.1)
        assert await save(ledger, 1)
        # From now on, whoever waited for the database would wait for ever.
        monkeypatch.setattr("bot.writer.ANSWER_SECONDS", NEVER)
        for version in range(2, 20):
            assert await save(ledger, version)
        assert await ledger.add(replace(CALL, sid="CA2"), entry(0))
        with pytest.raises(LedgerError):
            await ledger.load("CA404")
        passing.set()
        await until(lambda: ledger.spooled == 0)
        # The first of them had reached the database and was written twice: it is there once.
        assert names(await record_of(ledger)) == all_up_to(20)
        assert names(await record_of(ledger, "CA2")) == all_up_to(1)
        await ledger.close()


async def test_a_process_starts_with_a_database_that_takes_connections_and_never_answers(
    cluster: Cluster, postgresql: str, spool: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("bot.database.CONNECT_SECONDS", 0.3)
    async with gate(cluster.port) as (port, passing):
        passing.clear()
        ledger = await Ledger.open(postgresql.replace(str(cluster.port), str(port)), spool)
        await begin(ledger)
        assert ledger.behind(CALL.sid)
        passing.set()
        await until(lambda: ledger.spooled == 0)
        assert names(await record_of(ledger)) == all_up_to(1)
        await ledger.close()


async def test_a_row_that_somebody_has_locked_does_not_hold_the_call_up(
    cluster: Cluster, ledger: Ledger, postgresql: str, monkeypatch: pytest.MonkeyPatch
):
    await begin(ledger)
    database = postgresql.rpartition("/")[2]
    holding = asyncio.create_task(
        asyncio.to_thread(
            cluster.sql, "BEGIN; SELECT 'held' FROM calls FOR UPDATE; SELECT pg_sleep(0.6); COMMIT", database
        )
    )
    held = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND wait_event = 'PgSleep'"
    while await asyncio.to_thread(cluster.sql, held) != "1":
        await asyncio.sleep(0.01)
    monkeypatch.setattr("bot.writer.ANSWER_SECONDS", 0.05)
    assert await save(ledger, 1)
    assert await save(ledger, 2)
    monkeypatch.setattr("bot.writer.ANSWER_SECONDS", 1.5)
    await holding
    await until(lambda: ledger.spooled == 0)
    assert names(await record_of(ledger)) == all_up_to(3)


# --- read-only -----------------------------------------------------------------------------------------


async def test_a_read_only_database_is_read_and_gets_the_rest_later(
    cluster: Cluster, ledger: Ledger, postgresql: str, spool: Path
):
    database = postgresql.rpartition("/")[2]
    await begin(ledger)
    cluster.sql(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    replica = await Ledger.open(postgresql, spool)  # new connections are read-only
    stored = await replica.load(CALL.sid)
    assert stored == Stored(CALL, 1)
    assert await save(replica, 1)
    assert replica.behind(CALL.sid)
    assert await replica.load(CALL.sid) == Stored(replace(CALL, tried=1), 2)
    assert names(await record_of(replica)) == all_up_to(1)
    cluster.sql(f"ALTER DATABASE {database} RESET default_transaction_read_only")
    cluster.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'putthrough'")
    await until(lambda: replica.spooled == 0)
    assert names(await record_of(replica)) == all_up_to(2)
    await replica.close()


# --- two processes -------------------------------------------------------------------------------------


async def test_steps_that_another_process_outran_during_the_outage_are_late_entries(
    cluster: Cluster, ledger: Ledger, postgresql: str, spool: Path, monkeypatch: pytest.MonkeyPatch
):
    async with gate(cluster.port) as (port, passing):
        cut_off = await Ledger.open(postgresql.replace(str(cluster.port), str(port)), spool)
        await begin(cut_off)
        passing.clear()
        # A step of the same call by another process, and two here that do not know of it.
        other = Entry(9.0, "other", {}, Phase.ENDED, True)
        assert await ledger.save(replace(CALL, phase=Phase.ENDED), 1, other)
        monkeypatch.setattr("bot.writer.ANSWER_SECONDS", 0.1)
        assert await save(cut_off, 1)
        assert await save(cut_off, 2)
        monkeypatch.setattr("bot.writer.ANSWER_SECONDS", 1.5)
        passing.set()
        await until(lambda: cut_off.spooled == 0)

        # Here the call has version 3 and there 2: whoever goes on is told first, also when the numbers are the same.
        record = await record_of(ledger)
        assert record.stored == Stored(replace(CALL, phase=Phase.ENDED), 2)
        assert [(each.event, each.changed, each.late) for each in record.journal] == [
            ("event 0", True, False),
            ("other", True, False),
            ("event 1", False, True),
            ("event 2", False, True),
        ]
        assert await ledger.save(replace(CALL, phase=Phase.ENDED), 2, Entry(10.0, "other again", {}, Phase.ENDED, True))
        assert not await save(cut_off, 3)
        stored = await cut_off.load(CALL.sid)
        assert stored is not None
        assert not await save(cut_off, stored.version), "a call that has ended does not go on"
        assert await cut_off.save(replace(CALL, phase=Phase.ENDED), stored.version, entry(9))
        await cut_off.close()


async def test_a_call_that_another_process_knows_only_from_its_beginning_is_as_whoever_went_on_with_it_left_it(
    cluster: Cluster, ledger: Ledger, postgresql: str, spool: Path, monkeypatch: pytest.MonkeyPatch
):
    asked = replace(CALL, handoffs=(Handoff("desk", "", "", By.MODEL, 2.0),))
    over = replace(asked, phase=Phase.ENDED, end=End.PUT_THROUGH, ended_at=9.0)
    async with gate(cluster.port) as (port, passing):
        cut_off = await Ledger.open(postgresql.replace(str(cluster.port), str(port)), spool)
        passing.clear()
        monkeypatch.setattr("bot.writer.ANSWER_SECONDS", 0.1)
        await begin(ledger)
        assert await cut_off.add(CALL, Entry(0.5, "begun", {}, Phase.BOT, True))
        for version, call in enumerate((replace(CALL, tried=1), asked, over), 1):
            assert await cut_off.save(call, version, Entry(float(version), f"step {version}", {}, call.phase, True))
        monkeypatch.setattr("bot.writer.ANSWER_SECONDS", 1.5)
        passing.set()
        await until(lambda: cut_off.spooled == 0)

        record = await record_of(ledger)
        assert record.stored == Stored(over, 3)
        assert [(each.event, each.changed, each.late) for each in record.journal] == [
            ("event 0", True, False),
            ("begun", False, True),
            ("step 1", False, True),
            ("step 2", True, True),
            ("step 3", True, True),
        ]
        assert not await cut_off.save(replace(over, tried=9), 4, entry(9)), "it has counted more steps than there are"
        await cut_off.close()


async def test_a_call_whose_end_is_all_that_another_process_knows_has_what_was_done_for_it(
    cluster: Cluster, ledger: Ledger, postgresql: str, spool: Path, monkeypatch: pytest.MonkeyPatch
):
    asked = replace(CALL, handoffs=(Handoff("desk", "", "", By.MODEL, 2.0),), phase=Phase.REDIRECTING)
    rings = replace(asked, attempts=(Attempt("desk", "+12025550143", 3.0, handoff=1),), phase=Phase.RINGING)
    talks = replace(rings, attempts=(replace(rings.attempts[0], answered_at=4.0, bridged_at=4.0),), phase=Phase.PERSON)
    async with gate(cluster.port) as (port, passing):
        cut_off = await Ledger.open(postgresql.replace(str(cluster.port), str(port)), spool)
        await begin(cut_off)
        passing.clear()
        monkeypatch.setattr("bot.writer.ANSWER_SECONDS", 0.1)
        for version, call in enumerate((asked, rings, talks), 1):
            assert await cut_off.save(call, version, Entry(float(version), f"step {version}", {}, call.phase, True))
        gone = replace(CALL, phase=Phase.ENDED, end=End.CALLER_HUNG_UP, ended_at=9.0)
        assert await ledger.save(gone, 1, Entry(9.0, "gone", {}, Phase.ENDED, True))
        monkeypatch.setattr("bot.writer.ANSWER_SECONDS", 1.5)
        passing.set()
        await until(lambda: cut_off.spooled == 0)

        stored = (await record_of(ledger)).stored
        assert stored is not None
        assert (stored.call.phase, stored.call.end, stored.call.ended_at) == (Phase.ENDED, End.PUT_THROUGH, 9.0)
        assert stored.call.handoffs == asked.handoffs
        assert [(each.outcome, each.bridged_at) for each in stored.call.attempts] == [(Outcome.ANSWERED, 4.0)]
        await cut_off.close()


# --- crashes -------------------------------------------------------------------------------------------

CRASHING = """
import asyncio, sys
from dataclasses import replace
from pathlib import Path
from bot.call import Call
from bot.ledger import Entry, Ledger

async def main(url, spool):
    ledger = await Ledger.open(url, Path(spool))
    call = Call("CA1", "+12025550199", "+12025550100", 0.5)
    assert await ledger.add(call, Entry(0.0, "event 0", {}, "bot", True))
    for n in range(1, 100):
        assert await ledger.save(replace(call, tried=n), n, Entry(float(n), f"event {n}", {}, "bot", True))
        await ledger.add_line("CA1", 1, "caller", f"line {n}", float(n))
    print("full", flush=True)
    await asyncio.sleep(3600)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_the_next_process_ships_what_a_killed_one_left_once(stoppable: Cluster, postgresql: str, spool: Path):
    stoppable.stop()
    root = Path(__file__).parent.parent
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CRASHING, postgresql, str(spool), cwd=root, stdout=PIPE, stderr=DEVNULL
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"full\n"
    process.kill()
    await process.wait()
    kept = shutil.copytree(spool, spool.with_name("kept"))
    # A call that the killed process held goes on in the next one, before the database is back.
    next_process = await Ledger.open(postgresql, spool)
    stored = await next_process.load(CALL.sid)
    assert stored == Stored(replace(CALL, tried=99), 100)
    assert await save(next_process, 100)
    stoppable.start()
    await until(lambda: next_process.spooled == 0)
    await next_process.close()

    # One that died after it had shipped and before it had removed the file does it all again, and nothing is doubled.
    again = await Ledger.open(postgresql, kept)
    await until(lambda: again.spooled == 0)
    record = await record_of(again)
    assert record.stored == Stored(replace(CALL, tried=100), 101)
    assert names(record) == all_up_to(101)
    assert record.transcript == [Line(1, float(n), "caller", f"line {n}") for n in range(1, 100)]
    await again.close()


# --- a whole call --------------------------------------------------------------------------------------


async def test_a_call_is_put_through_while_the_database_is_gone_and_its_record_is_whole_afterwards(
    stoppable: Cluster, ledger: Ledger
):
    telephony, seconds = ScriptedTelephony(), count(1)
    board = Switchboard(
        policy=lambda called: POLICY,
        ledger=ledger,
        telephony=telephony,
        addresses=Addresses("https://bot.example"),
        tokens=StreamTokens.from_auth_token("secret"),
        seal=Seal.from_auth_token("secret", "callback"),
        pages=PersonPages.from_auth_token("secret"),
        admission=Admission(ledger, Limits(places=10)),
    )

    def fact(kind: type[ev.Event], **facts: object) -> ev.Event:
        return kind(at=2000.0 + next(seconds), **facts)  # type: ignore[call-arg]

    document = await board.once(SID, "/twilio/voice 1", lambda: board.answer_call(SID, CALLER, US))
    session = await board.find(SID)
    assert session is not None
    await session.apply(fact(ev.StreamStarted, leg=1))
    await asyncio.to_thread(stoppable.stop)
    session.add_line("caller", "A person, please.", 2001.5)
    await session.apply(fact(ev.HandoffRequested, target="desk"))
    await session.apply(fact(ev.GoodbyeHeard, handoff=1))
    await until(lambda: session.call.phase is Phase.RINGING)
    session.keep_conversation([{"role": "user", "content": "A person, please."}], 1)
    busy = fact(ev.DialEnded, attempt=1, status="busy", bridged=False)
    second = await board.once(SID, "/twilio/handoff/dialed 2", lambda: board.answer_callback(SID, CALLER, US, busy))
    assert "+442079460102" in second
    await session.apply(fact(ev.PersonAnswered, attempt=2))
    # Twilio did not get the answers and asks again.
    assert await board.once(SID, "/twilio/voice 1", lambda: board.answer_call(SID, CALLER, US)) == document
    assert await board.once(SID, "/twilio/handoff/dialed 2", lambda: board.answer_call(SID, CALLER, US)) == second
    await asyncio.to_thread(stoppable.start)
    await until(lambda: ledger.spooled == 0)
    await session.apply(fact(ev.CallEnded))
    record = await record_of(ledger, SID)
    assert names(record) == [
        "CallAnswered", "StreamStarted", "HandoffRequested", "GoodbyeHeard", "RedirectAccepted", "DialEnded",
        "PersonAnswered", "CallEnded",
    ]  # fmt: skip
    assert (record.stored.call, record.stored.call.phase) == (session.call, Phase.ENDED)
    assert [line.text for line in record.transcript] == ["A person, please."]
    assert await ledger.recall(SID, "/twilio/handoff/dialed 2") == second
    assert len(telephony.orders) == 1
    await board.close()
