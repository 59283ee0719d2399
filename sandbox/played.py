"""People who are played by whoever sits at the terminal: their phone rings until a key says what they do."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from sandbox.people import Behaviour, Person


@dataclass(frozen=True, slots=True)
class PlayedPerson(Person):
    """Somebody whose behaviour is decided while their phone rings."""

    number: str = ""
    decided: asyncio.Queue[Person] = field(default_factory=asyncio.Queue[Person])

    async def act(self) -> Person:
        """See `Person`."""
        return await (await self.decided.get()).act()

    def decide(self, behaviour: Behaviour) -> None:
        """They do this, at once. Whoever takes the phone presses keys and hangs up when told so, not before."""
        self.decided.put_nowait(Person(behaviour, after=0.0, digits=""))


class Everybody(Mapping[str, Person]):
    """Every number there is has somebody to be played behind it."""

    def __init__(self, rings: Callable[[PlayedPerson], None]) -> None:
        """Args: rings: told of each person who is about to be rung."""
        self._rings = rings

    def get(self, number: str, default: object = None) -> Person:
        """Somebody new for each attempt."""
        person = PlayedPerson(number=number)
        self._rings(person)
        return person

    def __getitem__(self, number: str) -> Person:
        return self.get(number)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0
