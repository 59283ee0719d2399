"""Twilio's side of the server: its webhooks and its media socket. Nothing unsigned gets further than this file."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response, WebSocket
from loguru import logger

from bot import briefing, twiml
from bot.events import (
    CallEnded,
    DialEnded,
    Event,
    ImpossibleEvent,
    MessageRecorded,
    PersonAccepted,
    PersonAnswered,
    PersonDeclined,
    PersonLegEnded,
)
from bot.line import Line
from bot.session import Session
from bot.signatures import Signatures
from bot.start import read_start

_SETTINGS_HEADER = "x-twilio-webhooks-signature-settings"
_RETRY_HEADER = "i-twilio-idempotency-token"
_LONGEST_TOKEN = 200
_LONGEST_FORM = 64 * 1024
_ENDED = ("completed", "busy", "failed", "no-answer", "canceled")
"""What `CallStatus` is of a leg that is over (Twilio: Call resource)."""

Attempt = Annotated[int, Query(ge=0)]
Leg = Annotated[int, Query(ge=1)]
State = Annotated[str, Query(max_length=1000)]
"""What the address carries of its call; see `bot.carried`."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """A signed webhook's form fields."""

    form: dict[str, str]

    retry_token: str
    """The same on every retry of one request to one address; empty where Twilio sent none."""

    @property
    def call_sid(self) -> str:
        """The call it is about: the caller's leg, also where Twilio speaks of the person's."""
        return self.form.get("ParentCallSid") or self.form.get("CallSid", "")

    def number(self, field: str) -> int:
        """A field that holds a whole number; 0 where it does not."""
        value = self.form.get(field, "")
        return int(value) if value.isdecimal() else 0


