"""What the record does not know of a call because callbacks did not come, Twilio is asked about.

A person may talk for an hour with a caller whose `answered` was lost, and a call may end without our hearing how. So
each process looks for calls of which something is doubtful, and asks for their legs: of those that ring for longer than
anybody lets it ring, and of those that are over, a few times within half an hour. And whoever was to be let go of is
let go of, also when the process that was to order it has died before it did. Of several processes one asks.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Protocol
from uuid import uuid4

import sqlalchemy as sa
from loguru import logger
from sqlalchemy.ext.asyncio import AsyncConnection
from twilio.rest import Client

from bot.asked import Leg, PersonStays, Reconciled
from bot.call import Call, Phase, latest_open
from bot.events import ImpossibleEvent, PersonAnswered, PersonLegEnded
from bot.ledger import LedgerError
from bot.orders import ENDED_STATUSES
from bot.routing import Mode, resolve
from bot.switchboard import Switchboard
from bot.tables import CALLS
from bot.telephony import CallGone, TelephonyError

LOOK_SECONDS = 10.0
"""How often a process looks."""

TRIES = (20.0, 60.0, 300.0, 1800.0)
"""How long after a call's end Twilio is asked, until it says something. Seconds."""

RINGS_SECONDS = 60.0
"""A phone that has rung for so long is asked about, and again after as long."""

MOST_LEGS = 50
AT_ONCE = 50

LET_GO_SECONDS = 15.0
"""So long after somebody was to be let go of, Twilio is asked whether they are, and again after as long."""

# The whole `Call` is one value of the row, written by `json.dumps`; PostgreSQL keeps such text as it is.
_DOUBTFUL = '%"doubtful": true%'
_LETTING_GO = '%"letting_go": true%'


class TwilioLegs:
    """The legs of a call, as Twilio's REST tells of them."""

    def __init__(self, client: Client) -> None:
        """Args: client: Twilio's library; what goes wrong there is a `TelephonyError`."""
        self._client = client

    async def of(self, call: Call) -> tuple[float | None, tuple[Leg, ...]]:
        """When the call ended, and what is known of the people who were rung for it. Raises `TelephonyError`."""
        own = _leg(await self._client.calls(call.sid).fetch_async())
        listed = await self._client.calls.list_async(parent_call_sid=call.sid, limit=MOST_LEGS)
        legs = [_leg(each) for each in listed]
        for attempt in call.attempts:
            if attempt.doubtful and attempt.leg_sid is not None:
                legs.append(_leg(await self._client.calls(attempt.leg_sid).fetch_async()))
        return own.ended_at, tuple(legs)

    async def status(self, sid: str) -> str:
        """The status of one leg; one that Twilio does not know is over. Raises `TelephonyError`."""
        try:
            return str((await self._client.calls(sid).fetch_async()).status)
        except CallGone:
            return "completed"


class Legs(Protocol):
    """Who knows of legs; see `TwilioLegs`."""

    async def of(self, call: Call) -> tuple[float | None, tuple[Leg, ...]]:
        """See `TwilioLegs`."""
        ...

    async def status(self, sid: str) -> str:
        """See `TwilioLegs`."""
        ...


