"""Calls as files, for spreadsheets and programs."""

import csv
import io
import json
import re
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from bot.call import Call
from bot.record import Record
from web.api import CallDetail, CallView
from web.console.access import Role
from web.console.figures import Summary
from web.console.words import iso, mask_number, masked_data

COLUMNS = (
    "call_sid", "began", "ended", "seconds", "caller", "called", "end", "phase",
    "handoffs", "attempts", "targets", "outcomes", "seconds_to_person", "fallbacks", "message_seconds",
)  # fmt: skip

_NUMBERS = ("caller", "called", "number", "answered_by")
_PLAIN = re.compile(r"call_sid|target|at|.*_(?:at|until)")
"""The fields that are as they are: names of ours, and times."""


def as_csv(calls: Iterable[Call], role: Role) -> str:
    """One row a call (RFC 4180). No cell is a formula to the program that opens it."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    for call in calls:
        writer.writerow([_cell(value) for value in _row(call, role)])
    return file.getvalue()


def as_json(calls: Iterable[Call], role: Role) -> str:
    """A list of calls, each as the API tells it."""
    return _dump([CallView.model_validate(call).model_dump(mode="json") for call in calls], role)


def detail(record: Record, role: Role) -> str:
    """Everything that is known of a call, as the API tells it."""
    rest = {"timeline": record.journal, "transcript": record.transcript}
    told = CallDetail.model_validate({**asdict(record.stored.call), **rest}).model_dump(mode="json")
    return _dump(told, role)


def _row(call: Call, role: Role) -> tuple[object, ...]:
    seconds = Summary.of(call).seconds_to_person
    return (
        call.sid,
        iso(call.started_at),
        iso(call.ended_at) if call.ended_at is not None else "",
        f"{call.ended_at - call.started_at:.1f}" if call.ended_at is not None else "",
        call.caller if role is Role.SUPERVISOR else mask_number(call.caller),
        call.called,
        call.end or "",
        call.phase,
        len(call.handoffs),
        len(call.attempts),
        " ".join(attempt.target for attempt in call.attempts),
        " ".join(str(attempt.outcome or "open") for attempt in call.attempts),
        f"{seconds:.1f}" if seconds is not None else "",
        " ".join(fall.rung for fall in call.falls),
        call.message.seconds if call.message is not None else "",
    )


def _cell(value: object) -> str:
    """A leading sign that makes a formula of it is made text; a telephone number's plus is none."""
    text = str(value)
    if text[:1] in ("=", "+", "-", "@", "\t", "\r") and not text[1:].isdecimal():
        return "'" + text
    return text


def _dump(told: Any, role: Role) -> str:
    return json.dumps(told if role is Role.SUPERVISOR else _masked(told), ensure_ascii=False, indent=2)


def _masked(told: Any) -> Any:
    """As viewers see it."""
    match told:
        case dict():
            return {key: _masked_field(str(key), value) for key, value in told.items()}
        case list():
            return [_masked(value) for value in told]
        case _:
            return masked_data(told)


def _masked_field(key: str, value: Any) -> Any:
    if key in _NUMBERS and isinstance(value, str):
        return ", ".join(mask_number(each) for each in value.split(","))
    if _PLAIN.fullmatch(key) and isinstance(value, str):
        return value
    return masked_data(value) if key == "data" else _masked(value)
