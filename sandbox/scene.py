"""What happened, when, and to whom: the notes that every part of the sandbox keeps.

All parts of one sandbox share one `Journal`. A timeline is drawn from its notes while they come in, and tests check
invariants on them afterwards.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

Lane = Literal["caller", "bot", "person", "network", "model", "rest", "webhook"]
"""Who did it: the bot's lane holds what our server makes the caller hear."""

Subscriber = Callable[["Note"], None]
Match = str | Callable[["Note"], bool]
"""Which note: the one with this `what`, or one that this predicate accepts."""


@dataclass(frozen=True, slots=True)
class Note:
    """One thing that happened."""

    at: float
    """Seconds on the journal's clock."""

    lane: Lane
    what: str
    """A few words, e.g. `mark echoed`."""

    call_sid: str | None = None
    """The caller's leg that it belongs to, where it belongs to one."""

    data: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def matches(self, match: Match) -> bool:
        """Tell whether this is the note that is looked for."""
        return self.what == match if isinstance(match, str) else match(self)


class Journal:
    """An append-only list of notes, in the order in which they became known.

    A note may be about an earlier moment than the one before it: `at` says when it happened.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start the sandbox's clock.

        Args:
            clock: Seconds, monotonic. The event loop's own clock, so that times can be compared.
        """
        self._clock = clock
        self._started_at = clock()
        self._subscribers: list[Subscriber] = []
        self._by_call: dict[str, list[Note]] = {}
        self.notes: list[Note] = []

    def now(self) -> float:
        """Seconds since the sandbox's clock started."""
        return self._clock() - self._started_at

    def at(self, clock_time: float) -> float:
        """The journal's time of a moment on the event loop's clock."""
        return clock_time - self._started_at

    def note(self, lane: Lane, what: str, call_sid: str | None = None, *, at: float | None = None, **data: Any) -> Note:
        """Write down one thing that happened, and tell the subscribers.

        Args:
            lane: Who did it.
            what: A few words.
            call_sid: The call that it belongs to.
            at: When, in seconds on the journal's clock; now, where it is not given.
            **data: Whatever else is known.
        """
        when = self.now() if at is None else at
        note = Note(when, lane, what, call_sid, MappingProxyType(data))
        self.notes.append(note)
        if call_sid is not None:
            self._by_call.setdefault(call_sid, []).append(note)
        for subscriber in tuple(self._subscribers):
            subscriber(note)
        return note

    def subscribe(self, callback: Subscriber) -> Callable[[], None]:
        """Call back with every note from now on. Returns what ends that."""
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback)

    def of(self, call_sid: str | None) -> list[Note]:
        """The notes of one call so far, or those of none (None)."""
        if call_sid is None:
            return [note for note in self.notes if note.call_sid is None]
        return list(self._by_call.get(call_sid, ()))

    def forget(self, call_sid: str) -> None:
        """Let go of a call's notes."""
        if self._by_call.pop(call_sid, None) is not None:
            self.notes[:] = [note for note in self.notes if note.call_sid != call_sid]

    async def until(
        self,
        match: Match,
        *,
        call_sid: str | None = None,
        timeout: float = 10.0,  # noqa: ASYNC109 - its message names what did happen
        since: float = 0.0,
    ) -> Note:
        """Wait for a note; one that is there already counts.

        Args:
            match: Which note.
            call_sid: Only notes of this call; of every call, where it is not given.
            timeout: The longest wait. Seconds.
            since: Only notes of things that happened then or later. Seconds on the journal's clock.

        Raises:
            TimeoutError: It did not happen. The message names what did.
        """

        def wanted(note: Note) -> bool:
            ours = call_sid is None or note.call_sid == call_sid
            return ours and note.at >= since and note.matches(match)

        for note in self.notes if call_sid is None else self._by_call.get(call_sid, ()):
            if wanted(note):
                return note
        found = asyncio.get_running_loop().create_future()

        def look(note: Note) -> None:
            if not found.done() and wanted(note):
                found.set_result(note)

        unsubscribe = self.subscribe(look)
        try:
            return await asyncio.wait_for(found, timeout)
        except TimeoutError:
            notes = self.notes if call_sid is None else self.of(call_sid)
            last = ", ".join(f"{note.lane} {note.what}" for note in notes[-12:])
            raise TimeoutError(f"no note {match!r} in {timeout} s; the last were: {last}") from None
        finally:
            unsubscribe()
