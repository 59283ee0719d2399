"""One browser's telephone: the caller's side of a call, and the people who are rung for it."""

import asyncio
from collections.abc import Mapping
from typing import Any

import numpy as np

from sandbox.caller import CallerLeg
from sandbox.clerk import Clerk
from sandbox.codec import RATE
from sandbox.leg import ChildLeg, HungUp
from sandbox.people import Behaviour
from sandbox.played import Everybody, PlayedPerson
from sandbox.scene import Note
from sandbox.stage import OUR_NUMBER, Stage
from sandbox.voice import speak

CALLER = "+442079460123"

KEYS = "0123456789*#"

LONGEST_WORDS = 500

EAR_SECONDS = 0.06
"""How often the page gets what the caller has heard."""

BEHAVIOURS: Mapping[str, Behaviour] = {
    "answer": "answer",
    "busy": "reject",
    "decline": "decline",
    "ring": "no_answer",
    "machine": "voicemail",
}
"""What the buttons of a ringing phone do."""

_SHOWN = {
    ("caller", "says"), ("caller", "speaks"), ("caller", "falls silent"), ("caller", "presses"), ("caller", "hangs up"),
    ("bot", "speech started"), ("bot", "speech stopped"), ("model", "says"), ("model", "calls"),
    ("person", "rings"), ("person", "answers"), ("person", "rejects"), ("person", "bridged"), ("person", "says"),
    ("person", "presses"), ("person", "hangs up"), ("person", "leg ended"),
    ("rest", "redirect"), ("rest", "hang up"), ("network", "recording"), ("network", "recorded"),
    ("network", "says"), ("network", "call ended"), ("network", "error"),
}  # fmt: skip
"""The notes of a call that the page shows."""


class Handset:
    """What the page orders, done on the network; and what happens there, told to the page."""

    def __init__(self, stage: Stage) -> None:
        """Args: stage: the network."""
        self.outgoing: asyncio.Queue[dict[str, Any] | bytes] = asyncio.Queue()
        """For the page: notes and states as JSON, and what the caller hears, as 16-bit samples of 8 kHz."""

        self._stage = stage
        self._clerk = Clerk()
        self._call: CallerLeg | None = None
        self._deciding: dict[str, PlayedPerson] = {}
        """By number, people whose phone rings."""

        self._tasks: set[asyncio.Task[None]] = set()
        self._end = stage.journal.subscribe(self._noted)
        self._tell("idle", caller=CALLER, called=OUR_NUMBER)

    async def close(self) -> None:
        """The page is gone: so is the caller."""
        self._end()
        if self._call is not None:
            await self._call.hang_up()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- what the page orders ------------------------------------------------------------------------

    async def take(self, order: Mapping[str, str]) -> None:
        """Do what a button says. What makes no sense now does nothing."""
        call = self._call
        match order.get("do"):
            case "call" if call is None or not call.live:
                await self._place()
            case "say" if call is not None and call.live and order.get("text", "").strip():
                self._spawn(self._say(call, " ".join(order["text"].split())[:LONGEST_WORDS]))
            case "key" if call is not None and call.live and order.get("digit", "-") in KEYS:
                await call.press(order["digit"])
            case "hang up" if call is not None:
                await call.hang_up()
            case "person" if call is not None:
                self._person(call, order.get("leg", ""), order.get("act", ""))
            case _:
                pass

    def microphone(self, samples: bytes) -> None:
        """The caller speaks into the microphone: 16-bit samples of 8 kHz. What they say is sound, not words, here."""
        call = self._call
        if call is not None and call.live and len(samples) % 2 == 0:
            self._clerk.said = ""
            call.mouth.play(np.frombuffer(samples, dtype="<i2").astype(np.int16))

    async def _place(self) -> None:
        hum = self._stage.line(self._clerk)
        call = await self._stage.network.call(CALLER, OUR_NUMBER, hum=hum, people=Everybody(self._rings))
        self._call, self._clerk.call_sid = call, call.sid
        self._tell("calling", sid=call.sid, console=f"{self._stage.server_url}/console/calls/{call.sid}")
        self._spawn(self._listen(call))

    async def _say(self, call: CallerLeg, text: str) -> None:
        self._clerk.said = text
        call.journal.note("caller", "says", call.sid, text=text)
        await call.say(speak(text, voice="caller", rate=RATE))

    def _rings(self, person: PlayedPerson) -> None:
        self._deciding[person.number] = person

    def _person(self, call: CallerLeg, sid: str, act: str) -> None:
        leg = next((child for child in call.children if child.sid == sid and child.live), None)
        if leg is None:
            return
        if act in BEHAVIOURS:
            person = self._deciding.pop(leg.number, None)
            if person is not None:
                person.decide(BEHAVIOURS[act])
        elif act in KEYS:
            self._press(call, leg, act)
        elif act == "bye":
            leg.interrupt(HungUp())

    def _press(self, call: CallerLeg, leg: ChildLeg, digit: str) -> None:
        call.journal.note("person", "presses", call.sid, number=leg.to, digit=digit, leg=leg.sid)
        leg.key(digit)

    # --- what the page is told -----------------------------------------------------------------------

    def _noted(self, note: Note) -> None:
        call = self._call
        if call is None or note.call_sid != call.sid or (note.lane, note.what) not in _SHOWN:
            return
        data = {
            key: value if isinstance(value, str | int | float) else _told(value) for key, value in note.data.items()
        }
        self.outgoing.put_nowait({"note": note.what, "lane": note.lane, "at": round(note.at, 3), "data": data})
        if note.what == "call ended":
            self._tell("ended", status=str(note.data.get("status", "")))

    def _tell(self, state: str, **more: str) -> None:
        self.outgoing.put_nowait({"state": state, "now": round(self._stage.journal.now(), 3), **more})

    async def _listen(self, call: CallerLeg) -> None:
        """What the caller hears, as they hear it."""
        told = call.ear.now
        while call.live:
            await asyncio.sleep(EAR_SECONDS)
            now = call.ear.now
            heard = call.ear.read(told, now)
            told = now
            if heard is not None:
                self.outgoing.put_nowait(heard.astype("<i2").tobytes())

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _told(value: object) -> str:
    """A function's arguments, as they are read."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {each}" for key, each in value.items())
    return str(value)
