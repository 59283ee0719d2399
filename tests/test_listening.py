"""Turns that nobody understood, and a line on which nobody speaks."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from bot.events import CallerSaid, Event, LineSilent
from bot.listening import UNDERSTOOD_SECONDS, Listening


@dataclass
class Room:
    """A conversation by the clock."""

    at: float = 0.0
    sound: bool = False
    told: list[Event] = field(default_factory=list)

    def now(self) -> float:
        return self.at

    def post(self, event: Event) -> None:
        self.told.append(event)


def listening(room: Room, silence_seconds: float = 0.0) -> Listening:
    session: Any = room
    return Listening(session, silence_seconds=silence_seconds, playing=lambda: room.sound, clock=room.now)


def test_what_is_written_down_was_understood():
    room = Room()
    ear = listening(room)
    ear.caller_began()
    ear.caller_ended()
    ear.understood("Hello?")
    room.at += 100
    ear.look()
    assert room.told == [CallerSaid(at=0.0, text="Hello?")]


def test_a_turn_of_which_nothing_is_written_down_was_not_understood_and_is_told_once():
    room = Room()
    ear = listening(room)
    ear.caller_began()
    ear.caller_ended()
    room.at = UNDERSTOOD_SECONDS
    ear.look()
    assert room.told == []
    for _ in range(3):
        room.at += 1
        ear.look()
    assert [type(event) for event in room.told] == [CallerSaid]
    assert room.told[0] == CallerSaid(at=UNDERSTOOD_SECONDS + 1, text="")


@pytest.mark.parametrize("who", ["caller", "bot"])
def test_a_line_on_which_somebody_speaks_is_not_silent(who: str):
    room = Room()
    ear = listening(room, 10.0)
    if who == "caller":
        ear.caller_began()
    room.sound = who == "bot"
    for _ in range(30):
        room.at += 1
        ear.look()
    assert room.told == []
    room.sound = False
    ear.caller_ended()
    ear.understood("")
    for _ in range(15):
        room.at += 1
        ear.look()
    assert [type(event) for event in room.told if isinstance(event, LineSilent)] == [LineSilent]


def test_where_nothing_is_said_about_silence_it_may_last():
    room = Room()
    ear = listening(room)
    room.at = 10_000
    ear.look()
    assert room.told == []
