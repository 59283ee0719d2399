"""A queue in which callers wait for people, as the operator has written it down. Pure."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.routing import Endpoint

_PREFIX = "queue:"
"""How an address begins that is a queue and nobody's telephone."""


class Leave(StrEnum):
    """What a caller gets who presses the key and waits no longer."""

    VOICEMAIL = "voicemail"
    """The recorder."""

    CALLBACK = "callback"
    """The bot, which has them called back."""

    BOT = "bot"
    """The bot, which asks what else it can do."""


@dataclass(frozen=True, slots=True)
class Queue:
    """Where callers wait, and what they hear meanwhile."""

    name: str = ""
    """As Twilio calls it, for all callers and people of it. Empty where a workflow decides."""

    workflow: str = ""
    """The SID of a workflow of TaskRouter's, which finds the people itself. Empty for none."""

    max_wait: int = 600
    """How long a caller waits at most. Seconds."""

    announce_every: int = 30
    """How often they hear where they are in the queue. Seconds."""

    music: str = ""
    """The address of what they hear meanwhile; empty for our own music, which is as long as it has to be."""

    language: str = "en"
    """In which language they hear it."""

    leave_key: str = "*"
    """The key with which they leave; empty for none."""

    leave: Leave = Leave.VOICEMAIL
    people: "tuple[Endpoint, ...]" = ()
    """Who takes calls from it: they may call in, or be called to take the next one."""

    attributes: dict[str, str] = field(default_factory=dict[str, str])
    """What else a workflow is told of each caller."""

    @property
    def address(self) -> str:
        """It in the place of a telephone's address."""
        return f"{_PREFIX}{self.name or self.workflow}"


def is_queue(address: str) -> bool:
    """Whether an attempt's address is a queue."""
    return address.startswith(_PREFIX)
