"""The layout of the project: who may import whom, and what each file may be."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.settings import Settings

ROOT = Path(__file__).parent.parent
ROOMS = ("bot", "web", "pipelines", "sandbox")
MAY_IMPORT = {
    "server": {"web", "bot", "pipelines", "sandbox"},
    "web": {"bot"},
    "bot": {"pipelines"},
    "pipelines": set[str](),
    "sandbox": set[str](),
}
PURE = {"call", "events", "law", "transfer", "routing", "twiml", "briefing", "tokens", "playout"}
STANDARD_LIBRARY_ONLY = PURE - {"twiml"}
LONGEST = 450
"""Lines. A file that wants more asks a question."""


def sources() -> list[Path]:
    """Every Python file of the product."""
    return [ROOT / "server.py", *(path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py")))]


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports, wherever in it, except for types alone."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def ident(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", sources(), ids=ident)
def test_imports_run_one_way(path: Path):
    room = path.relative_to(ROOT).parts[0].removesuffix(".py")
    ours = {name.split(".")[0] for name in imports(path)} & {*ROOMS, "server"} - {room}
    assert ours <= MAY_IMPORT[room]


@pytest.mark.parametrize("name", sorted(PURE))
def test_pure_files_import_pure_files_only(name: str):
    found = set(imports(ROOT / "bot" / f"{name}.py"))
    assert {n.removeprefix("bot.") for n in found if n.split(".")[0] == "bot"} <= PURE
    others = {n.split(".")[0] for n in found} - {"bot"}
    allowed = {"collections", "dataclasses", "enum", "typing", "re", "urllib", "hashlib", "hmac"}
    assert others <= allowed | ({"twilio"} if name not in STANDARD_LIBRARY_ONLY else set())


def test_one_file_knows_twiml():
    users = [path for path in sources() if any(n.startswith("twilio.twiml") for n in imports(path))]
    assert users == [ROOT / "bot" / "twiml.py"]


@pytest.mark.parametrize("path", sources(), ids=ident)
def test_no_file_is_too_long_to_read(path: Path):
    assert len(path.read_text().splitlines()) <= LONGEST


@pytest.mark.parametrize("path", sources(), ids=ident)
def test_every_suppressed_rule_has_its_reason(path: Path):
    for line in path.read_text().splitlines():
        for mark in re.finditer(r"# (?:noqa|type: ignore|pyright: ignore)(?:[:\[][^\s]*(?:, ?[A-Z0-9]+)*)?(.*)", line):
            assert len(mark[1].strip(" -–")) > 5, line


def test_the_lock_names_no_address():
    lock = (ROOT / "requirements.lock").read_text()
    assert "--hash=sha256:" in lock
    assert not re.search(r"https?://|file:|--index-url|--find-links", lock)


def test_the_example_environment_names_exactly_the_settings():
    example = (ROOT / ".env.example").read_text()
    named = set(re.findall(r"^#?([A-Z][A-Z0-9_]+)=", example, re.MULTILINE))
    assert named == {name.upper() for name in Settings.model_fields}
