"""Brings the record's tables up to date, whatever version of this program made them."""

import threading
from functools import cache
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from loguru import logger
from sqlalchemy.ext.asyncio import AsyncEngine

from bot import database

MIGRATION_SECONDS = 60.0
"""How long a statement that changes PostgreSQL's tables may take, with the wait for another that does so."""

_MIGRATIONS = Path(__file__).parent / "migrations"
_FIRST_REVISION = "0001"
_LOCK_KEY = 0x50_75_74_74_68_72_75  # "Putthru", so that no other program on the server waits for our lock
_ALEMBIC = threading.Lock()
"""Alembic hands the running migration over in a module's variable: one at a time in a process."""


async def migrate(url: str, engine: AsyncEngine) -> None:
    """Bring the tables up to date: from nothing, from an older version, or from the time before there were revisions.

    Of several processes that do so at once, one does it, and the others wait and find it done. A database that is newer
    than this program stays as it is: its migrations leave room for the version before.
    """
    if database.is_postgresql(url):
        patient = database.create_engine(url, statement_seconds=MIGRATION_SECONDS)
        try:
            await _migrate_in_turn(patient, f"SELECT pg_advisory_xact_lock({_LOCK_KEY})")
        finally:
            await patient.dispose()
    else:
        await _migrate_in_turn(engine, "BEGIN IMMEDIATE")


async def _migrate_in_turn(engine: AsyncEngine, take_turn: str) -> None:
    async with engine.begin() as connection:
        if await connection.run_sync(_needs_no_migration):
            return
        await connection.exec_driver_sql(take_turn)
        await connection.run_sync(_upgrade)


@cache
def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(_MIGRATIONS))


def _needs_no_migration(connection: sa.Connection) -> bool:
    revisions = MigrationContext.configure(connection).get_current_heads()
    known = {script.revision for script in _scripts().walk_revisions()}
    if revisions and not known.issuperset(revisions):
        logger.warning("the record's tables are newer than this program: {}", ", ".join(revisions))
        return True
    return set(revisions) == set(_scripts().get_heads())


def _upgrade(connection: sa.Connection) -> None:
    with _ALEMBIC:
        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
        config.attributes["connection"] = connection
        revisions = MigrationContext.configure(connection).get_current_heads()
        if not revisions and sa.inspect(connection).has_table("calls"):
            command.stamp(config, _FIRST_REVISION)
        command.upgrade(config, "head")
