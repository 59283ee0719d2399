"""What was said has an end: what is forgotten, what stays, and what waits while Twilio does not delete a recording."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from calls import CALLER, SID, US

from bot import database
from bot.call import Attempt, By, Call, End, Handoff, Message, Outcome, Phase
from bot.ledger import Entry, Ledger
from bot.notices import Notice
from bot.record import LedgerError
from bot.recorded import Part, Recording as Recorded
from bot.recordings import Recordings
from bot.retention import DAY, Retention
from sandbox.network import Recording, RestFault
from sandbox.stage import ACCOUNT_SID, AUTH_TOKEN, Stage

RECORDING = "RE" + "2b" * 16
SECRET = "the blue house"
OLD = Call(
    SID,
    CALLER,
    US,
    1000.0,
    phase=Phase.ENDED,
    handoffs=(Handoff("desk", SECRET, SECRET, By.MODEL, 1010.0),),
    attempts=(Attempt("desk", CALLER, 1015.0, ended_at=1030.0, outcome=Outcome.NO_ANSWER),),
    end=End.MESSAGE_LEFT,
    ended_at=1060.0,
)
"""It was over by 1060."""


class Clock:
    def __init__(self) -> None:
        self.now = 1060.0 + 30 * DAY + 1

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def ledger(url: str, spool: Path) -> AsyncIterator[Ledger]:
    opened = await Ledger.open(url, spool)
    yield opened
    await opened.close()


@pytest.fixture
async def retention(ledger: Ledger, stage: Stage) -> AsyncIterator[Retention]:
    recordings = Recordings(stage.network.rest_url, ACCOUNT_SID, AUTH_TOKEN)
    made = Retention(ledger.url, recordings, days=30, clock=Clock())
    yield made
    await made.close()


async def keep(ledger: Ledger, call: Call) -> None:
    """A call with everything that there can be of it."""
    facts = {"target": "desk", "reason": SECRET, "summary": SECRET, "by": "model", "who": ""}
    told = (Notice("handoff.requested", {"summary": SECRET}),)
    await ledger.add(call, Entry(1000.0, "HandoffRequested", facts, "ended", True, notices=told))
    await ledger.note(call.sid, Entry(1001.0, "HintGiven", {"text": SECRET, "who": "Anna"}, "ended", False))
    await ledger.add_line(call.sid, 1, "caller", SECRET, 1002.0)
    await ledger.keep_conversation(call.sid, [{"role": "user", "content": SECRET}])
    await ledger.remember(call.sid, "token", f"<Say>{SECRET}</Say>")


async def everything(url: str) -> str:
    """All that the database holds, as text."""
    engine = database.create_engine(url)
    rows: list[Any] = []
    async with engine.connect() as connection:
        for table in ("calls", "journal", "transcript", "answers", "outbox"):
            rows += [[*row] for row in (await connection.execute(sa.text(f"SELECT * FROM {table}"))).all()]  # noqa: S608 - five names
    await engine.dispose()
    return json.dumps(rows, default=str)


async def test_what_was_said_is_forgotten_and_what_happened_stays(ledger: Ledger, retention: Retention):
    await keep(ledger, OLD)
    assert SECRET in await everything(ledger.url)
    assert await retention.sweep() == 1
    assert SECRET not in await everything(ledger.url)
    record = await ledger.record(SID)
    assert record is not None
    assert record.transcript == []
    assert (record.stored.call.caller, record.stored.call.end) == (CALLER, End.MESSAGE_LEFT)
    assert record.stored.call.attempts == OLD.attempts
    assert [entry.event for entry in record.journal] == ["HandoffRequested", "HintGiven"]
    assert record.journal[1].data == {"text": "", "who": "Anna"}
    assert await retention.sweep() == 0


@pytest.mark.parametrize(
    "call",
    [replace(OLD, ended_at=1060.0 + 2), replace(OLD, ended_at=None, end=None, phase=Phase.PERSON)],
    ids=["not old enough", "goes on"],
)
async def test_a_call_that_is_not_old_or_not_over_is_left_alone(ledger: Ledger, retention: Retention, call: Call):
    await keep(ledger, call)
    assert await retention.sweep() == 0
    assert SECRET in await everything(ledger.url)


async def test_the_message_at_twilio_is_deleted_with_it(ledger: Ledger, retention: Retention, stage: Stage):
    address = f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT_SID}/Recordings/{RECORDING}"
    stage.network.recordings[RECORDING] = Recording(RECORDING, SID, b"")  # type: ignore[arg-type] - never played
    await keep(ledger, replace(OLD, message=Message(address, 9)))
    stage.network.rest_faults.append(RestFault("500"))
    assert await retention.sweep() == 0
    assert SECRET in await everything(ledger.url)  # whole, so that the address is not lost
    assert RECORDING in stage.network.recordings
    assert await retention.sweep() == 1
    assert RECORDING not in stage.network.recordings
    told = await everything(ledger.url)
    assert RECORDING not in told
    assert SECRET not in told


async def test_the_recordings_of_a_call_are_deleted_with_it(ledger: Ledger, retention: Retention, stage: Stage):
    address = f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT_SID}/Recordings/"
    sids = ["RE" + digits * 16 for digits in ("2b", "3c")]
    parts = tuple(Recorded(part, 1000.0, url=address + sid, seconds=9) for part, sid in zip(Part, sids, strict=True))
    for sid in sids:
        stage.network.recordings[sid] = Recording(sid, SID, b"")  # type: ignore[arg-type] - never played
    await keep(ledger, replace(OLD, recordings=parts))
    assert await retention.sweep() == 1
    assert not stage.network.recordings
    told = await everything(ledger.url)
    assert not any(sid in told for sid in sids)
    assert await retention.sweep() == 0


async def test_a_message_that_somebody_has_deleted_at_twilio_keeps_nothing(ledger: Ledger, retention: Retention):
    address = f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT_SID}/Recordings/{RECORDING}"
    await keep(ledger, replace(OLD, message=Message(address, 9)))
    assert await retention.sweep() == 1
    assert SECRET not in await everything(ledger.url)


async def test_a_record_that_cannot_be_read_is_told_as_such(tmp_path: Path):
    recordings = Recordings("http://127.0.0.1:9", "AC1", "secret")
    retention = Retention(f"sqlite+aiosqlite:///{tmp_path}/empty.db", recordings, days=30, clock=Clock())
    with pytest.raises(LedgerError):
        await retention.sweep()
    await retention.close()
