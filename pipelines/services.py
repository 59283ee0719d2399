"""One service of a pipeline: its settings checked against its class, and the class built with them."""

from collections.abc import Mapping
from typing import Any

import aiohttp
from pydantic import ConfigDict, Field, PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from pipelines.catalogue import OURS, SECRET, Kind, Service, Signature, find, signature_of
from pipelines.problems import Problem, explain, guess, listed
from pipelines.section import Section, Text
from pipelines.yaml_file import KeyPath, YamlFile


class ServiceConfig(Section):
    """A service of Pipecat's, and what it is given."""

    service: Text
    """A name in Pipecat's catalogue, such as `deepgram` or `openai`, or the path of a class."""

    settings: dict[str, Any] = Field(default={})
    """What the service's constructor and its `Settings` take. Without a key here, it comes from the environment."""


def problems_of(
    file: YamlFile, path: KeyPath, kind: Kind, name: Any, settings: Any, environ: Mapping[str, str]
) -> list[Problem]:
    """Everything that is wrong with one service, from the file as it was written.

    Args:
        file: The pipeline's file.
        path: Where the service stands in it.
        kind: What it is to do.
        name: What `service:` says.
        settings: What `settings:` says.
        environ: The variables.
    """
    if not isinstance(name, str) or not name.strip() or not isinstance(settings, dict | None):
        return []  # the file's shape is wrong, and that is told
    label = ".".join(str(step) for step in (*path, "service"))
    try:
        service = find(kind, name)
        signature = signature_of(service.load())
    except PydanticCustomError as error:
        context = error.context or {}
        return [Problem(file.where((*path, "service")), f"`{label}` {context['what']}", context["remedy"])]
    given = settings or {}
    place = (*path, "settings")
    return [
        *_unknown(file, place, given, signature, service.name),
        *_secrets(file, place, given),
        *_of_wrong_type(file, place, given, signature),
        *_missing(file, path, given, service, signature, environ),
    ]


def _unknown(
    file: YamlFile, place: KeyPath, given: Mapping[str, Any], signature: Signature, name: str
) -> list[Problem]:
    found = []
    for key in given:
        label = f"`{'.'.join(map(str, (*place, key)))}`"
        if key in OURS:
            remedy = "write it at the top of the file: `instructions`, `tools`"
            found.append(Problem(file.where((*place, key)), f"{label} is given to the model by the pipeline", remedy))
        elif key not in signature.names:
            remedy = guess(key, signature.names) or f"what can stand here: {listed(signature.names)}"
            found.append(Problem(file.where((*place, key)), f"{label} is no setting of `{name}`", remedy))
    return found


def _secrets(file: YamlFile, place: KeyPath, given: Mapping[str, Any]) -> list[Problem]:
    remedy = "put it into the environment or .env, and write ${THE_VARIABLE} here, or leave the line out"
    return [
        Problem(file.where((*place, key)), f"`{'.'.join(map(str, (*place, key)))}` holds a secret", remedy)
        for key, value in given.items()
        if SECRET.search(key)
        and isinstance(value, str)
        and value
        and (*place, key) not in file.interpolated
        and (*place, key) not in file.unresolved
    ]


def _of_wrong_type(file: YamlFile, place: KeyPath, given: Mapping[str, Any], signature: Signature) -> list[Problem]:
    found = []
    for key, value in given.items():
        if key not in signature.names or (*place, key) in file.unresolved:
            continue
        try:
            _checked(signature, key, value)
        except ValidationError as error:
            details = error.errors(include_url=False)[0]
            what, remedy = explain(details, {}, (*place, key))
            if details["type"] not in ("missing", "extra_forbidden"):
                remedy = f"{remedy} ({details['msg'][:1].lower()}{details['msg'][1:]})"
            found.append(Problem(file.where((*place, key)), what, remedy))
    return found


def _missing(
    file: YamlFile,
    path: KeyPath,
    given: Mapping[str, Any],
    service: Service,
    signature: Signature,
    environ: Mapping[str, str],
) -> list[Problem]:
    found = []
    for name in [*signature.arguments]:
        variable = service.variables.get(name)
        needed = name in signature.needed or (name == "api_key" and variable is not None)
        if not needed or name in given or name == "aiohttp_session":
            continue
        if variable is None:
            place = ".".join(map(str, (*path, "settings")))
            what, remedy = (
                f"`{place}.{name}` is missing",
                f"`{service.name}` needs it; see the documentation of its class",
            )
            found.append(Problem(file.where(path), what, remedy))
        elif not environ.get(variable.name):
            what = f"{variable.name} is missing"
            remedy = f"set it in the environment or in .env: `{service.name}` in {file.where(path)} needs it"
            found.append(Problem("environment", what, remedy))
    return found


def _checked(signature: Signature, key: str, value: Any) -> Any:
    """A setting as its class wants it: a word as an enum's member, a group of keys as the model that it stands for.

    Raises:
        ValidationError: It is nothing of the kind.
    """
    hint = signature.settings.get(key, signature.arguments.get(key, Any))
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))
    except PydanticUserError:
        adapter = TypeAdapter(hint)
    except Exception:  # a type that pydantic cannot check: the class will
        return value
    return adapter.validate_python(value)


def problems_of_change(file: YamlFile, path: KeyPath, kind: Kind, name: Any, settings: Any) -> list[Problem]:
    """Everything that is wrong with the settings that a change has for one service.

    Args:
        file: The pipeline's file.
        path: Where those settings stand in it.
        kind: What the service does.
        name: The service, as the pipeline names it.
        settings: Those settings.
    """
    try:
        signature = signature_of(find(kind, name).load())
    except (PydanticCustomError, TypeError):
        return []  # told of the service itself
    if not isinstance(settings, dict):
        return []
    fixed = [key for key in settings if key in signature.arguments and key not in signature.settings]
    label = ".".join(map(str, path))
    remedy = f"what can: {listed(sorted(signature.settings.keys() - set(OURS)))}"
    return [
        *(Problem(file.where((*path, key)), f"`{label}.{key}` cannot change in mid-call", remedy) for key in fixed),
        *_unknown(file, path, settings, signature, name),
        *_of_wrong_type(file, path, settings, signature),
    ]


def delta(service: Any, **changed: Any) -> Any:
    """The settings of a running service that are to change, as its frames carry them; None where nothing does."""
    signature = signature_of(type(service))
    wanted = {key: _checked(signature, key, value) for key, value in changed.items() if key in signature.settings}
    return type(service).Settings(**wanted) if wanted else None


def build(kind: Kind, config: ServiceConfig, environ: Mapping[str, str], **ours: Any) -> Any:
    """Make the service.

    Args:
        kind: What it is to do.
        config: What it is given; checked before.
        environ: The variables.
        **ours: Settings that the pipeline has for it, where its class knows them.
    """
    service = find(kind, config.service)
    cls = service.load()
    signature = signature_of(cls)
    values = {name: value for name, value in ours.items() if name in (*signature.arguments, *signature.settings)}
    for name, variable in service.variables.items():
        value = environ.get(variable.name) or variable.default
        if value is not None and name in (*signature.arguments, *signature.settings):
            values[name] = value
    values |= {key: _checked(signature, key, value) for key, value in config.settings.items()}
    settings = {key: value for key, value in values.items() if key in signature.settings}
    arguments = {key: value for key, value in values.items() if key not in signature.settings}
    if "aiohttp_session" in signature.arguments and "aiohttp_session" in signature.needed:
        arguments["aiohttp_session"] = aiohttp.ClientSession()
    if settings:
        arguments["settings"] = cls.Settings(**settings)
    return cls(**arguments)
