"""The legs of a call: what is known of each, and how something outside interrupts what it is doing."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Awaitable, Coroutine, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

from sandbox.codec import Pcm
from sandbox.people import REACTION_SECONDS, Person
from sandbox.scene import Journal
from sandbox.sound import RINGBACK, Track

T = TypeVar("T")

Direction = Literal["inbound", "outbound-api", "outbound-dial"]

ENDED = ("completed", "busy", "failed", "no-answer", "canceled")
"""The statuses of a call that is over (Twilio: Call resource, Status values)."""


def new_sid(prefix: str) -> str:
    """A SID: two letters and 32 hex digits."""
    return prefix + secrets.token_hex(16)


# --- What a call does next -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fetch:
    """A document that a webhook's answer holds."""

    url: str
    """In its public form."""

    method: str = "POST"
    fields: tuple[tuple[str, str], ...] = ()
    """What the request says beyond the standard fields."""


@dataclass(frozen=True, slots=True)
class Inline:
    """A document that is there already."""

    text: str


Source = Fetch | Inline


class Interruption(Exception):
    """Something outside ends what a leg is doing."""


class HungUp(Interruption):
    """The leg is over: the far end hung up, or REST ended it."""


class Redirected(Interruption):
    """REST gave the leg another document."""

    def __init__(self, source: Source) -> None:
        """Take the document."""
        super().__init__(source)
        self.source = source


# --- Legs ------------------------------------------------------------------------------------------


