"""The calls API: what happened on each call, and an order to put a caller through. For people and for tools.

Times are ISO-8601 in UTC. The record holds what callers said, so it is opened only to whoever knows the console's
password; where the operator has set none, only to this very machine.
"""

import asyncio
import base64
import ipaddress
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request, Security
from fastapi.security.http import HTTPAuthorizationCredentials, HTTPBase
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field
from starlette.requests import HTTPConnection

from bot.call import By, Direction, End, Message, Outcome, Phase
from bot.falls import Rung
from bot.ledger import Ledger, LedgerError, Role
from bot.recorded import Part

READ_SECONDS = 5.0
"""The longest wait for the record."""

RequestHandoff = Callable[[str, str, str, str], Awaitable[bool]]
"""`(call_sid, target, reason, summary)`: whether the hand-off is agreed. Raises KeyError for a call nobody knows."""

# --- what is answered ----------------------------------------------------------------------------------


class _Facts(BaseModel):
    """Reads the facts of `bot.call` and `bot.ledger` as they are: Unix seconds become times."""

    model_config = ConfigDict(from_attributes=True, use_attribute_docstrings=True, val_temporal_unit="seconds")


class HandoffView(_Facts):
    """One agreed hand-off."""

    target: str | None
    """The target's key; null leads to the recorder."""
    reason: str
    summary: str
    by: By
    at: datetime
    withdrawn: bool
    """The caller spoke, and the bot stayed."""
    closed: bool
    """Nobody was there at this hour, and nobody was rung."""
    wants: tuple[str, ...]
    """Languages and skills that the person should have."""
    introduction: str
    """What both were to be told once they are together, by the model; mode `introduce`."""


class AttemptView(_Facts):
    """One try to reach a person."""

    target: str
    number: str
    """E.164, or the address of a SIP telephone, a client or a queue. Several, joined by a comma, where rung at once."""
    answered_by: str | None
    """Who of several picked up."""
    attended: bool
    """The person was called while the bot had the caller."""
    started_at: datetime = Field(validation_alias="at")
    rang_at: datetime | None
    """When the phone began to ring, where we were told."""
    answered_at: datetime | None
    """When the phone was picked up."""
    accepted_at: datetime | None
    """When the person took the call."""
    bridged_at: datetime | None
    """When the caller and the person were together."""
    why: str
    """Why the person did not take the call, where they said so."""
    message: str
    """What the caller was to be told by a person who did not take the call."""
    consulted_at: datetime | None
    """When the person began to talk with the bot about the caller, in mode `consult`."""
    consulted_until: datetime | None
    ended_by: str | None
    """Who ended the conversation, `caller` or `person`."""
    introduced: bool | None
    """Both heard the introduction, in mode `introduce`; null where that is not known."""
    sent_back: bool
    """The person sent the caller back to the bot."""
    short: bool
    """The conversation was hardly one."""
    reconciled: bool
    """Callbacks did not say all of how it went, so Twilio was asked."""
    ended_at: datetime | None
    outcome: Outcome | None
    code: int | None
    """Twilio's error code, where it failed with one."""
    failsafe: bool
    """Dialled by the document that Twilio held, not by an order of ours."""


class FallView(_Facts):
    """Something of ours failed, and this kept the caller."""

    rung: Rung
    at: datetime
    reason: str


class RecordingView(_Facts):
    """A part of the call was recorded, or is being recorded."""

    part: Part
    leg: int
    """Of the bot's part: which media stream, from 1."""
    attempt: int
    """Of a person's part: which attempt, from 1; 0 for the one that Twilio made by the document that it held."""
    url: str
    """Its address at Twilio; empty while it is not known, and when it has been deleted."""
    began_at: datetime | None
    seconds: int | None
    """How long it is; null while it is not ready to be heard."""
    failed: bool
    """Twilio did not take the order to record."""
    overran: bool
    """It was still running when the caller had left whoever they were with."""


class JoinView(_Facts):
    """A supervisor talked with the caller from the console, in the bot's place."""

    who: str
    leg: int
    """On which media stream, from 1."""
    started_at: datetime = Field(validation_alias="at")
    ended_at: datetime | None = Field(validation_alias="until")


class WishView(_Facts):
    """The caller asked to be called back."""

    callback: str
    """Its id, for `/api/callbacks/{callback}`; empty where it is not booked."""
    number: str
    asked_at: datetime = Field(validation_alias="at")
    due_at: datetime | None
    """When it was first due; null where it is not booked."""
    reason: str


class CallView(_Facts):
    """One call."""

    call_sid: str = Field(validation_alias="sid")
    state: Phase = Field(validation_alias="phase")
    direction: Direction
    caller: str
    """Whom we talk with, also where the bot called."""
    called: str
    """Our number."""
    purpose: str
    """Of a call of ours: what it is for."""
    started_at: datetime
    ended_at: datetime | None
    end: End | None
    leg: int
    """Which media stream is the current one, from 1. Each return to the bot is a new one."""
    handoffs: list[HandoffView]
    attempts: list[AttemptView]
    callbacks: list[WishView] = Field(validation_alias="wishes")
    """What the caller was promised."""
    falls: list[FallView]
    """Each rung of the ladder that was used, in order."""
    rescues: int
    """How often the caller was taken back because the stream to the bot was gone."""
    message: Message | None
    joins: list[JoinView]
    recordings: list[RecordingView]
    """What was recorded of the call, beside the message."""


class EntryView(_Facts):
    """One line of the timeline: a fact, or an order that was given, and who had the caller afterwards."""

    at: datetime
    event: str
    data: dict[str, Any]
    phase: str
    changed: bool
    late: bool
    """It came after an outage, when another process had gone on with the call, and did not change it."""


