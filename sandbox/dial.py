"""`<Dial>`: ring people, and connect the one who answers with the caller.

Source of every protocol fact here: Twilio: TwiML `<Dial>`.
"""

import asyncio
import contextlib
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator

from sandbox.caller import CallerLeg
from sandbox.documents import Document, DocumentRefused, flag, number, words
from sandbox.interpreter import Interpreter, Step
from sandbox.leg import Fetch, HungUp, Interruption, ring_back
from sandbox.phone import NOUNS, Noun, Phone
from sandbox.queue import dial_queue
from sandbox.sound import RINGBACK
from sandbox.tape import Tape, wanted

_RECORDS = ("record-from-answer", "record-from-answer-dual")
"""What of `record` the sandbox knows."""

_MOST_NUMBERS = 10
_RING_SECONDS = 30
_LONGEST_SECONDS = 14_400


class Dial:
    """One `<Dial>` of one document."""

    def __init__(self, interpreter: Interpreter, caller: CallerLeg, verb: ET.Element, document: Document) -> None:
        """Read the verb; nothing rings yet.

        Args:
            interpreter: The caller's.
            caller: Who is to be connected.
            verb: The `<Dial>`.
            document: Where it stands.

        Raises:
            DocumentRefused: 13223 for too many numbers or none, 12200 for a number that is none.
        """
        self._interpreter = interpreter
        self._caller = caller
        self._verb = verb
        self._document = document
        self._conference = verb.find("Conference")
        self._queue = verb.find("Queue")
        nouns = [Noun.read(element, document, interpreter) for element in verb if element.tag in NOUNS]
        self._nouns = nouns or [Noun(words(verb))]
        rooms = [room for room in (self._conference, self._queue) if room is not None]
        if len(rooms) > 1 or (rooms and nouns):
            raise DocumentRefused(13221, "<Dial> holds a <Conference> or a <Queue> and somebody else")
        if len(nouns) > _MOST_NUMBERS:
            raise DocumentRefused(13223, f"<Dial> holds more than {_MOST_NUMBERS} numbers")
        self._record = wanted(verb, document, interpreter.resolve, _RECORDS)
        self._tape: Tape | None = None
        self._timeout = number(verb, "timeout", _RING_SECONDS)
        self._time_limit = number(verb, "timeLimit", _LONGEST_SECONDS)
        self._phones: list[Phone] = []
        self._winner: Phone | None = None
        self._error: int | None = None

    async def run(self) -> Step:
        """Dial. Returns the `action` request, where there is one.

        Raises:
            Interruption: The caller hung up, or REST moved the call; the `action` was asked in vain.
        """
        try:
            if self._conference is not None:
                return await self._confer(self._conference)
            if self._queue is not None:
                return self._ended(
                    await dial_queue(self._interpreter, self._caller, self._verb, self._queue, self._document)
                )
            await self._dial()
        except Interruption as why:
            # A redirect is reported as the end of a call that was connected, even when it only rang.
            rang = isinstance(why, HungUp) and self._conference is None and self._queue is None
            action = self._ended("no-answer" if rang else "completed")
            if action is not None:
                await self._interpreter.ask_in_vain(action)
            raise
        return self._ended(self._phones[-1].leg.status if self._phones else "failed")

    async def _confer(self, noun: ET.Element) -> Step:
        """Be in a conference; its end is the Dial's."""
        self._caller.answer()
        url = noun.get("statusCallback")
        callback = self._interpreter.resolve(self._document, url) if url else None
        conference = self._interpreter.account.conferences.named(noun)
        star = flag(self._verb, "hangupOnStar")
        record = wanted(noun, self._document, self._interpreter.resolve, ("record-from-start",))
        await conference.take_part(self._caller, noun, callback, self._time_limit, star=star, record=record)
        return self._ended("answered")

    async def _dial(self) -> None:
        caller_id = self._verb.get("callerId", self._caller.from_)
        if not self._may_show(caller_id):
            return self._fail(13214, f"{caller_id} is not a caller id of this account")
        for noun in self._nouns:
            if problem := noun.problem:
                return self._fail(*problem)
        if not flag(self._verb, "answerOnBridge"):
            self._caller.answer()
        self._phones = [Phone(noun, self._caller, self._interpreter, caller_id) for noun in self._nouns]
        self._caller.journal.note("network", "dials", self._caller.sid, numbers=[noun.number for noun in self._nouns])
        try:
            await self._connect()
        finally:
            if self._tape is not None:
                self._tape.stop()
            for phone in self._phones:
                phone.end("canceled" if phone.leg.answered_at is None else "completed")

    async def _connect(self) -> None:
        """Ring everybody; let the first who answers hear the whisper; connect them."""
        caller = self._caller
        async with self._ring_back():
            winner = await caller.unless_interrupted(self._first_to_answer())
            if winner is None:
                return
            self._winner = winner
            self._begin_tape()
            for phone in self._phones:
                if phone is not winner:
                    phone.end("canceled")
            accepted = await caller.unless_interrupted(winner.screen())
        if accepted:
            caller.answer()
            with caller.covered():
                await caller.unless_interrupted(winner.talk(self._time_limit))

    def _begin_tape(self) -> None:
        """It is recorded from the moment that somebody picks up.

        Whether Twilio leaves a whisper out is not known: here it begins before it.
        """
        if self._record is not None:
            how, callback = self._record
            channels = 2 if how.endswith("-dual") else 1
            account = self._interpreter.account
            self._tape = Tape(account, self._caller, source="DialVerb", channels=channels, callback=callback)

    async def _first_to_answer(self) -> Phone | None:
        """Ring all phones at once. The last to give up is the last of the list."""
        ringing = {asyncio.create_task(phone.ring()): phone for phone in self._phones}
        pending = set(ringing)
        try:
            async with asyncio.timeout(self._timeout):
                while pending:
                    done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                    for task in done:
                        task.result()
                        phone = ringing[task]
                        if phone.leg.live:
                            return phone
                        self._check_reachable(phone)
        except TimeoutError:
            for task in pending:
                ringing[task].end("no-answer")
        finally:
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
        self._phones.sort(key=lambda phone: phone.leg.ended_at or 0.0)
        return None

    @contextlib.asynccontextmanager
    async def _ring_back(self) -> AsyncIterator[None]:
        country = self._verb.get("ringTone", "us")
        if country not in RINGBACK:
            raise DocumentRefused(12200, f"the sandbox has no ringing tone for {country!r}")
        with self._caller.covered():
            tone = asyncio.create_task(ring_back(self._caller.ear, country))
            try:
                yield
            finally:
                tone.cancel()
                await asyncio.gather(tone, return_exceptions=True)

    def _may_show(self, caller_id: str) -> bool:
        account = self._interpreter.account
        ours = caller_id in account.numbers or caller_id in account.verified
        return ours or caller_id in (self._caller.from_, self._caller.to)

    def _check_reachable(self, phone: Phone) -> None:
        if phone.leg.person is None:
            self._fail(13224, f"{phone.leg.number} is nobody's number")

    def _fail(self, code: int, text: str) -> None:
        self._error = code
        self._caller.fail(code, text)

    def _ended(self, status: str) -> Fetch | None:
        """What is reported of the end, in the journal and to the `action`."""
        leg = self._winner.leg if self._winner else self._phones[-1].leg if self._phones else None
        fields = {"DialCallStatus": status}
        if self._conference is None:
            fields["DialBridged"] = str(self._queue is not None and status == "completed").lower()
        if self._winner is not None:
            fields["DialCallStatus"] = "completed"
            fields["DialCallDuration"] = str(self._winner.leg.seconds)
        if leg is not None:
            fields["DialCallSid"] = leg.sid
            fields["DialBridged"] = str(leg.bridged).lower()
        if self._tape is not None:
            fields["RecordingUrl"] = self._tape.url
        if self._error is not None:
            fields["ErrorCode"] = str(self._error)
        self._caller.journal.note(
            "network",
            "dial ended",
            self._caller.sid,
            status=fields["DialCallStatus"],
            bridged=leg is not None and leg.bridged,
        )
        if not self._verb.get("action"):
            return None
        return self._interpreter.action(self._verb, self._document, **fields)
