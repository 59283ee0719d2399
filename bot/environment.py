"""The variables that a server is started with: the process's own over those of `.env`."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dotenv.parser import parse_stream

from pipelines.problems import Problem


@dataclass(frozen=True, slots=True)
class Environment:
    """The variables that are set. An empty one counts as one that is not."""

    values: Mapping[str, str]

    places: Mapping[str, str]
    """Where those that come from a file stand in it, e.g. `.env:3`."""

    problems: tuple[Problem, ...]
    """Lines of the file that set nothing."""


def read_environment(environ: Mapping[str, str] | None, env_file: str | Path | None) -> Environment:
    """Gather the variables. What the file says is taken as it is; `${NAME}` in it is not replaced.

    Args:
        environ: The variables of the process, None for its real ones. They win over the file.
        env_file: A file of `NAME=value`; one that does not exist is an empty one.
    """
    values: dict[str, str] = {}
    places: dict[str, str] = {}
    problems: list[Problem] = []
    if env_file is not None and Path(env_file).is_file():
        with Path(env_file).open(encoding="utf-8", errors="replace") as stream:
            for binding in parse_stream(stream):
                # The parser counts the blank lines before a binding as the binding's own.
                written = binding.original.string
                blank = written[: len(written) - len(written.lstrip())].count("\n")
                place = f"{env_file}:{binding.original.line + blank}"
                if binding.error:
                    what, remedy = "is not NAME=value", "check the line and its quotes"
                    problems.append(Problem(place, what, remedy))
                elif binding.key is not None and binding.value:
                    values[binding.key] = binding.value
                    places[binding.key] = place
    for name, value in (os.environ if environ is None else environ).items():
        if value:
            values[name] = value
            places.pop(name, None)
    return Environment(values, places, tuple(problems))
