"""From the name of a pipeline to its settings, checked before the server starts. Every mistake is told at once."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pydantic_core import PydanticCustomError

from pipelines.catalogue import find
from pipelines.config import FOLDER, PipelineConfig
from pipelines.frame_config import CascadeConfig, SpeechConfig
from pipelines.problems import ConfigurationError, Problem, guess, listed, nearest
from pipelines.realtime_config import RealtimeConfig, is_here
from pipelines.services import problems_of, problems_of_change
from pipelines.speech import can_be_told
from pipelines.yaml_file import YamlFile, read_yaml

__all__ = ["ConfigurationError", "PipelineConfig", "Problem", "load", "load_chain"]

LEGS: Mapping[str, type[PipelineConfig]] = {
    "openai_realtime": RealtimeConfig,
    "cascade": CascadeConfig,
    "speech_to_speech": SpeechConfig,
}
"""By `leg:`."""

DEFAULT_LEG = "openai_realtime"

INHERITED = frozenset(PipelineConfig.model_fields) - {"fallback"}
"""What a pipeline takes over from one with another kind of leg."""


def load(name_or_path: str, environ: Mapping[str, str], *, taken: Collection[str] = ()) -> PipelineConfig:
    """Read a pipeline's settings.

    Args:
        name_or_path: The name of a file in `pipelines/` without `.yaml`, or the path of any file.
        environ: What `${NAME}` in the file stands for, and where the keys of its services are.
        taken: Names that a business tool cannot have, because every call has a tool of that name.

    Raises:
        ConfigurationError: Everything that is wrong with the file, with lines and remedies.
    """
    return _load(_path(name_or_path, "PIPELINE", "environment"), environ, taken)


def load_chain(
    name_or_path: str, environ: Mapping[str, str], *, taken: Collection[str] = ()
) -> tuple[PipelineConfig, ...]:
    """Read a pipeline and those that take over from it, in order.

    Args:
        name_or_path: See `load`, as the next two.
        environ: The variables.
        taken: Names of other tools.

    Raises:
        ConfigurationError: Everything that is wrong with any of the files.
    """
    path = _path(name_or_path, "PIPELINE", "environment")
    first = _load(path, environ, taken)
    chain, problems, seen = [first], list[Problem](), {path.resolve()}
    for name in first.fallback:
        try:
            other = _path(name, "`fallback`", str(path), path.parent)
            if other.resolve() in seen:
                what = f"`fallback` names `{name}`, which is in the row already"
                raise ConfigurationError([Problem(str(path), what, "name each pipeline once")])
            seen.add(other.resolve())
            chain.append(_load(other, environ, taken))
        except ConfigurationError as error:
            problems += error.problems
    if problems:
        raise ConfigurationError(dict.fromkeys(problems))
    return tuple(chain)


def _load(path: Path, environ: Mapping[str, str], taken: Collection[str]) -> PipelineConfig:
    file = _with_base(read_yaml(path, environ, named_by="PIPELINE"), path, environ, (path.resolve(),))
    leg = _leg(file)
    if leg not in LEGS:
        remedy = f"{guess(str(leg), LEGS)} choose from {listed(LEGS)}".strip()
        problem = Problem(file.where(("leg",)), f"`leg` cannot be `{leg}`", remedy)
        raise ConfigurationError([*file.problems, problem])
    return file.parse(LEGS[leg], {"taken": taken}, _beyond_the_model(file, leg, environ))


def _leg(file: YamlFile) -> str:
    return file.value.get("leg", DEFAULT_LEG) if isinstance(file.value, dict) else DEFAULT_LEG


def _with_base(file: YamlFile, path: Path, environ: Mapping[str, str], above: tuple[Path, ...]) -> YamlFile:
    """The file over the one that it extends."""
    if not isinstance(file.value, dict) or "extends" not in file.value:
        return file
    name = file.value.pop("extends")
    where = file.where(("extends",))
    if not isinstance(name, str) or not name:
        what = "`extends` is no name of a pipeline"
        raise ConfigurationError([Problem(where, what, "write a name in pipelines/, or the path of a file")])
    below = _path(name, "`extends`", where, path.parent)
    if below.resolve() in above:
        raise ConfigurationError([Problem(where, "`extends` leads back to this file", "extend another one")])
    base = _with_base(read_yaml(below, environ, named_by="`extends`"), below, environ, (*above, below.resolve()))
    same = "leg" not in file.value or _leg(file) == _leg(base)
    return file.over(base, None if same else INHERITED)


def _beyond_the_model(file: YamlFile, leg: str, environ: Mapping[str, str]) -> list[Problem]:
    """What the shape of the file does not tell: services, their settings, their keys."""
    value = file.value if isinstance(file.value, dict) else {}
    match leg:
        case "cascade":
            found: list[Problem] = []
            for kind in ("stt", "llm", "tts"):
                part = value.get(kind)
                if isinstance(part, dict):
                    found += problems_of(file, (kind,), kind, part.get("service"), part.get("settings"), environ)
                    for name, change in _changes(value).items():
                        changed = change.get(kind) or {}
                        path = ("changes", name, kind)
                        found += problems_of_change(file, path, kind, part.get("service"), changed)
            return list(dict.fromkeys(found))
        case "speech_to_speech":
            name = value.get("service")
            found = problems_of(file, (), "realtime", name, value.get("settings"), environ)
            return [*found, *_deaf(file, name)]
        case _:
            here = is_here(value.get("url"))
            return [] if here else _needs("OPENAI_API_KEY", environ, "the Realtime API")


def _changes(value: dict[str, Any]) -> dict[str, dict[str, Any]]:
    changes = value.get("changes")
    found = changes.items() if isinstance(changes, dict) else ()
    return {name: change for name, change in found if isinstance(change, dict)}


def _deaf(file: YamlFile, name: object) -> list[Problem]:
    """A service that cannot be told anything in mid-call cannot say a goodbye, nor that nobody answered."""
    try:
        if not isinstance(name, str) or can_be_told(find("realtime", name).load()):
            return []
    except PydanticCustomError:
        return []  # told already
    what = f"`service` is `{name}`, which cannot be told in mid-call what to say: no goodbye before a hand-off"
    return [Problem(file.where(("service",)), what, "choose another service, or a cascade")]


def _needs(variable: str, environ: Mapping[str, str], what_for: str) -> list[Problem]:
    if environ.get(variable):
        return []
    slip = nearest(variable, [name for name in environ if name != variable])
    meant = f"; `{slip}` is set, is it meant?" if slip else ""
    remedy = f"set it in the environment or in .env: {what_for} needs it{meant}"
    return [Problem("environment", f"{variable} is missing", remedy)]


def _path(name_or_path: str, named_by: str, where: str, beside: Path | None = None) -> Path:
    """A pipeline's file, by its name or its path; a path in a file is seen from that file's folder."""
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
        return path if beside is None else beside / path
    for folder in (beside, FOLDER):
        if folder is not None and (folder / f"{name_or_path}.yaml").is_file():
            return folder / f"{name_or_path}.yaml"
    names = sorted(file.stem for file in FOLDER.glob("*.yaml"))
    remedy = f"{guess(name_or_path, names)} there is: {listed(names)}; a path to a file is fine too"
    what = f"{named_by}: there is no pipeline `{name_or_path}`"
    raise ConfigurationError([Problem(where, what, remedy.strip())])
