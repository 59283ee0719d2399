"""What the record of calls gives and takes: a call as its row has it, lines of its journal and of its transcript."""

import json
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import TypeAdapter, ValidationError

from bot.call import Call
from bot.events import Event
from bot.law import EVENTS
from bot.notices import Notice

Role = Literal["caller", "bot", "tool"]
"""Who said a line of the transcript."""

CALL = TypeAdapter(Call)
"""A call as JSON and back."""

_EVENTS: dict[str, TypeAdapter[Event]] = {kind.__name__: TypeAdapter(kind) for kind in EVENTS}


class LedgerError(Exception):
    """The record could not be read or written; calls go on without it. Its text holds no data of a call."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a call's journal: a fact, or an order that the session gave."""

    at: float
    """Unix seconds."""

    event: str
    """The event's name, e.g. `GoodbyeHeard`; for an order, the order's."""

    data: dict[str, Any]
    """The event's other fields, as JSON."""

    phase: str
    """Who had the caller afterwards."""

    changed: bool
    """The call is another one since: the entry was written by `add` or `save`, not by `note`."""

    late: bool = False
    """It was written after an outage, and meanwhile another process had gone on with the call: the row does not
    know of it."""

    notices: tuple[Notice, ...] = ()
    """What is to be told to the operator's own systems, written with it."""

    @classmethod
    def of(cls, event: Event, call_after: Call, changed: bool, told: tuple[Notice, ...] = ()) -> Self:
        """The entry of an event and what it led to."""
        name = type(event).__name__
        data = _EVENTS[name].dump_python(event, mode="json", exclude={"at"})
        return cls(event.at, name, data, call_after.phase, changed, notices=told)


def event_from(entry: Entry) -> Event | None:
    """The event that an entry tells of; None where it tells of something else, such as an order.

    The events of the entries that changed the call, in the journal's order, lead from the first `Call` to the stored
    one. The other entries need not stand at their place: two processes may have told of them.

    Raises:
        LedgerError: The entry has not the fields of its event.
    """
    adapter = _EVENTS.get(entry.event)
    try:
        return adapter.validate_python({**entry.data, "at": entry.at}) if adapter else None
    except ValidationError as error:
        raise LedgerError(f"the journal's {entry.event} cannot be read") from error


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a call's transcript."""

    leg: int
    """Which media stream of the call it was said on, from 1."""

    at: float
    """Unix seconds."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class Stored:
    """A call as its row has it."""

    call: Call
    version: int
    """How many steps the row has seen, from 1. `save` wants it back."""

    conversation: list[dict[str, Any]] | None = None
    """The messages with which the call's next pipeline goes on."""


@dataclass(frozen=True, slots=True)
class Record:
    """Everything that is kept of a call."""

    stored: Stored
    journal: list[Entry]
    """In the order of writing."""

    transcript: list[Line]
    """In the order of speaking: a caller's words are written down after the bot has begun to answer."""


OUTAGE = "outage"
"""The name of the outage switch."""


@dataclass(frozen=True, slots=True)
class Switch:
    """Something that an operator turned on or off, for all processes."""

    on: bool
    reason: str
    at: float
    """When it was turned. Unix seconds."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What all processes' calls are at now."""

    switch: Switch | None
    """As it was last turned; None when it never was."""

    with_bot: int
    """Calls that are with a bot, or on the way to one; 0 where it was not asked for."""

    of_caller: int
    """Calls that the caller began; 0 where it was not asked for."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Something that is to be told, as the outbox has it."""

    uid: str
    """What a receiver knows a repetition by."""

    call_sid: str
    type: str
    at: float
    """When it happened. Unix seconds."""

    data: dict[str, Any]
    tries: int
    """How often it was sent in vain."""


def encodable(text: str) -> str:
    """The text without halves of surrogate pairs, which no encoding takes."""
    return text.encode("utf-8", "replace").decode()


def to_json(value: Any) -> str:
    """JSON on one line, as the database and the spool keep it.

    Raises:
        TypeError: The value is not JSON.
    """
    return encodable(json.dumps(value, ensure_ascii=False))
