"""The console's page of callbacks: which are still to be made, how others went, and to cancel one."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.responses import RedirectResponse

from bot.callback import Callback
from bot.callbacks import BeingMade
from bot.ledger import Entry, LedgerError
from bot.line import Line
from web.console.access import Visitor
from web.console.acts import Acting
from web.console.console import Console
from web.console.gate import Gate, Refused, html
from web.console.words import TOLD

ON_A_PAGE = 50

CallbackId = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]


def callback_pages(line: Line, console: Console, gate: Gate) -> APIRouter:
    """Make the routes.

    Args:
        line: Whose callbacks are shown.
        console: Makes the page.
        gate: Who gets in.
    """
    router = APIRouter(prefix="/console/callbacks", include_in_schema=False)
    access = gate.access
    asking, whoever_may = Depends(gate.visitor), Depends(gate.acting)

    @router.get("")
    async def callbacks(request: Request, visitor: Visitor = asking) -> Response:
        failed, open_, over = False, list[Callback](), list[Callback]()
        try:
            found = await line.callbacks.some(open_only=False, limit=ON_A_PAGE)
            open_ = await line.callbacks.some(limit=ON_A_PAGE)
            over = [each for each in found if each.outcome is not None]
        except LedgerError:
            failed = True
        told = TOLD.get(request.query_params.get("told", ""))
        text = await console.page(
            "callbacks",
            visitor=visitor,
            here="callbacks",
            form_token=access.form_token(visitor),
            open_here=access.open_here,
            told=told,
            open=open_,
            over=over,
            failed=failed,
        )
        return html(request, text, visitor, access, 503 if failed else 200)

    @router.post("/{callback}/cancel")
    async def cancel(callback: CallbackId, acting: Acting = whoever_may) -> Response:
        visitor, _ = acting
        try:
            found = await line.callbacks.cancel(callback)
        except BeingMade as error:
            raise Refused(409, "Not now", "The caller is being called, or is talking with a person.") from error
        except LedgerError as error:
            raise Refused(503, "Not now", "The record takes nothing now. Try again in a moment.") from error
        if found is None:
            raise Refused(404, "No such callback", "Nobody asked for that callback.")
        act = Entry(line.switchboard.now(), "CallbackCancelled", {"callback": callback, "who": visitor.name}, "", False)
        try:
            await line.switchboard.ledger.note(found.call_sid, act)
        except LedgerError as error:
            raise Refused(503, "Half done", "It is cancelled, and the journal does not know who did it.") from error
        return RedirectResponse("/console/callbacks?told=callback-cancelled", 303)

    return router
