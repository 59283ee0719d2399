"""Stories: what a caller says and does, what the model replies, how people behave, and what must then be true.

A story's script is one list, in the order in which things happen. `bot` steps are the model's replies, taken one
after the other, across every session of the call; all other steps are the caller's.
"""

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from sandbox.brain import FaultKind
from sandbox.people import Person

FOLDER = Path(__file__).parent / "stories"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Act(_Strict):
    """One part of a reply of the model."""

    say: str | None = None
    call: str | None = None
    """A function's name."""

    arguments: dict[str, Any] = Field(default={}, alias="with")
    repeat: int = 1
    """How many times the same function call stands in the reply."""

    fault: FaultKind | None = None
    """A fault of the model's instead of speech; see `sandbox.brain.Fault`."""


class Step(_Strict):
    """One step of the script: exactly one of `bot`, `caller`, `press`, `hang_up`, `takes`, `raw`."""

    bot: str | list[Act] | None = None
    caller: str | None = None
    """What the caller says."""

    press: str | None = None
    """A key."""

    hang_up: Literal[True] | None = None
    takes: str | None = None
    """Somebody calls in from this number, one of the people's, to take the first caller out of the queue."""

    raw: list[str] | None = None
    """Hostile messages, sent on the media socket as they are."""

    when: str | None = None
    """The caller waits for this note of their call's journal first; by default for the bot to fall silent."""

    after: float = 0.0
    """And then so long. Seconds."""


class Attempt(_Strict):
    """One attempt, as the record must tell it."""

    number: str
    outcome: str


class Then(_Strict):
    """What must be true when the call has ended."""

    end: str
    attempts: list[Attempt] = []
    redirects: int
    """How many orders Twilio's REST got that move the call."""

    hang_ups: int = 0
    sessions: int = 1
    """How many model sessions the call had."""

    knows: list[str] = []
    """Texts that the last model session has in its conversation."""

    tools: list[str] = []
    """Functions whose results the model got, in order."""

    announced: list[str] = []
    """What the caller and the person heard when they were together, each once."""

    says: list[str] = []
    """Lines that the bot must have said, by the record's transcript."""

    recorded: list[str] | None = None
    """Which parts of the call can be heard afterwards, in order: `bot`, `person`. Not said: it does not matter."""

    bridged_to: str | None = None
    """Whom the caller was with at last."""

    dead_air: float = 5.0
    """The longest silence that the caller may hear. Seconds."""

    without_goodbye: bool = False
    """Whether a redirect does not follow a goodbye, as when the model is gone."""

    warnings: bool = False
    """Whether Twilio may have warned of what we sent."""


class Story(_Strict):
    """One call."""

    title: str
    caller: str = "+442079460123"
    """Who calls; or, where the bot calls, whom."""

    outbound: bool = False
    """The bot calls. How the callee takes the phone stands among the people; then they do what a caller does."""

    script: list[Step]
    consult: list[Step] = []
    """What is said on the stream of a person who talks with the bot before they take the call: as in `script`, and the
    person in the caller's place."""

    people: dict[str, list[Person]] = {}
    """By number: how the person behaves, attempt by attempt; the last behaviour stays."""

    then: Then


def load(name: str) -> Story:
    """A story by its name.

    Raises:
        FileNotFoundError: There is no such story.
        ValueError: It is not a story.
    """
    return Story.model_validate(yaml.safe_load((FOLDER / f"{name}.yaml").read_text()))


def names() -> list[str]:
    """Every story there is, the main one first."""
    found = sorted(path.stem for path in FOLDER.glob("*.yaml"))
    return sorted(found, key=lambda name: name != "put_through")
