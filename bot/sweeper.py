"""Every call gets an end in the record, also one whose end no process of ours was there to hear of.

Twilio tells of a call's end once, and again within seconds if that fails. When all of ours were away just then, or the
one that held the call was killed, the row would stay open for ever: so each process looks for rows without an end of
which nothing was heard for a while, and asks Twilio about them.
"""

import asyncio
from collections.abc import Awaitable, Callable

from loguru import logger

from bot.events import CallEnded
from bot.ledger import LedgerError
from bot.orders import ENDED_STATUSES
from bot.switchboard import Switchboard
from bot.telephony import CallGone, Telephony, TelephonyError

SWEEP_SECONDS = 10.0
"""How often a process looks."""

QUIET_SECONDS = 30.0
"""For so long nothing was written of a call before Twilio is asked about it."""

ASK_AGAIN_SECONDS = 60.0
"""A call that lives is not asked about again for so long."""


class Sweeper:
    """Looks for calls without an end."""

    def __init__(self, switchboard: Switchboard, telephony: Telephony) -> None:
        """Args: switchboard: finds the calls; telephony: Twilio's REST."""
        self._switchboard = switchboard
        self._telephony = telephony
        self._asked: dict[str, float] = {}

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Sweep for ever."""
        while True:
            await sleep(SWEEP_SECONDS)
            try:
                await self.sweep()
            except LedgerError as error:
                logger.debug("nothing is swept while the record does not answer: {}", error)

    async def sweep(self) -> None:
        """Look once.

        Raises:
            LedgerError: The record cannot be read.
        """
        now = self._switchboard.now()
        await self._switchboard.forget_ended()
        self._asked = {sid: at for sid, at in self._asked.items() if at > now - ASK_AGAIN_SECONDS}
        for sid in await self._switchboard.ledger.quiet(now - QUIET_SECONDS):
            if sid not in self._asked and not self._switchboard.holds(sid):
                self._asked[sid] = now
                with logger.contextualize(call_sid=sid):
                    await self._ask(sid)

    async def _ask(self, sid: str) -> None:
        try:
            if await self._telephony.status(sid) not in ENDED_STATUSES:
                return
        except CallGone:
            pass
        except TelephonyError as error:
            logger.warning("Twilio did not say whether a call without an end lives: {}", error)
            return
        session = await self._switchboard.find(sid)
        if session is not None:
            logger.info("a call ended without our hearing of it")
            await session.apply(CallEnded(at=self._switchboard.now()))
