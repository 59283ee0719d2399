"""A session's configuration: what it is at first, and what `session.update` makes of it."""

import time
from copy import deepcopy
from typing import Any

from sandbox.hearing import Vad
from sandbox.view import Json
from sandbox.wire import Refused

VOICES = frozenset(("alloy", "ash", "ballad", "cedar", "coral", "echo", "marin", "sage", "shimmer", "verse"))

_PCM: Json = {"type": "audio/pcm", "rate": 24000}
_SERVER_VAD: Json = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 500,
    "idle_timeout_ms": None,
    "create_response": True,
    "interrupt_response": True,
}
_SEMANTIC_VAD: Json = {
    "type": "semantic_vad",
    "eagerness": "auto",
    "create_response": True,
    "interrupt_response": True,
}

_FIRST: Json = {
    "type": "realtime",
    "object": "realtime.session",
    "output_modalities": ["audio"],
    "instructions": "",
    "tools": [],
    "tool_choice": "auto",
    "max_output_tokens": "inf",
    "tracing": None,
    "truncation": "auto",
    "prompt": None,
    "include": None,
    "audio": {
        "input": {
            "format": _PCM,
            "transcription": None,
            "noise_reduction": None,
            "turn_detection": _SERVER_VAD,
        },
        "output": {"format": _PCM, "voice": "alloy", "speed": 1.0},
    },
}

_FILLED: dict[str, list[Json]] = {
    "format": [_PCM],
    "turn_detection": [_SERVER_VAD, _SEMANTIC_VAD],
    "transcription": [{"model": "gpt-realtime-whisper", "language": None, "prompt": None}],
}
"""What stands beside the keys that a client names, by the object's name; where there are several, by its type."""

_RANGES: tuple[tuple[str, float, float], ...] = (
    ("audio.output.speed", 0.25, 1.5),
    ("audio.input.turn_detection.threshold", 0.0, 1.0),
    ("audio.input.turn_detection.prefix_padding_ms", 0, 10_000),
    ("audio.input.turn_detection.silence_duration_ms", 0, 10_000),
    ("max_output_tokens", 1, 4096),
)


def first_config(session_id: str, model: str, seconds: float) -> Json:
    """The configuration that `session.created` tells (OpenAI: Realtime API, sessions).

    Args:
        session_id: The session.
        model: The model that the connection asked for.
        seconds: How long the session may last.
    """
    return {**deepcopy(_FIRST), "id": session_id, "model": model, "expires_at": int(time.time() + seconds)}


def updated(config: Json, change: Json, *, has_spoken: bool) -> Json:
    """The configuration after a `session.update`: only what the client names changes, and null clears.

    Args:
        config: The configuration before; left as it is.
        change: The update's `session`, known to fit its class.
        has_spoken: Whether the session has produced audio, after which the voice stays.

    Raises:
        Refused: A value cannot be, or cannot be changed.
    """
    if change["type"] != "realtime":
        raise Refused("not_simulated", "The sandbox has no transcription sessions.", param="session.type")
    if change.get("model", config["model"]) != config["model"]:
        what = "Cannot update a session's model."
        raise Refused("invalid_value", what, param="session.model")
    new = _merged(config, change, _FIRST)
    _check(new)
    if has_spoken and _at(new, "audio.output.voice") != _at(config, "audio.output.voice"):
        what = "Cannot update a conversation's voice if assistant audio is present."
        raise Refused("cannot_update_voice", what, param="session.audio.output.voice")
    return new


def vad_of(config: Json) -> Vad | None:
    """When turns begin and end; None where the client decides."""
    turns = _at(config, "audio.input.turn_detection")
    if turns is None:
        return None
    if turns["type"] == "semantic_vad":
        return Vad()
    return Vad(turns["threshold"], turns["prefix_padding_ms"], turns["silence_duration_ms"])


def _merged(current: Json, change: Json, first: Json) -> Json:
    merged = dict(current)
    for key, value in change.items():
        now = current.get(key)
        if value is None:
            merged[key] = None if key == "turn_detection" else first.get(key)
        elif isinstance(value, dict) and isinstance(now, dict) and _same_type(value, now):
            merged[key] = _merged(now, value, first.get(key) or {})
        else:
            merged[key] = _filled(key, value)
    return merged


def _same_type(value: Json, now: Json) -> bool:
    return value.get("type", now.get("type")) == now.get("type")


def _filled(key: str, value: Any) -> Any:
    for defaults in _FILLED.get(key, ()):
        if value.get("type") == defaults.get("type"):
            return {**defaults, **value}
    return value


def _check(config: Json) -> None:
    for path, low, high in _RANGES:
        value = _at(config, path)
        if isinstance(value, int | float) and not low <= value <= high:
            what = f"Invalid value: {value}. It must be between {low} and {high}."
            raise Refused("invalid_value", what, param=f"session.{path}")
    if config["output_modalities"] not in (["audio"], ["text"]):
        what = f"Invalid modalities: {config['output_modalities']}. Supported: ['text'] and ['audio']."
        raise Refused("invalid_value", what, param="session.output_modalities")
    voice = _at(config, "audio.output.voice")
    if isinstance(voice, str) and voice not in VOICES:
        what = f"Invalid value: '{voice}'. Supported values are: {', '.join(sorted(VOICES))}."
        raise Refused("invalid_value", what, param="session.audio.output.voice")
    for index, tool in enumerate(config["tools"]):
        _check_tool(tool, f"session.tools[{index}]")
    for path in ("prompt", "audio.input.turn_detection.idle_timeout_ms"):
        if _at(config, path) is not None:
            raise Refused("not_simulated", f"The sandbox has no '{path}'.", param=f"session.{path}")
    for end in ("input", "output"):
        if _at(config, f"audio.{end}.format.type") == "audio/pcma":
            param = f"session.audio.{end}.format.type"
            raise Refused("not_simulated", "The sandbox has no A-law.", param=param)


def _check_tool(tool: Json, param: str) -> None:
    if tool.get("type") != "function":
        raise Refused("not_simulated", "The sandbox has no tools but functions.", param=f"{param}.type")
    if not tool.get("name"):
        what = f"Missing required parameter: '{param}.name'."
        raise Refused("missing_required_parameter", what, param=f"{param}.name")


def _at(config: Json, path: str) -> Any:
    value: Any = config
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value
