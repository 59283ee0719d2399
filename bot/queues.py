"""People who take callers from a queue: they call in, or they are called to take the next one.

Twilio hands each caller of a queue to one person, in the order of the queue. So nobody is rung for a caller by name: a
person is called because somebody waits, and their telephone stops when nobody does any more.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from loguru import logger

from bot.addresses import Addresses
from bot.call import Call, Phase
from bot.ledger import Ledger, LedgerError
from bot.routing import OURS, Policy, Target
from bot.telephony import CallGone, NewCall, Telephony, TelephonyError

MOST_WAITING = 500
"""Callers who are looked through."""

LOOK_SECONDS = 1.0
"""How soon a telephone stops that rings for nobody."""

GRACE_SECONDS = 10.0
"""How much longer than its ring time a telephone may ring."""

RINGS = ("queued", "ringing")
"""What Twilio calls a call that nobody has answered."""


class NobodyWaits(Exception):
    """There is no caller in the queue for whom nobody is called already."""


class NotOnTheList(Exception):
    """The target is no queue of ours, or the telephone is none of its people's."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Who waits in the queue of a target."""

    target: Target
    calls: tuple[Call, ...]
    """Who came first is first."""


class Queues:
    """The queues of all targets, as the record has them."""

    def __init__(
        self,
        ledger: Ledger,
        telephony: Telephony,
        addresses: Addresses,
        policy: Callable[[str], Policy],
        *,
        clock: Callable[[], float],
    ) -> None:
        """Prepare.

        Args:
            ledger: The record.
            telephony: Twilio's REST.
            addresses: Our own addresses.
            policy: The operator's rules, by the number of ours that was called.
            clock: Unix seconds.
        """
        self._ledger = ledger
        self._telephony = telephony
        self._addresses = addresses
        self._policy = policy
        self.now = clock
        self._ringing: dict[str, set[str]] = {}
        """Who is being called to take somebody, by target: CallSids."""

        self._tasks: set[asyncio.Task[None]] = set()

    async def waiting(self, key: str) -> tuple[Call, ...]:
        """Who waits in the queue of a target, first come first, whichever process knows them. Raises `LedgerError`."""
        stored = await self._ledger.calls(limit=MOST_WAITING, phase=Phase.QUEUED)
        calls = [each.call for each in stored if each.call.attempts[-1].target == key]
        return tuple(sorted(calls, key=lambda call: call.attempts[-1].at))

    async def take(self, key: str, number: str) -> str:
        """Call one of a target's people to take the next caller.

        Args:
            key: The target.
            number: The telephone, as the policy has it.

        Returns:
            The CallSid of the new call.

        Raises:
            NotOnTheList: The target is no queue, or that is nobody's telephone there.
            NobodyWaits: Nobody waits for whom nobody is called.
            LedgerError: The record does not answer.
            TelephonyError: Twilio did not confirm the order.
        """
        calls = await self.waiting(key)
        if len(await self._still_ringing(key)) >= len(calls):
            raise NobodyWaits
        called = calls[0].called
        target = self._policy(called).targets.get(key)
        people = target.people if target is not None and target.queue is not None else ()
        person = next((each for each in people if each.address == number), None)
        if target is None or person is None:
            raise NotOnTheList
        order = NewCall(
            to=person.address,
            from_=called if target.caller_id in (None, OURS) else target.caller_id or called,
            url=self._addresses.taker("answer", key, number),
            status_callback=self._addresses.taker("progress", key, number),
            ring_seconds=person.ring_seconds,
            digits=person.digits,
        )
        sid = await self._telephony.call(order)
        self._ringing.setdefault(key, set()).add(sid)
        task = asyncio.create_task(self._watch(key, sid, person.ring_seconds + GRACE_SECONDS))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return sid

    def rings_no_more(self, key: str, sid: str) -> None:
        """The person has picked up, or their telephone has stopped."""
        self._ringing.get(key, set()).discard(sid)

    async def close(self) -> None:
        """Let go: the process is ending."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _still_ringing(self, key: str) -> set[str]:
        """Who is being called; another process may have been told that they are not any more."""
        ringing = self._ringing.setdefault(key, set())
        for sid in tuple(ringing):
            if not await self._rings(sid):
                ringing.discard(sid)
        return ringing

    async def _rings(self, sid: str) -> bool:
        try:
            return await self._telephony.status(sid) in RINGS
        except CallGone:
            return False
        except TelephonyError as error:
            logger.warning("Twilio did not say whether a person's telephone rings: {}", error)
            return True

    async def _watch(self, key: str, sid: str, seconds: float) -> None:
        """Stop a telephone that rings when nobody waits any more. Who has picked up is told, and asked for a key."""
        until = self.now() + seconds
        try:
            while sid in self._ringing[key] and self.now() < until:
                await asyncio.sleep(LOOK_SECONDS)
                if not await self._anybody(key) and await self._rings(sid):
                    await self._telephony.hang_up(sid)
                    return
        except CallGone:
            pass
        except TelephonyError as error:
            logger.warning("a person's telephone may go on ringing: {}", error)
        finally:
            self.rings_no_more(key, sid)

    async def _anybody(self, key: str) -> bool:
        try:
            return bool(await self.waiting(key))
        except LedgerError:
            return True  # nobody's telephone stops because the record is away
