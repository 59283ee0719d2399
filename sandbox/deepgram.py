"""Deepgram's live transcription on loopback: a WebSocket that takes sound and gives words, as strict as the real one.

Source of every protocol fact here: Deepgram: Listen WebSocket, `/v1/listen`. Its words are those of the line's brain,
and come when an utterance has ended; interim results, which would need them before, do not come.
"""

import asyncio
import hmac
import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Literal, Self
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import numpy as np
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from sandbox.brain import Brain
from sandbox.hearing import HumSearch, SpeechDetector, SpeechStopped, Vad
from sandbox.hum import Hum
from sandbox.scene import Journal

PATH = "/v1/listen"

SILENT_SECONDS = 10.0
"""After so long without sound or `KeepAlive` the connection is closed (Deepgram: NET-0001)."""

PARAMETERS = {
    *("callback", "callback_method", "channels", "detect_entities", "diarize", "dictation", "encoding", "endpointing"),
    *("extra", "interim_results", "keyterm", "keywords", "language", "mip_opt_out", "model", "multichannel"),
    *("numerals", "profanity_filter", "punctuate", "redact", "replace", "sample_rate", "search", "smart_format"),
    *("tag", "utterance_end_ms", "vad_events", "version"),
}

ENDPOINT = Vad(silence_duration_ms=400)
"""When an utterance ends by itself."""

Refusal = Literal[401, 402, 429, 503]


