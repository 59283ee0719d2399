"""`<Conference>`: where legs meet that are calls of their own.

Source of every protocol fact here: Twilio: TwiML `<Conference>`. The conferences of an account share their names: legs
that name the same one meet, whoever placed them.
"""

import asyncio
import xml.etree.ElementTree as ET
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from sandbox.account import Account
from sandbox.caller import CallerLeg, PersonLeg
from sandbox.codec import RATE
from sandbox.documents import DocumentRefused, flag, number, words
from sandbox.leg import new_sid
from sandbox.tape import Callback, Tape
from sandbox.voice import speak

_LONGEST_NAME = 128
_MOST = 250

Notify = Callable[[CallerLeg, str, dict[str, str], str], Awaitable[None]]
"""`(leg, url, form, method)`: send a status callback."""


@dataclass(slots=True)
class _Participant:
    leg: CallerLeg
    starts: bool
    ends: bool
    met: asyncio.Event = field(default_factory=asyncio.Event)


class Conference:
    """One conference, from the first who enters to the last who leaves."""

    def __init__(self, name: str, account: Account, notify: Notify) -> None:
        """Nobody is there yet.

        Args:
            name: As all who enter call it.
            account: Whose conference it is.
            notify: Sends its callbacks.
        """
        self.name = name
        self.sid = new_sid("CF")
        self.created_at = datetime.now(UTC)
        self.over = asyncio.Event()
        self.started = False
        self._account = account
        self._notify = notify
        self._record: tuple[str, Callback | None] | None = None
        self._tape: Tape | None = None
        self._inside: list[_Participant] = []
        self._callback: tuple[str, str, frozenset[str]] | None = None
        self._sequence = 0
        self._last: asyncio.Task[None] | None = None

    @property
    def legs(self) -> list[CallerLeg]:
        """Who is inside."""
        return [participant.leg for participant in self._inside]

    async def take_part(
        self,
        leg: CallerLeg,
        noun: ET.Element,
        callback: str | None,
        time_limit: float,
        *,
        star: bool = False,
        record: tuple[str, Callback | None] | None = None,
    ) -> None:
        """Be in the conference until the leg leaves, or the conference is over.

        Args:
            leg: Whose leg.
            noun: The `<Conference>` with which it enters.
            callback: Its status callback, in its public form.
            time_limit: Seconds.
            star: Whether a star leads out of it (Twilio: TwiML `<Dial>`, `hangupOnStar`).
            record: See `sandbox.tape.wanted`. What whoever comes first says counts.
        """
        if len(self._inside) >= number(noun, "maxParticipants", _MOST):
            raise DocumentRefused(13260, "the conference is full")
        if self._callback is None and callback is not None:  # that of whoever is first counts for all
            events = frozenset(noun.get("statusCallbackEvent", "start end").split())
            self._callback = (callback, noun.get("statusCallbackMethod", "POST"), events)
        if not self._inside:
            self._record = record
        me = _Participant(leg, flag(noun, "startConferenceOnEnter", default=True), flag(noun, "endConferenceOnExit"))
        self._inside.append(me)
        leg.journal.note("network", "joins", leg.scene_sid, name=self.name, leg=leg.sid)
        self.tell(leg, "participant-join", CallSid=leg.sid)
        self._perhaps_start(leg)
        talking = asyncio.create_task(self._listen(me))
        try:
            async with asyncio.timeout(time_limit):
                await leg.unless_interrupted(self._until_star(leg) if star else self.over.wait())
        except TimeoutError:
            pass
        finally:
            talking.cancel()
            await asyncio.gather(talking, return_exceptions=True)
            leg.ear.cut()
            self._leave(me)

    async def _until_star(self, leg: CallerLeg) -> None:
        """Wait for the end, or for a star of this leg."""
        over = asyncio.create_task(self.over.wait())
        try:
            with leg.listening(asked=False) as keys:
                while not over.done():
                    key = asyncio.create_task(keys.get())
                    await asyncio.wait({over, key}, return_when=asyncio.FIRST_COMPLETED)
                    if key.done() and key.result() == "*":
                        return
                    key.cancel()
        finally:
            over.cancel()

    def _perhaps_start(self, leg: CallerLeg) -> None:
        """Two are enough, if one of them may start it."""
        if not self.started and len(self._inside) > 1 and any(each.starts for each in self._inside):
            self.started = True
            self.tell(leg, "conference-start", CallSid=leg.sid)
            self._begin_tape()
        if self.started:
            for each in self._inside:
                each.met.set()

    def _begin_tape(self) -> None:
        """It is recorded from its start on, all voices on one channel: here, what the caller says and hears."""
        callers = [each for each in self.legs if each.sid == each.scene_sid]
        if self._record is not None and callers:
            self._tape = Tape(
                self._account,
                callers[0],
                source="Conference",
                channels=1,
                callback=self._record[1],
                conference_sid=self.sid,
            )

    def _leave(self, me: _Participant) -> None:
        self._inside.remove(me)
        leg = me.leg
        leg.journal.note("network", "leaves", leg.scene_sid, name=self.name, leg=leg.sid)
        self.tell(leg, "participant-leave", CallSid=leg.sid)
        if self.over.is_set() or (self._inside and not me.ends):
            return
        self.over.set()
        if self._tape is not None:
            self._tape.stop()
        reason = "participant-with-end-conference-on-exit-left" if me.ends else "last-participant-left"
        self.tell(leg, "conference-end", CallSidEndingConference=leg.sid, ReasonConferenceEnded=reason)

    async def _listen(self, me: _Participant) -> None:
        """What a leg hears: silence until it has met somebody, then them."""
        await me.met.wait()
        people = [leg for leg in self.legs if isinstance(leg, PersonLeg)]
        if isinstance(me.leg, PersonLeg):
            await self._talk(me.leg)
            return
        with me.leg.covered():
            for person in people:
                me.leg.bridged_to = person.number
                if person.holder is not None and person.holder.says:
                    me.leg.ear.play(speak(person.holder.says, voice="person", rate=RATE))
            await self.over.wait()

    async def _talk(self, person: PersonLeg) -> None:
        holder = person.holder
        person.journal.note("person", "bridged", person.scene_sid, number=person.number, leg=person.sid)
        if holder is None:
            return
        if holder.says:
            person.journal.note("person", "says", person.scene_sid, number=person.number, text=holder.says)
        if holder.stars and person.next_keys is None:
            await asyncio.sleep(holder.stars_after)
            person.next_keys = "*" * (holder.stars - 1)
            person.journal.note("person", "presses", person.scene_sid, number=person.number, digit="*")
            person.key("*")
            return
        if holder.hangs_up_after is not None:
            await asyncio.sleep(holder.hangs_up_after)
            person.journal.note("person", "hangs up", person.scene_sid, number=person.number, leg=person.sid)
            person.background(person.hang_up())

    def tell(self, leg: CallerLeg, event: str, **more: Any) -> None:
        """Tell the callback of an event, if it is wanted.

        Args:
            leg: By whose leg it has come.
            event: As Twilio names it, e.g. `participant-join`.
            **more: Fields of it.
        """
        if self._callback is None:
            return
        url, method, events = self._callback
        what, how = event.split("-", 1)
        if (what if what == "announcement" else how) not in events:
            return
        form = {
            "AccountSid": leg.account_sid,
            "ConferenceSid": self.sid,
            "FriendlyName": self.name,
            "StatusCallbackEvent": event,
            "SequenceNumber": str(self._sequence),
            "Timestamp": format_datetime(datetime.now(UTC)),
            **more,
        }
        self._sequence += 1
        self._last = leg.background(self._send(self._last, leg, url, form, method))

    async def _send(
        self, previous: asyncio.Task[None] | None, leg: CallerLeg, url: str, form: dict[str, str], method: str
    ) -> None:
        if previous is not None:
            await asyncio.wait({previous})
        await self._notify(leg, url, form, method)


class Conferences:
    """Those of one account, by name."""

    def __init__(self, account: Account, notify: Notify) -> None:
        """There are none yet."""
        self._account = account
        self._notify = notify
        self._by_name: dict[str, Conference] = {}
        self.by_sid: dict[str, Conference] = {}
        """Every conference there was."""

    def named(self, noun: ET.Element) -> Conference:
        """The conference that a `<Conference>` names: the one that goes on, or a new one.

        Raises:
            DocumentRefused: 13229, its name is none.
        """
        name = words(noun)
        if not name or len(name) > _LONGEST_NAME:
            raise DocumentRefused(13229, f"a conference's name has 1 to {_LONGEST_NAME} characters")
        conference = self._by_name.get(name)
        if conference is None or conference.over.is_set():
            conference = self._by_name[name] = Conference(name, self._account, self._notify)
            self.by_sid[conference.sid] = conference
        return conference
