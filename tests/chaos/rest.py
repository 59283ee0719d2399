"""The way to Twilio's REST API, on which the orders for one call can be lost, refused, or answered too late."""

import asyncio
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import web

from chaos.plan import RestKind

_CALL = re.compile(r"/Calls/(CA[0-9a-f]{32})\.json$")
_FOR = re.compile(r"[?&]call=(CA[0-9a-f]{32})")
"""For whom somebody is called, in the address of the document that they get."""


@dataclass(frozen=True, slots=True)
class Order:
    """An order that reached Twilio: to move a call, or to end it."""

    call_sid: str
    completes: bool
    applied: bool
    """Whether Twilio did it, whatever it answered."""


class RestProxy:
    """Hands on every request, but for those that their call's fault befalls. `async with` opens it."""

    def __init__(self, target: Callable[[], str]) -> None:
        """Args: target: where REST is, once the network is up."""
        self.faults: dict[str, RestKind] = {}
        """By CallSid: what happens to the orders for that call."""

        self.on_redirect: dict[str, Callable[[], None]] = {}
        """By CallSid: told when a redirect is ordered."""

        self.orders: list[Order] = []
        self._target = target
        self._seen: Counter[str] = Counter()
        self._closing = asyncio.Event()
        app = web.Application()
        app.add_routes([web.route("*", "/{any:.*}", self._answer)])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession()
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closing.set()
        await self._runner.cleanup()
        await self._http.close()

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end."""
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}"

    def forget(self, sid: str) -> None:
        """A call is over."""
        self.faults.pop(sid, None)
        self.on_redirect.pop(sid, None)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        found = _CALL.search(request.path)
        form = await request.post() if request.method == "POST" else {}
        for_ = _FOR.search(str(form.get("Url", ""))) if found is None else None
        sid = found[1] if found else for_[1] if for_ else ""
        if "Twiml" in form and sid in self.on_redirect:
            self.on_redirect[sid]()
        fault = self.faults.get(sid) if form else None
        self._seen[sid] += bool(form)
        n = self._seen[sid]
        match fault:
            case "500" if n == 1:
                return _error(500, 20500, "Internal Server Error")
            case "500 for ever":
                return _error(500, 20500, "Internal Server Error")
            case "429" if n <= 2:
                return _error(429, 20429, "Too Many Requests")
            case "429 with Retry-After" if n == 1:
                return _error(429, 20429, "Too Many Requests", {"Retry-After": "1"})
            case "hang" if n == 1:
                await self._closing.wait()
                return web.Response(status=503)
            case "21220" if n == 1 and for_ is None:
                return _error(400, 21220, "Call is not in-progress. Cannot redirect.")
            case _:
                pass
        answer = await self._hand_on(request, body)
        if form and for_ is None:
            self.orders.append(Order(sid, form.get("Status") == "completed", answer.status < 300))
        if fault == "applied, then no answer" and n == 1:
            await self._closing.wait()
        return answer

    async def _hand_on(self, request: web.Request, body: bytes) -> web.Response:
        headers = {name: request.headers[name] for name in ("Authorization", "Content-Type") if name in request.headers}
        url = self._target() + request.path_qs
        async with self._http.request(request.method, url, data=body, headers=headers) as answer:
            return web.Response(
                status=answer.status, body=await answer.read(), content_type=answer.content_type, charset="utf-8"
            )


def _error(status: int, code: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
    body = {"code": code, "message": message, "more_info": f"https://www.twilio.com/docs/errors/{code}"}
    return web.json_response({**body, "status": status}, status=status, headers=headers)
