"""A person's phone while a `<Dial>` rings it: ringing, the whisper, the conversation, and what Twilio tells of it.

Source of every protocol fact here: Twilio: TwiML `<Number>`.
"""

import asyncio
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import Any, Self

from sandbox.caller import CallerLeg
from sandbox.codec import RATE
from sandbox.documents import Document, words
from sandbox.interpreter import Interpreter, Over
from sandbox.leg import ChildLeg, Fetch, HungUp
from sandbox.progress import Progress
from sandbox.voice import speak

NOUNS = ("Number", "Sip", "Client")

_E164 = re.compile(r"\+[1-9][0-9]{1,14}")
_SIP = re.compile(r"sips?:[^@\s?]+@[^\s?]+(\?[^\s?]*)?")
_HEADER = re.compile(r"(X-[A-Za-z0-9-]+|User-to-User)=[^&=\s]*", re.IGNORECASE)
_LONGEST_SIP = 1024


@dataclass(frozen=True, slots=True)
class Noun:
    """One `<Number>`, `<Sip>` or `<Client>`, or the text of a `<Dial>`."""

    number: str
    """Whom it rings: E.164, a SIP address without its headers, or `client:` and an identity."""

    tag: str = "Number"
    headers: str = ""
    """Of a SIP address."""

    whisper: Fetch | None = None
    """The document that the person hears before they are connected."""

    send_digits: str = ""
    detects_machines: bool = False
    callback: str | None = None
    callback_method: str = "POST"
    events: frozenset[str] = frozenset({"completed"})
    """What the status callback is told."""

    @classmethod
    def read(cls, element: ET.Element, document: Document, interpreter: Interpreter) -> Self:
        """Read a `<Number>`."""
        url, callback = element.get("url"), element.get("statusCallback")
        address, _, headers = words(element).partition("?") if element.tag == "Sip" else (words(element), "", "")
        method = element.get("method", "POST").upper()
        return cls(
            number=f"client:{address}" if element.tag == "Client" else address,
            tag=element.tag,
            headers=headers,
            whisper=Fetch(interpreter.resolve(document, url), method) if url else None,
            send_digits=element.get("sendDigits", ""),
            detects_machines=element.get("machineDetection") is not None,
            callback=interpreter.resolve(document, callback) if callback else None,
            callback_method=element.get("statusCallbackMethod", "POST"),
            events=frozenset(element.get("statusCallbackEvent", "completed").split()),
        )

    @property
    def problem(self) -> tuple[int, str] | None:
        """Why Twilio does not ring it, if so: its code, and in words."""
        match self.tag:
            case "Sip":
                whole = f"{self.number}?{self.headers}" if self.headers else self.number
                if not _SIP.fullmatch(whole) or len(whole) >= _LONGEST_SIP:
                    return 13243, f"{whole!r} is not a SIP address"
                wrong = [each for each in self.headers.split("&") if self.headers and not _HEADER.fullmatch(each)]
                return (13243, f"{wrong[0]!r} is no header that Twilio passes on") if wrong else None
            case "Client":
                return None if re.fullmatch(r"client:[\w.@+-]{1,121}", self.number) else (13223, f"{self.number!r}")
            case _:
                return None if _E164.fullmatch(self.number) else (13223, f"{self.number!r} is not a number")


class Phone:
    """One phone that is rung for one caller."""

    def __init__(self, noun: Noun, caller: CallerLeg, interpreter: Interpreter, caller_id: str) -> None:
        """A phone that does not ring yet.

        Args:
            noun: Whom to ring, and how.
            caller: The caller's leg, which gets the new child.
            interpreter: The caller's.
            caller_id: The number that the person sees.
        """
        person = caller.person(noun.number)
        self.leg = ChildLeg(caller, number=noun.number, from_=caller_id, person=person)
        self.leg.headers = noun.headers
        caller.children.append(self.leg)
        interpreter.account.legs[self.leg.sid] = self.leg
        self._noun = noun
        self._caller = caller
        self._interpreter = interpreter
        self._progress = Progress(
            interpreter.account.webhooks,
            self.leg,
            noun.callback,
            owner=caller,
            method=noun.callback_method,
            events=noun.events,
        )

    async def ring(self) -> None:
        """Ring until the phone is answered, or the leg has ended without that."""
        leg, person = self.leg, self.leg.person
        self._progress.tell("initiated")
        if person is None:
            self.end("failed")
            return
        if person.rings:
            leg.status = "ringing"
            leg.rang_at = leg.journal.now()
            self._note("rings")
            self._progress.tell("ringing")
        try:
            leg.person = person = await leg.unless_interrupted(person.act())
        except HungUp:
            self.end("canceled")
            return
        match person.behaviour:
            case "busy" | "reject":
                self._note("rejects" if person.rings else "busy")
                self.end("busy")
            case "failed":
                self._note("cannot be reached")
                self.end("failed")
            case _:
                leg.answer()
                self._note("answers", machine=person.is_machine)
                self._progress.tell("answered")

    async def screen(self) -> bool:
        """Let the person hear the whisper, if there is one. Returns whether they are to be connected.

        A document that ends without hanging up connects them, whatever they pressed.
        """
        for digit in self._noun.send_digits:
            await asyncio.sleep(0.5 if digit.lower() == "w" else 0.1)
        whisper = self._noun.whisper
        if whisper is None:
            return True
        if self._noun.detects_machines and self.leg.person is not None:
            answered_by = "machine_start" if self.leg.person.is_machine else "human"
            whisper = Fetch(whisper.url, whisper.method, (("AnsweredBy", answered_by),))
        try:
            over = await Interpreter(self.leg, self._interpreter.account).run(whisper)
        except HungUp:
            return False
        return over is Over.ENDED

    async def talk(self, time_limit: float) -> None:
        """Connect the person with the caller, until one of them, REST or the time limit ends that.

        Args:
            time_limit: Seconds.
        """
        leg, person, ear = self.leg, self.leg.person, self._caller.ear
        leg.bridged = True
        self._caller.bridged_to = leg.number
        self._note("bridged")
        if person is not None and person.says:
            self._note("says", text=person.says)
            ear.play(speak(person.says, voice="person", rate=RATE))
        stays = None if person is None else person.hangs_up_after
        try:
            seconds = time_limit if stays is None else min(stays, time_limit)
            await leg.unless_interrupted(asyncio.sleep(seconds))
            self._note("hangs up" if seconds == stays else "time limit")
        except HungUp:
            pass  # REST ended the person's leg, and with it the conversation
        finally:
            ear.cut()

    def end(self, status: str) -> None:
        """The leg is over. Idempotent."""
        if not self.leg.live:
            return
        self.leg.end(status)
        self._note("leg ended", status=status)
        self._progress.tell("completed")

    def _note(self, what: str, **data: Any) -> None:
        self.leg.journal.note("person", what, self._caller.sid, number=self.leg.number, leg=self.leg.sid, **data)
