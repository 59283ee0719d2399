"""Pipecat's catalogue of services: what there is, what each takes, and what is missing for one.

The catalogue is the one that `pipecat init` builds bots from: a name for each service, its class, the extra of
`pipecat-ai` that brings it, and the variables that its credentials are in. Any other class is named by its path.
"""

import ast
import importlib
import inspect
import os
import re
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from typing import Any, Literal, get_args, get_type_hints

from loguru import logger
from pipecat.cli.registry import ServiceDefinition, ServiceLoader, extract_package_extra

from pipelines.problems import guess, listed, refusal

Kind = Literal["stt", "llm", "tts", "realtime"]

_ROLES: dict[Kind, str] = {
    "stt": "transcribes",
    "llm": "writes answers",
    "tts": "speaks",
    "realtime": "listens and speaks by itself",
}
_SUFFIXES = {"stt": ("_stt",), "llm": ("_llm",), "tts": ("_tts",), "realtime": ("_realtime", "_live_realtime")}

_FROM_ENVIRONMENT = re.compile(r'(?P<key>\w+)=os\.getenv\("(?P<name>\w+)"(?:, "(?P<default>[^"]*)")?\)')

SECRET = re.compile(r"(^|_)(api_key|key|secret|token|password|credentials|auth)(_id)?$")
"""Names of settings that hold secrets, which do not belong in a file."""

OURS = ("system_instruction", "tools", "tool_choice")
"""What a pipeline gives its model by itself, from its own keys."""

NOT_FOR_FILES = (
    *("self", "args", "kwargs", "name", "metrics", "task_manager", "enable_direct_mode"),
    *("settings", "aiohttp_session", "http_client", "file_resolver", "text_filters", "text_transforms"),
)
"""What a constructor takes besides, and what no file can hold."""


@dataclass(frozen=True, slots=True)
class Variable:
    """Where a setting comes from when the file does not give it."""

    name: str
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """One entry of the catalogue, or a class of somebody's own."""

    name: str
    module: str
    class_name: str
    extras: tuple[str, ...] = ()
    variables: Mapping[str, Variable] = field(default_factory=dict)
    """Of the constructor's arguments and of the settings alike, by their names."""

    def load(self) -> type[Any]:
        """Import the class.

        Raises:
            PydanticCustomError: What it needs is not installed, or there is no such class.
        """
        logger.disable("pipecat")  # it logs what is missing in words of its own, before it raises
        try:
            with warnings.catch_warnings(action="ignore"):  # what Pipecat's files say of each other is not for us
                module = importlib.import_module(self.module)
        except ImportError as error:
            raise self._not_importable(error) from None
        except Exception as error:
            remedy = f"run `python -c 'import {self.module}'` to see the whole story"
            raise refusal(f"is `{self.name}`, which cannot be imported: {error!r}", remedy) from None
        finally:
            logger.enable("pipecat")
        found = getattr(module, self.class_name, None)
        if not inspect.isclass(found):
            classes = [name for name, value in vars(module).items() if inspect.isclass(value)]
            remedy = guess(self.class_name, classes) or "check the spelling"
            raise refusal(f"is `{self.name}`, but `{self.module}` has no class `{self.class_name}`", remedy)
        return found

    def _not_importable(self, error: ImportError) -> Exception:
        if self.extras:
            return refusal(f"is `{self.name}`, which is not installed", f"run: {install_command(self.extras)}")
        missing = error.name or str(error)
        if missing and f"{self.module}.".startswith(f"{missing}."):
            remedy = "check the spelling, and that the server is started where it can be imported"
            return refusal(f"is `{self.name}`, but there is no module `{missing}`", remedy)
        return refusal(f"is `{self.name}`, which needs `{missing}`", f"run: {sys.executable} -m pip install {missing}")


def install_command(extras: tuple[str, ...]) -> str:
    """What installs some of Pipecat's extras, for the Pipecat and the Python that run."""
    python = os.path.relpath(sys.executable) if sys.executable.startswith(os.getcwd()) else sys.executable
    return f'{python} -m pip install "pipecat-ai[{",".join(extras)}]=={version("pipecat-ai")}"'


