"""The speech-to-speech model: a server of the Realtime API on loopback, as strict as the real one.

Its events are those of OpenAI's library 3.54, in the documented order. What it does not simulate it refuses with the
code `not_simulated`: transcription sessions, MCP tools, A-law, stored prompts, idle timeouts and out-of-band
responses. A configured speed is kept, but the sandbox's voice has only one.
"""

import asyncio
import hmac
import json
from contextlib import suppress
from http import HTTPStatus
from types import TracebackType
from typing import Literal, Self, cast
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from sandbox.brain import Brain, FaultKind, StockBrain
from sandbox.hum import Hum
from sandbox.scene import Journal
from sandbox.session import Session, Timing
from sandbox.view import SessionView

PATH = "/v1/realtime"

STAND_ALONE_PORT = 8765
"""Where `python -m sandbox.model` listens, and where pipelines/local.yaml looks for it."""

LARGEST_MESSAGE = 16 * 1024 * 1024
"""Bytes. An append may carry 15 MiB of audio (OpenAI: `input_audio_buffer.append`)."""

Refusal = Literal[401, 403, 429, 503, "never"]
"""How a connection is turned away; `never` accepts it and does not answer."""

_REASONS: dict[int, tuple[str, str]] = {
    400: ("missing_model", "You must provide a model parameter."),
    401: ("invalid_api_key", "Incorrect API key provided."),
    403: ("unsupported_country_region_territory", "Country, region, or territory not supported."),
    404: ("not_found", "Not found."),
    429: ("rate_limit_exceeded", "Rate limit reached."),
    503: ("service_unavailable", "The server is overloaded or not ready yet."),
}


class RealtimeModel:
    """The model's server.

    Attributes:
        lines: The brain of each line, by its hum.
        sessions: Every session there was, in order.
        open: The sessions that are open.
        refuse: How coming connections are turned away; None to let them in.
        handshake_seconds: How long a connection waits until it is let in, or turned away.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        api_key: str = "sk-sandbox",
        default_brain: Brain | None = None,
        timing: Timing | None = None,
        port: int = 0,
    ) -> None:
        """Prepare the server; `async with` runs it.

        Args:
            journal: Where notes go.
            api_key: The only key that is let in.
            default_brain: Answers on lines that do not hum, or are not known; by default with stock sentences.
            timing: How fast the model is.
            port: Where it listens on loopback; by default wherever there is room.
        """
        self._port = port
        self.lines: dict[Hum, Brain] = {}
        self.sessions: list[SessionView] = []
        self.open: set[Session] = set()
        self.refuse: Refusal | None = None
        self.handshake_seconds = 0.0
        self._journal = journal
        self._api_key = api_key
        self._default_brain = default_brain or StockBrain()
        self._timing = timing or Timing()
        self._stopping = asyncio.Event()

    @property
    def url(self) -> str:
        """The address without a query, as in `ws://127.0.0.1:1234/v1/realtime`."""
        port = self._server.sockets[0].getsockname()[1]
        return f"ws://127.0.0.1:{port}{PATH}"

    async def __aenter__(self) -> Self:
        self._server: Server = await serve(
            self._serve,
            "127.0.0.1",
            self._port,
            process_request=self._admit,
            open_timeout=None,
            ping_interval=None,
            compression=None,
            max_size=LARGEST_MESSAGE,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._server.close()
        await self._server.wait_closed()

    async def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Let an upgrade in (None), or answer why not."""
        if self.handshake_seconds:
            await asyncio.sleep(self.handshake_seconds)
        if self.refuse == "never":
            await self._stopping.wait()
            return _refusal(503)
        if self.refuse is not None:
            self._journal.note("model", "refuses", status=self.refuse)
            return _refusal(self.refuse)
        address = urlsplit(request.path)
        if address.path != PATH:
            return _refusal(404)
        bearer = request.headers.get("Authorization", "")
        if not hmac.compare_digest(bearer, f"Bearer {self._api_key}"):
            self._journal.note("model", "refuses", status=401)
            return _refusal(401)
        if not parse_qs(address.query).get("model"):
            return _refusal(400)
        return None

    async def _serve(self, connection: ServerConnection) -> None:
        request = cast("Request", connection.request)
        (model, *_) = parse_qs(urlsplit(request.path).query)["model"]
        session = Session(
            connection,
            model,
            lines=self.lines,
            default_brain=self._default_brain,
            journal=self._journal,
            timing=self._timing,
        )
        self.sessions.append(session.view)
        self.open.add(session)
        try:
            await session.run()
        finally:
            self.open.discard(session)

    def break_line(self, hum: Hum, kind: FaultKind) -> bool:
        """Break the open sessions of a line. Returns whether there was one."""
        broken = [session for session in self.open if session.view.hum == hum]
        for session in broken:
            session.break_now(kind)
        return bool(broken)


def _refusal(status: int) -> Response:
    """The service's answer to an upgrade that it does not let in."""
    code, message = _REASONS[status]
    kind = "invalid_request_error" if status < 429 else "server_error"
    error = {"type": kind, "code": code, "message": message, "param": None}
    body = json.dumps({"error": error}).encode()
    headers = Headers(
        {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "Connection": "close",
        }
    )
    return Response(status, HTTPStatus(status).phrase, headers, body)


async def _stand_alone() -> None:
    """Serve until Ctrl-C, for a server that is started with `PIPELINE=local`."""
    async with RealtimeModel(journal=Journal(), port=STAND_ALONE_PORT) as model:
        print(f"The sandbox's model answers on {model.url}. Ctrl-C ends it.")
        await asyncio.Event().wait()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(_stand_alone())
