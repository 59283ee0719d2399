"""The queues of an account: who waits in each, and who has dialled it."""

import asyncio
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sandbox.leg import Fetch, new_sid

if TYPE_CHECKING:
    from sandbox.caller import CallerLeg

MOST = 1000
"""Callers in a queue, unless REST says otherwise (Twilio: Queue resource, `max_size`)."""


@dataclass(eq=False, slots=True)
class Member:
    """A caller who waits."""

    leg: "CallerLeg"
    since: float
    """On the monotonic clock."""

    bridge: "Bridge | None" = None
    """Who has taken them."""

    @property
    def seconds(self) -> int:
        """How long they have waited."""
        return int(time.monotonic() - self.since)


@dataclass(eq=False, slots=True)
class Bridge:
    """A caller and whoever has taken them."""

    leg: "CallerLeg"
    """Of the one who took them."""

    number: str
    """Whose telephone that is."""

    url: Fetch | None
    """What the caller hears before the two are connected."""

    ready: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)


class CallQueue:
    """One queue, which stays when nobody is in it."""

    def __init__(self, name: str) -> None:
        """Nobody waits yet. Args: name: as all call it."""
        self.name = name
        self.sid = new_sid("QU")
        self.max_size = MOST
        self.made_at = datetime.now(UTC)
        self.members: list[Member] = []
        self._somebody = asyncio.Event()

    def enter(self, member: Member) -> None:
        """One more waits."""
        self.members.append(member)
        self._somebody.set()

    def leave(self, member: Member) -> None:
        """One waits no longer. Idempotent."""
        if member in self.members:
            self.members.remove(member)

    async def next(self) -> Member:
        """The first, as soon as there is one; nobody else has them."""
        while not self.members:
            self._somebody.clear()
            await self._somebody.wait()
        return self.members.pop(0)


class CallQueues:
    """Those of one account, by name."""

    def __init__(self) -> None:
        """There are none yet."""
        self.by_name: dict[str, CallQueue] = {}

    def named(self, name: str) -> CallQueue:
        """The queue of this name, which is made where there is none."""
        return self.by_name.setdefault(name, CallQueue(name))

    def known(self, name: str) -> CallQueue | None:
        """The queue of this name, where there is one."""
        return self.by_name.get(name)
