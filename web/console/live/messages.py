"""What the server and the process that makes its live pages tell each other, over a socket that only they have.

Messages are pickled: both ends are the same code, and nobody else can write to the socket.
"""

import asyncio
import pickle
import signal
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.call import Call
from bot.logs import LogFormat
from bot.news import News
from bot.prices import Prices
from bot.routing import Policy, Target
from web.console.access import Role
from web.console.live.processes import Processes
from web.console.live.speakers import Speakers

BOARD = ""
"""In the place of a CallSid: the live board."""

ENDINGS = {signal.SIGINT, signal.SIGTERM}
"""What a terminal or a service manager sends to all processes of a server. The process is begun with these blocked, and
then ignores them: while the server ends, pages are still looked at."""

_LENGTH = struct.Struct("!I")

# --- to the process --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Begin:
    """The first message: what does not change, and what has been heard so far."""

    database_url: str
    policy: Policy
    """The rules for numbers of ours that have none of their own."""

    policies: Mapping[str, Policy]
    """The others, by number."""

    targets: Mapping[str, Target]
    prices: Prices | None
    speakers: Speakers
    processes: Processes
    log_level: str
    log_format: LogFormat


@dataclass(frozen=True, slots=True)
class Known:
    """Some of the calls that the server carries."""

    calls: Sequence[Call]


@dataclass(frozen=True, slots=True)
class Told:
    """What has happened."""

    news: Sequence[News]


@dataclass(frozen=True, slots=True)
class Look:
    """Make a page, once. It is answered with `Looked` or `Failed`."""

    number: int
    sid: str
    """The call's, or `BOARD`."""

    role: Role
    what: Mapping[str, Any]
    """More for the template."""


@dataclass(frozen=True, slots=True)
class Open:
    """Somebody looks at a page from now on: `Patch` after `Patch` is sent, the first with all that is on it."""

    number: int
    sid: str
    role: Role


@dataclass(frozen=True, slots=True)
class Close:
    """They look no more."""

    number: int


# --- from it ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Looked:
    """The page; None for that of a call that nobody knows."""

    number: int
    html: str | None


@dataclass(frozen=True, slots=True)
class Failed:
    """The page cannot be made; the log says why."""

    number: int


@dataclass(frozen=True, slots=True)
class Patch:
    """What is another one now, for all who were shown the same."""

    numbers: Sequence[int]
    """Those that were opened with these."""

    event: bytes
    """See `web.console.event_stream`."""


@dataclass(frozen=True, slots=True)
class Looks:
    """Somebody looks at a call."""

    sid: str


@dataclass(frozen=True, slots=True)
class Alive:
    """The process does not stand still."""


# --- on the wire -----------------------------------------------------------------------------------------


def write(writer: asyncio.StreamWriter, message: object) -> None:
    """Send one message. It waits in memory until the other end takes it."""
    data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    writer.write(_LENGTH.pack(len(data)) + data)


async def read(reader: asyncio.StreamReader) -> Any | None:
    """The next message; None when the other end is gone."""
    try:
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        return pickle.loads(await reader.readexactly(length))  # noqa: S301 - see the module
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
