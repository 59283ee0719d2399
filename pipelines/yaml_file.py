"""YAML for people: every key keeps its line, `${NAME}` is replaced, mistakes are gathered.

Values have YAML 1.2's core types, not PyYAML's 1.1: only `true` and `false` are truth values,
so the language `no` is text; `10:30` is text, not 630. And a number that begins with `+` or a zero
is text, because it is a telephone number.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from pipelines.problems import ConfigurationError, Problem, explain

KeyPath = tuple[str | int, ...]
"""The keys and list positions that lead to a value, e.g. `("targets", "billing", "numbers", 0)`."""

_Model = TypeVar("_Model", bound=BaseModel)

_VARIABLE = re.compile(r"\$(?P<escaped>\$?)\{(?P<inside>[^}\n]*)\}")
_INSIDE = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>.*))?")

_TAG = "tag:yaml.org,2002:"


class _Loader(yaml.SafeLoader):
    """PyYAML's parser with the types of the module's docstring."""


_Loader.yaml_implicit_resolvers = {}
_Loader.add_implicit_resolver(_TAG + "null", re.compile(r"^(~|null|)$"), ["~", "n", ""])
_Loader.add_implicit_resolver(_TAG + "bool", re.compile(r"^(true|false)$"), list("tf"))
_Loader.add_implicit_resolver(_TAG + "int", re.compile(r"^-?(0|[1-9][0-9]{0,17})$"), list("-0123456789"))
_Loader.add_implicit_resolver(_TAG + "float", re.compile(r"^-?(0|[1-9][0-9]{0,17})\.[0-9]+$"), list("-0123456789"))


@dataclass(frozen=True, slots=True)
class YamlFile:
    """The content of one file, with the line of every key, before it is checked against a model."""

    name: str
    """As it is shown to its author."""

    value: Any

    lines: Mapping[KeyPath, int]
    """The line of every key and list item, from 1."""

    problems: tuple[Problem, ...]
    """What is wrong whatever the model: duplicate keys, missing variables."""

    unresolved: frozenset[KeyPath]
    """Values that could not be read; a problem stands for each of them already."""

    interpolated: frozenset[KeyPath] = frozenset()
    """Values that hold something of the environment."""

    names: Mapping[KeyPath, str] = field(default_factory=dict)
    """Of what came from another file: that file's name."""

    def keys(self, key: str) -> tuple[str, ...]:
        """The keys under one key at the top, whether or not what they hold is right."""
        value = self.value.get(key) if isinstance(self.value, dict) else None
        return tuple(value) if isinstance(value, dict) else ()

    def items(self, key: str) -> tuple[Any, ...]:
        """The list under one key at the top, as it was written; empty when there is none."""
        value = self.value.get(key) if isinstance(self.value, dict) else None
        return tuple(value) if isinstance(value, list) else ()

    def over(self, base: "YamlFile", only: Collection[str] | None = None) -> "YamlFile":
        """This file's content over that of another one: groups of keys are merged, everything else is replaced.

        A group that says to be of another `type` or `service` than the one below it replaces it.

        Args:
            base: What is below.
            only: The keys at the top that are taken from there; None for all.
        """
        if not isinstance(self.value, dict) or not isinstance(base.value, dict):
            return self
        lines, names = dict(self.lines), dict(self.names)

        def merged(own: Any, below: Any, path: KeyPath) -> Any:
            if not isinstance(own, dict) or not isinstance(below, dict):
                return own
            if any(own.get(key, below.get(key)) != below.get(key) for key in ("type", "service") if path):
                return own
            result = dict(own)
            for key, value in below.items():
                if key in own:
                    result[key] = merged(own[key], value, (*path, key))
                elif path or only is None or key in only:
                    result[key] = value
                    for known, line in base.lines.items():
                        if known[: len(path) + 1] == (*path, key):
                            lines[known], names[known] = line, base.names.get(known, base.name)
            return result

        value = merged(self.value, base.value, ())
        taken = frozenset(path for path in base.interpolated | base.unresolved if path in names)
        return replace(
            self,
            value=value,
            lines=lines,
            names=names,
            problems=(*self.problems, *base.problems),
            unresolved=self.unresolved | (base.unresolved & taken),
            interpolated=self.interpolated | (base.interpolated & taken),
        )

    def parse(
        self, model: type[_Model], context: Mapping[str, Any] | None = None, more: Sequence[Problem] = ()
    ) -> _Model:
        """Check the content against a model.

        Args:
            model: The model; its fields' docstrings are used as remedies.
            context: For the model's validators.
            more: What is wrong beyond the model.

        Raises:
            ConfigurationError: Everything that is wrong with this file, in the order of its lines.
        """
        problems = [*self.problems, *more]
        try:
            parsed = model.model_validate(self.value, context=dict(context or {}))
        except ValidationError as error:
            schema = model.model_json_schema()
            for details in error.errors(include_url=False):
                path = self._written(details["loc"])
                if not any(path[: len(broken)] == broken for broken in self.unresolved):
                    problems.append(Problem(self.where(path), *explain(details, schema, path)))
        else:
            if not problems:
                return parsed
        raise ConfigurationError(sorted(problems, key=self._reading_order))

    def _reading_order(self, problem: Problem) -> tuple[bool, str, int]:
        """This file's problems first, then those of the files below it, then what no file holds."""
        name, _, line = problem.where.rpartition(":")
        return name != self.name, name or "~", int(line) if line.isdigit() else 0

    def _written(self, loc: KeyPath) -> KeyPath:
        """A pydantic location without what is not in the file: missing keys, chosen variants."""
        path: KeyPath = ()
        for step in loc:
            if (*path, step) in self.lines:
                path = (*path, step)
        return path

    def where(self, path: KeyPath) -> str:
        """The place of a key, or of the nearest one around it: `handoff.yaml:12`."""
        while path and path not in self.lines:
            path = path[:-1]
        return f"{self.names.get(path, self.name)}:{self.lines.get(path, 1)}"


