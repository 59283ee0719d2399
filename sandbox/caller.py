"""The caller: a telephone that the tests and the stories speak into, and listen at."""

import asyncio
import contextlib
import time
from collections.abc import Iterator

from sandbox.codec import Pcm
from sandbox.hum import Hum
from sandbox.leg import ChildLeg, Direction, HungUp, Leg
from sandbox.people import REACTION_SECONDS, People, Person, behaviour
from sandbox.scene import Journal, Match, Note
from sandbox.sound import Span
from sandbox.stream import MediaStream
from sandbox.uplink import FRAME_SECONDS

_DEAD_AIR_SECONDS = 0.3
"""The shortest silence that counts."""


class CallerLeg(Leg):
    """A call, from the side of the telephone that is not ours.

    Attributes:
        children: The legs to the people who were rung, in order.
        called: The calls to people that our server asked for on behalf of this one, in order.
        bridged_to: The number of the person whom the caller was connected to last.
        stream: The media stream that is open, if one is.
        people: How the people behave whom this call rings.
        life: The task that lives through the call.
    """

    def __init__(
        self,
        *,
        from_: str,
        to: str,
        direction: Direction,
        account_sid: str,
        journal: Journal,
        hum: Hum | None,
        people: People,
    ) -> None:
        """A call that nobody has answered yet.

        Args:
            from_: Who calls. E.164.
            to: Who is called. E.164.
            direction: As Twilio names it.
            account_sid: The account that the call belongs to.
            journal: Where everything is noted.
            hum: What lies under all that this telephone sends.
            people: How the people behave whom this call rings.
        """
        super().__init__(from_=from_, to=to, direction=direction, account_sid=account_sid, journal=journal)
        self.hum = hum
        self.children: list[ChildLeg] = []
        self.called: list[PersonLeg] = []
        self.bridged_to: str | None = None
        self.stream: MediaStream | None = None
        self._covered: list[Span] = []
        self._open_covers: dict[object, float] = {}
        self.life: asyncio.Task[None] | None = None
        self.people = people
        self.person_hum: Hum | None = None
        """What lies under all that a person sends who is called on behalf of this one, where they have a script."""

    def __repr__(self) -> str:
        return f"<call {self.sid} from {self.from_}: {self.status}>"

    # --- what the caller does ---

    async def say(self, pcm: Pcm) -> None:
        """Speak. Returns when all of it was sent, in real time, or when the call is over.

        Args:
            pcm: 8 kHz.
        """
        span = self.mouth.play(pcm)
        self._covered.append(span)
        self.journal.note("caller", "speaks", self.sid, seconds=round(span.end - span.start, 3))
        left = span.end + FRAME_SECONDS - time.monotonic()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.over.wait(), left)
        self.journal.note("caller", "falls silent", self.sid)

    async def press(self, digit: str) -> None:
        """Press one key: it goes into the media stream, or to the verb that listens."""
        self.journal.note("caller", "presses", self.sid, digit=digit)
        if self.stream is not None:
            self.stream.dtmf(digit)
        else:
            self.key(digit)

    async def hang_up(self) -> None:
        """Hang up. What follows from it happens in the background; see `ended`."""
        if self.live:
            self.journal.note("caller", "hangs up", self.sid)
            self.end("completed" if self.answered_at is not None else "no-answer")
            self.interrupt(HungUp())

    def send_raw(self, message: str | bytes) -> asyncio.Task[None]:
        """Put a message straight into the media socket, as Twilio never would.

        Raises:
            RuntimeError: No stream is open.
        """
        if self.stream is None:
            raise RuntimeError("there is no media stream")
        return self.stream.send_raw(message)

    # --- what the caller hears ---

    @property
    def heard(self) -> Pcm:
        """Everything the caller has heard since the call was placed, silence included; 8 kHz."""
        return self.ear.heard()

    @property
    def playing(self) -> bool:
        """Whether the caller is being played something, a ringing tone included."""
        return self.live and self.ear.busy

    @property
    def last_sound_at(self) -> float:
        """When the last sample was played. Seconds on the journal's clock."""
        return self.journal.at(self.ear.time(self.ear.played))

    @property
    def silences(self) -> list[Span]:
        """Dead air as the caller heard it. Seconds on the journal's clock.

        Until the call is answered, and while the caller speaks, a phone rings, a person is on the line or a recorder
        runs, silence is not dead air.
        """
        now = time.monotonic()
        began = self.journal.at(self.ear.began_at)
        answered_after = (self.journal.now() if self.answered_at is None else self.answered_at) - began
        covered = [Span(self.ear.began_at, self.ear.began_at + answered_after), *self._covered]
        covered += [Span(since, now) for since in self._open_covers.values()]
        return [Span(began + span.start, began + span.end) for span in self.ear.silences(covered, _DEAD_AIR_SECONDS)]

    @contextlib.contextmanager
    def covered(self) -> Iterator[None]:
        """Something has the caller, so that silence means nothing."""
        key = object()
        self._open_covers[key] = time.monotonic()
        try:
            yield
        finally:
            self._covered.append(Span(self._open_covers.pop(key), time.monotonic()))

    # --- what happens to the call ---

    async def until(
        self,
        match: Match,
        timeout: float = 10.0,  # noqa: ASYNC109 - its message names what did happen
        *,
        since: float = 0.0,
    ) -> Note:
        """Wait for a note about this call; see `Journal.until`."""
        return await self.journal.until(match, call_sid=self.sid, timeout=timeout, since=since)

    async def ended(self) -> None:
        """Wait until the call is over and everything that follows from it has happened, its last webhooks included."""
        if self.life is not None:
            await asyncio.shield(self.life)

    def person(self, number: str) -> Person | None:
        """Who has this number, as they behave at the next attempt of this call to ring them."""
        attempt = sum(rung.number == number for rung in (*self.children, *self.called))
        return behaviour(self.people, number, attempt)


class PersonLeg(CallerLeg):
    """A call that our server asked for. It can be on behalf of a caller, to whose scene it belongs."""

    def __init__(self, *, from_: str, to: str, account_sid: str, journal: Journal, for_: CallerLeg | None) -> None:
        """A call that does not ring yet.

        Args:
            from_: The number that is shown.
            to: Who is called.
            account_sid: The account that the call belongs to.
            journal: Where everything is noted.
            for_: The caller on whose behalf it is made.
        """
        people = {} if for_ is None else for_.people
        super().__init__(
            from_=from_,
            to=to,
            direction="outbound-api",
            account_sid=account_sid,
            journal=journal,
            hum=None if for_ is None else for_.person_hum,
            people=people,
        )
        self.status = "queued"
        self.behalf_of = for_

    @property
    def scene_sid(self) -> str:
        """The leg of the caller on whose behalf it is made."""
        return self.sid if self.behalf_of is None else self.behalf_of.sid

    @property
    def number(self) -> str:
        """Whose phone it is, without what a SIP address carries."""
        return self.to.partition("?")[0]

    @property
    def presses_by_habit(self) -> bool:
        """Whether whoever is called for a caller does in a media stream what they do when they are asked for keys."""
        return self.behalf_of is not None and self.hum is None and self.holder is not None

    async def press_by_habit(self) -> None:
        """Press those keys, or hang up."""
        holder = self.holder
        await asyncio.sleep(REACTION_SECONDS)
        if holder is not None and holder.behaviour == "hang_up":
            await self.hang_up()
        for digit in holder.keys if holder is not None else "":
            await self.press(digit)
