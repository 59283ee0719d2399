"""The layout of the project: who may import whom, what each file may be, and what must have its reason beside it."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bot.settings import Settings

ROOT = Path(__file__).parent.parent
ROOMS = ("bot", "web", "pipelines", "sandbox")
MAY_IMPORT = {
    "server": {"web", "bot", "pipelines", "sandbox"},
    "web": {"bot", "pipelines"},
    "bot": {"pipelines"},
    "pipelines": set[str](),
    "sandbox": set[str](),
}
PURE = {
    *(
        "accounts",
        "call",
        "falls",
        "joins",
        "supervision",
        "modes",
        "events",
        "effects",
        "law",
        "transfer",
        "dialled",
        "attended",
        "consultation",
        "person_events",
        "sent_back",
        "rescue",
        "lost_model",
        "outgoing",
        "triggers",
        "routing",
        "carried",
        "parting",
        "opening",
        "callback",
        "callback_rules",
        "callback_wish",
        "callback_words",
        "booking",
        "modes",
        "queue_rules",
        "queue_events",
        "queued",
        "queue_twiml",
        "queue_words",
        "xml_text",
        "sip",
        "voicemail",
        "transcribed",
        "asked",
        "reconciled",
        "recorded",
        "recording_events",
        "taping",
    ),
    *("addresses", "twiml", "briefing", "phrases", "notices", "tokens", "playout", "speaking"),
}
EFFECTS_AND_CLOCKS = {"asyncio", "datetime", "logging", "os", "pathlib", "random", "secrets", "socket", "time"}
"""What of the standard library a pure file has no use for: time and chance come to it as parameters."""

LONGEST = 450
"""Lines. A file that wants more asks a question."""

SUPPRESSION = re.compile(r"# *(?:noqa|type: *ignore|pyright: *ignore)\b")
EXPLAINED = re.compile(r"# (?:noqa: [A-Z0-9, ]+|(?:type|pyright): ignore\[[\w, -]+\]) +[-–(] ?\w.{5,}")
PINNED = re.compile(r"(?P<name>[a-z0-9-]+)==(?P<version>[\w.+!]+)(?: ; [^/:]+)? \\")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?")


def sources() -> list[Path]:
    """Every Python file of the product."""
    return [ROOT / "server.py", *(path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py")))]


def imports(path: Path) -> Iterator[str]:
    """What a file imports, wherever in it and even for types alone: modules, and names as `module.name`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import hides whose file it is"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def test_imports_run_one_way():
    for path in sources():
        for imported in imports(path):
            other = imported.split(".")[0]
            allowed = other not in MAY_IMPORT or other == room(path) or other in MAY_IMPORT[room(path)]
            assert allowed, f"{path} imports {imported}"


@pytest.mark.parametrize("name", sorted(PURE))
def test_pure_files_import_pure_files_and_the_standard_library_alone(name: str):
    for imported in imports(ROOT / "bot" / f"{name}.py"):
        top, *rest = imported.split(".")
        if top == "bot":
            assert rest[0] in PURE
        elif name in ("twiml", "queue_twiml") and top == "twilio":
            assert rest[0] == "twiml"
        else:
            assert top in sys.stdlib_module_names - EFFECTS_AND_CLOCKS


def test_two_files_know_twiml():
    users = [path for path in sources() if any(name.startswith("twilio.twiml") for name in imports(path))]
    assert sorted(users) == [ROOT / "bot" / "queue_twiml.py", ROOT / "bot" / "twiml.py"]


def test_pipecat_s_private_names_are_imported_by_the_media_edge_and_the_pipelines_alone():
    for path in sources():
        private = [name for name in imports(path) if re.match(r"pipecat\..*\b_", name)]
        assert not private or room(path) == "pipelines" or path == ROOT / "bot" / "media.py", f"{path}: {private}"


def test_no_file_is_too_long_to_read():
    lengths = {path: len(path.read_text().splitlines()) for path in sources()}
    assert not {path: length for path, length in lengths.items() if length > LONGEST}


def test_every_suppressed_rule_has_its_reason():
    for path in sources():
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            assert not SUPPRESSION.search(line) or EXPLAINED.search(line), f"{path}:{number}: {line.strip()}"


def test_every_dependency_and_every_setting_of_a_tool_s_list_has_its_reason():
    items = re.findall(r'^ +(?:"|\{ ).*$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert not [item for item in items if "include-group" not in item and not re.search(r"# .{5,}", item)]


def test_the_lock_holds_versions_and_hashes_and_no_address():
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    assert "make lock" in "".join(line for line in lines if line.startswith("#"))
    assert not [line for line in lines if not (line.startswith("#") or PINNED.fullmatch(line) or HASH.fullmatch(line))]
    assert not re.search(r"://|^#.*(?:^|\s)/", "\n".join(lines), re.MULTILINE)


def test_the_lock_satisfies_what_the_project_asks_for():
    lock = (ROOT / "requirements.lock").read_text()
    pinned = {match["name"]: match["version"] for match in PINNED.finditer(lock)}
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [
        *asked["project"]["dependencies"],
        *(line for extra in asked["project"]["optional-dependencies"].values() for line in extra),
        *(line for group in asked["dependency-groups"].values() for line in group if isinstance(line, str)),
    ]
    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)]), f"{requirement}: make lock"


def test_the_example_environment_names_exactly_the_settings_with_their_defaults():
    example = (ROOT / ".env.example").read_text()
    optional = dict(re.findall(r"^#([A-Z][A-Z0-9_]+)=(.*)$", example, re.MULTILINE))
    needed = set(re.findall(r"^([A-Z][A-Z0-9_]+)=", example, re.MULTILINE))
    fields = Settings.model_fields
    assert needed == {name.upper() for name, field in fields.items() if field.is_required()}
    assert optional == {
        name.upper(): "" if field.default is None else str(field.default)
        for name, field in fields.items()
        if not field.is_required()
    }
