"""What the model says: the protocol that stories speak, and a brain for whoever calls without one."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from sandbox.view import Json, SessionView

Why = Literal["greeting", "speech", "tool_result", "prompt"]

FaultKind = Literal[
    "error_event", "close", "close_1000", "close_1011", "expire", "fatal_error", "abort", "hang", "stall", "unparsable"
]


@dataclass(frozen=True, slots=True)
class Say:
    """The model says something: one message of its own in the conversation."""

    text: str
    pause: float = 0.0
    """Seconds before it."""


@dataclass(frozen=True, slots=True)
class Call:
    """The model calls a function."""

    name: str
    arguments: Mapping[str, Any] | str
    """As a string, it is sent as it is, JSON or not."""

    repeat: int = 1
    """How many times the same call stands in the response, each with a call id of its own."""

    pause_after: float = 0.0
    """Seconds between the call and whatever follows it, the end of the response included."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something breaks instead.

    - `error_event`: a server error; the response fails, the session goes on.
    - `close`, `close_1000`, `close_1011`: the socket is closed without a word, with 1001 or the code that is named.
    - `expire`: an error event says `session_expired`, and the socket is closed with 1001.
    - `fatal_error`: an error event says `insufficient_quota`; the session stays open and gives no more answers.
    - `abort`: the connection is reset.
    - `hang`: the session stays open, and nothing is ever sent again.
    - `stall`: nothing is sent for six seconds, then everything at once.
    - `unparsable`: an event that OpenAI's library knows and Pipecat does not; the response goes on.
    """

    kind: FaultKind


Reply = Sequence[Say | Call | Fault]
"""One response, in order. Empty for an empty response."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The model's turn."""

    why: Why
    """`greeting`: the first `response.create`. `speech`: the caller has spoken. `tool_result`: a function has answered.
    `prompt`: a `response.create` for any other reason, most often behind a system message."""

    transcript: str
    """What the caller said; empty unless they have spoken."""

    prompt: str
    """The text that asks for this response: its own instructions, or the last message; empty where there is none."""

    session: SessionView


class Brain(Protocol):
    """What one line's model thinks. It serves all sessions of that line, one after the other."""

    call_sid: str | None
    """The call, for the journal."""

    def transcript(self) -> str | None:
        """What the caller said in the utterance that has just ended; None where it cannot be transcribed.

        Called once for each utterance.
        """
        ...

    async def reply(self, turn: Turn) -> Reply:
        """What the model does in its turn. Cancelled when the caller interrupts before it is done."""
        ...


class StockBrain:
    """Chats in stock sentences and hands off after the caller's third turn. Keeps nothing, so it serves any session."""

    call_sid: str | None = None

    def transcript(self) -> str:
        """See `Brain`."""
        return "I have a question."

    async def reply(self, turn: Turn) -> Reply:
        """See `Brain`."""
        match turn.why:
            case "greeting":
                return [Say(quoted(turn.prompt) or "Hello! You are talking to a sandbox. How can I help?")]
            case "speech":
                return self._answer(turn)
            case "prompt":
                return [Say(quoted(turn.prompt) or "Is there anything else?")]
            case "tool_result":
                return []

    def _answer(self, turn: Turn) -> Reply:
        heard = sum(item.get("role") == "user" for item in turn.session.items)
        target = _first_target(turn.session.tools)
        if heard < 3 or target is None:
            return [Say(f"You said: {turn.transcript} Please tell me more.")]
        summary = f"The caller said: {turn.transcript}"
        arguments = {"target": target, "reason": "The caller needs a person.", "summary": summary}
        return [Say("I am putting you through to a colleague. Goodbye!"), Call("hand_off", arguments)]


def quoted(prompt: str) -> str | None:
    """The words that a prompt asks for: its last text in double quotes; None where there is none."""
    found = re.findall(r'"([^"]+)"', prompt)
    return found[-1] if found else None


def word_for_word(prompt: str) -> str | None:
    """The line that a prompt asks to be said exactly as it is; None where it asks for none."""
    found = re.search(r'exactly[^"]*"([^"]+)"', prompt)
    return found[1] if found else None


def _first_target(tools: Sequence[Json]) -> str | None:
    for tool in tools:
        if tool.get("name") == "hand_off":
            return tool["parameters"]["properties"]["target"]["enum"][0]
    return None
