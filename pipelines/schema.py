"""The JSON Schema of a pipeline's file, for editors: `pipelines/schema.json`, named in the first line of every file."""

import json
from typing import Any

from pipelines.catalogue import Kind, names
from pipelines.config import FOLDER
from pipelines.load import DEFAULT_LEG, LEGS

PATH = FOLDER / "schema.json"

_INTERPOLATED = {"type": "string", "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-.*)?\}"}
"""Any value may come from the environment."""


def schema() -> dict[str, Any]:
    """The schema, as it belongs into the file."""
    definitions: dict[str, Any] = {}
    branches: list[dict[str, Any]] = []
    for leg, model in LEGS.items():
        part = model.model_json_schema()
        definitions |= part.pop("$defs", {})
        part["properties"] = {
            "extends": {"type": "string", "description": "The pipeline whose settings these change."},
            **part["properties"],
            "leg": {"const": leg, "description": "What kind of model leg this is."},
        }
        _name_services(leg, part["properties"])
        part.pop("required", None)  # what is needed may stand in the file that is extended
        part["title"] = leg
        branches.append(_interpolated(part))
    kinds: dict[str, Any] = {"properties": {"leg": {"enum": list(LEGS)}}}
    for leg, branch in zip(LEGS, branches, strict=True):
        definitions[leg] = branch
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A pipeline of Putthrough",
        "type": "object",
        **kinds,
        "anyOf": [{"required": ["extends"]}, {"required": ["instructions"]}],
        "allOf": [
            {"if": {"properties": {"leg": {"const": leg}}, "required": ["leg"]}, "then": {"$ref": f"#/$defs/{leg}"}}
            for leg in LEGS
        ]
        + [
            {
                "if": {"not": {"anyOf": [{"required": ["leg"]}, {"required": ["extends"]}]}},
                "then": {"$ref": f"#/$defs/{DEFAULT_LEG}"},
            }
        ],
        "$defs": {name: _interpolated(part) if name not in LEGS else part for name, part in definitions.items()},
    }


def _name_services(leg: str, properties: dict[str, Any]) -> None:
    """Let an editor complete the names of Pipecat's catalogue; the path of a class is fine too."""

    def name(kind: Kind) -> dict[str, Any]:
        return {"anyOf": [{"enum": sorted(names(kind))}, {"type": "string"}]}

    if leg == "cascade":
        for kind in ("stt", "llm", "tts"):
            properties[kind] = {
                "type": "object",
                "description": properties[kind]["description"],
                "properties": {"service": name(kind), "settings": {"type": "object"}},
                "required": ["service"],
                "additionalProperties": False,
            }
    elif leg == "speech_to_speech":
        properties["service"] |= name("realtime")
        properties["service"].pop("type", None)


def _interpolated(part: Any) -> Any:
    """The same schema, in which every number, truth value and choice may be a variable instead."""
    if isinstance(part, list):
        return [_interpolated(item) for item in part]
    if not isinstance(part, dict):
        return part
    result = {
        key: value if key in ("default", "const", "enum", "discriminator") else _interpolated(value)
        for key, value in part.items()
    }
    if result.get("type") in ("number", "integer", "boolean") or ("enum" in result and "anyOf" not in result):
        described = {key: result.pop(key) for key in ("description", "title", "default") if key in result}
        return {**described, "anyOf": [result, _INTERPOLATED]}
    return result


def text() -> str:
    """The file's content."""
    here = f"{FOLDER.parent.as_posix()}/"
    return json.dumps(schema(), indent=2).replace(here, "") + "\n"  # paths as they are on every machine


if __name__ == "__main__":
    PATH.write_text(text())