class Deepgram:
    """The service.

    Attributes:
        refuse: How coming connections are turned away; None to let them in.
        connections: How many there were.
    """

    def __init__(
        self, *, lines: Mapping[Hum, Brain], default_brain: Brain, journal: Journal, api_key: str, delay: float = 0.1
    ) -> None:
        """Prepare the service; `async with` runs it.

        Args:
            lines: The brain of each line that is open.
            default_brain: Answers where no line is known.
            journal: Where notes go.
            api_key: The only key that is let in.
            delay: From the end of an utterance to its words. Seconds.
        """
        self.refuse: Refusal | None = None
        self.connections = 0
        self._lines = lines
        self._default_brain = default_brain
        self._journal = journal
        self._api_key = api_key
        self._delay = delay

    @property
    def url(self) -> str:
        """As in `ws://127.0.0.1:1234`."""
        return f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await serve(
            self._serve, "127.0.0.1", 0, process_request=self._admit, ping_interval=None, compression=None
        )
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    def brain(self, hum: Hum | None) -> Brain:
        """The brain of a line; of the only one where the line has not been recognised yet."""
        if hum is not None and hum in self._lines:
            return self._lines[hum]
        return next(iter(self._lines.values())) if len(self._lines) == 1 else self._default_brain

    async def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Let an upgrade in (None), or answer why not."""
        if self.refuse is not None:
            return _refusal(self.refuse, "REFUSED", "Refused.")
        address = urlsplit(request.path)
        if address.path != PATH:
            return _refusal(404, "NOT_FOUND", "Not found.")
        bearer = request.headers.get("Authorization", "")
        if not hmac.compare_digest(bearer.lower(), f"token {self._api_key}".lower()):
            return _refusal(401, "INVALID_AUTH", "Invalid credentials.")
        wrong = _wrong(parse_qs(address.query, keep_blank_values=True))
        return _refusal(400, "INVALID_QUERY_PARAMETER", wrong) if wrong else None

    async def _serve(self, socket: ServerConnection) -> None:
        self.connections += 1
        assert socket.request is not None  # noqa: S101 - it was admitted by it
        query = parse_qs(urlsplit(socket.request.path).query)
        await _Listening(self, socket, query, self._journal, self._delay).run()


class _Listening:
    """One connection."""

    def __init__(
        self,
        service: Deepgram,
        socket: ServerConnection,
        query: Mapping[str, list[str]],
        journal: Journal,
        delay: float,
    ) -> None:
        self._service = service
        self._socket = socket
        self._model = query["model"][0]
        self._language = query.get("language", ["en"])[0]
        self._rate = int(query["sample_rate"][0])
        self._journal = journal
        self._delay = delay
        self._detector = SpeechDetector(self._rate)
        self._search = HumSearch()
        self._heard_ms = 0.0
        self._request_id = str(uuid4())

    async def run(self) -> None:
        try:
            while True:
                async with asyncio.timeout(SILENT_SECONDS):
                    message = await self._socket.recv()
                if isinstance(message, bytes):
                    await self._hear(message)
                elif not await self._obey(message):
                    return
        except TimeoutError:
            await self._socket.close(1011, "NET-0001")
        except ConnectionClosed:
            pass

    async def _hear(self, audio: bytes) -> None:
        if len(audio) % 2:
            await self._socket.close(1008, "DATA-0000")
            return
        pcm = np.frombuffer(audio, dtype="<i2").astype(np.int16)
        self._heard_ms += 1000 * len(pcm) / self._rate
        if not self._search.over:
            self._search.hear(pcm, self._rate)
        for event in self._detector.hear(pcm, ENDPOINT):
            if isinstance(event, SpeechStopped):
                await self._tell(finalized=False)

    async def _obey(self, message: str) -> bool:
        """Returns whether the connection goes on."""
        try:
            kind = json.loads(message).get("type")
        except (ValueError, AttributeError):
            kind = None
        match kind:
            case "KeepAlive":
                return True
            case "Finalize":
                await self._finalize()
                return True
            case "CloseStream":
                await self._socket.close(1000)
                return False
            case _:
                self._journal.note("model", "error", code="SCHEMA", param="type", message=message[:100])
                await self._socket.close(1008, "SCHEMA")
                return False

    async def _finalize(self) -> None:
        """What was heard so far is told at once; with nothing to tell, that is told."""
        if self._detector.speaking:
            self._detector.reset()
            await self._tell(finalized=True)
        else:
            await self._send("", finalized=True)

    async def _tell(self, *, finalized: bool) -> None:
        await asyncio.sleep(self._delay)
        brain = self._service.brain(self._search.hum)
        transcript = brain.transcript() or ""
        self._journal.note("model", "hears", brain.call_sid, text=transcript, language=self._language)
        await self._send(transcript, finalized=finalized)

    async def _send(self, transcript: str, *, finalized: bool) -> None:
        seconds = self._heard_ms / 1000
        words = [
            {"word": word, "start": seconds, "end": seconds, "confidence": 0.98, "punctuated_word": word}
            for word in transcript.split()
        ]
        result: dict[str, Any] = {
            "type": "Results",
            "channel_index": [0, 1],
            "duration": seconds,
            "start": 0.0,
            "is_final": True,
            "speech_final": bool(transcript),
            "from_finalize": finalized,
            "channel": {"alternatives": [{"transcript": transcript, "confidence": 0.98, "words": words}]},
            "metadata": {
                "request_id": self._request_id,
                "model_info": {"name": self._model, "version": "2026-01-01.0", "arch": "nova-3"},
                "model_uuid": self._request_id,
            },
        }
        await self._socket.send(json.dumps(result))


def _wrong(query: Mapping[str, list[str]]) -> str | None:
    """What is wrong with the parameters, in words."""
    unknown = sorted(query.keys() - PARAMETERS)
    if unknown:
        return f"Unknown query parameter: {unknown[0]}"
    if "model" not in query:
        return "A model is needed."
    if query.get("encoding", [""])[0] != "linear16" or query.get("channels", ["1"])[0] != "1":
        return "The sandbox hears one channel of linear16."
    rate = query.get("sample_rate", [""])[0]
    if not rate.isdigit() or not 8000 <= int(rate) <= 48_000:
        return "sample_rate has to be a number from 8000 to 48000."
    return None


def _refusal(status: int, code: str, message: str) -> Response:
    body = json.dumps({"err_code": code, "err_msg": message, "request_id": str(uuid4())}).encode()
    headers = Headers(
        {"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close", "dg-error": code}
    )
    return Response(status, HTTPStatus(status).phrase, headers, body)
