"""Does the bot take one more call? A caller whom it does not take gets a person, never an error tone.

What this process knows is decided at once. What all processes together know is asked of the record, for a moment: a
record that does not answer keeps nobody from the bot.
"""

import asyncio
import re
from dataclasses import dataclass

from loguru import logger

from bot.ledger import Ledger, LedgerError
from bot.record import OUTAGE, Switch

ASK_SECONDS = 0.5
"""The longest wait for the record while a caller hears ringing."""

HOUR = 3600.0

_WITHHELD = {"+7378742833", "+2562533", "+8656696", "+266696687", "+86282452253"}
"""What Twilio gives as the number of callers who show none (RESTRICTED, BLOCKED, UNKNOWN, ANONYMOUS, UNAVAILABLE, as
typed on a telephone; Twilio: "Why am I getting calls from these strange numbers?"). Together they are no one caller."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many calls the bot takes."""

    places: int
    """At once, in this process."""

    together: int | None = None
    """At once, in all processes. Several that decide in the same moment may exceed it by one each."""

    per_caller: int | None = None
    """From one number, within an hour."""

    outage: bool = False
    """The bot takes none at all, by a setting; see also `Admission.switch`."""


class Admission:
    """Decides on new calls, and on callers who were cut off and come back."""

    def __init__(self, ledger: Ledger, limits: Limits) -> None:
        """Args: ledger: the record; limits: how many calls the bot takes."""
        self._ledger = ledger
        self._limits = limits
        self._switch = Switch(on=False, reason="", at=0.0)

    async def outage(self) -> Switch:
        """The outage switch as all processes have it; as this one knows it while the record does not answer."""
        await self._look_up(None, 0.0)
        return self._switch

    async def switch(self, on: bool, reason: str, at: float) -> bool:
        """Turn the outage switch: while it is on, every new call goes straight to a person.

        Args:
            on: Whether it is on.
            reason: Why, for the record.
            at: Unix seconds; of two processes that disagree, the later one is right.

        Returns:
            Whether all processes will know. If not, the record took nothing, and only this process obeys.
        """
        self._switch = Switch(on, reason, at)
        logger.warning("the outage switch is {}: {}", "on" if on else "off", reason)
        try:
            async with asyncio.timeout(ASK_SECONDS * 4):
                await self._ledger.turn(OUTAGE, self._switch)
        except (LedgerError, TimeoutError) as error:
            logger.error("only this process knows of the outage switch: {!r}", error)
            return False
        return True

    async def closed_to_all(self, caller: str | None, now: float) -> str | None:
        """Why no process's bot takes this caller, if so.

        Args:
            caller: Their number; None for one whose call is under way.
            now: Unix seconds.
        """
        if self._limits.outage:
            return "the bot is switched off"
        together, of_caller = await self._look_up(caller, now)
        if self._switch.on:
            return self._switch.reason or "the bot is switched off"
        if caller is None:
            return None
        if self._limits.together is not None and together >= self._limits.together:
            return f"the bots are in {together} calls already"
        if self._limits.per_caller is not None and of_caller >= self._limits.per_caller:
            return f"the caller has called {of_caller} times within an hour"
        return None

    def closed_here(self, talking: int) -> str | None:
        """Why the bot of this process takes nobody, if so.

        Args:
            talking: In how many calls it is.
        """
        return f"the bot is in {talking} calls already" if talking >= self._limits.places else None

    async def _look_up(self, caller: str | None, now: float) -> tuple[int, int]:
        """How many calls are with a bot, and how many this caller began within the hour; and the switch."""
        counted = caller if self._limits.per_caller is not None and caller and _is_one_caller(caller) else None
        try:
            async with asyncio.timeout(ASK_SECONDS):
                traffic = await self._ledger.traffic(
                    OUTAGE,
                    caller=counted,
                    since=now - HOUR,
                    together=caller is not None and self._limits.together is not None,
                )
        except (LedgerError, TimeoutError) as error:
            logger.warning("whether the bot takes one more call is not known, so it does: {!r}", error)
            return 0, 0
        if traffic.switch is not None and traffic.switch.at >= self._switch.at:
            self._switch = traffic.switch
        return traffic.with_bot, traffic.of_caller


def _is_one_caller(number: str) -> bool:
    return number not in _WITHHELD and re.fullmatch(r"\+[1-9]\d{6,14}|sip:.+", number) is not None
