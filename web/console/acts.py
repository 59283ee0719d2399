"""What a supervisor can do from the console. Each act is in the journal with the name of who did it."""

import json
import time
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse
from loguru import logger

from bot.archive import CONSOLE
from bot.call import By
from bot.desk import LONGEST_HINT, LONGEST_REASON, NobodyCarries, Order
from bot.ledger import Entry, LedgerError
from bot.line import Line
from bot.news import News
from bot.queues import NobodyWaits, NotOnTheList
from bot.record import encodable
from bot.telephony import TelephonyError
from web.console.access import Visitor
from web.console.gate import CallSid, Gate, Refused
from web.console.words import TOLD

LONGEST_OUTAGE_REASON = 200

Acting = tuple[Visitor, dict[str, str]]
"""Who acts, and what their form says."""


NOT_WITH_BOT = "The caller is not with the bot now, so this cannot be done."


def acts(line: Line, gate: Gate) -> APIRouter:
    """Make the routes that do something.

    Args:
        line: Whose calls are acted on.
        gate: Who may.
    """
    router = APIRouter(prefix="/console", include_in_schema=False)
    whoever_may = Depends(gate.acting)

    async def give(request: Request, sid: str, order: Order, done: str) -> Response:
        try:
            agreed = await line.desk.order(sid, order)
        except KeyError as error:
            raise Refused(404, "No such call", f"There is no live call {sid}.") from error
        except NobodyCarries as error:
            words = (
                "The server that carries this call did not answer. Look whether it has been done before trying again."
            )
            raise Refused(503, "No answer", words) from error
        if not agreed:
            raise Refused(409, "Not now", NOT_WITH_BOT)
        return _done(request, done, f"/console/calls/{sid}")

    @router.post("/calls/{sid}/put-through")
    async def put_through(request: Request, sid: CallSid, acting: Acting = whoever_may) -> Response:
        visitor, form = acting
        target = form.get("target", "")
        if target not in line.receptions.targets:
            raise Refused(
                422, "No such target", f"There is no such target. There are: {', '.join(line.receptions.targets)}."
            )
        reason = _text(form.get("reason", ""), LONGEST_REASON) or f"{visitor.name} at the console"
        order = Order("put_through", who=visitor.name, target=target, reason=reason)
        return await give(request, sid, order, "put-through")

    @router.post("/calls/{sid}/take-over")
    async def take_over(request: Request, sid: CallSid, acting: Acting = whoever_may) -> Response:
        visitor, _ = acting
        session = await line.switchboard.find(sid)
        if session is None:
            raise Refused(404, "No such call", f"There is no live call {sid}.")
        target = line.receptions.of(session.call.called).policy.take_over
        if target is None:
            raise Refused(422, "Nobody to ring", "Name the target that is rung as `take_over` in the hand-off policy.")
        order = Order("put_through", By.TAKE_OVER, visitor.name, target, reason=f"{visitor.name} takes the call over")
        return await give(request, sid, order, "take-over")

    @router.post("/calls/{sid}/take")
    async def take(request: Request, sid: CallSid, acting: Acting = whoever_may) -> Response:
        """Call somebody to take the next caller of the queue in which this one waits."""
        visitor, form = acting
        session = await line.switchboard.find(sid)
        if session is None or not session.call.attempts:
            raise Refused(404, "Nobody waits", f"There is no live call {sid} in a queue.")
        target, number = session.call.attempts[-1].target, form.get("number", "")
        try:
            await line.queues.take(target, number)
        except NobodyWaits as error:
            raise Refused(
                409, "Not now", "Nobody waits, or somebody is being called for everybody who does."
            ) from error
        except NotOnTheList as error:
            raise Refused(422, "Not one of them", "That telephone is none of this queue's people's.") from error
        except LedgerError as error:
            raise Refused(503, "Not now", "The record does not answer now. Try again in a moment.") from error
        except TelephonyError as error:
            raise Refused(503, "Not confirmed", f"Twilio did not confirm the call: {error}") from error
        told = {"target": target, "number": number, "who": visitor.name}
        await session.note(session.now(), "TakerCalled", told)
        return _done(request, "take", f"/console/calls/{sid}")

    @router.post("/calls/{sid}/hint")
    async def hint(request: Request, sid: CallSid, acting: Acting = whoever_may) -> Response:
        visitor, form = acting
        text = _text(form.get("text", ""), LONGEST_HINT)
        if not text:
            raise Refused(422, "Nothing to say", "Write what the bot shall know.")
        return await give(request, sid, Order("hint", who=visitor.name, text=text), "hint")

    @router.post("/calls/{sid}/hang-up")
    async def hang_up(request: Request, sid: CallSid, acting: Acting = whoever_may) -> Response:
        visitor, _ = acting
        return await give(request, sid, Order("hang_up", who=visitor.name), "hang-up")

    @router.post("/outage")
    async def turn(request: Request, acting: Acting = whoever_may) -> Response:
        visitor, form = acting
        if form.get("on") not in ("0", "1"):
            raise Refused(422, "On or off?", "Say whether the switch shall be on or off.")
        on, now = form["on"] == "1", time.time()
        reason = _text(form.get("reason", ""), LONGEST_OUTAGE_REASON)
        everywhere = await line.admission.switch(on, f"{reason} ({visitor.name})" if reason else visitor.name, now)
        await note_switch(line, on, reason, visitor.name, now)
        if not everywhere:
            words = "Only the server that answered has done so: the record takes nothing now. Do it again soon."
            raise Refused(503, "Half done", words)
        return _done(request, "outage-on" if on else "outage-off", "/console")

    return router


async def note_switch(line: Line, on: bool, reason: str, who: str, at: float) -> None:
    """Journal who turned the outage switch, and tell every page."""
    told = {"on": on, "reason": reason, "who": who}
    try:
        await line.switchboard.ledger.note(CONSOLE, Entry(at, "OutageSwitched", told, "", False))
    except LedgerError as error:
        logger.error("who turned the outage switch is not kept: {}", error)
    shown = f"{reason} ({who})" if reason and who else reason or who
    line.feed.publish(News("switch", data={"on": on, "reason": shown, "at": at}))


def _text(text: str, longest: int) -> str:
    return " ".join(encodable(text).replace("\0", "").split())[:longest]


def _done(request: Request, what: str, page: str) -> Response:
    if "application/json" in request.headers.get("accept", ""):
        content: dict[str, Any] = {"done": True, "words": TOLD[what]}
        return Response(json.dumps(content), media_type="application/json")
    return RedirectResponse(f"{page}?told={what}", 303)
