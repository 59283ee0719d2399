"""What is wrong with a configuration, for the person who wrote it: where, what, and the remedy."""

import re
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pydantic_core import ErrorDetails, PydanticCustomError

_REFUSAL = "refusal"
_WIDTH = 100
"""Columns of a printed report."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a configuration."""

    where: str
    """The place: `handoff.yaml:12`, `.env:3`, or `environment` for what no file holds."""

    what: str
    """What is wrong. Never quotes a secret."""

    remedy: str
    """How to put it right."""


class ConfigurationError(Exception):
    """A configuration that cannot be used. Printed, it tells everything that is wrong with it.

    Attributes:
        problems: The mistakes, in reading order. Never empty.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        """Gather the mistakes; see the class."""
        self.problems = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        count = len(self.problems)
        heading = f"{count} problem{'s' if count > 1 else ''} in the configuration:"
        indent = max(len(problem.where) for problem in self.problems) + 2
        blocks = [
            f"{_indented(problem.where.ljust(indent), problem.what, indent)}\n"
            f"{_indented(' ' * indent + '→ ', problem.remedy, indent + 2)}"
            for problem in self.problems
        ]
        return "\n\n".join([heading, *blocks])


def _indented(first: str, text: str, indent: int) -> str:
    return textwrap.fill(
        text,
        width=max(_WIDTH, indent + 40),
        initial_indent=first,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def refusal(what: str, remedy: str) -> PydanticCustomError:
    """An error for a validator to raise, in our own words.

    Args:
        what: What is wrong, as a sentence that follows the key's name: `is no telephone number`.
        remedy: How to put it right.
    """
    return PydanticCustomError(_REFUSAL, "{what}; {remedy}", {"what": what, "remedy": remedy})


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is closest to a mistaken one; None when none is close."""
    return next(iter(get_close_matches(name, list(known), n=1)), None)


def guess(name: str, known: Iterable[str]) -> str:
    """`did you mean …?` for the known name that is closest, or an empty string."""
    close = nearest(name, known)
    return f"did you mean `{close}`?" if close else ""


def listed(names: Iterable[str]) -> str:
    """Names for a sentence, e.g. "`bot`, `voicemail`"."""
    return ", ".join(f"`{name}`" for name in names)


def explain(error: ErrorDetails, schema: Mapping[str, Any], path: tuple[str | int, ...]) -> tuple[str, str]:
    """Put one of pydantic's errors into plain words.

    Args:
        error: The error.
        schema: The JSON schema of the model that refused.
        path: The error's keys and list positions as the author wrote them.

    Returns:
        What is wrong and the remedy.
    """
    name = f"`{_dotted(path)}`" if path else "the configuration"
    given, ctx = error["input"], error.get("ctx", {})
    place = _at(schema, error["loc"])
    match error["type"]:
        case "refusal":
            return f"{name} {ctx['what']}", ctx["remedy"]
        case "missing":
            key = error["loc"][-1]
            remedy = f"add it: {_described(place, 'it is needed')}"
            return f"`{_dotted((*path, key))}` is missing", remedy
        case "extra_forbidden":
            known = list(_at(schema, error["loc"][:-1]).get("properties", ()))
            remedy = guess(str(error["loc"][-1]), known)
            return f"{name} is not a setting", remedy or f"what can stand here: {listed(known)}"
        case "literal_error" | "enum" | "union_tag_invalid":
            choices = re.findall(r"'([^']*)'", ctx.get("expected") or ctx.get("expected_tags", ""))
            shown = ctx.get("tag", given)
            remedy = f"{guess(str(shown), choices)} choose from {listed(choices)}"
            return f"{name} cannot be {_shown(shown)}", remedy.strip()
        case "union_tag_not_found":
            choices = place.get("discriminator", {}).get("mapping", ())
            return f"`{_dotted((*path, 'type'))}` is missing", f"choose from {listed(choices)}"
        case "greater_than_equal" | "less_than_equal":
            least, most = place.get("minimum", ctx.get("ge")), place.get("maximum", ctx.get("le"))
            bounds = f"a number from {least} to {most}" if None not in (least, most) else f"{least} or more"
            return f"{name} is {given}", f"use {bounds if least is not None else f'{most} or less'}"
        case "string_too_short" | "too_short":
            remedy = f"write what belongs here: {_described(place, 'at least something')}"
            return f"{name} is empty", remedy
        case "string_too_long":
            return f"{name} is {len(given)} characters long", f"shorten it to {ctx['max_length']}"
        case "string_type" if isinstance(given, int | float):
            shown = str(given).lower()
            return f"{name} is {shown}, which is not text", f'put it in quotes: "{shown}"'
        case kind if given is None:
            return f"{name} is empty", f"write {_kind_of_value(kind)}, or remove the line"
        case kind:
            return f"{name} is {_shown(given)}", f"write {_kind_of_value(kind)}"


def _kind_of_value(error_type: str) -> str:
    """What pydantic wanted when it raised this error."""
    kinds = {
        "string": "text",
        "int": "a whole number",
        "float": "a number",
        "bool": "true or false",
        "list": "a list",
        "tuple": "a list, one item a line with `- ` before it",
        "dict": "keys and values, one a line",
        "model": "keys and values, one a line",
    }
    return kinds.get(error_type.partition("_")[0], f"something else (pydantic: {error_type})")


def _shown(value: Any) -> str:
    match value:
        case str():
            return f"`{textwrap.shorten(value, 40, placeholder='…')}`"
        case Mapping():
            return "a group of keys"
        case list():
            return "a list"
        case bool():
            return str(value).lower()
        case _:
            return str(value)


def _described(place: Mapping[str, Any], otherwise: str) -> str:
    text = " ".join(str(place.get("description", otherwise)).split()).rstrip(".")
    return text[:1].lower() + text[1:]


def _dotted(path: tuple[str | int, ...]) -> str:
    steps = (f"[{step + 1}]" if isinstance(step, int) else f".{step}" for step in path)
    return "".join(steps).removeprefix(".")


def _at(schema: Mapping[str, Any], loc: tuple[str | int, ...]) -> Mapping[str, Any]:
    """The part of a JSON schema that an error's `loc` leads to; {} where there is none."""
    definitions: Mapping[str, Any] = schema.get("$defs", {})
    place = _resolved(schema, definitions)
    for step in loc:
        if isinstance(step, int):
            place = place.get("items", {})
        elif step in (mapping := place.get("discriminator", {}).get("mapping", {})):
            place = {"$ref": mapping[step]}
        else:
            place = place.get("properties", {}).get(step) or place.get("additionalProperties") or {}
        place = _resolved(place if isinstance(place, Mapping) else {}, definitions)
    return place


def _resolved(place: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow references and "this or nothing"; what is said beside a reference stays."""
    while True:
        if "$ref" in place:
            rest = {key: value for key, value in place.items() if key != "$ref"}
            place = {**definitions[place["$ref"].rpartition("/")[2]], **rest}
        elif choices := [c for c in place.get("anyOf", ()) if c.get("type") != "null"]:
            rest = {key: value for key, value in place.items() if key != "anyOf"}
            place = {**choices[0], **rest}
        else:
            return place
