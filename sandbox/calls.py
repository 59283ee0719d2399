"""The life of a call: from its first document to its last callback, whoever placed it."""

import asyncio

from sandbox.account import Account
from sandbox.caller import CallerLeg, PersonLeg
from sandbox.caller_interpreter import CallerInterpreter
from sandbox.codec import RATE
from sandbox.leg import Fetch, HungUp, Interruption, Redirected, Source
from sandbox.people import Person
from sandbox.progress import Progress
from sandbox.rest import NewCall
from sandbox.voice import speak


async def come_in(account: Account, leg: CallerLeg) -> None:
    """A call to one of our numbers."""
    line = account.numbers[leg.to]
    leg.journal.note("caller", "calls", leg.sid, from_=leg.from_, to=leg.to)
    interpreter = CallerInterpreter(leg, account, fallback_url=line.fallback_url)
    await _run(interpreter, leg, Fetch(line.voice_url))
    await _finish(leg, Progress(account.webhooks, leg, line.status_callback, owner=leg))


async def go_out(account: Account, leg: PersonLeg, order: NewCall) -> None:
    """A call that our server asked for: the phone rings, and who answers gets the document."""
    owner = leg if leg.behalf_of is None else leg.behalf_of
    progress = Progress(account.webhooks, leg, order.status_callback, owner=leg, events=order.events)
    progress.tell("initiated")
    person = leg.holder
    status = await _ring(leg, person, order.timeout, progress)
    if status is not None:
        leg.end(status)
        leg.journal.note("person", "leg ended", owner.sid, number=leg.number, leg=leg.sid, status=status)
    elif person is not None:
        leg.answer()
        progress.tell("answered")
        leg.journal.note("person", "answers", leg.scene_sid, number=leg.number, machine=person.is_machine)
        for digit in order.digits:
            await asyncio.sleep(0.5 if digit.lower() == "w" else 0.1)
        if leg.behalf_of is None:
            leg.background(_speak(leg, person))
        source: Source | None = order.source
        if order.detects_machines:
            answered_by = "machine_start" if person.is_machine else "human"
            if person.is_machine and order.waits_for_beep:  # Twilio: Answering Machine Detection, DetectMessageEnd
                answered_by = "machine_end_beep"
                if await _gone(leg, len(speak(person.says, voice="person", rate=RATE)) / RATE):
                    source = None
            if isinstance(source, Fetch):
                source = Fetch(source.url, source.method, (*source.fields, ("AnsweredBy", answered_by)))
        await _run(CallerInterpreter(leg, account), leg, source)
        leg.journal.note("person", "leg ended", owner.sid, number=leg.number, leg=leg.sid, status="completed")
    await _finish(leg, progress)


async def _run(interpreter: CallerInterpreter, leg: CallerLeg, source: Source | None) -> None:
    """Run documents until there is none left, or somebody hangs up."""
    while source is not None:
        try:
            await interpreter.run(source)
            await leg.unless_interrupted(asyncio.sleep(0))  # a redirect may have come with the last verb
            source = None
        except Interruption:
            order = leg.take_order()
            source = order.source if isinstance(order, Redirected) else None


async def _finish(leg: CallerLeg, progress: Progress) -> None:
    """The call is over: say so, and wait for everything that belongs to it."""
    leg.end("completed")
    leg.journal.note("network", "call ended", leg.sid, status=leg.status, seconds=leg.seconds)
    progress.tell("completed")
    await leg.settle()


async def _ring(leg: PersonLeg, person: Person | None, longest: int, progress: Progress) -> str | None:
    """Ring somebody. Returns how the call ended; None when they answered."""
    if person is None:
        leg.fail(13224, f"{leg.to} is nobody's number")
        return "failed"
    if person.rings:
        leg.status = "ringing"
        leg.journal.note("person", "rings", leg.scene_sid, number=leg.number, leg=leg.sid)
        progress.tell("ringing")
    rings_for_ever = person.behaviour == "no_answer" or person.after > longest
    try:
        await leg.unless_interrupted(asyncio.sleep(longest if rings_for_ever else person.after))
    except HungUp:
        return "canceled"
    if rings_for_ever:
        return "no-answer"
    match person.behaviour:
        case "busy" | "reject":
            return "busy"
        case "failed":
            return "failed"
        case _:
            return None


async def _gone(leg: PersonLeg, seconds: float) -> bool:
    """Wait; whether the call has ended meanwhile."""
    try:
        await leg.unless_interrupted(asyncio.sleep(seconds))
    except HungUp:
        return True
    return False


async def _speak(leg: CallerLeg, person: Person) -> None:
    """What somebody does who was called: they say hello, and hang up when they have had enough."""
    if person.says:
        await leg.say(speak(person.says, voice="person", rate=RATE))
    if person.hangs_up_after is not None:
        try:
            await asyncio.wait_for(leg.over.wait(), person.hangs_up_after)
        except TimeoutError:
            await leg.hang_up()
