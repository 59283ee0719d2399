"""A small server in the place of ours: voice webhook, callbacks, media socket. It writes down what it is asked."""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import ClientSession, WSMsgType, web
from twilio.request_validator import RequestValidator

from sandbox.network import CallerLeg, Line, Network
from sandbox.people import Person
from sandbox.scene import Journal

PUBLIC = "https://bot.example"
ACCOUNT = "AC" + "5a" * 16
TOKEN = "secret"
CALLER = "+447700900100"
OURS = "+12025550100"
ANNA = "+12025550111"
BEN = "+12025550122"

STREAM = '<Connect><Stream url="wss://bot.example/media"><Parameter name="token" value="t1"/></Stream></Connect>'

Answer = str | web.Response | Callable[["Asked"], "str | web.Response | Awaitable[str]"]


def document(verbs: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?><Response>{verbs}</Response>'


@dataclass
class Asked:
    """One webhook."""

    path: str
    query: str
    form: dict[str, str]
    headers: Mapping[str, str]
    signed: bool


@dataclass
class Socket:
    """One media socket, from our side."""

    ws: web.WebSocketResponse
    signed: bool
    query: str
    events: list[dict[str, Any]] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    def of(self, event: str) -> list[dict[str, Any]]:
        return [e for e in self.events if e["event"] == event]

    @property
    def sid(self) -> str:
        return self.of("start")[0]["streamSid"]

    async def until(self, event: str, count: int = 1) -> list[dict[str, Any]]:
        async with self.changed, asyncio.timeout(10):
            await self.changed.wait_for(lambda: len(self.of(event)) >= count)
        return self.of(event)

    async def send(self, event: str, **body: Any) -> None:
        await self.ws.send_str(json.dumps({"event": event, "streamSid": self.sid, **body}))

    async def media(self, ms: int, byte: int = 0x90) -> None:
        payload = b64encode(bytes([byte]) * (ms * 8)).decode()
        await self.send("media", media={"payload": payload})

    async def mark(self, name: str) -> None:
        await self.send("mark", mark={"name": name})


class OurServer:
    def __init__(self) -> None:
        self.documents: dict[str, Answer] = {"/voice": document(STREAM)}
        self.asked: list[Asked] = []
        self.sockets: asyncio.Queue[Socket] = asyncio.Queue()
        self.refuse_upgrades = False
        self._validator = RequestValidator(TOKEN)
        app = web.Application()
        app.router.add_get("/media", self._media)
        app.router.add_route("*", "/{path:.*}", self._webhook)
        self.runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)

    async def __aenter__(self) -> Self:
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self.runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.runner.cleanup()

    def asked_for(self, path: str) -> list[Asked]:
        return [asked for asked in self.asked if asked.path == path]

    async def socket(self) -> Socket:
        async with asyncio.timeout(10):
            return await self.sockets.get()

    async def _webhook(self, request: web.Request) -> web.StreamResponse:
        form = {name: str(value) for name, value in (await request.post()).items()}
        signature = request.headers.get("X-Twilio-Signature", "")
        signed = self._validator.validate(PUBLIC + request.raw_path, form, signature)
        asked = Asked(request.path, request.query_string, form, request.headers, signed)
        self.asked.append(asked)
        answer = self.documents.get(request.path, web.Response(status=404))
        if callable(answer):
            answer = answer(asked)
        if isinstance(answer, Awaitable):
            answer = await answer
        return web.Response(text=answer, content_type="text/xml") if isinstance(answer, str) else answer

    async def _media(self, request: web.Request) -> web.StreamResponse:
        if self.refuse_upgrades:
            return web.Response(status=403)
        signature = request.headers.get("x-twilio-signature", "")
        signed = self._validator.validate("wss://bot.example" + request.path, {}, signature)
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        socket = Socket(ws, signed, request.query_string)
        self.sockets.put_nowait(socket)
        async for message in ws:
            async with socket.changed:
                if message.type is WSMsgType.TEXT:
                    socket.events.append(json.loads(message.data))
                socket.changed.notify_all()
        socket.closed.set()
        return ws


@dataclass
class World:
    """A network, a server, and a way to call it."""

    net: Network
    server: OurServer
    journal: Journal

    async def call(self, **options: Any) -> CallerLeg:
        return await self.net.call(CALLER, OURS, **options)

    async def stream(self, **options: Any) -> tuple[CallerLeg, Socket]:
        """A call with its media stream, which has started."""
        call = await self.call(**options)
        socket = await self.server.socket()
        await socket.until("start")
        return call, socket

    async def rest(self, method: str, path: str, *, secret: str = TOKEN, **form: str) -> tuple[int, Any]:
        key = b64encode(f"{ACCOUNT}:{secret}".encode()).decode()
        url = f"{self.net.rest_url}/2010-04-01/Accounts/{ACCOUNT}/{path}"
        async with (
            ClientSession(headers={"Authorization": f"Basic {key}"}) as http,
            http.request(method, url, data=form if method == "POST" else None) as answer,
        ):
            return answer.status, await answer.json()

    async def redirect(self, call: CallerLeg, verbs: str) -> int:
        status, _ = await self.rest("POST", f"Calls/{call.sid}.json", Twiml=document(verbs))
        return status


@asynccontextmanager
async def world(*, strict: bool = True, webhook_seconds: float = 15.0) -> AsyncIterator[World]:
    journal = Journal()
    async with OurServer() as server:
        net = Network(
            account_sid=ACCOUNT,
            auth_token=TOKEN,
            journal=journal,
            routes={PUBLIC: server.url},
            api_keys={"SK1": "key-secret"},
            strict=strict,
            webhook_seconds=webhook_seconds,
        )
        net.numbers[OURS] = Line(f"{PUBLIC}/voice")
        net.people[ANNA] = Person(after=0.05)
        async with net:
            yield World(net, server, journal)
