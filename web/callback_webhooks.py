"""Twilio's webhooks about callbacks: a person of ours is called, then the caller, and both are joined.

What is answered follows from the callback as the record has it, so a request that comes twice gets the same answer.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query, Response
from loguru import logger

from bot import twiml
from bot.addresses import Addresses
from bot.callback import (
    Callback,
    CallbackEvent,
    CallerDialed,
    KeyTold,
    State,
    Try,
    TryAnswered,
    TryBegan,
    TryEnded,
)
from bot.callback_words import for_person, last_words
from bot.ledger import LedgerError
from bot.line import Line
from bot.routing import Target, resolve
from bot.signatures import Signatures
from web.answers import xml
from web.webhook import ENDED, Webhook, signed

Uid = Annotated[str, Query(alias="callback", pattern="^[0-9a-f]{32}$")]
N = Annotated[int, Query(ge=1)]


def callback_routes(line: Line, signatures: Signatures) -> APIRouter:
    """The routes that Twilio calls about callbacks.

    Args:
        line: What the calls share.
        signatures: Checks that it is Twilio who calls.
    """
    router = APIRouter(prefix="/twilio/callback", include_in_schema=False)
    signed_by_twilio = Depends(signed(signatures))
    at = Addresses(line.settings.public_url)
    now = line.switchboard.now

    async def take(uid: str, event: CallbackEvent) -> Callback:
        """Apply a fact. While the record does not answer, Twilio asks again."""
        try:
            callback = await line.callbacks.take(uid, event)
        except LedgerError as error:
            logger.warning("a callback waits for the record: {}", error)
            raise HTTPException(503, "the record does not answer") from error
        if callback is None:
            raise HTTPException(404, "there is no such callback")
        return callback

    def target_of(callback: Callback, tried: Try | None) -> Target:
        policy = line.switchboard.policy_of(callback.called)
        return resolve(policy, tried.target if tried is not None else callback.target)

    @router.post("/answer")
    async def answer(callback: Uid, n: N, webhook: Webhook = signed_by_twilio) -> Response:
        machine = webhook.form.get("AnsweredBy") in twiml.MACHINES
        sid = webhook.form.get("CallSid", "")
        taken = await take(callback, TryAnswered(at=now(), n=n, machine=machine, leg_sid=sid))
        tried = _tried(taken, n)
        if machine:
            return xml(twiml.hang_up())
        language = target_of(taken, tried).language
        if tried is None or tried.outcome is not None or taken.state is not State.PERSON:
            return xml(twiml.say_and_hang_up(last_words(tried, language), language))
        return xml(twiml.whisper(for_person(taken, language), language, at.callback_of("key", callback, n)))

    @router.post("/key")
    async def key(callback: Uid, n: N, webhook: Webhook = signed_by_twilio) -> Response:
        digits = webhook.form.get("Digits")
        if digits not in ("1", "2"):
            return xml(twiml.hang_up())  # whoever it was, they did not take it
        taken = await take(callback, KeyTold(at=now(), n=n, accepted=digits == "1"))
        tried = _tried(taken, n)
        if digits == "2":
            return xml(twiml.hang_up())
        language, policy = target_of(taken, tried).language, line.switchboard.policy_of(taken.called)
        if tried is None or tried.outcome is not None or tried.accepted_at is None or policy.callback is None:
            return xml(twiml.say_and_hang_up(last_words(tried, language), language))
        document = twiml.call_back(
            taken.number,
            taken.called,
            at.callback_of("dialed", callback, n),
            ring_seconds=policy.callback.ring_seconds,
            dial_seconds=policy.dial_seconds,
            language=language,
        )
        return xml(document)

    @router.post("/dialed")
    async def dialed(callback: Uid, n: N, webhook: Webhook = signed_by_twilio) -> Response:
        form = webhook.form
        status = form.get("DialCallStatus", "")
        joined = form.get("DialBridged", "true" if status in ("completed", "answered") else "") == "true"
        gone = form.get("CallStatus") == "completed"
        event = CallerDialed(at=now(), n=n, status=status, joined=joined, person_gone=gone)
        taken = await take(callback, event)
        if joined or gone:
            return xml(twiml.hang_up())
        tried = _tried(taken, n)
        language = target_of(taken, tried).language
        return xml(twiml.say_and_hang_up(last_words(tried, language), language))

    @router.post("/progress")
    async def progress(callback: Uid, n: N, webhook: Webhook = signed_by_twilio) -> Response:
        status, sid = webhook.form.get("CallStatus", ""), webhook.form.get("CallSid", "")
        if status in ENDED:
            await take(callback, TryEnded(at=now(), n=n, status=status))
        else:
            await take(callback, TryBegan(at=now(), n=n, leg_sid=sid))
        return Response(status_code=204)

    return router


def _tried(callback: Callback, n: int) -> Try | None:
    return callback.tries[n - 1] if n <= len(callback.tries) else None
