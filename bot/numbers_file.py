"""`NUMBERS`: which pipeline and which policy answer on which of our numbers. Checked whole before the server starts."""

from collections.abc import Mapping
from pathlib import Path

from bot.number_entry import PhoneNumber
from pipelines.section import Section, Text
from pipelines.yaml_file import read_yaml


class NumberChoice(Section):
    """What answers on one number. What is left out is as for every other number."""

    pipeline: Text | None = None
    """The name of a file in `pipelines/` without `.yaml`, or a path."""

    policy: Path | None = None
    """The file that says who takes the calls."""


class NumbersFile(Section):
    """The file."""

    numbers: dict[PhoneNumber, NumberChoice]
    """Our numbers in E.164, each with what answers on it."""


def read_numbers(path: Path, environ: Mapping[str, str]) -> dict[str, NumberChoice]:
    """Read the file.

    Args:
        path: The file.
        environ: What `${NAME}` in it stands for.

    Raises:
        ConfigurationError: Everything that is wrong with it.
    """
    return read_yaml(path, environ, named_by="NUMBERS").parse(NumbersFile).numbers
