"""The tools of a bot that talks with a person about their caller: connect, decline, take a message."""

from collections.abc import Mapping
from typing import Any

from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema

from bot.events import Event, PersonAccepted, PersonDeclined
from bot.tools import LONGEST_REASON, answering, text_of

LONGEST_MESSAGE = 600
"""Characters that we keep of what the caller is to be told."""

CONSULTING_TOOLS = ToolsSchema(
    [
        FunctionSchema(
            name="connect_caller",
            description="The person takes the call. Say one short sentence first, in the same answer.",
            properties={},
            required=[],
            handler=answering("The caller is being brought to them. Say nothing more."),
        ),
        FunctionSchema(
            name="decline",
            description="The person does not take the call. Say one short sentence first, in the same answer.",
            properties={"reason": {"type": "string", "description": "Why not, in a few words, as they said it."}},
            required=["reason"],
            handler=answering("Their line ends now. Say nothing more."),
        ),
        FunctionSchema(
            name="take_message",
            description=(
                "The person does not take the call, and the caller is to be told something. Read it back to them first "
                "if it is long; say one short sentence in the same answer."
            ),
            properties={"text": {"type": "string", "description": "What the caller is to be told, to them."}},
            required=["text"],
            handler=answering("The caller will be told. Their line ends now. Say nothing more."),
        ),
    ]
)


def decided(name: str, arguments: Mapping[str, Any], attempt: int, at: float) -> Event | None:
    """What a function call of the model says that the person has decided; None when it is not one of these tools."""
    match name:
        case "connect_caller":
            return PersonAccepted(at=at, attempt=attempt)
        case "decline":
            reason = text_of(arguments, "reason", LONGEST_REASON)
            return PersonDeclined(at=at, attempt=attempt, reason=reason)
        case "take_message":
            message = text_of(arguments, "text", LONGEST_MESSAGE)
            return PersonDeclined(at=at, attempt=attempt, message=message)
        case _:
            return None


def pressed(key: str, attempt: int, at: float) -> Event | None:
    """What a key of the person's telephone says that they have decided; None for one that says nothing."""
    match key:
        case "1":
            return PersonAccepted(at=at, attempt=attempt)
        case "2":
            return PersonDeclined(at=at, attempt=attempt)
        case _:
            return None
