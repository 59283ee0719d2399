"""OpenAI's Chat Completions: a request that is checked, and its answer as a stream of chunks.

The order of the chunks, and what is refused, is the documented one (OpenAI: Chat Completions, streaming).
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from openai.types.chat import ChatCompletionChunk
from openai.types.chat.completion_create_params import CompletionCreateParamsBase

from sandbox.brain import Call, Fault, FaultKind, Reply, Say, Turn, Why
from sandbox.conversation import new_id
from sandbox.view import Json, SessionView
from sandbox.wire import Refused

PARAMETERS = {*CompletionCreateParamsBase.__annotations__, "stream"}
NOT_SIMULATED = (
    "audio",
    "functions",
    "function_call",
    "web_search_options",
    "prediction",
    "logprobs",
    "response_format",
)

ROLES = ("developer", "system", "user", "assistant", "tool")

WORD_SECONDS = 0.005
"""From one chunk of text to the next."""


def read_request(body: Any, opened_at: float) -> SessionView:
    """The conversation that a request brings, as brains see one.

    Args:
        body: The request's JSON.
        opened_at: Seconds on the journal's clock.

    Raises:
        Refused: The service would not take it.
    """
    if not isinstance(body, dict):
        raise Refused("invalid_json", "The body is not a JSON object.")
    for name in body:
        if name not in PARAMETERS:
            raise Refused("unknown_parameter", f"Unknown parameter: '{name}'.", param=name)
    for name in NOT_SIMULATED:
        if body.get(name) is not None:
            raise Refused("not_simulated", f"The sandbox has no completions with '{name}'.", param=name)
    if not isinstance(body.get("model"), str) or not body["model"]:
        raise Refused("missing_model", "You must provide a model parameter.", param="model")
    if body.get("stream") is not True or body.get("n", 1) != 1:
        raise Refused("not_simulated", "The sandbox has completions as one stream alone.", param="stream")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Refused("missing_required_parameter", "Missing required parameter: 'messages'.", param="messages")
    tools = [_tool(tool, f"tools[{n}]") for n, tool in enumerate(body.get("tools") or [])]
    view = SessionView(new_id("chatcmpl"), opened_at, {**body, "instructions": None, "tools": tools})
    pending: dict[str, str] = {}
    for n, message in enumerate(messages):
        place = f"messages.[{n}]"
        _check_order(message, place, pending)
        view.items += _items(message, place)
    if pending:
        raise _unanswered(f"messages.[{len(messages) - 1}]", pending)
    first = messages[0]
    if first["role"] in ("system", "developer"):
        view.config["instructions"] = _text(first.get("content"), "messages.[0]")
        view.items = view.items[1:]
    return view


def _tool(tool: Any, place: str) -> Json:
    function = tool.get("function") if isinstance(tool, dict) else None
    if not isinstance(function, dict) or tool.get("type") != "function" or not function.get("name"):
        raise Refused("invalid_type", f"Invalid '{place}': a named function is expected.", param=place)
    return {"type": "function", **function}


def _check_order(message: Any, place: str, pending: dict[str, str]) -> None:
    """Calls of functions are answered before anything else is said."""
    role = message.get("role") if isinstance(message, dict) else None
    if role not in ROLES:
        raise Refused(
            "invalid_value", f"Invalid value: '{role}'. Supported values are: {ROLES}.", param=f"{place}.role"
        )
    if role == "tool":
        if pending.pop(str(message.get("tool_call_id")), None) is None:
            what = "messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."
            raise Refused("invalid_value", f"Invalid parameter: {what}", param=f"{place}.role")
    elif pending:
        raise _unanswered(place, pending)
    pending.update({call["id"]: call["function"]["name"] for call in message.get("tool_calls") or ()})


def _unanswered(place: str, pending: dict[str, str]) -> Refused:
    what = "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'."
    return Refused(
        "invalid_value", f"{what} The following did not have response messages: {list(pending)}", param=place
    )


def _items(message: Json, place: str) -> list[Json]:
    """A message as the items of a Realtime conversation, which brains and checks know."""
    role = message["role"]
    text = _text(message.get("content"), place) if message.get("content") is not None else ""
    if role == "tool":
        return [{"type": "function_call_output", "call_id": message["tool_call_id"], "output": text}]
    kind = "output_text" if role == "assistant" else "input_text"
    said = [{"type": "message", "role": role, "content": [{"type": kind, "text": text}]}] if text else []
    if not said and not message.get("tool_calls"):
        raise Refused("invalid_value", f"Invalid value for 'content': expected a text, got {text!r}.", param=place)
    calls = [
        {
            "type": "function_call",
            "call_id": call["id"],
            "name": call["function"]["name"],
            "arguments": call["function"]["arguments"],
        }
        for call in message.get("tool_calls") or ()
    ]
    return [*said, *calls]


def _text(content: Any, place: str) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    if not parts or any(not isinstance(part, dict) or part.get("type") != "text" for part in parts):
        raise Refused("invalid_type", "The sandbox reads text alone.", param=f"{place}.content")
    return "\n".join(part["text"] for part in parts)


def turn_of(view: SessionView) -> Turn:
    """What the last message asks for."""
    last = view.items[-1] if view.items else {}
    text = last["content"][0]["text"] if last.get("type") == "message" else ""
    why: Why = "prompt"
    if last.get("type") == "function_call_output":
        why = "tool_result"
    elif last.get("role") == "user":
        why = "speech"
    elif not any(item.get("role") == "assistant" for item in view.items):
        why = "greeting"
    return Turn(why, text if why == "speech" else "", text if why != "speech" else "", view)


class Completion:
    """One answer, as the lines of an event stream."""

    def __init__(
        self,
        view: SessionView,
        *,
        send: Callable[[bytes], Awaitable[None]],
        fault: Callable[[FaultKind], Awaitable[None]],
        note: Callable[..., None],
        created: int,
        with_usage: bool,
    ) -> None:
        """Prepare it.

        Args:
            view: The conversation so far.
            send: Sends a piece of the stream.
            fault: Breaks the connection; returns where the answer goes on.
            note: Writes into the journal.
            created: Unix seconds.
            with_usage: Whether the client asked for the tokens used.
        """
        self._view = view
        self._send = send
        self._fault = fault
        self._note = note
        self._created = created
        self._with_usage = with_usage
        self._calls = 0
        self._said = ""

    async def perform(self, reply: Reply) -> None:
        """Send the reply to its end."""
        if not isinstance(next(iter(reply), None), Fault):  # what breaks at once breaks before anything is sent
            await self._delta({"role": "assistant", "content": ""})
        for part in reply:
            match part:
                case Say():
                    await asyncio.sleep(part.pause)
                    await self._say(part.text)
                case Call():
                    for _ in range(part.repeat):
                        await self._call(part)
                    await asyncio.sleep(part.pause_after)
                case Fault():
                    await self._fault(part.kind)
        await self._delta({}, finish="tool_calls" if self._calls else "stop")
        if self._with_usage:
            await self._chunk([], usage=self._usage())
        await self._send(b"data: [DONE]\n\n")
        self._note("response done", status="completed", reason=None, text=self._said)

    async def _say(self, text: str) -> None:
        self._note("says", text=text)
        words = text.split(" ")
        for n, word in enumerate(words):
            piece = word if n == 0 and not self._said else f" {word}"
            self._said += piece
            await self._delta({"content": piece})
            await asyncio.sleep(WORD_SECONDS)

    async def _call(self, call: Call) -> None:
        arguments = call.arguments if isinstance(call.arguments, str) else json.dumps(dict(call.arguments))
        call_id, index = new_id("call"), self._calls
        self._calls += 1
        self._note("calls", name=call.name, arguments=call.arguments, call_id=call_id)
        head = {"index": index, "id": call_id, "type": "function", "function": {"name": call.name, "arguments": ""}}
        await self._delta({"tool_calls": [head]})
        half = len(arguments) // 2
        for piece in (arguments[:half], arguments[half:]):
            await self._delta({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})

    async def _delta(self, delta: Json, finish: str | None = None) -> None:
        await self._chunk([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}])

    async def _chunk(self, choices: list[Json], usage: Json | None = None) -> None:
        chunk = {
            "id": self._view.id,
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": self._view.config["model"],
            "service_tier": "default",
            "choices": choices,
            "usage": usage,
        }
        ChatCompletionChunk.model_validate(chunk)
        await self._send(f"data: {json.dumps(chunk)}\n\n".encode())

    def _usage(self) -> Json:
        """A token for four characters."""
        told, said = len(self._view.instructions + self._view.text) // 4, len(self._said) // 4
        return {"prompt_tokens": told, "completion_tokens": said, "total_tokens": told + said}
