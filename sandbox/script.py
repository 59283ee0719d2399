"""A story's script, played from both ends: as the model's brain and as the caller."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from sandbox.brain import Call, Fault, Reply, Say, Turn, word_for_word
from sandbox.caller import CallerLeg
from sandbox.scene import Journal
from sandbox.story import Act, Step, Story
from sandbox.voice import speak

QUIET_SECONDS = 0.35
"""How long the line must be silent before the caller thinks that it is their turn."""

PATIENCE_SECONDS = 75.0
"""How long the caller waits for what the script says must come first."""

RAW = {"binary": bytes(range(256)), "1 MB": '{"event": "media", "media": {"payload": "' + "A" * 1_000_000 + '"}}'}
"""Hostile messages that a story names rather than spells out."""


class Script:
    """Both voices of one story. It is the `Brain` of the call's model sessions."""

    def __init__(
        self,
        story: Story,
        journal: Journal,
        steps: list[Step] | None = None,
        take: Callable[[str], Awaitable[object]] | None = None,
    ) -> None:
        """Open the script at its first step.

        Args:
            story: The story.
            journal: Where its call is noted.
            steps: Those that count, where they are not its `script`.
            take: Somebody calls in to take a caller out of the queue.
        """
        self._take = take
        self.call_sid: str | None = None
        self._title = story.title
        self._steps = story.script if steps is None else steps
        self._journal = journal
        self._replies = [step.bot for step in self._steps if step.bot is not None]
        self._given = 0
        """How many replies the model has asked for."""

        self._given_at = 0.0
        self._asked = asyncio.Condition()
        self._spoken = ""

    # --- the model's side ----------------------------------------------------------------------------

    def transcript(self) -> str:
        """What the caller has just said."""
        return self._spoken

    async def reply(self, turn: Turn) -> Reply:
        """The next reply of the script; a line that the server asks for word for word is said at once."""
        if turn.why == "prompt" and (line := word_for_word(turn.prompt)) is not None:
            return [Say(line)]
        if self._given == len(self._replies):
            return []
        reply = self._replies[self._given]
        async with self._asked:
            self._given += 1
            self._given_at = self._journal.now()
            self._asked.notify_all()
        return [Say(reply)] if isinstance(reply, str) else [_part(act) for act in reply]

    # --- the caller's side ---------------------------------------------------------------------------

    async def perform(self, call: CallerLeg) -> None:
        """Do what the caller does, and wait for the call's end."""
        acting = asyncio.create_task(self.act(call))
        ended = asyncio.create_task(call.ended())
        try:
            await asyncio.wait({acting, ended}, return_when=asyncio.FIRST_COMPLETED)
            if acting.done():
                acting.result()
            await asyncio.wait_for(ended, PATIENCE_SECONDS)
        except TimeoutError as error:
            notes = [f"{note.at:.2f} {note.lane} {note.what} {note.data}" for note in self._journal.of(call.sid)]
            raise TimeoutError("\n".join([f"{self._title}: the call does not go on", *notes])) from error
        finally:
            for task in (acting, ended):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, TimeoutError):
                    await task

    async def act(self, call: CallerLeg) -> None:
        """Do what the caller does, step by step."""
        replies = 0
        for step in self._steps:
            if step.bot is not None:
                replies += 1
                continue
            await self._turn_comes(call, step, replies)
            await asyncio.sleep(step.after)
            await self._do(call, step)

    async def _turn_comes(self, call: CallerLeg, step: Step, replies: int) -> None:
        """Wait until everything has happened that stands before this step."""
        async with self._asked, asyncio.timeout(PATIENCE_SECONDS):
            await self._asked.wait_for(lambda: self._given >= replies)
        if step.when is not None:
            await self._happens(call, step.when)
        elif step.caller is not None or step.hang_up:
            await self._bot_falls_silent(call)

    async def _bot_falls_silent(self, call: CallerLeg) -> None:
        await self._happens(call, "speech stopped")
        quiet_since = self._journal.now()
        while self._journal.now() - quiet_since < QUIET_SECONDS:
            await asyncio.sleep(0.02)
            if call.playing:
                quiet_since = self._journal.now()

    async def _happens(self, call: CallerLeg, what: str) -> None:
        await self._journal.until(what, call_sid=call.sid, since=self._given_at, timeout=PATIENCE_SECONDS)

    async def _do(self, call: CallerLeg, step: Step) -> None:
        if step.caller is not None:
            self._spoken = step.caller
            self._journal.note("caller", "says", call.sid, text=step.caller)
            await call.say(speak(step.caller, voice="caller", rate=8000))
        elif step.press is not None:
            await call.press(step.press)
        elif step.hang_up:
            await call.hang_up()
        elif step.takes is not None and self._take is not None:
            await self._take(step.takes)
        for message in step.raw or []:
            await call.send_raw(RAW.get(message, message))


def _part(act: Act) -> Say | Call | Fault:
    if act.fault is not None:
        return Fault(act.fault)
    if act.call is not None:
        return Call(act.call, act.arguments, act.repeat)
    return Say(act.say or "")
