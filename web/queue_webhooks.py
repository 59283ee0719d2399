"""Twilio's webhooks about queues: a caller waits in one, and people take the first one out of it.

What a caller hears follows from the call; what a person hears, from the address, which is signed, and from the record.
"""

import asyncio
from typing import Annotated
from weakref import WeakKeyDictionary

from fastapi import APIRouter, Depends, Path, Query, Response
from loguru import logger

from bot import queue_twiml, twiml
from bot.call import Phase
from bot.hold_music import hold_music
from bot.ledger import LedgerError
from bot.line import Line
from bot.queue_events import CallerWaits, QueueLeft, TakenFromQueue, WaitGivenUp
from bot.queue_rules import Queue
from bot.routing import Policy, Target, resolve
from bot.session import Session
from bot.signatures import Signatures
from web.answers import Answers, Attempt, State, xml
from web.webhook import ENDED, Webhook, signed

Key = Annotated[str, Query(alias="target", pattern="^[a-z][a-z0-9_]*$")]
Who = Annotated[str, Query(max_length=300)]
"""A person's telephone."""

COUNT_SECONDS = 2.0
"""The longest wait for the record where a person waits for the answer."""


def queue_routes(line: Line, signatures: Signatures) -> APIRouter:
    """The routes that Twilio calls about queues.

    Args:
        line: What the calls share.
        signatures: Checks that it is Twilio who calls.
    """
    router = APIRouter(prefix="/twilio", include_in_schema=False)
    switchboard, queues = line.switchboard, line.queues
    signed_by_twilio = Depends(signed(signatures))
    answers = Answers(switchboard)

    told: WeakKeyDictionary[Session, int] = WeakKeyDictionary()
    """After how many seconds of waiting callers were told last where they are, as far as this process did so."""

    # --- the caller ------------------------------------------------------------------------------------

    @router.post("/waiting/wait")
    async def wait(attempt: Attempt, state: State = "", webhook: Webhook = signed_by_twilio) -> Response:
        async def document() -> str:
            number = webhook.number
            position, waited = number("QueuePosition"), number("QueueTime")
            event = CallerWaits(at=switchboard.now(), attempt=attempt, position=position, seconds=waited)
            session = await answers.tell(webhook, event, state)
            queue = _queue(line, session, attempt)
            if session is None or queue is None:
                return queue_twiml.leave()  # the answer to the next question has what comes then
            heard, told[session] = queue_twiml.wait(
                attempt,
                queue,
                switchboard.addresses(session.call),
                position=position,
                waited=waited,
                average=number("AvgQueueTime"),
                told=told.get(session) if waited else None,
            )
            return heard

        return await answers.control(webhook, document)

    @router.post("/waiting/key")
    async def key(attempt: Attempt, state: State = "", webhook: Webhook = signed_by_twilio) -> Response:
        async def document() -> str:
            session = await switchboard.find(webhook.call_sid, state)
            queue = _queue(line, session, attempt)
            if session is None or queue is None:
                return queue_twiml.leave()
            if not queue.leave_key or webhook.form.get("Digits") != queue.leave_key:
                return queue_twiml.wait_on()
            await answers.tell(webhook, WaitGivenUp(at=switchboard.now(), attempt=attempt), state)
            return queue_twiml.leave()

        return await answers.control(webhook, document)

    @router.post("/waiting/left")
    async def left(attempt: Attempt, state: State = "", webhook: Webhook = signed_by_twilio) -> Response:
        event = QueueLeft(
            at=switchboard.now(),
            attempt=attempt,
            result=webhook.form.get("QueueResult", ""),
            seconds=webhook.number("QueueTime"),
            caller_gone=webhook.form.get("CallStatus") == "completed",
            code=webhook.number("ErrorCode") or None,
        )
        return await answers.answer(webhook, event, state)

    @router.get("/waiting/music.wav")
    async def music(seconds: Annotated[int, Query(ge=1, le=queue_twiml.MUSIC_SECONDS)]) -> Response:
        # No secret is in it, and Twilio keeps it: so it is not signed.
        headers = {"Cache-Control": "public, max-age=86400"}
        return Response(hold_music(seconds), media_type="audio/wav", headers=headers)

    # --- the person ------------------------------------------------------------------------------------

    def known(key: str, called: str) -> tuple[Policy, Target, Queue] | None:
        """A queue that people take callers from themselves."""
        policy = switchboard.policy_of(called)
        target = policy.targets.get(key)
        target = target if target is not None else line.receptions.targets.get(key)
        if target is None or target.queue is None or not target.queue.name:
            return None
        return policy, target, target.queue

    async def count(key: str) -> int:
        """How many wait; one, where the record does not say."""
        try:
            async with asyncio.timeout(COUNT_SECONDS):
                return len(await queues.waiting(key))
        except (LedgerError, TimeoutError) as error:
            logger.warning("how many wait is not known: {!r}", error)
            return 1

    @router.post("/queue/{key}")
    async def calls_in(
        key: Annotated[str, Path(pattern="^[a-z][a-z0-9_]*$")], webhook: Webhook = signed_by_twilio
    ) -> Response:
        """A number of ours for the people of a queue: who calls it from their own telephone has the next caller."""
        caller, called = webhook.parties
        who = caller.partition("?")[0]
        found = known(key, called)
        if found is None or who not in {person.address for person in found[1].people}:
            logger.warning("somebody who is none of its people called in to take callers from {}", key)
            return xml(queue_twiml.refuse())
        policy, target, queue = found
        if not await count(key):
            return xml(queue_twiml.nobody_waits(target.language))
        return xml(queue_twiml.take_next(target, queue, who, policy, line.addresses))

    @router.post("/taker/answer")
    async def taker_answers(key: Key, who: Who, webhook: Webhook = signed_by_twilio) -> Response:
        queues.rings_no_more(key, webhook.call_sid)
        found = known(key, webhook.parties[1])
        waiting = await count(key)
        if found is None or not waiting:
            return xml(queue_twiml.nobody_waits(found[1].language if found else "en"))
        return xml(queue_twiml.ask_to_take(found[1], who, waiting, line.addresses))

    @router.post("/taker/key")
    async def taker_decides(key: Key, who: Who, webhook: Webhook = signed_by_twilio) -> Response:
        found = known(key, webhook.parties[1])
        if found is None or webhook.form.get("Digits") != "1":
            return xml(twiml.hang_up())  # whoever it was, they did not take anybody
        policy, target, queue = found
        if not await count(key):
            return xml(queue_twiml.nobody_waits(target.language))
        return xml(queue_twiml.take_next(target, queue, who, policy, line.addresses))

    @router.post("/taker/connecting")
    async def connecting(key: Key, who: Who, webhook: Webhook = signed_by_twilio) -> Response:
        """On the caller's leg, before Twilio connects the two."""

        async def document() -> str:
            session = await answers.tell(webhook, TakenFromQueue(at=switchboard.now(), who=who), "")
            found = known(key, session.call.called if session is not None else "")
            return queue_twiml.connecting(found[2].language if found else "en")

        return await answers.control(webhook, document)

    @router.post("/taker/served")
    async def served(key: Key, who: Who, webhook: Webhook = signed_by_twilio) -> Response:
        found = known(key, webhook.parties[1])
        if webhook.form.get("DialCallStatus") in ("completed", "answered") or found is None:
            return xml(twiml.hang_up())
        return xml(queue_twiml.nobody_waits(found[1].language))

    @router.post("/taker/progress")
    async def taker_progress(key: Key, who: Who, webhook: Webhook = signed_by_twilio) -> Response:
        if webhook.form.get("CallStatus") in ENDED:
            queues.rings_no_more(key, webhook.call_sid)
        return Response(status_code=204)

    return router


def _queue(line: Line, session: Session | None, attempt: int) -> Queue | None:
    """The queue in which the caller of an attempt waits; None for one who waits in none any more."""
    if session is None or not 0 < attempt <= len(session.call.attempts):
        return None
    tried = session.call.attempts[attempt - 1]
    waits = tried.outcome is None and session.call.phase in (Phase.REDIRECTING, Phase.QUEUED, Phase.PERSON)
    policy = line.switchboard.policy_of(session.call.called)
    return resolve(policy, tried.target).queue if waits else None
