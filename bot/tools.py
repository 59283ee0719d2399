"""The tools with which the model steers the call itself: hand off, take a message, end the call.

Their handlers only answer the model, at once and without making it speak again. What they lead to is the processor's
doing: a handler is cancelled when the caller makes a sound, and a caller who says "thanks" must not undo a hand-off.
"""

from collections.abc import Mapping
from typing import Any

from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.frames.frames import FunctionCallResultProperties
from pipecat.services.llm_service import FunctionCallParams

from bot.events import CallbackAsked, ChangeAsked, Event, FarewellRequested, HandoffRequested
from bot.hours import DAYS
from bot.numbers import digits
from bot.phrases import LANGUAGES
from bot.routing import Mode, Policy, Target
from pipelines.changes import Change

HAND_OFF = "hand_off"
TAKE_MESSAGE = "take_message"
END_CALL = "end_call"
CHANGE = "change"
SCHEDULE_CALLBACK = "schedule_callback"
CALL_TOOLS = (HAND_OFF, TAKE_MESSAGE, SCHEDULE_CALLBACK, END_CALL, CHANGE)

LONGEST_REASON = 300
LONGEST_SUMMARY = 1500
LONGEST_INTRODUCTION = 600
"""Characters that we keep of the model's texts."""


_STAYING = (
    " Where a target says `you stay`, do not say goodbye: say in a few words that you are looking for somebody, and go "
    "on helping; you will be told when somebody takes the call, and when nobody does."
)


def _described(target: Target) -> str:
    stays = " (you stay)" if target.mode.bot_stays else ""
    stays = " (you stay, and introduce both)" if target.mode is Mode.INTRODUCE else stays
    language = LANGUAGES[target.language].name
    written = f" (reason and summary in {language})" if target.language != "en" else ""
    return f"{target.key}{stays}{written}: {target.description}"


def call_tools(policy: Policy) -> list[FunctionSchema]:
    """The tools, with the policy's targets as the only destinations there are."""
    targets = [target for target in policy.targets.values() if target.offered]
    destinations = "; ".join(_described(target) for target in targets)
    people = [person for target in targets for person in target.people]
    languages = sorted({language for person in people for language in person.languages})
    skills = sorted({skill for person in people for skill in person.skills})
    wanted: dict[str, Any] = {}
    if languages:
        wanted["language"] = {
            "type": "string",
            "enum": languages,
            "description": "What the caller speaks.",
        }
    if skills:
        wanted["skill"] = {"type": "string", "enum": skills, "description": "What the person should know about."}
    if any(target.mode is Mode.INTRODUCE for target in targets):
        wanted["introduction"] = {
            "type": "string",
            "description": (
                "Where a target says `introduce both`: what the caller and the person hear from you when they are "
                "together, in the language of the summary: one or two sentences to both, who each is and what it is "
                "about. Nothing that either of them should not hear."
            ),
        }
    return [
        FunctionSchema(
            name=HAND_OFF,
            description=(
                "Put the caller through to a person. Say one short goodbye sentence first, in the same "
                "answer, then call this. Call it once; the call leaves you when the sentence has been heard."
                f"{_STAYING if any(t.mode.bot_stays for t in targets) else ''}"
            ),
            properties={
                "target": {
                    "type": "string",
                    "enum": [target.key for target in targets],
                    "description": f"Where to. {destinations}",
                },
                "reason": {"type": "string", "description": "Why the caller wants a person, in a few words."},
                "summary": {
                    "type": "string",
                    "description": (
                        "What the person should know before saying hello, and what was tried: one to three sentences."
                    ),
                },
                **wanted,
            },
            required=["target", "reason", "summary"],
            handler=_answer_hand_off(policy),
        ),
        FunctionSchema(
            name=TAKE_MESSAGE,
            description=(
                "Connect the caller with the recorder so that they can leave a message. Say one short sentence first, "
                "in the same answer."
            ),
            properties={"reason": {"type": "string", "description": "What the message is about, in a few words."}},
            required=["reason"],
            handler=answering("The recorder takes over. Say nothing more."),
        ),
        *_callback_tool(policy, destinations),
        FunctionSchema(
            name=END_CALL,
            description=(
                "Hang up, when the caller has said that there is nothing more. Say one short goodbye first, in "
                "the same answer."
            ),
            properties={},
            required=[],
            handler=answering("The call ends when your goodbye has been heard. Say nothing more."),
        ),
    ]


