"""Where the record is: a database's address, its connections with an end to every wait, its faults in words.

SQLite by default, PostgreSQL for more than one process. What differs between the two is in this file, in
`bot/writings.py`'s `_insertion`, and in how `bot/schema.py` takes turns, nowhere else.
"""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import sqlalchemy as sa
from sqlalchemy.event import listen
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError, StatementError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from bot.record import LedgerError, to_json

BUSY_SECONDS = 5.0
"""How long SQLite waits while another process writes to the file."""

CONNECT_SECONDS = 3
"""How long PostgreSQL may take to accept a connection."""

STATEMENT_SECONDS = 5.0
"""How long one of its statements may take, with the wait for locks and for a free connection."""

CONNECTIONS = 5
"""The most that one process opens. One step holds one for some milliseconds."""

POSTGRESQL = ("postgresql", "postgres", "postgresql+asyncpg", "postgresql+psycopg", "postgresql+psycopg2")
"""The schemes that mean PostgreSQL, whatever driver they name: `asyncpg` is the one that is used."""

FAULTS = (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError, ImportError)
"""What a database and its drivers raise."""


def is_postgresql(url: str) -> bool:
    """Whether an address names a PostgreSQL server."""
    return url.partition("://")[0] in POSTGRESQL


def default_spool(url: str) -> Path | None:
    """Where the spool of a database is unless it is set: beside an SQLite file, else `./spool`; None for memory."""
    if is_postgresql(url):
        return Path("spool")
    file = sa.make_url(url).database
    return Path(f"{file}.spool") if file and file != ":memory:" else None


def create_engine(url: str, *, statement_seconds: float = STATEMENT_SECONDS) -> AsyncEngine:
    """Make the engine of an address; nothing is connected yet.

    Raises:
        LedgerError: The folder of an SQLite file does not exist.
    """
    # Errors are logged, so they must not quote the calls' data.
    common: dict[str, Any] = {"json_serializer": to_json, "hide_parameters": True}
    if is_postgresql(url):
        return _postgresql(url, statement_seconds, common)
    folder = Path(sa.make_url(url).database or "").parent
    if not folder.is_dir():
        raise LedgerError(f"the folder {folder} does not exist")
    # SQLite has one writer at a time. One connection, for which tasks queue up in order, never finds its own process
    # holding the lock.
    engine = create_async_engine(url, poolclass=AsyncAdaptedQueuePool, pool_size=1, max_overflow=0, **common)
    listen(engine.sync_engine, "connect", _prepare_sqlite)
    return engine


async def connect_postgresql(url: str, *, statement_seconds: float = STATEMENT_SECONDS) -> asyncpg.Connection:
    """One connection to PostgreSQL.

    Args:
        url: The server's address. asyncpg reads it itself, so that it may hold whatever libpq's may: `sslmode`, several
            hosts, a socket.
        statement_seconds: How long a statement may take.
    """
    limit = f"{statement_seconds * 1000:.0f}"
    return await asyncpg.connect(
        "postgresql://" + url.partition("://")[2],
        timeout=CONNECT_SECONDS,
        command_timeout=statement_seconds,
        server_settings={
            "application_name": "putthrough",
            # The server's own limits hold where the client has vanished with a row locked.
            "statement_timeout": limit,
            "idle_in_transaction_session_timeout": limit,
        },
    )


def _postgresql(url: str, statement_seconds: float, common: dict[str, Any]) -> AsyncEngine:
    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=lambda: connect_postgresql(url, statement_seconds=statement_seconds),
        pool_size=CONNECTIONS,
        max_overflow=0,
        pool_timeout=STATEMENT_SECONDS,
        pool_pre_ping=True,  # the server may have been restarted
        **common,
    )


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000:.0f}")
    # Processes that switch a new file over at the same time refuse each other without waiting: once is enough.
    with suppress(sqlite3.OperationalError):
        cursor.execute("PRAGMA journal_mode = WAL")
    cursor.close()


# --- faults ------------------------------------------------------------------------------------------


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = (cause.orig if isinstance(cause, StatementError) else None) or cause.__cause__


def sqlstate(error: BaseException) -> str:
    """PostgreSQL's code of an error, e.g. 25006; empty where there is none."""
    return next((state for each in _causes(error) if (state := getattr(each, "sqlstate", None))), "")


def is_refusal(error: BaseException) -> bool:
    """Whether the database would refuse the same data again; otherwise it is the database that is in trouble."""
    if isinstance(error, IntegrityError) or sqlstate(error)[:2] in ("22", "23"):
        return True
    if isinstance(error, StatementError) and not isinstance(error, DBAPIError):
        return True  # the data could not be made into a statement's
    # A certificate that is not trusted is a ValueError to Python, too.
    return any(isinstance(each, (ValueError, TypeError)) and not isinstance(each, OSError) for each in _causes(error))


def can_be_read(error: BaseException) -> bool:
    """Whether a database that raised this on writing may still answer who only reads."""
    text = str(error)
    return sqlstate(error) in ("25006", "57014") or "readonly database" in text or "database is locked" in text


def is_mistake(error: BaseException) -> bool:
    """Whether, at start, this is for the operator to put right, and no outage that passes."""
    if isinstance(error, DBAPIError) and isinstance(error.orig, sqlite3.Error):
        return "database is locked" not in str(error)
    return is_refusal(error) or isinstance(error, ImportError) or sqlstate(error)[:2] in ("28", "3D", "42")


def in_words(error: BaseException, url: str) -> str:
    """What is wrong with the database and what to do about it, without its password and without a call's data."""
    if not is_postgresql(url):
        # The first line names the fault; statements, rows and values follow it.
        return str(error).partition("\n")[0] or type(error).__name__
    parts = urlsplit(url)
    where = parts.netloc.rpartition("@")[2] or "its socket"
    state = sqlstate(error)
    match state:
        case "28P01" | "28000":
            return f"PostgreSQL at {where} refuses the user: check user and password in DATABASE_URL"
        case "3D000":
            return f"PostgreSQL at {where} has no database `{parts.path[1:]}`: create it, or correct DATABASE_URL"
        case "42501":
            return f"PostgreSQL at {where} keeps this user from its tables: grant it CREATE and USAGE on their schema"
        case "25006":
            return f"PostgreSQL at {where} is read-only: is this the primary?"
        case _:
            pass
    gone = [each for each in _causes(error) if isinstance(each, OSError)]
    if gone and isinstance(gone[-1], (TimeoutError, asyncio.TimeoutError)):
        return f"PostgreSQL at {where} does not answer in time: check the network and the firewall"
    if gone and not state:
        return f"PostgreSQL at {where} cannot be reached ({gone[-1]}): is it running, and is DATABASE_URL right?"
    return f"PostgreSQL at {where}: " + (str(error).partition("\n")[0] or type(error).__name__)
