"""Twilio's side of the server: its webhooks and its media socket. Nothing unsigned gets further than this file."""

import re
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response, WebSocket

from bot import briefing, twiml
from bot.call import Attempt as Tried
from bot.events import (
    Bridged,
    CalleeAnswered,
    CalleeMissed,
    CallEnded,
    DialEnded,
    MessageRecorded,
    PersonAccepted,
    PersonAnswered,
    PersonCalled,
    PersonDeclined,
    PersonLegEnded,
    PersonRinging,
    PersonSentBack,
    PersonSteppedIn,
)
from bot.line import Line
from bot.person_events import ConsultationEnded, IntroductionEnded
from bot.routing import Target, resolve
from bot.session import Session
from bot.signatures import Signatures
from bot.start import read_start
from web.answers import Answers, Attempt, Caller, State, xml
from web.webhook import ENDED, SETTINGS_HEADER, Webhook, asked_for, signed

Leg = Annotated[int, Query(ge=1)]
Held = Annotated[int, Query(ge=0, le=60)]
"""Seconds that a caller has been held."""

Asked = Annotated[int, Query(ge=1)]
"""How often a person has been asked for a key."""

TIMES_ASKED = 4
"""How often, two seconds each, until whoever it is has not taken the call."""

Ordered = Annotated[str, Query(alias="order", pattern="^[0-9a-f]{32}$")]
"""The order that a call of ours came of."""

CONFERENCE_SID = re.compile("CF[0-9a-fA-F]{32}")


