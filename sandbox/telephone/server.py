"""Serves the telephone's page on loopback, and connects it with the simulated network by a WebSocket.

It is part of the sandbox: it places calls on a simulated network and reaches no server that was not started for it. It
listens on loopback alone, and answers nobody who comes by another name or from another site's page.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import WSMsgType, web

from sandbox.stage import Stage
from sandbox.telephone.handset import Handset

FILES = {
    "/": ("telephone.html", "text/html"),
    "/telephone.css": ("telephone.css", "text/css"),
    "/telephone.js": ("telephone.js", "text/javascript"),
    "/microphone.js": ("microphone.js", "text/javascript"),
}
_FOLDER = Path(__file__).parent / "page"

LONGEST_MESSAGE = 64 * 1024

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "worker-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(self)",
    "Cache-Control": "no-store",
}


@asynccontextmanager
async def telephone(stage: Stage, port: int = 0) -> AsyncIterator[str]:
    """Put the telephone on a stage whose server is connected. Yields the page's address.

    Args:
        stage: The network that it calls on.
        port: Where it listens on loopback; 0 for a free port.
    """
    app = web.Application(middlewares=[_from_here])
    for path, (name, kind) in FILES.items():
        app.router.add_get(path, _file(name, kind))
    app.router.add_get("/line", _line(stage))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def _from_here(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Only this machine's browser, by a loopback name (a page that was lured here has another), on our own page."""
    host = urlsplit(f"//{request.host}").hostname
    origin = request.headers.get("Origin")
    if host not in ("127.0.0.1", "localhost", "::1") or (origin and urlsplit(origin).netloc != request.host):
        raise web.HTTPForbidden(text="The telephone is for this machine alone.")
    return await handler(request)


def _file(name: str, kind: str) -> Handler:
    async def serve(_: web.Request) -> web.StreamResponse:
        text = (_FOLDER / name).read_text(encoding="utf-8")
        return web.Response(text=text, content_type=kind, charset="utf-8", headers=_HEADERS)

    return serve


def _line(stage: Stage) -> Handler:
    async def connect(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(max_msg_size=LONGEST_MESSAGE, heartbeat=20)
        await socket.prepare(request)
        handset = Handset(stage)
        sending = asyncio.create_task(_send(socket, handset))
        try:
            async for message in socket:
                if message.type is WSMsgType.BINARY:
                    handset.microphone(message.data)
                elif message.type is WSMsgType.TEXT:
                    await handset.take(_read(message.data))
        finally:
            sending.cancel()
            await handset.close()
            await asyncio.gather(sending, return_exceptions=True)
        return socket

    return connect


def _read(text: str) -> dict[str, str]:
    """An order of the page: a flat object of texts; empty for anything else."""
    try:
        told = json.loads(text)
    except ValueError:
        return {}
    return {str(k): v for k, v in told.items() if isinstance(v, str)} if isinstance(told, dict) else {}


async def _send(socket: web.WebSocketResponse, handset: Handset) -> None:
    with contextlib.suppress(ConnectionError):
        while True:
            message = await handset.outgoing.get()
            if isinstance(message, bytes):
                await socket.send_bytes(message)
            else:
                await socket.send_json(message)