class LineView(_Facts):
    """One line of the transcript, and on which media stream it was said."""

    at: datetime
    leg: int
    role: Role
    text: str


class CallDetail(CallView):
    """Everything that is known of a call."""

    timeline: list[EntryView]
    transcript: list[LineView]


class CallPage(_Facts):
    """Some calls, newest first."""

    calls: list[CallView]
    next_before: float | None
    """Give it as `before` to get the calls that began earlier; null when there can be none."""


def _whole(given: Any) -> Any:
    return given.encode("utf-8", "replace").decode() if isinstance(given, str) else given


Words = Annotated[str, BeforeValidator(_whole)]
"""Text; half a character, which JSON can carry and an answer cannot, becomes a question mark."""


class HandoffOrder(_Facts):
    """To which target, by its key, a caller shall be put through. The person may hear the reason and the summary."""

    target: str
    reason: Words = Field("", max_length=500)
    summary: Words = Field("", max_length=2000)


# --- who may ask ---------------------------------------------------------------------------------------


def console_access(password: str | None) -> Callable[..., Awaitable[None]]:
    """Make the dependency that guards the record.

    Args:
        password: What has to be given by HTTP Basic, with any user name, or as a bearer's token. Without one, only
            requests from this machine are answered.
    """
    basic = HTTPBase(scheme="basic", scheme_name="Console password", auto_error=False)

    async def check(request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Security(basic)]) -> None:
        if not password:
            if not is_local(request):
                raise HTTPException(403, "Set CONSOLE_PASSWORD to open the record to other machines than this one.")
        elif not secrets.compare_digest(_given_password(given), password.encode()):
            challenge = {"WWW-Authenticate": 'Basic realm="Putthrough", charset="UTF-8"'}
            raise HTTPException(401, "The record needs the console's password (any user name).", challenge)

    return check


def _given_password(given: HTTPAuthorizationCredentials | None) -> bytes:
    if given is not None and given.scheme.lower() == "bearer":
        return given.credentials.encode()
    try:
        return base64.b64decode(given.credentials if given else "", validate=True).partition(b":")[2]
    except ValueError:
        return b""


def is_local(request: HTTPConnection) -> bool:
    """Whether the request was made on this machine.

    A tunnel or a proxy on this machine connects from loopback too, and so does the browser of somebody who was lured to
    a page whose name resolves to loopback: hence the headers.
    """
    passed_on = "forwarded" in request.headers or "x-forwarded-for" in request.headers
    host = re.sub(r":\d+$", "", request.headers.get("host", "")).strip("[]")
    return not passed_on and _is_loopback(request.client.host if request.client else "") and _is_loopback(host)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host.removeprefix("::ffff:")).is_loopback
    except ValueError:
        return False


# --- the routes ----------------------------------------------------------------------------------------

CallSid = Annotated[str, Path(pattern="^CA[0-9a-fA-F]{32}$", description="Twilio's CallSid")]
Before = Annotated[float | AwareDatetime | None, Query(description="began earlier: Unix seconds or ISO-8601")]


def calls_api(
    ledger: Ledger, *, targets: Collection[str], request_handoff: RequestHandoff, password: str | None
) -> APIRouter:
    """Make the routes under `/api/calls`.

    Args:
        ledger: The record.
        targets: The keys that a hand-off may name.
        request_handoff: Asks a live call for the hand-off.
        password: See `console_access`.
    """
    guarded = [Depends(console_access(password))]
    api = APIRouter(prefix="/api/calls", tags=["calls"], dependencies=guarded, responses={401: {}, 403: {}, 503: {}})

    @api.get("")
    async def list_calls(
        limit: Annotated[int, Query(ge=1, le=500)] = 50, before: Before = None, phase: Phase | None = None
    ) -> CallPage:
        """List calls, newest first."""
        began = before.timestamp() if isinstance(before, datetime) else before
        async with reading():
            stored = await ledger.calls(limit=limit, before=began, phase=phase)
        calls = [CallView.model_validate(each.call) for each in stored]
        return CallPage(calls=calls, next_before=stored[-1].call.started_at if len(stored) == limit else None)

    @api.get("/{call_sid}", responses={404: {}})
    async def read_call(call_sid: CallSid) -> CallDetail:
        """Everything that is known of a call."""
        async with reading():
            record = await ledger.record(call_sid)
        if record is None:
            raise HTTPException(404, f"There is no call {call_sid} in the record.")
        rest = {"timeline": record.journal, "transcript": record.transcript}
        return CallDetail.model_validate({**asdict(record.stored.call), **rest})

    @api.post("/{call_sid}/handoff", status_code=202, responses={404: {}, 409: {}})
    async def hand_off(call_sid: CallSid, order: HandoffOrder) -> dict[str, str]:
        """Have the bot say goodbye and put the caller through. Answered when that is agreed."""
        if order.target not in targets:
            raise HTTPException(422, f"There is no such target. Known targets: {', '.join(targets)}.")
        try:
            agreed = await request_handoff(call_sid, order.target, order.reason, order.summary)
        except KeyError as error:
            raise HTTPException(404, f"There is no live call {call_sid}.") from error
        if not agreed:
            raise HTTPException(409, "The caller is not with the bot, or is being put through already.")
        return {"call_sid": call_sid, "target": order.target}

    return api


@asynccontextmanager
async def reading() -> AsyncIterator[None]:
    """Read the record, or answer that it cannot be read."""
    try:
        async with asyncio.timeout(READ_SECONDS):
            yield
    except (LedgerError, TimeoutError) as error:
        raise HTTPException(503, "The record cannot be read now. Calls go on.") from error