def _callback_tool(policy: Policy, destinations: str) -> list[FunctionSchema]:
    """The tool that books a callback; none where callers are not called back."""
    if policy.callback is None:
        return []
    targets: dict[str, Any] = {}
    if policy.callback.target is None:
        keys = [target.key for target in policy.targets.values() if target.offered]
        targets["target"] = {"type": "string", "enum": keys, "description": f"Who shall call. {destinations}"}
    return [
        FunctionSchema(
            name=SCHEDULE_CALLBACK,
            description=(
                "Have a person call the caller back. Offer it when nobody takes the call or nobody is there. First "
                "read the number back to them, digit by digit, and ask whether it is right. For another number than "
                "the one they call from, ask them to type it: the star key, the number, then the hash key; you are "
                "told what they have typed. You are told whether it is booked."
            ),
            properties={
                "confirmed": {"type": "boolean", "description": "Whether they have said that the number is right."},
                "number": {
                    "type": "string",
                    "description": "The number that they have typed, with + and country code; leave it out for the "
                    "one they call from.",
                },
                "day": {
                    "type": "string",
                    "enum": ["today", "tomorrow", *DAYS],
                    "description": "The day that they want; leave it out for as soon as possible.",
                },
                "time": {"type": "string", "description": "Not before this time of the day, e.g. `15:30`."},
                "reason": {"type": "string", "description": "What it is about, in a few words."},
                "summary": {
                    "type": "string",
                    "description": "What the person should know before they call: one to three sentences.",
                },
                **targets,
            },
            required=["confirmed", "reason", "summary"],
            handler=answering("It is being booked. Say nothing until you are told how that went."),
        )
    ]


def change_tool(changes: Mapping[str, Change]) -> list[FunctionSchema]:
    """The tool for what a pipeline lets the model change in mid-call; none where that is nothing."""
    if not changes:
        return []
    when = "; ".join(f"{name}: {change.when}" for name, change in changes.items())
    return [
        FunctionSchema(
            name=CHANGE,
            description="Go on in another language or in another way. Say nothing before it; you are asked to go on.",
            properties={"to": {"type": "string", "enum": list(changes), "description": f"When to what. {when}"}},
            required=["to"],
            handler=answering("It is being changed. You are asked to go on in a moment."),
        )
    ]


def requested(name: str, arguments: Mapping[str, Any], at: float) -> Event | None:
    """What a function call of the model asks for; None when it is not one of these tools.

    The arguments are the model's and can hold anything; an unknown target becomes the default one in `bot/law.py`.
    """
    match name:
        case "hand_off":
            return HandoffRequested(
                at=at,
                target=text_of(arguments, "target", LONGEST_REASON),
                reason=text_of(arguments, "reason", LONGEST_REASON),
                summary=text_of(arguments, "summary", LONGEST_SUMMARY),
                wants=tuple(filter(None, (text_of(arguments, key, 40) for key in ("language", "skill")))),
                introduction=text_of(arguments, "introduction", LONGEST_INTRODUCTION),
            )
        case "take_message":
            return HandoffRequested(at=at, target=None, reason=text_of(arguments, "reason", LONGEST_REASON))
        case "schedule_callback":
            return CallbackAsked(
                at=at,
                number=digits(text_of(arguments, "number", 40)),
                target=text_of(arguments, "target", LONGEST_REASON),
                reason=text_of(arguments, "reason", LONGEST_REASON),
                summary=text_of(arguments, "summary", LONGEST_SUMMARY),
                day=text_of(arguments, "day", 20),
                clock=text_of(arguments, "time", 20),
                confirmed=arguments.get("confirmed") is True,
            )
        case "end_call":
            return FarewellRequested(at=at)
        case "change":
            return ChangeAsked(at=at, change=text_of(arguments, "to", LONGEST_REASON))
        case _:
            return None


def text_of(arguments: Mapping[str, Any], key: str, limit: int) -> str:
    """A text among the arguments, of limited length; empty where it is none."""
    value = arguments.get(key)
    return value[:limit] if isinstance(value, str) else ""


def _answer_hand_off(policy: Policy) -> Any:
    async def handler(params: FunctionCallParams) -> None:
        asked = params.arguments.get("target") if isinstance(params.arguments, Mapping) else None
        target = policy.targets.get(asked) if isinstance(asked, str) else None
        stays = (target or policy.targets[policy.default]).mode.bot_stays
        words = (
            "Somebody is being called. The caller stays with you: go on helping, do not say goodbye, and do not call "
            "this again. You will be told how it goes."
            if stays
            else "The caller is being put through. Say nothing more."
        )
        await params.result_callback({"status": words}, properties=FunctionCallResultProperties(run_llm=False))

    return handler


def answering(words: str) -> Any:
    """A handler that tells the model this, at once and without making it speak again."""

    async def handler(params: FunctionCallParams) -> None:
        properties = FunctionCallResultProperties(run_llm=False)
        await params.result_callback({"status": words}, properties=properties)

    return handler
