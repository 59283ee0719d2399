"""Twilio's webhook for recordings of calls that are ready."""

from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from loguru import logger

from bot.events import ImpossibleEvent
from bot.line import Line
from bot.recorded import Part
from bot.recording_events import RecordingReady
from bot.signatures import Signatures
from web.webhook import Webhook, signed

Number = Annotated[int, Query(ge=0)]
CallSid = Annotated[str, Query(alias="call", pattern="^CA[0-9a-fA-F]{32}$")]
State = Annotated[str, Query(max_length=1000)]


def recording_routes(line: Line, signatures: Signatures) -> APIRouter:
    """The route that Twilio calls.

    Args:
        line: What the calls share.
        signatures: Checks that it is Twilio who calls.
    """
    router = APIRouter(prefix="/twilio", include_in_schema=False)
    switchboard = line.switchboard
    signed_by_twilio = Depends(signed(signatures))

    @router.post("/recording")
    async def recording_is_ready(
        part: Part,
        sid: CallSid,
        recording: Number = 0,
        attempt: Number = 0,
        state: State = "",
        webhook: Webhook = signed_by_twilio,
    ) -> Response:
        with logger.contextualize(call_sid=sid):
            session = None
            if webhook.form.get("RecordingStatus") == "completed":
                session = await switchboard.find(sid, state)
            if session is not None:
                now, seconds = switchboard.now(), webhook.number("RecordingDuration")
                event = RecordingReady(
                    at=now,
                    part=part,
                    url=webhook.form.get("RecordingUrl", ""),
                    seconds=seconds,
                    began_at=_time(webhook.form.get("RecordingStartTime", "")) or now - seconds,
                    recording=recording,
                    attempt=attempt,
                )
                try:
                    await session.apply(event)
                except ImpossibleEvent as error:
                    logger.warning("{}", error)
        return Response(status_code=204)

    return router


def _time(text: str) -> float | None:
    """A moment as Twilio writes it (RFC 2822), in Unix seconds; None for what is none."""
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
