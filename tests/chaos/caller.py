"""A caller who adapts: speaks when spoken to, says it again when nothing is heard, and hangs up when the story is over.

So whether they got through can be decided: whoever is cut off before their story is over was dropped.
"""

import asyncio
import time

from chaos.mind import Mind
from chaos.plan import Story
from sandbox.caller import CallerLeg
from sandbox.voice import speak

LOOK_SECONDS = 0.1
"""How often the caller notices what is going on."""

QUIET_SECONDS = 0.5
"""How long the bot must be silent until the caller takes their turn."""

PATIENCE_SECONDS = 6.0
"""How long the caller waits in silence until they say it again."""

TALK_SECONDS = 3.0
"""How long the caller talks with a person who does not hang up."""

LONGEST_SECONDS = 120.0
"""After which a caller who has not got through has not got through."""

MESSAGE = "Please call me back."


class Caller:
    """One caller. `live` lasts as long as the call does."""

    def __init__(self, story: Story, mind: Mind, call: CallerLeg) -> None:
        """Args: story: what they want. mind: what was said. call: their telephone."""
        self.satisfied = False
        """Whether they have what they called for, or another way through: a person, a message, an answer."""

        self.gave_up = False
        """Whether they hung up after `LONGEST_SECONDS` of not getting anywhere."""

        self.hung_up = False
        self._story = story
        self._mind = mind
        self._call = call
        self._is_spoken_to = False
        """Whether the bot has spoken since the caller did."""

        self._silent_since = time.monotonic()
        self._called_since: float | None = None
        """When the first person was called while the bot had the caller."""

    async def live(self) -> None:
        """Be on the phone until the call is over."""
        began = time.monotonic()
        while self._call.live:
            await asyncio.sleep(LOOK_SECONDS)
            now = time.monotonic()
            if self._called_since is None and self._call.called:
                self._called_since = now
            if self._wants_to_leave(now - began, now):
                self.satisfied = True  # this is all that they wanted
                await self._hang_up()
            elif now - began > LONGEST_SECONDS:
                self.gave_up = True
                await self._hang_up()
            else:
                await self._look(now)

    def _wants_to_leave(self, lasted: float, now: float) -> bool:
        """Args: lasted: how long the call is. now: on the same clock as `_called_since`."""
        if self._story.goal == "leaves":
            return lasted >= self._story.leaves
        waits = self._story.goal == "manager" and self._story.impatient and not self.satisfied
        since = self._called_since
        return waits and since is not None and now - since >= self._story.leaves / 2

    @property
    def _with_a_person(self) -> bool:
        call = self._call
        met = call.stream is None or not call.stream.is_open
        called = any(leg.live and leg.number == call.bridged_to for leg in call.called)
        return any(child.bridged and child.live for child in call.children) or (met and called)

    async def _look(self, now: float) -> None:
        call = self._call
        if self._with_a_person:
            await self._talk()
        elif self._recorder_runs():
            await self._leave_message()
        elif self.satisfied and call.bridged_to is not None:
            await self._hang_up()  # the person has gone
        elif call.stream is not None and call.stream.is_open:
            await self._converse(now)
        else:
            self._silent_since = now

    async def _hang_up(self) -> None:
        self.hung_up = True
        await self._call.hang_up()

    # --- with a person ------------------------------------------------------------------------------

    async def _talk(self) -> None:
        self.satisfied = True
        until = time.monotonic() + TALK_SECONDS
        while self._call.live and self._with_a_person:
            await asyncio.sleep(LOOK_SECONDS)
            if time.monotonic() > until:
                await self._hang_up()

    # --- at the recorder ----------------------------------------------------------------------------

    def _recorder_runs(self) -> bool:
        notes = [note.what for note in self._call.journal.of(self._call.sid) if note.lane == "network"]
        return "recording" in notes and "recorded" not in notes

    async def _leave_message(self) -> None:
        await self._call.say(speak(MESSAGE))
        self.satisfied = True
        await asyncio.sleep(0.3)
        if int(self._story.people[0][1].after * 100) % 2:
            await self._call.press("#")
            await asyncio.sleep(1.0)
        else:
            await self._hang_up()

    # --- with the bot -------------------------------------------------------------------------------

    async def _converse(self, now: float) -> None:
        if self._call.playing:
            self._silent_since, self._is_spoken_to = now, True
        elif self._is_spoken_to and not self._mind.agreed:
            if now - self._silent_since >= QUIET_SECONDS:
                await self._say(again=False)
        elif now - self._silent_since >= PATIENCE_SECONDS:
            await self._say(again=True)

    async def _say(self, *, again: bool) -> None:
        """Take the turn; or, into a silence, say it again, which does not end the silence."""
        line = self._mind.next_line()
        self._call.journal.note("caller", "says", self._call.sid, text=line, again=again)
        self._mind.caller_speaks()
        if again:
            span = self._call.mouth.play(speak(line))
            await asyncio.sleep(span.end - time.monotonic())
        else:
            await self._call.say(speak(line))
        self._silent_since, self._is_spoken_to = time.monotonic(), False