def find(kind: Kind, name: str) -> Service:
    """A service by its name in the catalogue (`deepgram_stt`, or `deepgram` for short) or by the path of its class.

    Args:
        kind: What it is to do.
        name: As it was written.

    Raises:
        PydanticCustomError: There is none.
    """
    if "." in name:
        return _by_path(name)
    known = names(kind)
    for candidate in (name, *(f"{name}{suffix}" for suffix in _SUFFIXES[kind])):
        if candidate in known:
            return known[candidate]
    other: Kind | None = next((other for other in _ROLES if other != kind and name in names(other)), None)
    if other is not None:
        remedy = f"choose one that {_ROLES[kind]}: {listed(known)}"
        raise refusal(f"is `{name}`, which {_ROLES[other]}", remedy)
    hint = guess(name, [*known, *(n.removesuffix(s) for n in known for s in _SUFFIXES[kind])])
    remedy = hint or f"there is: {listed(known)}; the path of a class is fine too"
    raise refusal(f"is `{name}`, which Pipecat's catalogue does not have", remedy)


@cache
def names(kind: Kind) -> Mapping[str, Service]:
    """Every service of a kind, by its name in the catalogue."""
    found = (_from_registry(definition) for definition in ServiceLoader.get_all_services_by_type(kind))
    return {service.name: service for service in found if service is not None}


def _by_path(path: str) -> Service:
    module, _, class_name = path.rpartition(".")
    if not module or not all(part.isidentifier() for part in path.split(".")):
        raise refusal(f"is `{path}`, which is no path of a class", "write `package.module.Class`")
    for kind in get_args(Kind):
        for service in names(kind).values():
            if (service.module, service.class_name) == (module, class_name):
                return service
    return Service(path, module, class_name)


def _from_registry(definition: ServiceDefinition) -> Service | None:
    """An entry, read out of the lines of code that the catalogue has for it."""
    classes = definition.class_name or []
    for line in ServiceLoader.get_service_import(definition.value):
        (statement,) = ast.parse(line).body
        if not isinstance(statement, ast.ImportFrom) or statement.module is None:
            continue
        for alias in statement.names:
            if alias.name in classes and alias.name.endswith("Service"):
                code = ServiceLoader.get_service_config(definition.value) or ""
                return Service(
                    definition.value,
                    statement.module,
                    alias.name,
                    tuple(extract_package_extra(definition.package)),
                    _variables(code),
                )
    return None


def _variables(code: str) -> dict[str, Variable]:
    """Which variables the catalogue's own code gives to which arguments and settings. Not all of it is Python."""
    return {found["key"]: Variable(found["name"], found["default"]) for found in _FROM_ENVIRONMENT.finditer(code)}


@dataclass(frozen=True, slots=True)
class Signature:
    """What a service's class takes."""

    arguments: Mapping[str, Any]
    """Those of the constructor, its parents' included, with their types (`Any` where none is given)."""

    needed: frozenset[str]
    """Arguments without a default."""

    settings: Mapping[str, Any]
    """The fields of its `Settings`, with their types. They may change in mid-call."""

    @property
    def names(self) -> list[str]:
        """Everything that a file may set."""
        return sorted({*self.arguments, *self.settings} - {*NOT_FOR_FILES, *OURS})


@cache
def signature_of(cls: type[Any]) -> Signature:
    """Read a service's class."""
    arguments: dict[str, Any] = {}
    needed: set[str] = set()
    for parent in cls.__mro__:
        init = vars(parent).get("__init__")
        if init is None:
            continue
        hints = _hints(init)
        parameters = inspect.signature(init).parameters
        for name, parameter in parameters.items():
            if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL) or name in arguments:
                continue
            arguments[name] = hints.get(name, Any)
            if parent is cls and parameter.default is parameter.empty and name != "self":
                needed.add(name)
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
            break
    settings = getattr(cls, "Settings", None)
    fields = _hints(settings) if inspect.isclass(settings) else {}
    return Signature(arguments, frozenset(needed), {k: v for k, v in fields.items() if not k.startswith("_")})


def _hints(thing: Any) -> dict[str, Any]:
    """The types of a function's arguments or a class's fields; names that only type checkers import stand for any."""
    unknown: dict[str, Any] = {}
    while True:
        try:
            return get_type_hints(thing, localns=unknown)
        except NameError as error:
            if error.name is None or error.name in unknown:
                raise
            unknown[error.name] = Any
