"""The beginning of a media stream: what Twilio says before the first audio, read with suspicion."""

import asyncio
import json
import re
from dataclasses import dataclass
from typing import Any

from fastapi import WebSocket, WebSocketDisconnect

START_SECONDS = 5.0
"""How long a socket may stay open without `start`."""

MULAW_8K = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
"""The only format that a stream of ours has (Twilio: Media Streams, WebSocket messages)."""

_CALL_SID = re.compile(r"CA[0-9a-fA-F]{32}")
_STREAM_SID = re.compile(r"MZ[0-9a-fA-F]{32}")


@dataclass(frozen=True, slots=True)
class Start:
    """What `start` says."""

    stream_sid: str
    call_sid: str
    account_sid: str
    parameters: dict[str, str]


async def read_first(websocket: WebSocket) -> str | None:
    """The first message on a socket; None when none comes in `START_SECONDS`, or none that is text."""
    try:
        async with asyncio.timeout(START_SECONDS):
            return (await websocket.receive()).get("text")
    except (TimeoutError, WebSocketDisconnect):
        return None


async def read_start(websocket: WebSocket, first: str | None = None) -> Start | None:
    """Read up to and including `start`.

    Args:
        websocket: The accepted socket.
        first: A message that was read from it already.

    Returns:
        What it says; None when it does not come in `START_SECONDS`, when the socket ends before, or when it is not what
        Twilio sends for a stream of ours. Whatever else comes before it is passed over.
    """
    if (event := _json(first)).get("event") == "start":
        return _start(event.get("start"))
    try:
        async with asyncio.timeout(START_SECONDS):
            while True:
                message = await websocket.receive()
                if message["type"] == "websocket.disconnect":
                    return None
                event = _json(message.get("text"))
                if event.get("event") == "start":
                    return _start(event.get("start"))
    except (TimeoutError, WebSocketDisconnect):
        return None


def _json(text: str | None) -> dict[str, Any]:
    try:
        value = json.loads(text or "")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _start(told: Any) -> Start | None:
    if not isinstance(told, dict):
        return None
    stream_sid, call_sid = str(told.get("streamSid")), str(told.get("callSid"))
    if not _STREAM_SID.fullmatch(stream_sid) or not _CALL_SID.fullmatch(call_sid):
        return None
    if told.get("mediaFormat", MULAW_8K) != MULAW_8K:
        return None
    parameters = told.get("customParameters")
    if not isinstance(parameters, dict):
        parameters = {}
    texts = {str(name): str(value) for name, value in parameters.items()}
    return Start(stream_sid, call_sid, str(told.get("accountSid")), texts)