def twilio_routes(line: Line, signatures: Signatures) -> APIRouter:
    """The routes that Twilio calls.

    Args:
        line: What the calls share.
        signatures: Checks that it is Twilio who calls.
    """
    router = APIRouter(prefix="/twilio", include_in_schema=False)
    switchboard = line.switchboard

    signed_by_twilio = Depends(signed(signatures))

    answers = Answers(switchboard)
    control, answer, tell = answers.control, answers.answer, answers.tell

    @router.post("/voice")
    async def voice(webhook: Webhook = signed_by_twilio) -> Response:
        caller, called = webhook.form.get("From", ""), webhook.form.get("To", "")
        return await control(webhook, lambda: switchboard.answer_call(webhook.call_sid, caller, called))

    @router.post("/rescue")
    async def rescue(leg: Leg, state: State = "", webhook: Webhook = signed_by_twilio) -> Response:
        caller, called = webhook.parties
        return await control(webhook, lambda: switchboard.rescue(webhook.call_sid, caller, called, leg, state))

    @router.post("/status")
    async def status(webhook: Webhook = signed_by_twilio) -> Response:
        if webhook.form.get("CallStatus") in ENDED:
            await tell(webhook, CallEnded(at=switchboard.now()), "")
        return Response(status_code=204)

    # --- calls of our own, until somebody answers ------------------------------------------------------

    @router.post("/outbound/answer")
    async def callee_answers(order: Ordered, webhook: Webhook = signed_by_twilio) -> Response:
        machine = webhook.form.get("AnsweredBy") in twiml.MACHINES
        await line.outbound.began(order, webhook.call_sid, *webhook.parties)
        return await answer(webhook, CalleeAnswered(at=switchboard.now(), machine=machine), "")

    @router.post("/outbound/progress")
    async def callee_progress(order: Ordered, webhook: Webhook = signed_by_twilio) -> Response:
        now, status = switchboard.now(), webhook.form.get("CallStatus", "")
        if not switchboard.holds(webhook.call_sid):
            await line.outbound.began(order, webhook.call_sid, *webhook.parties)
        if status == "completed":
            await tell(webhook, CallEnded(at=now), "")
        elif status in ENDED:
            code = webhook.number("ErrorCode") or None
            await tell(webhook, CalleeMissed(at=now, status=status, code=code), "")
        return Response(status_code=204)

    # --- people who are dialled ------------------------------------------------------------------------

    @router.post("/handoff/dialed")
    async def dialed(
        attempt: Attempt, state: State = "", held: Held = 0, webhook: Webhook = signed_by_twilio
    ) -> Response:
        form = webhook.form
        status = form.get("DialCallStatus", "")
        bridged = form.get("DialBridged", "true" if status in ("completed", "answered") else "")
        event = DialEnded(
            at=switchboard.now(),
            attempt=attempt,
            status=status,
            bridged=bridged == "true",
            caller_gone=form.get("CallStatus") == "completed",
            held=held,
            code=webhook.number("ErrorCode") or None,
        )
        return await answer(webhook, event, state)

    @router.post("/handoff/progress")
    async def progress(attempt: Attempt, state: State = "", webhook: Webhook = signed_by_twilio) -> Response:
        now = switchboard.now()
        leg_status = webhook.form.get("CallStatus", "")
        if leg_status in ("in-progress", "answered"):
            await tell(webhook, PersonAnswered(at=now, attempt=attempt, who=_who(webhook)), state)
        elif leg_status == "ringing":
            await tell(webhook, PersonRinging(at=now, attempt=attempt), state)
        elif leg_status in ENDED:
            event = PersonLegEnded(at=now, attempt=attempt, talked=leg_status == "completed", status=leg_status)
            await tell(webhook, event, state)
        return Response(status_code=204)

    @router.post("/handoff/whisper")
    async def whisper(attempt: Attempt, state: State = "", webhook: Webhook = signed_by_twilio) -> Response:
        async def document() -> str:
            machine = webhook.form.get("AnsweredBy") in twiml.MACHINES
            event = PersonAnswered(at=switchboard.now(), attempt=attempt, who=_who(webhook), machine=machine)
            session = await tell(webhook, event, state)
            tried = _tried(session, attempt)
            if session is None or tried is None or not session.call.handoffs or machine:
                return twiml.decline_person()
            target = _target(line, session, tried)
            if tried.outcome is not None:
                return twiml.caller_is_gone(target.language)
            if tried.declined:
                return twiml.decline_person()
            action = switchboard.addresses(session.call).callback("key", attempt, asked=1)
            return twiml.whisper(briefing.for_person(session.call, target), target.language, action, again=True)

        return await control(webhook, document)

    @router.post("/handoff/key")
    async def key(
        attempt: Attempt, asked: Asked = 1, state: State = "", webhook: Webhook = signed_by_twilio
    ) -> Response:
        async def document() -> str:
            match webhook.form.get("Digits"):
                case "1":
                    session = await tell(webhook, PersonAccepted(at=switchboard.now(), attempt=attempt), state)
                    tried = _tried(session, attempt)
                    if tried is not None and tried.outcome is not None:
                        return twiml.caller_is_gone(_target(line, session, tried).language)
                    return twiml.connect_person()
                case "2":
                    await tell(webhook, PersonDeclined(at=switchboard.now(), attempt=attempt), state)
                case None | "":
                    return await undecided()
                case _:
                    pass  # whoever it was, they did not take the call
            return twiml.decline_person()

        async def undecided() -> str:
            session = await switchboard.find(webhook.call_sid, state)
            tried = _tried(session, attempt)
            if session is None or tried is None or tried.declined or asked >= TIMES_ASKED:
                return twiml.decline_person()
            if tried.outcome is not None:
                return twiml.caller_is_gone(_target(line, session, tried).language)
            if tried.accepted_at is not None and not tried.several:
                return twiml.connect_person()  # they did so at their page
            return twiml.wait_for_key(switchboard.addresses(session.call).callback("key", attempt, asked=asked + 1))

        return await control(webhook, document)

    # --- people who are called while the bot has the caller --------------------------------------------

    @router.post("/person/answer")
    async def person_answers(
        attempt: Attempt, caller: Caller, state: State = "", webhook: Webhook = signed_by_twilio
    ) -> Response:
        async def document() -> str:
            machine = webhook.form.get("AnsweredBy") in twiml.MACHINES
            leg = webhook.form.get("CallSid", "")
            event = PersonAnswered(at=switchboard.now(), attempt=attempt, machine=machine, leg_sid=leg)
            session = await tell(webhook, event, state, caller)
            tried = _tried(session, attempt)
            if machine:
                return twiml.decline_person()
            target = _target(line, session, tried)
            if session is None or tried is None or tried.outcome is not None:
                return twiml.caller_is_gone(target.language)
            return line.consulting.document(session.call, attempt, leg) or ask_for_key(session, attempt, target)

        return await control(webhook, document)

    def ask_for_key(session: Session, attempt: int, target: Target) -> str:
        action = switchboard.addresses(session.call).person("key", attempt, session.sid)
        return twiml.whisper(briefing.for_person(session.call, target), target.language, action)

    @router.post("/person/consulted")
    async def person_has_consulted(
        attempt: Attempt, caller: Caller, state: State = "", webhook: Webhook = signed_by_twilio
    ) -> Response:
        async def document() -> str:
            session = await tell(webhook, ConsultationEnded(at=switchboard.now(), attempt=attempt), state, caller)
            tried = _tried(session, attempt)
            target = _target(line, session, tried)
            if tried is not None and tried.declined:
                return twiml.decline_person()
            if session is None or tried is None or tried.outcome is not None:
                return twiml.caller_is_gone(target.language)
            if tried.accepted_at is None:
                return ask_for_key(session, attempt, target)
            policy, at = switchboard.policy_of(session.call.called), switchboard.addresses(session.call)
            return twiml.await_caller(attempt, session.call, policy, target.language, at)

        return await control(webhook, document)

    @router.post("/person/key")
    async def person_decides(
        attempt: Attempt, caller: Caller, state: State = "", webhook: Webhook = signed_by_twilio
    ) -> Response:
        async def document() -> str:
            now = switchboard.now()
            match webhook.form.get("Digits"):
                case "1":
                    session = await tell(webhook, PersonAccepted(at=now, attempt=attempt), state, caller)
                    tried = _tried(session, attempt)
                    language = _target(line, session, tried).language
                    if session is None or tried is None or tried.outcome or tried.accepted_at is None:
                        return twiml.caller_is_gone(language)
                    at = switchboard.addresses(session.call)
                    return twiml.await_caller(
                        attempt, session.call, switchboard.policy_of(session.call.called), language, at
                    )
                case "2":
                    await tell(webhook, PersonDeclined(at=now, attempt=attempt), state, caller)
                case _:
                    pass  # whoever it was, they did not take the call
            return twiml.decline_person()

        return await control(webhook, document)

    @router.post("/person/progress")
    async def person_progress(
        attempt: Attempt, caller: Caller, state: State = "", webhook: Webhook = signed_by_twilio
    ) -> Response:
        now = switchboard.now()
        leg, status = webhook.form.get("CallSid", ""), webhook.form.get("CallStatus", "")
        if status == "initiated":
            await tell(webhook, PersonCalled(at=now, attempt=attempt, leg_sid=leg), state, caller)
        elif status == "ringing":
            await tell(webhook, PersonRinging(at=now, attempt=attempt, leg_sid=leg), state, caller)
        elif status in ENDED:
            code = webhook.number("ErrorCode") or None
            event = PersonLegEnded(at=now, attempt=attempt, talked=status == "completed", status=status, code=code)
            await tell(webhook, event, state, caller)
        return Response(status_code=204)

    @router.post("/person/conference")
    async def conference(
        attempt: Attempt, caller: Caller, state: State = "", webhook: Webhook = signed_by_twilio
    ) -> Response:
        now = switchboard.now()
        match webhook.form.get("StatusCallbackEvent"):
            case "conference-start":  # two are in it
                name = webhook.form.get("ConferenceSid", "")
                named = name if CONFERENCE_SID.fullmatch(name) else ""
                await tell(webhook, Bridged(at=now, attempt=attempt, conference=named), state, caller)
            case "announcement-end" | "announcement-fail" as how:
                said = how == "announcement-end"
                await tell(webhook, IntroductionEnded(at=now, attempt=attempt, said=said), state, caller)
            case _:
                pass
        return Response(status_code=204)

    @router.post("/person/introduction")
    async def introduction(
        attempt: Attempt, caller: Caller, state: State = "", webhook: Webhook = signed_by_twilio
    ) -> Response:
        session = await switchboard.find(caller, state)
        tried = _tried(session, attempt)
        if session is None or tried is None or not tried.handoff:
            return Response(status_code=404)  # Twilio tells that the announcement has failed
        target = _target(line, session, tried)
        return xml(twiml.introduction(briefing.introduction(session.call, target, attempt), target.language))

    @router.post("/person/left")
    async def person_left(
        attempt: Attempt, caller: Caller, state: State = "", webhook: Webhook = signed_by_twilio
    ) -> Response:
        async def document() -> str:
            session = await switchboard.find(caller, state)
            tried = _tried(session, attempt)
            if session is None or tried is None or tried.outcome is not None:
                return twiml.hang_up()  # the conference was over
            return twiml.second_key(attempt, caller, switchboard.addresses(session.call))

        return await control(webhook, document)

    @router.post("/person/back")
    async def person_sends_back(
        attempt: Attempt, caller: Caller, state: State = "", webhook: Webhook = signed_by_twilio
    ) -> Response:
        async def document() -> str:
            back = webhook.form.get("Digits") == "*"
            fact = PersonSentBack if back else PersonSteppedIn
            session = await tell(webhook, fact(at=switchboard.now(), attempt=attempt), state, caller)
            tried = _tried(session, attempt)
            language = _target(line, session, tried).language
            if tried is not None and tried.sent_back:
                return twiml.caller_is_back(language)
            if session is None or tried is None or tried.leg_over or tried.outcome is not None:
                return twiml.caller_is_gone(language)
            policy = switchboard.policy_of(session.call.called)
            return twiml.return_to_caller(attempt, session.call, policy, switchboard.addresses(session.call))

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
            asked_for(websocket),
            websocket.headers.get("x-twilio-signature"),
            settings=websocket.headers.get(SETTINGS_HEADER),
        ):
            await websocket.close()  # before accept: the upgrade is answered with 403
            return
        await websocket.accept()
        start = await read_start(websocket)
        if start is None or not await line.converse(websocket, start):
            await websocket.close()

    return router


def _who(webhook: Webhook) -> str:
    """Whose phone a person's leg is."""
    return webhook.form.get("To", "").partition("?")[0]


def _tried(session: Session | None, attempt: int) -> Tried | None:
    """The attempt, as it is after what was just told."""
    known = session is not None and 0 < attempt <= len(session.call.attempts)
    return session.call.attempts[attempt - 1] if session is not None and known else None


def _target(line: Line, session: Session | None, tried: Tried | None) -> Target:
    """Whose people an attempt rings; the default target's, for one that nobody knows."""
    policy = line.switchboard.policy_of(session.call.called if session is not None else "")
    return resolve(policy, tried.target if tried is not None else "")
