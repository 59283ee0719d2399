"""Orders to record and to stop: what holds up a caller, what is given again, and which recording is meant."""

import asyncio
from dataclasses import dataclass, field, replace

import pytest
from calls import POLICY, RECORDING, Story

from bot import events as ev, recorder, recording_events as rec
from bot.call import Call
from bot.events import Event, Failure
from bot.recorded import RecordingRules
from bot.recorder import CURRENT, CallRecorder
from bot.telephony import Ambiguous, CallGone, Refused, TelephonyError

SID = RECORDING[-34:]
BOT = replace(POLICY, recording=RecordingRules(bot=True, announcement="This call is recorded."))


@dataclass
class Scripted:
    """`bot.recorder.Recorder`: answers each order to stop with the next of its answers, and remembers it."""

    start_fails: TelephonyError | None = None
    answers: list[TelephonyError | None] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    started: asyncio.Event = field(default_factory=asyncio.Event)
    """Until it is set, an order to record has no answer."""

    callbacks: list[str] = field(default_factory=list)

    async def start(self, call_sid: str, callback: str) -> str:
        self.callbacks.append(callback)
        await self.started.wait()
        if self.start_fails is not None:
            raise self.start_fails
        return RECORDING

    async def stop(self, call_sid: str, sid: str) -> None:
        self.stopped.append(sid)
        if self.answers and (error := self.answers.pop(0)) is not None:
            raise error


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "STOP_PAUSES", (0.01, 0.01, 0.01))
    monkeypatch.setattr(recorder, "STOP_SECONDS", 0.1)


def orders(scripted: Scripted) -> CallRecorder:
    return CallRecorder(scripted, lambda call, n: f"https://bot.example/{n}", lambda: 2000.0)


def moved(*, known: bool = True) -> Call:
    """A call whose caller is on the way from the bot."""
    story = Story(BOT).with_bot()
    if known:
        story.happens(rec.RecordingBegan, recording=1, url=RECORDING)
    return story.asks().happens(ev.GoodbyeHeard, handoff=1).call


async def stop(scripted: Scripted, call: Call) -> Event:
    return await orders(scripted).stop(lambda: call, 1)


async def test_what_comes_of_an_order_to_record_is_a_fact():
    scripted = Scripted()
    scripted.started.set()
    began = await orders(scripted).start(moved(known=False), 1)
    assert began == rec.RecordingBegan(at=2000.0, recording=1, url=RECORDING)
    assert scripted.callbacks == ["https://bot.example/1"]


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (CallGone(21220, 400, "over"), Failure.GONE),
        (Refused(20003, 401, "no"), Failure.NOT_DONE),
        (Ambiguous(None, None, "silence"), Failure.UNKNOWN),
    ],
)
async def test_an_order_to_record_that_fails_is_a_fact_too(error: TelephonyError, failure: Failure):
    scripted = Scripted(start_fails=error)
    scripted.started.set()
    told = await orders(scripted).start(moved(known=False), 1)
    assert told == rec.RecordingNotBegan(at=2000.0, recording=1, failure=failure, code=error.code)


async def test_where_nothing_can_record_nothing_is_ordered():
    local = CallRecorder(None, lambda call, n: "", lambda: 2000.0)
    told = await local.start(moved(known=False), 1)
    assert isinstance(told, rec.RecordingNotBegan)
    assert await local.stop(moved, 1) == rec.RecordingStopped(at=2000.0, recording=1)


async def test_a_recording_is_stopped_by_its_own_name():
    scripted = Scripted()
    assert await stop(scripted, moved()) == rec.RecordingStopped(at=2000.0, recording=1)
    assert scripted.stopped == [SID]


async def test_one_that_has_ended_already_is_stopped():
    scripted = Scripted(answers=[CallGone(20404, 404, "not found")])
    assert isinstance(await stop(scripted, moved()), rec.RecordingStopped)
    assert len(scripted.stopped) == 1


async def test_the_order_to_stop_waits_for_that_to_begin_and_the_caller_a_moment_only():
    scripted = Scripted()
    recording = orders(scripted)
    call = moved(known=False)
    starting = recording.start(call, 1)
    stopping = recording.stop(lambda: call, 1)
    began = asyncio.get_running_loop().time()
    await recording.stopped()
    assert 0.09 < asyncio.get_running_loop().time() - began < 1.0
    assert scripted.stopped == []
    await asyncio.wait_for(recording.stopped(), 0.05)  # once for each order: what else is asked does not wait
    scripted.started.set()
    await starting
    await stopping
    assert scripted.stopped == [SID]


async def test_who_has_nothing_to_stop_waits_for_nothing():
    await asyncio.wait_for(orders(Scripted()).stopped(), 0.05)


async def test_an_order_that_twilio_does_not_take_is_given_again_and_then_given_up():
    lost = Ambiguous(None, None, "silence")
    scripted = Scripted(answers=[lost, lost])
    assert isinstance(await stop(scripted, moved()), rec.RecordingStopped)
    assert scripted.stopped == [SID] * 3
    scripted = Scripted(answers=[lost] * 9)
    told = await stop(scripted, moved())
    assert told == rec.RecordingNotStopped(at=2000.0, recording=1, failure=Failure.UNKNOWN)
    assert len(scripted.stopped) == 4


async def test_one_without_a_name_is_the_current_one_until_a_person_may_be_recorded():
    scripted = Scripted()
    await stop(scripted, moved(known=False))
    assert scripted.stopped == [CURRENT]
    scripted = Scripted()
    with_person = Story(BOT).with_person().call
    assert isinstance(await stop(scripted, with_person), rec.RecordingNotStopped)
    assert scripted.stopped == []
