"""A call as it stands, and how a fact becomes a step of it: decided by the law, made once by the record.

Several processes may hear the same fact, and one may hear of a call what another has done since. So a step is written
with a compare-and-set, and whoever was not first takes the call as it is now and asks the law again.
"""

import contextlib
from collections.abc import Callable

from loguru import logger

from bot.accounts import is_further
from bot.call import Call, Phase
from bot.carried import Carried
from bot.effects import Effect
from bot.events import Event, ImpossibleEvent
from bot.law import step
from bot.ledger import Entry, Ledger, LedgerError
from bot.notices import Notice
from bot.record import Stored
from bot.routing import Policy


class Steps:
    """The steps of one call, as this process knows it. One at a time: its session sees to that."""

    def __init__(
        self,
        call: Call,
        version: int,
        *,
        policy: Policy,
        ledger: Ledger,
        notices: Callable[[Call, Call], tuple[Notice, ...]],
        made: Callable[[Call, Call, Event], None],
        caught_up: Callable[[Call], None],
    ) -> None:
        """Take a call as the ledger has it.

        Args:
            call: What is known of the call.
            version: The version of its row.
            policy: The operator's rules.
            ledger: The record.
            notices: What the operator's own systems are told of a step: the call before and after it.
            made: Told of each step that was made here: the call before and after it, and the event.
            caught_up: Told that another process has gone on with the call, as is known here now: the call before that.
        """
        self.call = call
        self._version = version
        self._policy = policy
        self._ledger = ledger
        self._notices = notices
        self._made = made
        self._caught_up = caught_up
        self._not_kept: list[tuple[Event, Call]] = []
        """Facts that the record may not have when another process goes on with the call: those in the spool, and those
        that were not taken at all; each with the call that it happened to."""

    @property
    def confirmed(self) -> bool:
        """Whether the record has every step that was made here, so that no other process decides otherwise."""
        return not self._not_kept

    def catch_up(self, call: Call, version: int) -> None:
        """Another process has gone on with the call, and this is how the record has it now."""
        if version > self._version:
            self._adopt(call, version)

    def _adopt(self, call: Call, version: int) -> None:
        before, self._version = self.call, version
        self.call = self._with_what_was_not_kept(call)
        if self.call != before:
            self._caught_up(before)

    def advance(self, carried: Carried) -> None:
        """A callback's address says that the call has come further than is known here."""
        if carried.is_ahead_of(self.call):
            logger.warning("the record is behind; a callback's own address says how far the call is")
            self.call = carried.advance(self.call)

    async def reread(self) -> Stored | None:
        """The call as the record has it now, which is known here from then on; None while it does not say.

        Only between two steps. Then the record is right, whatever its version: steps of ours that another process
        outran have counted here, and not there.
        """
        try:
            async with self._ledger.patience.wait():
                stored = await self._ledger.load(self.call.sid)
        except (LedgerError, TimeoutError):
            return None
        if stored is not None and (stored.version != self._version or self._ledger.outrun(self.call.sid)):
            self._adopt(stored.call, stored.version)
        return stored

    async def take(self, event: Event, *, elsewhere: bool) -> tuple[Effect, ...]:
        """Ask the law what follows from a fact, and let the record decide whether this step is ours to make.

        Args:
            event: The fact.
            elsewhere: Whether another process may have gone on with the call: its stream is not ours. What the fact
                means is then not decided by what it would have meant here.

        Returns:
            The orders that follow.

        Raises:
            ImpossibleEvent: The event contradicts the call, which is unchanged.
        """
        while True:
            try:
                call, effects = step(self.call, event, self._policy)
            except ImpossibleEvent:
                if elsewhere and await self._was_behind():
                    continue
                raise
            if call is self.call and elsewhere and await self._was_behind():
                continue
            try:
                async with self._ledger.patience.wait():
                    ours = await self._keep(call, event)
            except (LedgerError, TimeoutError) as error:
                logger.error("neither the record nor its spool took a step, the call goes on: {!r}", error)
                self._not_kept.append((event, self.call))
                ours = True
            if ours:
                self._made(self.call, call, event)
                self.call = call
                return effects

    async def _was_behind(self) -> bool:
        before = self._version
        if self.call.phase is not Phase.ENDED:
            await self.reread()
        return self._version != before

    async def _keep(self, call: Call, event: Event) -> bool:
        """Write a step; where another process (or a late write of ours) was first, take the call as it is now."""
        entry = Entry.of(event, call, call != self.call, self._notices(self.call, call))
        if not entry.changed:
            await self._ledger.note(call.sid, entry)
            return True
        if await self._ledger.save(call, self._version, entry):
            self._version += 1
            if self._ledger.behind(call.sid):
                self._not_kept.append((event, self.call))
            else:
                self._not_kept.clear()
            return True
        stored = await self._ledger.load(call.sid)
        if stored is None:  # its first row could not be written before
            await self._ledger.add(self.call, entry)
            self._version = 1
        else:
            self._adopt(stored.call, stored.version)
        return False

    def _with_what_was_not_kept(self, call: Call) -> Call:
        """The call of the record with every fact that may not have been written; their orders have been carried out.

        While the record was away, another process may have heard what is not here, and this one have gone on by what a
        callback's address said of it. Then whoever is further is right.
        """
        if is_further(call, self.call):
            return call
        for event, before in self._not_kept:
            if is_further(call, before):
                continue  # it has come to that by this fact, whoever wrote it
            with contextlib.suppress(ImpossibleEvent):
                call, _ = step(call, event, self._policy)
        return self.call if is_further(self.call, call) else call
