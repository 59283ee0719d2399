"""`<Enqueue>` and `<Dial><Queue>`: callers wait in a queue, and whoever dials it has the first of them.

Source of every protocol fact here: Twilio: TwiML `<Enqueue>`, `<Queue>`, `<Leave>`. The queues of an account share
their names. What Twilio tells of the wait stands in the requests for the `waitUrl` alone.
"""

import asyncio
import contextlib
import json
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field

from sandbox.account import Account
from sandbox.caller import CallerLeg, PersonLeg
from sandbox.codec import RATE
from sandbox.documents import Document, DocumentRefused, number, words
from sandbox.interpreter import Interpreter, Over, Step
from sandbox.leg import Fetch, HungUp, Interruption, Source
from sandbox.queues import Bridge, CallQueue, Member
from sandbox.voice import speak

_LONGEST_NAME = 64
_DIAL_SECONDS = 30
_LONGEST_SECONDS = 14_400
_AGAIN_SECONDS = 0.05
"""Between the end of one wait document and the next request."""


class Taken(Interruption):
    """Somebody has dialled the queue, and this caller is the first."""


class _WaitInterpreter(Interpreter):
    """Runs the documents of a caller who waits."""

    def __init__(self, leg: CallerLeg, account: Account) -> None:
        """Prepare; see `Interpreter`."""
        super().__init__(leg, account)
        self._verbs["Leave"] = self._leave
        self.left = False
        self.error: int | None = None

    async def _leave(self, verb: ET.Element, document: Document) -> Over:
        self.left = True
        return Over.ENDED

    async def _give_up(self, code: int, text: str, source: Source) -> Source | Over:
        self.leg.fail(code, text)
        self.error = code
        return Over.ENDED


class _ConnectInterpreter(Interpreter):
    """Runs the document of a caller who is about to be connected."""

    def __init__(self, leg: CallerLeg, account: Account) -> None:
        """Prepare; see `Interpreter`."""
        super().__init__(leg, account)
        for verb in ("Gather", "Hangup"):
            del self._verbs[verb]


