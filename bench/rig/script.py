"""What happens in a call: the caller listens, speaks, is answered, and sometimes speaks into the answer."""

import asyncio
import random
from collections.abc import Callable

from bench.rig.caller import Caller, CallFailed
from bench.rig.model import Session
from bench.rig.notes import Notes, Reply, now

TURN_SECONDS = 1.0
"""How long the caller speaks."""

PAUSE_SECONDS = 0.5
"""From the end of a reply, as it should be heard, to the caller's turn: what comes later is a lost tail."""

REPLY_SECONDS = 10.0
"""The longest wait for a reply."""

CLEAR_SECONDS = 2.0
"""The longest wait for `clear`."""

BARGE_IN_SHARE = 0.5
"""How many of the replies are interrupted."""


class Script:
    """Plays one caller's part until it is cancelled."""

    def __init__(self, caller: Caller, notes: Notes, chance: random.Random) -> None:
        """Prepare.

        Args:
            caller: Not dialled yet.
            notes: Where findings go.
            chance: Decides what the caller does.
        """
        self._caller = caller
        self._notes = notes
        self._chance = chance

    async def perform(self, begun: Callable[[], None] = lambda: None) -> None:
        """Dial and talk. A call that fails is noted, and so is a server that closes the stream.

        Args:
            begun: Called when the greeting has begun.
        """
        try:
            await self._caller.dial()
            begun()
            await self._talk()
        except CallFailed as error:
            self._notes.failed_calls.append(str(error))
        finally:
            await self._caller.hang_up()

    async def perform_briefly(self, seconds: float) -> None:
        """Dial, hear the greeting's beginning, stay a little, hang up."""
        try:
            await self._caller.dial()
            await asyncio.sleep(seconds)
        except CallFailed as error:
            self._notes.failed_calls.append(str(error))
        finally:
            await self._caller.hang_up()

    async def _talk(self) -> None:
        session = self._caller.session
        reply = self._caller.reply
        if session is None or reply is None:
            raise CallFailed("no session")
        self._caller.probe(session)
        while True:
            interrupts = reply.number > 0 and self._chance.random() < BARGE_IN_SHARE
            await self._listen(session, reply, interrupts=interrupts)
            self._caller.speaks = True
            await asyncio.sleep(TURN_SECONDS)
            self._caller.speaks = False
            session.speech_stopped()
            reply = await self._next_reply(session, reply)

    async def _listen(self, session: Session, reply: Reply, *, interrupts: bool) -> None:
        """Hear a reply to its end or to a random moment, and begin to speak."""
        begun = await self._beginning(reply)
        seconds = reply.total_ms / 1000
        if not interrupts:
            await asyncio.sleep(max(0.0, begun + seconds + PAUSE_SECONDS - now()))
            self._notes.judge(reply)
            session.speech_started()
            return
        await asyncio.sleep(max(0.0, begun + seconds * self._chance.uniform(0.15, 0.85) - now()))
        self._caller.cleared.clear()
        session.speech_started(reply)
        try:
            async with asyncio.timeout(CLEAR_SECONDS):
                await self._caller.cleared.wait()
            await asyncio.sleep(TURN_SECONDS / 2)  # the truncation may come behind the clear
        except TimeoutError:
            pass
        self._notes.judge_barge_in(reply)

    async def _beginning(self, reply: Reply) -> float:
        for _ in range(int(REPLY_SECONDS / 0.02)):
            if reply.first_at is not None:
                return reply.first_at
            await asyncio.sleep(0.02)
        raise CallFailed("a reply never reached the caller")

    async def _next_reply(self, session: Session, last: Reply) -> Reply:
        for _ in range(int(REPLY_SECONDS / 0.02)):
            if session.reply is not None and session.reply is not last:
                return session.reply
            await asyncio.sleep(0.02)
        raise CallFailed("the model was never asked for a reply")
