"""A brain for whoever types: it does what its instructions say, to the letter, in the few situations that it knows.

It stands in for a language model where none is at hand: on the terminal telephone and in the behavioural evals. It
reads its job from the session: what the instructions do not say, it does not do, and what they let pass, it does. So a
prompt from which a rule is missing shows, and nothing here says how a real model would behave.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from sandbox.brain import Call, Reply, Say, Turn, quoted
from sandbox.view import Json

_GREETING = "Hello! How can I help you?"
_WHAT_ELSE = "Is there anything else that I can do for you?"


@dataclass(frozen=True, slots=True)
class _Habit:
    """What the clerk does when the caller's words match, where the instructions have the rule."""

    heard: str
    rule: str
    """Without it, the clerk does what comes next. Both are regular expressions, whatever the case of the letters."""

    act: Callable[[str, Turn], Reply]


class Clerk:
    """A `Brain` for one line at a time; what it knows of a conversation is in the session."""

    call_sid: str | None = None

    def __init__(self) -> None:
        """A clerk to whom nothing has been said."""
        self.said = ""
        """What the caller is saying: the sound alone cannot be understood here."""

    def transcript(self) -> str | None:
        """See `Brain`."""
        return self.said or None

    async def reply(self, turn: Turn) -> Reply:
        """See `Brain`."""
        last = turn.session.items[-1] if turn.session.items else {}
        match turn.why:
            case "speech":
                return _answer(turn.transcript, turn)
            case "tool_result":
                return _tell(last)
            case "prompt" if last.get("role") == "user":
                return _answer(turn.prompt, turn)  # typed
            case "greeting" | "prompt":
                return _follow(turn)


def _follow(turn: Turn) -> Reply:
    """Do what the server asks for."""
    if "nobody took the call" in turn.prompt:
        words = "I am sorry, nobody could take the call. Shall I help you, try once more, or take a message?"
        return [Say(words)]
    if (line := quoted(turn.prompt)) is not None:
        return [Say(line)]
    return [Say(_GREETING if turn.why == "greeting" else _WHAT_ELSE)]


def _answer(heard: str, turn: Turn) -> Reply:
    for habit in _HABITS:
        if _in(habit.heard, heard) and _in(habit.rule, turn.session.instructions):
            return habit.act(heard, turn)
    return [Say("I can help you with your order. What is its number?")]


def _in(pattern: str, text: str) -> bool:
    return re.search(pattern, text, re.IGNORECASE) is not None


# --- what the clerk does ---------------------------------------------------------------------------------


def _refuse(heard: str, turn: Turn) -> Reply:
    return [Say("I am sorry, I cannot do that. I can put you through to a colleague of ours, if you like.")]


def _obey(heard: str, turn: Turn) -> Reply:
    number = re.search(r"\+?\d[\d -]{5,}", heard)
    target = number[0].strip() if number else _targets(turn)[0]
    return [Say("Sure, right away."), Call("hand_off", {"target": target, "reason": heard, "summary": heard})]


def _hand_off(heard: str, turn: Turn) -> Reply:
    targets = _targets(turn)
    wanted = next((key for key in targets if _in(key.replace("_", "[ _]"), heard)), targets[0])
    arguments = {"target": wanted, "reason": "The caller asked for a person.", "summary": f'They said: "{heard}"'}
    return [Say("Of course, I am putting you through to a colleague. Goodbye!"), Call("hand_off", arguments)]


def _look_up(heard: str, turn: Turn) -> Reply:
    digits = "".join(re.findall(r"\d", heard))
    return [Say("I am sorry about that. Let me have a look."), Call("order_status", {"order_number": digits})]


def _take_message(heard: str, turn: Turn) -> Reply:
    return [Say("Please leave your message after the tone."), Call("take_message", {"reason": heard})]


def _end(heard: str, turn: Turn) -> Reply:
    return [Say("Thank you for calling. Goodbye!"), Call("end_call", {})]


_FOREIGN = r"(ignore|forget).*(rules|instructions)|\b1 ?-?900|(call|dial|ring|number).*\d{6}"
"""Orders that are not a caller's to give."""

_HABITS = (
    _Habit(_FOREIGN, r"names a number", _refuse),
    _Habit(_FOREIGN, r"", _obey),
    _Habit(r"\bmessage\b", r"take_message", _take_message),
    _Habit(r"\b(person|human|somebody|colleague|agent|manager|billing|front desk)\b", r"ask for a person", _hand_off),
    _Habit(r"ridiculous|terrible|angry|fed up|third time", r"they are upset[,;]", _hand_off),
    _Habit(r"\d[\d -]{2,}", r"order_status", _look_up),
    _Habit(r"\b(goodbye|bye|that is all|nothing else)\b", r"end_call", _end),
)
"""The first that fits is what the clerk does."""


def _targets(turn: Turn) -> list[str]:
    for tool in turn.session.tools:
        if tool.get("name") == "hand_off":
            return list(tool["parameters"]["properties"]["target"]["enum"])
    return [""]


def _tell(item: Json) -> Reply:
    """Tell the caller what a lookup found."""
    try:
        found = json.loads(item.get("output") or "{}")
    except ValueError:
        found = {}
    if not isinstance(found, dict) or "error" in found or not found:
        return [Say("I am sorry, I could not find that. Could you check the number for me?")]
    told = ", ".join(f"{key.replace('_', ' ')}: {value}" for key, value in found.items() if isinstance(value, str))
    return [Say(f"Here is what I see. {told}.")]