def read_yaml(path: Path, environ: Mapping[str, str], *, named_by: str) -> YamlFile:
    """Read a file of keys and values.

    Args:
        path: The file.
        environ: Where `${NAME}` and `${NAME:-default}` come from; `$${` is a plain `${`.
        named_by: The setting that names the file, for the remedy when it is not there.

    Raises:
        ConfigurationError: There is no such file, or it is not YAML.
    """
    name = _shown(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        what, remedy = "there is no such file", f"create it, or let {named_by} name another one"
        raise ConfigurationError([Problem(name, what, remedy)]) from None
    except OSError as error:
        what, remedy = f"cannot be read: {error.strerror}", "check what it is and who may read it"
        raise ConfigurationError([Problem(name, what, remedy)]) from None
    except UnicodeDecodeError:
        raise ConfigurationError([Problem(name, "is not UTF-8 text", "save it as UTF-8")]) from None
    with _as_problem(name):
        root = yaml.compose(text, Loader=_Loader)
        if root is not None:
            return _Reading(name, text, environ).read(root)
    remedy = "write at least the keys that are needed; the file of this project is an example"
    raise ConfigurationError([Problem(f"{name}:1", "the file is empty", remedy)])


class _Reading:
    """One pass over a file's nodes."""

    def __init__(self, name: str, text: str, environ: Mapping[str, str]) -> None:
        self._name = name
        self._text = text.splitlines()
        self._environ = environ
        self._lines: dict[KeyPath, int] = {}
        self._problems: list[Problem] = []
        self._unresolved: set[KeyPath] = set()
        self._from_outside: set[KeyPath] = set()

    def read(self, root: yaml.Node) -> YamlFile:
        value = self._value(root, (), ())
        return YamlFile(
            self._name,
            value,
            self._lines,
            tuple(self._problems),
            frozenset(self._unresolved),
            frozenset(self._from_outside),
        )

    def _value(self, node: yaml.Node, path: KeyPath, above: tuple[yaml.Node, ...]) -> Any:
        if node in above:
            self._fault(path, node, "contains itself", "write it out instead of using an alias")
            return None
        match node:
            case yaml.MappingNode():
                return self._mapping(node, path, (*above, node))
            case yaml.SequenceNode():
                for index, item in enumerate(node.value):
                    self._lines[*path, index] = _line_of(item)
                return [self._value(item, (*path, index), (*above, node)) for index, item in enumerate(node.value)]
            case yaml.ScalarNode():
                return self._scalar(node, path)
        raise TypeError(f"PyYAML composed {node!r}")

    def _mapping(self, node: yaml.MappingNode, path: KeyPath, above: tuple[yaml.Node, ...]) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._fault(path, key_node, "has a key that is not a word", "use a word as the key")
                continue
            key = key_node.value
            if key in mapping:
                first = self._lines[*path, key]
                what = f"`{key}` stands here a second time; the first is on line {first}"
                self._problem(_line_of(key_node), what, "keep one of them")
                continue
            self._lines[*path, key] = _line_of(key_node)
            mapping[key] = self._value(value_node, (*path, key), above)
        return mapping

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:
        text = self._interpolated(node, path)
        match node.tag.removeprefix(_TAG):
            case "str":
                return text
            case "null":
                return None
            case "bool":
                return text == "true"
            case "int":
                return int(text)
            case "float":
                return float(text)
            case _:
                self._fault(path, node, f"has the tag `{node.tag}`", "remove the tag")
                return None

    def _interpolated(self, node: yaml.ScalarNode, path: KeyPath) -> str:
        def value_of(match: re.Match[str]) -> str:
            if match["escaped"]:
                return match[0][1:]
            inside = _INSIDE.fullmatch(match["inside"])
            line = self._line_with(match[0], node)
            if inside is None:
                remedy = "write ${NAME} or ${NAME:-default}; $${ stands for a plain ${"
                self._problem(line, f"`{match[0]}` names no variable", remedy)
            elif found := self._environ.get(inside["name"]) or inside["default"]:
                if self._environ.get(inside["name"]):
                    self._from_outside.add(path)
                return found
            elif inside["default"] is None:
                name = inside["name"]
                remedy = f"set it in the environment or in .env, or write ${{{name}:-a default}}"
                self._problem(line, f"the variable {name} is not set", remedy)
            else:
                return ""
            self._unresolved.add(path)
            return ""

        return _VARIABLE.sub(value_of, node.value)

    def _line_with(self, part: str, node: yaml.Node) -> int:
        """The line within a value, which can be a paragraph, on which a part of it stands."""
        first, last = node.start_mark.line, node.end_mark.line
        for index in range(first, min(last + 1, len(self._text))):
            if part in self._text[index]:
                return index + 1
        return first + 1

    def _fault(self, path: KeyPath, node: yaml.Node, what: str, remedy: str) -> None:
        name = f"`{path[-1]}`" if path and isinstance(path[-1], str) else "this value"
        self._problem(_line_of(node), f"{name} {what}", remedy)
        self._unresolved.add(path)

    def _problem(self, line: int, what: str, remedy: str) -> None:
        self._problems.append(Problem(f"{self._name}:{line}", what, remedy))


@contextmanager
def _as_problem(name: str) -> Iterator[None]:
    """What PyYAML says about text that is not YAML, with the line and the usual cause."""
    try:
        yield
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}" if mark else name
        said = error.problem or "it cannot be read"
        raise ConfigurationError([Problem(where, f"is not YAML: {said}", _usual_cause(said))]) from None
    except yaml.YAMLError as error:
        said = str(error).splitlines()[0]
        raise ConfigurationError([Problem(name, f"is not YAML: {said}", _usual_cause(said))]) from None
    except RecursionError:
        what, remedy = "is nested too deeply to be read", "look for brackets that are never closed"
        raise ConfigurationError([Problem(name, what, remedy)]) from None


def _usual_cause(said: str) -> str:
    if "'\\t'" in said:
        return "indent with spaces; YAML knows no tabs"
    if "mapping values are not allowed" in said:
        return "put a text that holds a colon in quotes, and check the indentation of this line"
    if "alias" in said or "anchor" in said or "'@'" in said or "'`'" in said or "'%'" in said:
        return "put a text that begins with a special character in quotes"
    return "check quotes, colons and the indentation of this line and the one before it"


def _line_of(node: yaml.Node) -> int:
    return node.start_mark.line + 1


def _shown(path: Path) -> str:
    """Relative to the working directory when it lies there."""
    absolute, here = path.absolute(), Path.cwd()
    return str(absolute.relative_to(here)) if absolute.is_relative_to(here) else str(path)
