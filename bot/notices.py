"""What is told to the operator's own systems about a call: facts that follow from one step. Pure.

They are written with the step itself, in one transaction, and sent afterwards (`bot/outbox.py`). So what has happened
is told, also by a process that was started after the one that made it happen was killed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bot.call import Attempt, Call, Handoff, Outcome, Phase
from bot.queue_rules import is_queue
from bot.recorded import Recording
from bot.voicemail import Message


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to be told."""

    type: str
    """`call.started`, `call.ended`, `recording.ready`, `voicemail.transcribed`, or `handoff.` and one of requested,
    ringing, queued, answered, accepted, bridged, declined, failed, ended, reconciled."""

    data: dict[str, Any]
    """What belongs to it, as JSON."""


def notices(before: Call | None, after: Call, page: Callable[[int], str] = lambda attempt: "") -> tuple[Notice, ...]:
    """What a step has to tell, in the order of a call's life.

    Args:
        before: The call before the step; None for one that has just come in.
        after: The call after it.
        page: The address of the page of an attempt's person.
    """
    told: list[Notice] = []
    if before is None:
        told.append(Notice("call.started", _of_call(after)))
    for n in range(len(before.handoffs) if before else 0, len(after.handoffs)):
        told.append(Notice("handoff.requested", _of_call(after) | _of_handoff(n + 1, after.handoffs[n])))
    for n, attempt in enumerate(after.attempts):
        earlier = before.attempts[n] if before and n < len(before.attempts) else None
        about = _of_call(after) | _of_attempt(n + 1, attempt)
        told += [Notice(f"handoff.{what}", about | _link(what, n + 1, page)) for what in _news(earlier, attempt)]
    if after.phase is Phase.ENDED and (before is None or before.phase is not Phase.ENDED):
        end = {"end": str(after.end), "ended_at": after.ended_at}
        message = {"message": after.message.url, "message_seconds": after.message.seconds} if after.message else {}
        told.append(Notice("call.ended", _of_call(after) | end | message))
    was = before.message.transcription if before and before.message else None
    if after.message is not None and after.message.transcription is not None and was is None:
        told.append(Notice("voicemail.transcribed", _of_call(after) | _of_message(after.message)))
    for n, recording in enumerate(after.recordings):
        earlier = before.recordings[n] if before and n < len(before.recordings) else None
        if recording.ready and not (earlier is not None and earlier.ready):
            told.append(Notice("recording.ready", _of_call(after) | _of_recording(n + 1, recording)))
    return tuple(told)


def _of_message(message: Message) -> dict[str, Any]:
    about = {"message": message.url, "message_seconds": message.seconds}
    return about | {"transcription": str(message.transcription), "text": message.text}


def _news(before: Attempt | None, after: Attempt) -> list[str]:
    """What has happened to an attempt. A `<Dial>` rings as soon as it is ordered; a call of its own says when."""
    old = before or Attempt(after.target, after.number, after.at, attended=after.attended)
    if after.reconciled and not old.reconciled and after.outcome is not None:
        return ["reconciled"]  # what was told before stands corrected
    news: list[str] = []
    if before is None and is_queue(after.number):
        news.append("queued")
    elif (before is None and not after.attended) or (after.attended and after.rang_at and not old.rang_at):
        news.append("ringing")
    if after.answered_at is not None and old.answered_at is None:
        news.append("answered")
    if after.accepted_at is not None and old.accepted_at is None:
        news.append("accepted")
    if after.bridged_at is not None and old.bridged_at is None:
        news.append("bridged")
    if after.outcome is not None and old.outcome is None:
        match after.outcome:
            case Outcome.ANSWERED:
                news.append("ended")
            case Outcome.DECLINED:
                news.append("declined")
            case _:
                news.append("failed")
    return news


def _link(what: str, n: int, page: Callable[[int], str]) -> dict[str, Any]:
    """Who is rung, or takes callers from a queue, has a page; it is told with the first news."""
    return {"page": page(n)} if what in ("ringing", "queued") else {}


def _of_call(call: Call) -> dict[str, Any]:
    return {
        "call_sid": call.sid,
        "direction": str(call.direction),
        "caller": call.caller,
        "called": call.called,
        "started_at": call.started_at,
        "state": str(call.phase),
    }


def _of_handoff(n: int, handoff: Handoff) -> dict[str, Any]:
    return {
        "handoff": n,
        "target": handoff.target,
        "reason": handoff.reason,
        "summary": handoff.summary,
        "by": str(handoff.by),
        "closed": handoff.closed,
    }


def _of_recording(n: int, recording: Recording) -> dict[str, Any]:
    return {
        "recording": n,
        "part": str(recording.part),
        "leg": recording.leg,
        "attempt": recording.attempt,
        "url": recording.url,
        "began_at": recording.began_at,
        "seconds": recording.seconds,
        "overran": recording.overran,
    }


def _of_attempt(n: int, attempt: Attempt) -> dict[str, Any]:
    return {
        "attempt": n,
        "handoff": attempt.handoff,
        "target": attempt.target,
        "number": attempt.answered_by or attempt.number,
        "outcome": str(attempt.outcome) if attempt.outcome else None,
        "code": attempt.code,
        **(_of_conversation(attempt) if attempt.outcome is Outcome.ANSWERED else {}),
        **({"why": attempt.why, "message": attempt.message} if attempt.outcome is Outcome.DECLINED else {}),
    }


def _of_conversation(attempt: Attempt) -> dict[str, Any]:
    introduced = {"introduced": attempt.introduced} if attempt.introduced is not None else {}
    return {"ended_by": attempt.ended_by, "short": attempt.short, "sent_back": attempt.sent_back, **introduced}
