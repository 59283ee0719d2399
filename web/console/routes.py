"""The console's pages: the live board, calls, one call. What can be done to calls is in `web/console/acts.py`."""

import re
from collections.abc import Awaitable
from typing import Any, TypeVar
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from bot.archive import Found, Search
from bot.call import End, Outcome
from bot.ledger import LedgerError
from bot.line import Line
from bot.news import News
from web.console.access import COOKIE, TooManyTries, Visitor, comes_from_here
from web.console.console import Console
from web.console.event_stream import EventStream
from web.console.export import as_csv, as_json, detail
from web.console.gate import CallSid, Gate, Refused, html, remember
from web.console.words import TOLD, day_of

T = TypeVar("T")

ON_A_PAGE = 50
EXPORTED = 2000
"""Calls of one export."""

OUTCOMES = list(dict.fromkeys(value.value for value in (*End, *Outcome)))


def pages(line: Line, console: Console, gate: Gate) -> APIRouter:
    """Make the routes that show something.

    Args:
        line: Whose calls are shown.
        console: Makes the pages.
        gate: Who gets in.
    """
    router = APIRouter(include_in_schema=False)
    access = gate.access
    asking = Depends(gate.visitor)

    def common(request: Request, visitor: Visitor) -> dict[str, Any]:
        told = TOLD.get(request.query_params.get("told", ""))
        return {"form_token": access.form_token(visitor), "open_here": access.open_here, "told": told}

    @router.get("/")
    async def front_door() -> Response:
        return RedirectResponse("/console", 307)

    # --- in and out ------------------------------------------------------------------------------------

    async def login_page(request: Request, next: str, wrong: str = "", name: str = "", status: int = 200) -> Response:
        return HTMLResponse(await console.page("login", next=_inside(next), wrong=wrong, name=name), status)

    @router.get("/console/login")
    async def log_in_form(request: Request, next: str = "/console") -> Response:
        gate.check_machine(request)
        if access.open_here or access.known(request.cookies.get(COOKIE)) is not None:
            return RedirectResponse(_inside(next), 303)
        return await login_page(request, next)

    @router.post("/console/login")
    async def log_in(request: Request) -> Response:
        gate.check_machine(request)
        form = await gate.form(request)
        name, next = form.get("name", ""), form.get("next", "/console")
        address = request.client.host if request.client else ""
        try:
            visitor = access.log_in(name, form.get("password", ""), address)
        except TooManyTries:
            wrong = "Too many wrong passwords from here. Wait a minute, then try again."
            return await login_page(request, next, wrong, name, 429)
        if visitor is None:
            return await login_page(request, next, "That is not the password.", name, 401)
        response = RedirectResponse(_inside(next), 303)
        remember(request, response, visitor, access)
        return response

    @router.post("/console/logout")
    async def log_out(request: Request) -> Response:
        if not comes_from_here(request):
            raise Refused(403, "Not from that page", "This form was sent by another site.")
        visitor = access.known(request.cookies.get(COOKIE))
        if visitor is not None:
            access.end(visitor.nonce, visitor.until)
            line.feed.publish(News("logged_out", data={"nonce": visitor.nonce, "until": visitor.until}))
        response = RedirectResponse("/console/login", 303)
        response.delete_cookie(COOKIE, path="/console")
        return response

    # --- what is going on --------------------------------------------------------------------------------

    @router.get("/console/")
    async def front_door_of_the_console() -> Response:
        return RedirectResponse("/console", 307)

    @router.get("/console")
    async def board(request: Request, visitor: Visitor = asking) -> Response:
        return html(request, await console.board_page(visitor, **common(request, visitor)), visitor, access)

    @router.get("/console/live")
    async def follow_board(visitor: Visitor = asking) -> Response:
        return EventStream(console.follow_board(visitor))

    @router.get("/console/calls/{sid}")
    async def call(request: Request, sid: CallSid, visitor: Visitor = asking) -> Response:
        what = common(request, visitor) | {"here": "calls"}
        text = await console.call_page(sid, visitor, **what)
        if text is None:
            raise Refused(404, "No such call", f"There is no call {sid} in the record, or it cannot be read now.")
        return html(request, text, visitor, access)

    async def known(sid: CallSid, visitor: Visitor = asking) -> str:
        try:
            there = await console.knows(sid)
        except LedgerError:
            there = True  # whoever looked at it goes on
        if not there:
            raise Refused(404, "No such call", f"There is no call {sid} in the record.")
        return sid

    @router.get("/console/calls/{sid}/live")
    async def follow_call(sid: str = Depends(known), visitor: Visitor = asking) -> Response:
        return EventStream(console.follow_call(sid, visitor))

    # --- what was ----------------------------------------------------------------------------------------

    async def look_for(request: Request, limit: int) -> Found:
        asked = request.query_params
        search = Search(
            since=day_of(asked.get("since", "")),
            until=day_of(asked.get("until", ""), end=True),
            digits="".join(c for c in asked.get("digits", "") if c.isdecimal() and c.isascii())[:15],
            outcome=asked.get("outcome", ""),
            target=asked.get("target", ""),
        )
        return await console.search(search, limit=limit, before=_number(asked.get("before", "")))

    @router.get("/console/calls")
    async def calls(request: Request, visitor: Visitor = asking) -> Response:
        asked = {key: request.query_params.get(key, "") for key in ("since", "until", "digits", "outcome", "target")}
        failed, found = False, Found([], None)
        try:
            found = await look_for(request, ON_A_PAGE)
        except LedgerError:
            failed = True

        def query(**more: object) -> str:
            return urlencode({key: value for key, value in {**asked, **more}.items() if value})

        what = common(request, visitor) | {"asked": asked, "found": found, "failed": failed, "query": query}
        what |= {"outcomes": OUTCOMES, "targets": line.receptions.targets, "here": "calls"}
        text = await console.page("calls", visitor=visitor, **what)
        return html(request, text, visitor, access, 503 if failed else 200)

    @router.get("/console/export.csv")
    async def export_csv(request: Request, visitor: Visitor = asking) -> Response:
        found = await _reading(look_for(request, EXPORTED))
        return _file(as_csv(found.calls, visitor.role), "text/csv; charset=utf-8", "calls.csv")

    @router.get("/console/export.json")
    async def export_json(request: Request, visitor: Visitor = asking) -> Response:
        found = await _reading(look_for(request, EXPORTED))
        return _file(as_json(found.calls, visitor.role), "application/json", "calls.json")

    @router.get("/console/calls/{sid}/export.json")
    async def export_call(sid: CallSid, visitor: Visitor = asking) -> Response:
        record = await _reading(console.record(sid))
        if record is None:
            raise Refused(404, "No such call", f"There is no call {sid} in the record.")
        return _file(detail(record, visitor.role), "application/json", f"{sid}.json")

    return router


def _inside(address: str) -> str:
    """An address of the console's own to go to; the live board for any other."""
    return address if re.fullmatch(r"/console(?:[/?][^\s\\]*)?", address) and "//" not in address else "/console"


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


async def _reading(work: Awaitable[T]) -> T:
    try:
        return await work
    except LedgerError as error:
        raise Refused(503, "Not now", "The record cannot be read now. Calls go on.") from error


def _file(content: str, kind: str, name: str) -> Response:
    return Response(content, media_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'})