def twilio_routes(line: Line, signatures: Signatures) -> APIRouter:
    """The routes that Twilio calls.

    Args:
        line: What the calls share.
        signatures: Checks that it is Twilio who calls.
    """
    router = APIRouter(prefix="/twilio", include_in_schema=False)
    switchboard = line.switchboard

    async def signed(request: Request) -> Webhook:
        body = await request.body()
        if len(body) > _LONGEST_FORM:
            raise HTTPException(413, "no webhook of Twilio's is that long")
        pairs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
        if not signatures.webhook(
            _target(request),
            pairs,
            request.headers.get("x-twilio-signature"),
            settings=request.headers.get(_SETTINGS_HEADER),
        ):
            raise HTTPException(403, "the signature is not Twilio's")
        token = request.headers.get(_RETRY_HEADER, "")
        return Webhook(dict(pairs), f"{request.url.path} {token}" if 0 < len(token) <= _LONGEST_TOKEN else "")

    signed_by_twilio = Depends(signed)

    async def control(webhook: Webhook, document: Callable[[], Awaitable[str]]) -> Response:
        """Answer a webhook that asks what to do with a call."""
        with logger.contextualize(call_sid=webhook.call_sid):
            return _xml(await switchboard.once(webhook.call_sid, webhook.retry_token, document))

    async def answer(webhook: Webhook, event: Event, state: str) -> Response:
        caller, called = webhook.form.get("From", ""), webhook.form.get("To", "")
        sid = webhook.call_sid
        return await control(webhook, lambda: switchboard.answer_callback(sid, caller, called, event, state))

    async def tell(webhook: Webhook, event: Event, state: str) -> Session | None:
        """Apply a fact whose webhook wants no document of the caller's."""
        with logger.contextualize(call_sid=webhook.call_sid):
            session = await switchboard.find(webhook.call_sid, state)
            if session is not None:
                try:
                    await session.apply(event)
                except ImpossibleEvent as error:
                    logger.warning("{}", error)
            return session

    @router.post("/voice")
    async def voice(webhook: Webhook = signed_by_twilio) -> Response:
        caller, called = webhook.form.get("From", ""), webhook.form.get("To", "")
        return await control(webhook, lambda: switchboard.answer_call(webhook.call_sid, caller, called))

    @router.post("/rescue")
    async def rescue(leg: Leg, state: State = "", webhook: Webhook = signed_by_twilio) -> Response:
        caller, called = webhook.form.get("From", ""), webhook.form.get("To", "")
        return await control(webhook, lambda: switchboard.rescue(webhook.call_sid, caller, called, leg, state))

    @router.post("/status")
    async def status(webhook: Webhook = signed_by_twilio) -> Response:
        if webhook.form.get("CallStatus") in _ENDED:
            await tell(webhook, CallEnded(at=switchboard.now()), "")
        return Response(status_code=204)

    @router.post("/handoff/dialed")
    async def dialed(attempt: Attempt, state: State = "", webhook: Webhook = signed_by_twilio) -> Response:
        form = webhook.form
        status = form.get("DialCallStatus", "")
        bridged = form.get("DialBridged", "true" if status in ("completed", "answered") else "")
        event = DialEnded(
            at=switchboard.now(),
            attempt=attempt,
            status=status,
            bridged=bridged == "true",
            caller_gone=form.get("CallStatus") == "completed",
            code=webhook.number("ErrorCode") or None,
        )
        return await answer(webhook, event, state)

    @router.post("/handoff/progress")
    async def progress(attempt: Attempt, state: State = "", webhook: Webhook = signed_by_twilio) -> Response:
        now = switchboard.now()
        leg_status = webhook.form.get("CallStatus")
        if leg_status in ("in-progress", "answered"):
            await tell(webhook, PersonAnswered(at=now, attempt=attempt), state)
        elif leg_status in _ENDED:
            event = PersonLegEnded(at=now, attempt=attempt, talked=leg_status == "completed")
            await tell(webhook, event, state)
        return Response(status_code=204)

    @router.post("/handoff/whisper")
    async def whisper(attempt: Attempt, state: State = "", webhook: Webhook = signed_by_twilio) -> Response:
        async def document() -> str:
            session = await tell(webhook, PersonAnswered(at=switchboard.now(), attempt=attempt), state)
            if session is None or not session.call.handoffs:
                return twiml.decline_person()
            return twiml.whisper(briefing.for_person(session.call), attempt, switchboard.addresses(session.call))

        return await control(webhook, document)

    @router.post("/handoff/key")
    async def key(attempt: Attempt, state: State = "", webhook: Webhook = signed_by_twilio) -> Response:
        async def document() -> str:
            if webhook.form.get("Digits") == "1":
                await tell(webhook, PersonAccepted(at=switchboard.now(), attempt=attempt), state)
                return twiml.connect_person()
            await tell(webhook, PersonDeclined(at=switchboard.now(), attempt=attempt), state)
            return twiml.decline_person()

        return await control(webhook, document)

    @router.post("/voicemail")
    async def voicemail(state: State = "", failsafe: bool = False, webhook: Webhook = signed_by_twilio) -> Response:
        event = MessageRecorded(
            at=switchboard.now(),
            url=webhook.form.get("RecordingUrl", ""),
            seconds=webhook.number("RecordingDuration"),
            failsafe=failsafe,
        )
        return await answer(webhook, event, state)

    @router.websocket("/media")
    async def media(websocket: WebSocket) -> None:
        if not signatures.upgrade(
            _target(websocket),
            websocket.headers.get("x-twilio-signature"),
            settings=websocket.headers.get(_SETTINGS_HEADER),
        ):
            await websocket.close()  # before accept: the upgrade is answered with 403
            return
        await websocket.accept()
        start = await read_start(websocket)
        if start is None or not await line.converse(websocket, start):
            await websocket.close()

    return router


def _target(request: Request | WebSocket) -> str:
    """Path and query exactly as they came over the wire, which is what Twilio signed."""
    path = request.scope["raw_path"].decode("latin-1")
    query = request.scope["query_string"].decode("latin-1")
    return f"{path}?{query}" if query else path


def _xml(document: str) -> Response:
    return Response(document, media_type="text/xml")
