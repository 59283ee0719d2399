"""The tables of the record: made, brought up to date and agreed upon, on each kind of database."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from bot.call import Call, Phase
from bot.database import create_engine
from bot.ledger import Entry, Ledger, Stored
from bot.record import CALL
from bot.schema import migrate
from bot.tables import METADATA

BEFORE_REVISIONS = (
    "CREATE TABLE calls (sid TEXT NOT NULL, version INTEGER NOT NULL, phase TEXT NOT NULL, caller TEXT NOT NULL,"
    ' called TEXT NOT NULL, started_at {double} NOT NULL, ended_at {double}, "end" TEXT,'
    " state JSON NOT NULL, conversation JSON, PRIMARY KEY (sid))",
    "CREATE INDEX calls_by_start ON calls (started_at)",
    "CREATE INDEX calls_by_phase ON calls (phase, started_at)",
    "CREATE TABLE journal (id {counted}, call_sid TEXT NOT NULL, at {double} NOT NULL, event TEXT NOT NULL,"
    " data JSON NOT NULL, phase TEXT NOT NULL, changed BOOLEAN NOT NULL, PRIMARY KEY (id))",
    "CREATE INDEX journal_by_call ON journal (call_sid, id)",
    "CREATE TABLE transcript (id {counted}, call_sid TEXT NOT NULL, leg INTEGER NOT NULL,"
    " at {double} NOT NULL, role TEXT NOT NULL, text TEXT NOT NULL, PRIMARY KEY (id))",
    "CREATE INDEX transcript_by_call ON transcript (call_sid, id)",
)
"""The tables as they were made before there were migrations."""

CALL_THEN = Call("CA1", "+12025550199", "+12025550100", 5.0, Phase.BOT)


async def on(url: str, work: Callable[[sa.Connection], Any]) -> Any:
    engine = create_engine(url)
    async with engine.begin() as connection:
        result = await connection.run_sync(work)
    await engine.dispose()
    return result


def differences(connection: sa.Connection) -> list[Any]:
    return compare_metadata(MigrationContext.configure(connection), METADATA)


def revisions(connection: sa.Connection) -> list[str]:
    return list(connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalars())


def make_tables_without_revisions(connection: sa.Connection) -> None:
    postgresql = connection.dialect.name == "postgresql"
    counted, double = ("BIGSERIAL", "DOUBLE PRECISION") if postgresql else ("INTEGER NOT NULL", "DOUBLE")
    for statement in BEFORE_REVISIONS:
        connection.exec_driver_sql(statement.format(counted=counted, double=double))
    connection.execute(
        sa.text("INSERT INTO calls VALUES ('CA1', 3, 'bot', '+12025550199', '+12025550100', 5, null, null, :c, :s)"),
        {"c": json.dumps(CALL.dump_python(CALL_THEN, mode="json")), "s": '[{"role": "user"}]'},
    )
    note_as_before(connection)


def note_as_before(connection: sa.Connection) -> None:
    note = "INSERT INTO journal (call_sid, at, event, data, phase, changed) VALUES ('CA1', 5, 'x', '{}', 'bot', true)"
    connection.execute(sa.text(note))


async def test_the_migrations_make_the_tables_that_the_code_uses(url: str, spool: Path):
    await (await Ledger.open(url, spool)).close()
    assert await on(url, differences) == []


async def test_a_database_from_before_there_were_migrations_keeps_its_calls(url: str, spool: Path):
    await on(url, make_tables_without_revisions)
    ledger = await Ledger.open(url, spool)
    assert await ledger.load("CA1") == Stored(CALL_THEN, 3, [{"role": "user"}])
    assert await ledger.save(CALL_THEN, 3, Entry(6.0, "y", {}, "bot", True))
    record = await ledger.record("CA1")
    assert record is not None
    assert [(entry.event, entry.late) for entry in record.journal] == [("x", False), ("y", False)]
    await ledger.close()
    assert await on(url, differences) == []


async def test_a_process_of_the_version_before_goes_on_writing(url: str, spool: Path):
    ledger = await Ledger.open(url, spool)
    await on(url, note_as_before)
    await ledger.add(CALL_THEN, Entry(5.0, "CallAnswered", {}, "bot", True))
    record = await ledger.record("CA1")
    assert record is not None
    assert [entry.event for entry in record.journal] == ["x", "CallAnswered"]
    await ledger.close()


async def test_replicas_that_start_at_once_on_an_empty_database_migrate_it_once(postgresql: str):
    engines = [create_engine(postgresql) for _ in range(6)]
    await asyncio.gather(*(migrate(postgresql, engine) for engine in engines))
    assert await on(postgresql, revisions) == ["0007"]
    assert await on(postgresql, differences) == []
    for engine in engines:
        await engine.dispose()


async def test_tables_that_are_newer_than_the_program_are_used_as_they_are(url: str, spool: Path):
    await (await Ledger.open(url, spool)).close()
    await on(url, lambda connection: connection.execute(sa.text("UPDATE alembic_version SET version_num='9'")) and None)
    ledger = await Ledger.open(url, spool)
    assert await ledger.add(CALL_THEN, Entry(5.0, "CallAnswered", {}, "bot", True))
    await ledger.close()
    assert await on(url, revisions) == ["9"]
