"""What one session of the model has seen and done: brains answer from it, tests check it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sandbox.hum import Hum

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ClientEvent:
    """One event that the client sent."""

    at: float
    """Seconds on the journal's clock."""

    type: str

    payload: Json
    """The event as it came; audio is replaced by its length in characters."""


@dataclass(slots=True)
class SessionView:
    """One session of the model, while it runs and afterwards."""

    id: str
    opened_at: float
    """Seconds on the journal's clock."""

    config: Json
    """The session as `session.updated` tells it."""

    items: list[Json] = field(default_factory=list)
    """The conversation as the model has it."""

    client_events: list[ClientEvent] = field(default_factory=list)
    errors: list[Json] = field(default_factory=list)
    """The `error` of every error event that was sent."""

    truncations: list[tuple[str, int, int]] = field(default_factory=list)
    """Item, content index, and the milliseconds that the client says were heard."""

    audio_ms_received: float = 0.0
    response_count: int = 0
    """How many responses were started."""

    hum: Hum | None = None
    """The hum of the line, once it was recognised."""

    closed: bool = False

    @property
    def instructions(self) -> str:
        """What the model is told about its job."""
        return self.config["instructions"] or ""

    @property
    def tools(self) -> list[Json]:
        """The functions that the model may call, as the client declared them."""
        return self.config["tools"]

    @property
    def text(self) -> str:
        """Everything in the conversation that is text, in order: what was said, called, answered and instructed."""
        return "\n".join(text for item in self.items for text in texts(item))

    def sent(self, type: str) -> list[ClientEvent]:
        """The client's events of one type, in order."""
        return [event for event in self.client_events if event.type == type]


def texts(item: Json) -> Iterator[str]:
    """The texts of one item of a conversation."""
    for part in item.get("content", ()):
        yield from (part[key] for key in ("text", "transcript") if part.get(key))
    yield from (item[key] for key in ("name", "arguments", "output") if item.get(key))