class Leg:
    """One connection between Twilio and a telephone.

    Attributes:
        sid: Its CallSid.
        status: As Twilio names it, e.g. `in-progress`.
        over: Set when the leg has ended.
        ear: What the telephone plays.
        mouth: What the telephone sends.
        warnings: Codes and texts of Twilio's debugger that let the call go on.
        errors: Those that stopped something, and breaches of the rules that strict mode reports.
    """

    def __init__(self, *, from_: str, to: str, direction: Direction, account_sid: str, journal: Journal) -> None:
        """A leg that nobody has answered yet."""
        self.sid = new_sid("CA")
        self.from_ = from_
        self.to = to
        self.direction: Direction = direction
        self.account_sid = account_sid
        self.journal = journal
        self.status = "ringing"
        self.created_at = datetime.now(UTC)
        self.answered_at: float | None = None
        """On the journal's clock, as `ended_at`."""

        self.ended_at: float | None = None
        self.over = asyncio.Event()
        self.ear = Track(time.monotonic)
        self.mouth = Track(time.monotonic)
        self.warnings: list[tuple[int, str]] = []
        self.errors: list[tuple[int, str]] = []
        self.holder: Person | None = None
        """Who has the telephone, where the sandbox plays them."""

        self.next_keys: str | None = None
        """What the holder presses when they are asked next, where it is not what they press in a whisper."""

        self._keys: asyncio.Queue[str] | None = None
        self._order: Interruption | None = None
        self._ordered = asyncio.Event()
        self._background: set[asyncio.Task[None]] = set()

    # --- what it is ---

    @property
    def scene_sid(self) -> str:
        """The caller's leg that this one belongs to."""
        return self.sid

    @property
    def live(self) -> bool:
        """Whether it is not over."""
        return self.status not in ENDED

    @property
    def seconds(self) -> int:
        """How long it has been answered, or was. Whole seconds, rounded as Twilio bills: never down to 0."""
        if self.answered_at is None:
            return 0
        end = self.journal.now() if self.ended_at is None else self.ended_at
        return max(round(end - self.answered_at), 1)

    def form(self) -> dict[str, str]:
        """The fields of every webhook about this leg (Twilio: TwiML, Twilio's request to your application)."""
        fields = {
            "AccountSid": self.account_sid,
            "ApiVersion": "2010-04-01",
            "CallSid": self.sid,
            "CallStatus": self.status,
            "Direction": self.direction,
            "From": self.from_,
            "To": self.to,
            "Caller": self.from_,
            "Called": self.to,
        }
        for twin, number in (("From", self.from_), ("Caller", self.from_), ("To", self.to), ("Called", self.to)):
            fields |= {
                f"{twin}City": "",
                f"{twin}State": "",
                f"{twin}Zip": "",
                f"{twin}Country": "GB" if number.startswith("+44") else "US",
            }
        return fields

    # --- what happens to it ---

    def answer(self) -> None:
        """The leg is answered, if it was not."""
        if self.status in ("queued", "ringing"):
            self.status = "in-progress"
            self.answered_at = self.journal.now()

    def end(self, status: str) -> None:
        """The leg is over. Idempotent."""
        if self.live:
            self.status = status
            self.ended_at = self.journal.now()
            self.ear.stop()
            self.mouth.stop()
            self.over.set()

    def interrupt(self, order: Interruption) -> None:
        """End what the leg is doing. The last order counts, but nothing follows the end of the leg."""
        if not isinstance(self._order, HungUp):
            self._order = order
            self._ordered.set()

    def take_order(self) -> Interruption:
        """What the leg was interrupted for. After a redirect, the next one can interrupt again."""
        order = self._order
        if order is None:
            raise RuntimeError("the leg was not interrupted")
        if not isinstance(order, HungUp):
            self._order = None
            self._ordered.clear()
        return order

    async def unless_interrupted(self, work: Awaitable[T]) -> T:
        """Wait for some work; when the leg is interrupted, cancel it.

        Raises:
            Interruption: What the leg was interrupted for.
        """
        task = asyncio.ensure_future(work)
        alarm = asyncio.ensure_future(self._ordered.wait())
        try:
            await asyncio.wait({task, alarm}, return_when=asyncio.FIRST_COMPLETED)
            if self._order is not None:
                raise self._order
            return task.result()
        finally:
            await _cancel(task, alarm)

    # --- keys ---

    @contextlib.contextmanager
    def listening(self, *, asked: bool = True) -> Iterator[asyncio.Queue[str]]:
        """Collect the keys that are pressed; a person presses theirs when they are `asked` for them."""
        self._keys = asyncio.Queue()
        pressing = asyncio.create_task(self._press(self.holder)) if self.holder and asked else None
        try:
            yield self._keys
        finally:
            self._keys = None
            if pressing is not None:
                pressing.cancel()

    async def _press(self, person: Person) -> None:
        """What a person does when they are asked for keys."""
        if person.behaviour == "hang_up":
            await asyncio.sleep(REACTION_SECONDS)
            self.journal.note("person", "hangs up", self.scene_sid, number=self.to)
            self.interrupt(HungUp())
        for digit in person.keys if self.next_keys is None else self.next_keys:
            await asyncio.sleep(REACTION_SECONDS)
            self.journal.note("person", "presses", self.scene_sid, number=self.to, digit=digit)
            self.key(digit)

    def key(self, digit: str) -> bool:
        """A key is pressed. Returns whether anything listens."""
        if self._keys is None:
            return False
        self._keys.put_nowait(digit)
        return True

    # --- trouble ---

    def warn(self, code: int, text: str) -> None:
        """Note a warning of Twilio's debugger."""
        self.warnings.append((code, text))
        self.journal.note("network", "warning", self.scene_sid, code=code, text=text)

    def fail(self, code: int, text: str) -> None:
        """Note an error of Twilio's debugger."""
        self.errors.append((code, text))
        self.journal.note("network", "error", self.scene_sid, code=code, text=text)

    # --- work that nobody waits for ---

    def background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Let something happen beside the call."""
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    async def settle(self) -> None:
        """Wait for everything that happens beside the call."""
        while self._background:
            await asyncio.gather(*self._background)

    async def abandon(self) -> None:
        """Give up everything that happens beside the call."""
        await _cancel(*self._background)


class ChildLeg(Leg):
    """The leg to a person whom a `<Dial>` rings."""

    def __init__(self, parent: Leg, *, number: str, from_: str, person: Person | None) -> None:
        """A leg that does not ring yet.

        Args:
            parent: The caller's leg.
            number: Whose phone it is.
            from_: The caller id that the person sees.
            person: How they behave; None when there is no such number.
        """
        super().__init__(
            from_=from_,
            to=number,
            direction="outbound-dial",
            account_sid=parent.account_sid,
            journal=parent.journal,
        )
        self.parent = parent
        self.person = self.holder = person
        self.warnings, self.errors = parent.warnings, parent.errors
        self.status = "queued"
        self.bridged = False
        self.headers = ""
        """What a SIP address brought along, as it was written."""

        self.rang_at: float | None = None

    @property
    def scene_sid(self) -> str:
        """The caller's leg."""
        return self.parent.scene_sid

    @property
    def number(self) -> str:
        """Whose phone it is."""
        return self.to

    @property
    def outcome(self) -> str | None:
        """How it ended, as Twilio names it; None while it lasts."""
        return None if self.live else self.status

    def form(self) -> dict[str, str]:
        """The fields of every webhook about this leg."""
        return super().form() | {"ParentCallSid": self.parent.sid}


async def ring_back(ear: Track, country: str) -> None:
    """Play what a caller hears while a phone rings, until cancelled."""
    period: Pcm = RINGBACK[country]
    try:
        ahead = ear.play(period)
        while True:
            await asyncio.sleep(ahead.start - time.monotonic())
            ahead = ear.play(period)
    finally:
        ear.cut()


async def _cancel(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
