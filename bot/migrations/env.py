"""Where Alembic runs: on the connection that `bot/database.py` hands over at start, or on `DATABASE_URL` from a shell.

A new migration is written by `alembic revision --autogenerate -m "what it is for"`, with a database that is up to date.
"""

import asyncio
from typing import Any

from alembic import context
from sqlalchemy import Connection

from bot.database import create_engine
from bot.settings import load_settings
from bot.tables import METADATA


def migrate(connection: Connection) -> None:
    """Run the migrations in the transaction that the connection has."""
    context.configure(connection=connection, target_metadata=METADATA)
    context.run_migrations()


async def migrate_from_a_shell() -> None:
    """Run them on the configured database."""
    engine = create_engine(load_settings().database_url)
    async with engine.begin() as connection:
        await connection.run_sync(migrate)
    await engine.dispose()


given: Any = context.config.attributes.get("connection")
if given is not None:
    migrate(given)
else:
    asyncio.run(migrate_from_a_shell())
