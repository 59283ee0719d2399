"""People whose phones are rung."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Behaviour = Literal["answer", "busy", "no_answer", "voicemail", "decline", "hang_up", "reject", "failed"]

REACTION_SECONDS = 0.4
"""How long a person, or their mailbox, takes to do the next thing."""


@dataclass(frozen=True, slots=True)
class Person:
    """How somebody behaves when their phone rings."""

    behaviour: Behaviour = "answer"
    """`answer`: takes the phone. `busy`: is on another call. `no_answer`: lets it ring. `voicemail`: a mailbox takes
    the phone. `decline`: takes the phone, but refuses the call with the digit 2 when asked. `hang_up`: takes the phone
    and hangs up when asked. `reject`: presses the red button, which the network reports as busy. `failed`: the number
    cannot be reached."""

    after: float = 1.0
    """How long it rings before they act. Seconds."""

    digits: str = "1"
    """What somebody who answers presses when a whisper asks for keys; empty for nothing."""

    hangs_up_after: float | None = None
    """How long they stay on the line, from when they are connected. Seconds; None for ever."""

    stars: int = 0
    """How many stars they press, once, while they have the caller in a conference."""

    stars_after: float = 0.5
    """How long after they were connected. Seconds."""

    says: str = "Hello, this is the front desk. How can I help you?"
    """What they say once they are connected; for a mailbox, its greeting."""

    @property
    def rings(self) -> bool:
        """Whether their phone rings at all."""
        return self.behaviour not in ("busy", "failed")

    async def act(self) -> "Person":
        """Let the phone ring until they do what they do. Returns how they behave then."""
        if self.behaviour == "no_answer":
            await asyncio.Event().wait()
        await asyncio.sleep(self.after)
        return self

    @property
    def is_machine(self) -> bool:
        """Whether it is not a person who answers."""
        return self.behaviour == "voicemail"

    @property
    def keys(self) -> str:
        """What they press when a whisper asks for keys."""
        match self.behaviour:
            case "decline":
                return "2"
            case "voicemail" | "hang_up":
                return ""
            case _:
                return self.digits


People = Mapping[str, Person | Sequence[Person]]
"""By number: how they behave; in a list, attempt by attempt, and the last behaviour stays."""


def behaviour(people: People, number: str, attempt: int) -> Person | None:
    """How this number behaves at this attempt; None when there is no such number.

    Args:
        people: Everybody.
        number: E.164.
        attempt: How often it was rung before.
    """
    found = people.get(number)
    if found is None or isinstance(found, Person):
        return found
    return found[min(attempt, len(found) - 1)]
