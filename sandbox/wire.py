"""The Realtime protocol's messages: client events are parsed strictly, server events are checked before they are sent.

Both use the classes of OpenAI's library. Those let unknown parameters through, which the service refuses; so they are
looked for here.
"""

import json
from collections.abc import Iterator
from typing import Any, get_args

from openai.types.realtime import RealtimeClientEvent, RealtimeServerEvent
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from sandbox.view import Json


class Refused(Exception):
    """A client event that the service does not accept. The session goes on.

    Attributes:
        code: OpenAI's name for the reason.
        param: The parameter, in the service's notation, e.g. `session.tools[0].name`.
        event_id: The client's own id of the event.
    """

    def __init__(self, code: str, message: str, *, param: str | None = None, event_id: str | None = None) -> None:
        """Say why; see the class."""
        super().__init__(message)
        self.code = code
        self.param = param
        self.event_id = event_id


def _by_type(union: Any) -> dict[str, type[BaseModel]]:
    """The classes of one of the library's annotated unions, by the `type` of their event."""
    classes = get_args(get_args(union)[0])
    return {get_args(cls.model_fields["type"].annotation)[0]: cls for cls in classes}


CLIENT_EVENTS = _by_type(RealtimeClientEvent)
SERVER_EVENTS = _by_type(RealtimeServerEvent)


def parse(message: str | bytes) -> Json:
    """Read a client event.

    Returns:
        The event as it was sent, known to fit its class and to hold nothing unknown.

    Raises:
        Refused: It is not such an event.
    """
    try:
        event = json.loads(message) if isinstance(message, str) else None
    except ValueError:
        event = None
    if not isinstance(event, dict):
        raise Refused("invalid_json", "The message is not a JSON object in a text frame.")
    event_id = event.get("event_id")
    if not isinstance(event_id, str):
        event_id = None
    try:
        _check(event)
    except Refused as refused:
        refused.event_id = event_id
        raise
    return event


def checked(event: Json) -> str:
    """The text of a server event.

    Raises:
        pydantic.ValidationError: It does not fit its class.
    """
    SERVER_EVENTS[event["type"]].model_validate(event)
    return json.dumps(event)


def _check(event: Json) -> None:
    if "type" not in event:
        raise Refused("missing_required_parameter", "Missing required parameter: 'type'.", param="type")
    cls = CLIENT_EVENTS.get(event["type"]) if isinstance(event["type"], str) else None
    if cls is None:
        known = ", ".join(f"'{name}'" for name in sorted(CLIENT_EVENTS))
        what = f"Invalid value: {event['type']!r}. Supported values are: {known}."
        raise Refused("invalid_value", what, param="type")
    try:
        parsed = cls.model_validate(event)
    except ValidationError as error:
        raise _refusal(event, error) from error
    for path in _unknown(parsed):
        param = _written(path)
        raise Refused("unknown_parameter", f"Unknown parameter: '{param}'.", param=param)


def _unknown(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where something stands that the library's classes do not know."""
    if isinstance(value, BaseModel):
        yield from ((*path, name) for name in value.model_extra or ())
        for name in value.model_fields_set & type(value).model_fields.keys():
            yield from _unknown(getattr(value, name), (*path, name))
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from _unknown(entry, (*path, index))


def _refusal(event: Json, error: ValidationError) -> Refused:
    """The service's words for what is wrong.

    Where one of several variants can stand (a user's message, a function's output, ...), pydantic tells why each of
    them does not fit. Those of another `type` or `role` than the event's were not meant.
    """
    errors = error.errors()
    tags = [details for details in errors if _is_tag(details)]
    not_meant = [details["loc"][:-1] for details in tags]
    meant = [details for details in errors if not _within(details, not_meant)]
    # No variant is of the event's type and role: the nearest one tells which of the two is wrong.
    tags.sort(key=lambda tag: (sum(_within(e, [tag["loc"][:-1]]) for e in errors), tag["loc"][-1] != "type"))
    first = (meant or tags)[0]
    place = _place(event, first)
    param = _written(place)
    match first["type"]:
        case "missing":
            what = f"Missing required parameter: '{param}'."
            return Refused("missing_required_parameter", what, param=param)
        case "literal_error":
            alike = [details for details in meant or tags if _place(event, details) == place]
            supported = dict.fromkeys(details.get("ctx", {}).get("expected") for details in alike)
            values = " or ".join(expected for expected in supported if expected)
            what = f"Invalid value: {first['input']!r}. Supported values are: {values}."
            return Refused("invalid_value", what, param=param)
        case _:
            what = f"Invalid type for '{param}': {first['msg']}."
            return Refused("invalid_type", what, param=param)


def _is_tag(details: ErrorDetails) -> bool:
    """Whether an error says that an object is of another variant: its location ends in the class's name and the tag."""
    *_, variant, key = (None, *details["loc"])
    is_class = isinstance(variant, str) and variant[:1].isupper()
    return is_class and key in ("type", "role") and details["type"] in ("literal_error", "missing")


def _within(details: ErrorDetails, locs: list[tuple[str | int, ...]]) -> bool:
    return any(details["loc"][: len(loc)] == loc for loc in locs)


def _place(event: Json, details: ErrorDetails) -> tuple[str | int, ...]:
    """An error's location as keys and positions of the event, without the types that pydantic puts between them."""
    place: list[str | int] = []
    value: Any = event
    for part in details["loc"]:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            continue
        place.append(part)
    if details["type"] == "missing":
        place.append(details["loc"][-1])
    return tuple(place)


def _written(path: tuple[str | int, ...]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")