class Reconciler:
    """Asks about what is doubtful."""

    def __init__(self, switchboard: Switchboard, legs: Legs) -> None:
        """Args: switchboard: finds the calls; legs: tells of their legs."""
        self._switchboard = switchboard
        self._legs = legs
        self._name = uuid4().hex
        self._asked: dict[tuple[str, str], float] = {}

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Look for ever."""
        while True:
            await sleep(LOOK_SECONDS)
            try:
                await self.look()
            except LedgerError as error:
                logger.debug("nothing is reconciled while the record does not answer: {}", error)

    async def look(self) -> None:
        """Look once. Raises `LedgerError`."""
        now = self._switchboard.now()
        longest = max(TRIES[-1], RINGS_SECONDS) * 2
        self._asked = {key: at for key, at in self._asked.items() if at > now - longest}
        ended = sa.select(CALLS.c.sid, CALLS.c.ended_at).where(CALLS.c.ended_at.between(now - longest, now - TRIES[0]))
        ended = ended.where(sa.cast(CALLS.c.state, sa.Text).like(_DOUBTFUL)).order_by(CALLS.c.ended_at).limit(AT_ONCE)
        for sid, ended_at in await self._rows(ended):
            tries = sum(now >= ended_at + after for after in TRIES)
            await self._unless_asked(sid, f"reconciled {tries}", now, self._ask_about_the_past)
        ringing = sa.select(CALLS.c.sid, CALLS.c.started_at).where(CALLS.c.phase.in_((Phase.RINGING, Phase.FAILSAFE)))
        ringing = ringing.where(CALLS.c.started_at < now - RINGS_SECONDS).order_by(CALLS.c.started_at).limit(AT_ONCE)
        for sid, _ in await self._rows(ringing):
            await self._unless_asked(sid, f"rings {now // RINGS_SECONDS:.0f}", now, self._ask_who_talks)
        released = sa.select(CALLS.c.sid, CALLS.c.started_at)
        released = released.where(CALLS.c.ended_at.is_(None) | (CALLS.c.ended_at > now - longest))
        released = released.where(sa.cast(CALLS.c.state, sa.Text).like(_LETTING_GO)).limit(AT_ONCE)
        for sid, _ in await self._rows(released):
            await self._unless_asked(sid, f"let go {now // LET_GO_SECONDS:.0f}", now, self._ask_who_stays)

    async def _rows(self, wanted: sa.Select[Any, Any]) -> list[tuple[str, float]]:
        async def read(connection: AsyncConnection) -> list[tuple[str, float]]:
            return [(row[0], row[1]) for row in (await connection.execute(wanted)).all()]

        return await self._switchboard.ledger.transact(read)

    async def _unless_asked(self, sid: str, which: str, now: float, ask: Callable[[Call], Awaitable[None]]) -> None:
        """Ask about a call, unless it was asked at this time already, by us or by another process."""
        if (sid, which) in self._asked:
            return
        self._asked[sid, which] = now
        if await self._switchboard.ledger.remember(sid, which, self._name) != self._name:
            return
        stored = await self._switchboard.ledger.load(sid)
        if stored is None:
            return
        with logger.contextualize(call_sid=sid):
            try:
                await ask(stored.call)
            except TelephonyError as error:
                logger.warning("Twilio did not say what became of a call: {}", error)
            except ImpossibleEvent as error:
                logger.warning("{}", error)

    async def _ask_about_the_past(self, call: Call) -> None:
        ended_at, legs = await self._legs.of(call)
        session = await self._switchboard.find(call.sid)
        if session is not None:
            logger.info("what was not told of a call, Twilio was asked about")
            await session.apply(Reconciled(at=self._switchboard.now(), ended_at=ended_at, legs=legs))

    async def _ask_who_talks(self, call: Call) -> None:
        """Somebody may have picked up whose callback was lost."""
        n = latest_open(call)
        attempt = call.attempts[n - 1] if n else None
        if attempt is None or attempt.answered_at is not None or attempt.at > self._switchboard.now() - RINGS_SECONDS:
            return
        target = resolve(self._switchboard.policy_of(call.called), attempt.target)
        if not attempt.failsafe and target.mode is not Mode.DIAL:
            return  # who picks up is asked for a key, and we for the words: that is told
        _, legs = await self._legs.of(call)
        talking = [leg for leg in legs if leg.status == "in-progress" and leg.to in attempt.number.split(",")]
        session = await self._switchboard.find(call.sid)
        if session is not None and talking:
            who, at = talking[-1].to, talking[-1].answered_at or self._switchboard.now()
            logger.info("a person has been talking with the caller, which nobody told")
            told = 0 if attempt.failsafe else n
            await session.apply(PersonAnswered(at=at, attempt=told, who=who if attempt.several else "", asked=True))

    async def _ask_who_stays(self, call: Call) -> None:
        """A process may have died between the step that lets go of somebody and the order to Twilio."""
        now = self._switchboard.now()
        for n, attempt in enumerate(call.attempts, 1):
            over = attempt.ended_at
            if not attempt.letting_go or attempt.leg_sid is None or over is None or over > now - LET_GO_SECONDS:
                continue
            status = await self._legs.status(attempt.leg_sid)
            session = await self._switchboard.find(call.sid)
            if session is None:
                return
            if status in ENDED_STATUSES:
                await session.apply(PersonLegEnded(at=now, attempt=n, talked=status == "completed", status=status))
            else:
                logger.warning("somebody is on the line for a caller who is not: they are let go of once more")
                await session.apply(PersonStays(at=now, attempt=n))


def _leg(resource: Any) -> Leg:
    """A call of Twilio's (Call resource). A leg that was never answered has no `duration`, or 0."""
    ended = _seconds(resource.end_time)
    answered = None
    if resource.status == "in-progress":
        answered = _seconds(resource.start_time)
    elif resource.status == "completed" and ended is not None:
        answered = ended - float(resource.duration or 0)
    created = _seconds(resource.date_created) or 0.0
    to = str(resource.to).partition("?")[0]  # a SIP address has its headers behind it
    return Leg(str(resource.sid), to, str(resource.status), created, answered, ended)


def _seconds(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()
