"""The console's door: who comes in, what a form must bring, and how somebody is turned away."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import parse_qsl, quote

from fastapi import Path, Request, Response
from fastapi.exception_handlers import http_exception_handler, request_validation_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from web.api import is_local
from web.console.access import COOKIE, SESSION_SECONDS, Access, Role, Visitor, comes_from_here

LONGEST_FORM = 16 * 1024

CallSid = Annotated[str, Path(pattern="^CA[0-9a-fA-F]{32}$")]
"""Twilio's, in the path of what is about one call."""


@dataclass
class Refused(Exception):
    """Somebody is turned away, in words."""

    status: int
    heading: str
    words: str


class Elsewhere(Exception):
    """Somebody has to log in first."""

    def __init__(self, address: str) -> None:
        """Args: address: where they go."""
        super().__init__(address)
        self.address = address


class Gate:
    """Dependencies of the console's routes."""

    def __init__(self, access: Access) -> None:
        """Args: access: who is who."""
        self.access = access

    async def visitor(self, request: Request) -> Visitor:
        """Who asks.

        Raises:
            Refused: The console is not open to them.
            Elsewhere: They are to log in.
        """
        return self._known(request)

    def _known(self, request: HTTPConnection) -> Visitor:
        self.check_machine(request)
        visitor = self.access.known(request.cookies.get(COOKIE))
        if visitor is None and self.access.open_here:
            visitor = request.state.new_visitor = self.access.visitor("this machine", Role.SUPERVISOR)
        if visitor is None:
            target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            raise Elsewhere(f"/console/login?next={quote(target, safe='')}")
        return visitor

    def at_socket(self, socket: HTTPConnection) -> Visitor:
        """Who opens a socket from a page of ours. A browser lets any site try, and sends our cookie along.

        Raises:
            Refused: They may not, or another site has tried.
            Elsewhere: They are to log in.
        """
        if not comes_from_here(socket):
            raise Refused(403, "Not from that page", "This socket was opened by another site.")
        visitor = self._known(socket)
        if not visitor.may_act:
            raise Refused(403, "Viewers do not listen", "Log in with the supervisors' password to hear calls.")
        return visitor

    def check_machine(self, request: HTTPConnection) -> None:
        """Without a password, only this machine gets in."""
        if self.access.open_here and not is_local(request):
            words = "Set CONSOLE_PASSWORD to open the console to other machines than this one."
            raise Refused(403, "Not from here", words)

    async def form(self, request: Request) -> dict[str, str]:
        """The fields of a form that a page of ours has sent.

        Raises:
            Refused: It comes from elsewhere, or is too long.
        """
        if not comes_from_here(request):
            raise Refused(403, "Not from that page", "This form was sent by another site. Nothing was done.")
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > LONGEST_FORM:
                raise Refused(413, "Too long", "That is more than a form of the console holds. Nothing was done.")
        return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))

    async def acting(self, request: Request) -> tuple[Visitor, dict[str, str]]:
        """Who asks for something to be done, and what their form says.

        Raises:
            Refused: They may not, or the form is none of this session's.
            Elsewhere: They are to log in.
        """
        visitor = await self.visitor(request)
        form = await self.form(request)
        if not self.access.is_form_of(visitor, form.get("form", "")):
            raise Refused(403, "Out of date", "This form belongs to another session. Load the page again.")
        if not visitor.may_act:
            raise Refused(403, "Viewers only look", "Log in with the supervisors' password to act on calls.")
        return visitor, form


def html(request: Request, text: str, visitor: Visitor | None, access: Access, status: int = 200) -> Response:
    """A page; whoever is new gets their session with it."""
    response = HTMLResponse(text, status)
    if visitor is not None and getattr(request.state, "new_visitor", None) is visitor:
        remember(request, response, visitor, access)
    return response


def remember(request: Request, response: Response, visitor: Visitor, access: Access) -> None:
    """Give the browser its session. Over https it is never sent in the clear."""
    secure = request.url.scheme == "https" or request.headers.get("x-forwarded-proto") == "https"
    response.set_cookie(
        COOKIE,
        access.cookie(visitor),
        max_age=SESSION_SECONDS,
        path="/console",
        httponly=True,
        samesite="lax",
        secure=secure,
    )


Handler = Callable[[Request, Exception], Awaitable[Response]]


def turned_away(page: Callable[..., Awaitable[str]]) -> tuple[Handler, Handler, Handler]:
    """The answers to `Refused`, to `Elsewhere`, and to what nobody can answer. Args: page: makes a page."""

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, Refused)  # noqa: S101 - it is registered for nothing else
        if _wants(request, "application/json"):
            return Response(
                status_code=error.status, headers={"Content-Type": "application/json"}, content=_told(error)
            )
        text = await page("refused", heading=error.heading, words=error.words)
        return HTMLResponse(text, error.status)

    async def elsewhere(request: Request, error: Exception) -> Response:
        assert isinstance(error, Elsewhere)  # noqa: S101 - as above
        if request.method == "GET" and not _wants(request, "text/event-stream"):
            return RedirectResponse(error.address, 303)
        told = Refused(401, "Log in", "Your session is over. Log in again.")
        if _wants(request, "text/html"):
            return await refused(request, told)
        return Response(status_code=401, headers={"Content-Type": "application/json"}, content=_told(told))

    async def mistaken(request: Request, error: Exception) -> Response:
        at_console = request.url.path.startswith("/console") and _wants(request, "text/html")
        if isinstance(error, RequestValidationError):
            if not at_console:
                return await request_validation_exception_handler(request, error)
            error = HTTPException(404)
        assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for nothing else
        if not at_console:
            return await http_exception_handler(request, error)
        words = "There is no such page." if error.status_code == 404 else "That cannot be done here."
        text = await page("refused", heading=error.detail, words=words)
        return HTMLResponse(text, error.status_code, error.headers)

    return refused, elsewhere, mistaken


def _wants(request: Request, kind: str) -> bool:
    return kind in request.headers.get("accept", "")


def _told(error: Refused) -> str:
    return json.dumps({"done": False, "words": error.words})