@dataclass(slots=True)
class Wait:
    """One `<Enqueue>` of one document."""

    interpreter: Interpreter
    leg: CallerLeg
    verb: ET.Element
    document: Document
    queue: CallQueue = field(init=False)

    def __post_init__(self) -> None:
        """Read the verb; the caller is not in the queue yet.

        Raises:
            DocumentRefused: 12200 for a queue without a name, or a task that is none.
        """
        workflow, name = self.verb.get("workflowSid"), words(self.verb)
        task = self.verb.find("Task")
        if workflow is None and (task is not None or not 0 < len(name) <= _LONGEST_NAME):
            raise DocumentRefused(12200, f"<Enqueue> names a queue of 1 to {_LONGEST_NAME} characters, or a workflow")
        if task is not None:
            try:
                attributes = json.loads(words(task))
            except ValueError:
                attributes = None
            if not isinstance(attributes, dict):
                raise DocumentRefused(12200, "the attributes of a <Task> are a JSON object")
            self.leg.journal.note("network", "task", self.leg.sid, workflow=workflow, attributes=attributes)
        self.queue = self.interpreter.account.queues.named(workflow or name)

    async def run(self) -> Step:
        """Wait, and talk with whoever takes the caller. Returns the `action` request, where there is one.

        Raises:
            Interruption: The caller hung up, or REST moved the call; the `action` was asked in vain.
        """
        self.leg.answer()
        if len(self.queue.members) >= self.queue.max_size:
            return self._left("queue-full", None)
        member = Member(self.leg, time.monotonic())
        self.queue.enter(member)
        self.leg.journal.note("network", "queued", self.leg.sid, name=self.queue.name, position=self._position(member))
        try:
            try:
                result = await self._wait(member)
            except Taken:
                self.leg.take_order()
                result = await self._meet(member)
        except Interruption as why:
            hung_up = isinstance(why, HungUp)
            result = "hangup" if hung_up else "redirected"
            if member.bridge is not None and member.bridge.ready.is_set():
                result = "bridged" if hung_up else "redirected-from-bridged"
            action = self._left(result, member)
            if action is not None:
                await self.interpreter.ask_in_vain(action)
            raise
        finally:
            self.queue.leave(member)
            if member.bridge is not None:
                member.bridge.over.set()
        return Over.HUNG_UP if result == "hangup" else self._left(result, member)

    async def _wait(self, member: Member) -> str:
        """Run the wait document again and again. Returns the `QueueResult`."""
        url = self.verb.get("waitUrl")
        if not url:
            await self.leg.unless_interrupted(asyncio.Event().wait())
        address = self.interpreter.resolve(self.document, url or "")
        method = self.verb.get("waitUrlMethod", "POST").upper()
        while True:
            documents = _WaitInterpreter(self.leg, self.interpreter.account)
            over = await documents.run(Fetch(address, method, self._facts(member)))
            if documents.error is not None:
                return "error"
            if over is Over.HUNG_UP:
                return "hangup"
            if documents.left:
                return "leave"
            await self.leg.unless_interrupted(asyncio.sleep(_AGAIN_SECONDS))

    async def _meet(self, member: Member) -> str:
        """Hear what comes before, and talk. Returns the `QueueResult`."""
        bridge = member.bridge
        if bridge is None:
            raise RuntimeError("nobody has taken the caller")
        if bridge.url is not None:
            facts = (
                ("QueueSid", self.queue.sid),
                ("QueueTime", str(member.seconds)),
                ("DequeingCallSid", bridge.leg.sid),
            )
            documents = _ConnectInterpreter(self.leg, self.interpreter.account)
            await documents.run(Fetch(bridge.url.url, bridge.url.method, facts))
        if bridge.over.is_set():
            return "error"  # whoever took the caller has gone meanwhile
        self.leg.bridged_to = bridge.number
        bridge.ready.set()
        holder = bridge.leg.holder
        if holder is not None and holder.says:
            self.leg.ear.play(speak(holder.says, voice="person", rate=RATE))
        try:
            with self.leg.covered():
                await self.leg.unless_interrupted(bridge.over.wait())
        finally:
            self.leg.ear.cut()
        return "bridged"

    def _position(self, member: Member) -> int:
        return self.queue.members.index(member) + 1 if member in self.queue.members else 1

    def _facts(self, member: Member) -> tuple[tuple[str, str], ...]:
        waits = [each.seconds for each in self.queue.members]
        return (
            ("QueueSid", self.queue.sid),
            ("QueuePosition", str(self._position(member))),
            ("QueueTime", str(member.seconds)),
            ("AvgQueueTime", str(sum(waits) // max(len(waits), 1))),
            ("CurrentQueueSize", str(len(waits))),
            ("MaxQueueSize", str(self.queue.max_size)),
        )

    def _left(self, result: str, member: Member | None) -> Fetch | None:
        """What is told of the end, in the journal and to the `action`."""
        self.leg.journal.note("network", "left the queue", self.leg.sid, name=self.queue.name, result=result)
        fields = {"QueueResult": result}
        if member is not None:
            fields |= {"QueueSid": self.queue.sid, "QueueTime": str(member.seconds)}
        return self.interpreter.action(self.verb, self.document, **fields) if self.verb.get("action") else None


async def dial_queue(
    interpreter: Interpreter, leg: CallerLeg, dial: ET.Element, noun: ET.Element, document: Document
) -> str:
    """`<Dial><Queue>`: talk with the first caller of a queue. Returns the `DialCallStatus`.

    Twilio does not say what the status is where nobody came; here it is `no-answer`.
    """
    queue = interpreter.account.queues.known(words(noun))
    if queue is None:
        return "failed"
    leg.answer()
    leg.journal.note("network", "dials a queue", leg.scene_sid, name=queue.name, leg=leg.sid)
    try:
        async with asyncio.timeout(number(dial, "timeout", _DIAL_SECONDS)):
            member = await leg.unless_interrupted(queue.next())
    except TimeoutError:
        return "no-answer"
    url = noun.get("url")
    before = Fetch(interpreter.resolve(document, url), noun.get("method", "POST").upper()) if url else None
    bridge = Bridge(leg, leg.number if isinstance(leg, PersonLeg) else leg.from_, before)
    member.bridge = bridge
    member.leg.interrupt(Taken())
    try:
        await leg.unless_interrupted(_first(bridge.ready, bridge.over))
        if not bridge.ready.is_set():
            return "no-answer"  # the caller hung up while they heard what comes before
        await _talk(leg, member.leg, bridge, number(dial, "timeLimit", _LONGEST_SECONDS))
    finally:
        bridge.over.set()
    return "completed"


async def _talk(leg: CallerLeg, caller: CallerLeg, bridge: Bridge, time_limit: float) -> None:
    holder = leg.holder
    leg.journal.note("person", "bridged", caller.sid, number=bridge.number, leg=leg.sid)
    if holder is not None and holder.says:
        leg.journal.note("person", "says", caller.sid, number=bridge.number, text=holder.says)
    stays = holder.hangs_up_after if holder is not None else None
    with leg.covered(), contextlib.suppress(TimeoutError):
        async with asyncio.timeout(time_limit if stays is None else min(stays, time_limit)):
            await leg.unless_interrupted(bridge.over.wait())
            return
    leg.journal.note("person", "hangs up", caller.sid, number=bridge.number, leg=leg.sid)
    if stays is not None:
        leg.background(leg.hang_up())


async def _first(*events: asyncio.Event) -> None:
    tasks = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
