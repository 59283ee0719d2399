"""What the record says of a call whose callbacks were lost: as Twilio knows it, asked afterwards."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from calls import POLICY, Story
from serving import serving
from test_admission import Clock, board

from bot import events as ev
from bot.asked import Leg, PersonStays, Reconciled
from bot.call import Attempt, Call, End, Outcome, Phase
from bot.effects import ReleasePerson
from bot.law import step
from bot.ledger import Entry, Ledger
from bot.notices import notices
from bot.orders import Orders
from bot.reconciler import Reconciler
from bot.telephony import Unavailable
from sandbox.people import Person
from sandbox.stage import Stage
from sandbox.story import load

DESK, BILLING = "+442079460101", "+442079460103"


def rings(target: str = "desk") -> Story:
    """The caller hears ringing, since 1004."""
    return Story().with_bot().asks(target).happens(ev.GoodbyeHeard, handoff=1).happens(ev.RedirectAccepted)


def leg(to: str = DESK, status: str = "completed", **times: float | None) -> Leg:
    known: dict[str, Any] = {"created_at": 1004.0, "answered_at": 1010.0, "ended_at": 1060.0}
    return Leg("CA9", to, status, **(known | times))


def asked(call: Call, *legs: Leg, ended_at: float | None = 1065.0) -> Call:
    return step(call, Reconciled(at=1100.0, ended_at=ended_at, legs=legs), POLICY)[0]


def only(call: Call) -> Attempt:
    [attempt] = call.attempts
    return attempt


def over(story: Story, at: float = 1066.0) -> Call:
    return step(story.call, ev.CallEnded(at=at), POLICY)[0]


def test_a_conversation_of_which_nothing_was_told_is_one_all_the_same():
    before = over(rings())
    assert (before.end, only(before).outcome) == (End.CALLER_HUNG_UP, Outcome.CALLER_GONE), "as far as we were told"
    call = asked(before, leg())
    attempt = only(call)
    assert (call.end, call.ended_at) == (End.PUT_THROUGH, 1065.0)
    assert (attempt.outcome, attempt.ended_by, attempt.reconciled) == (Outcome.ANSWERED, "person", True)
    assert (attempt.answered_at, attempt.bridged_at, attempt.ended_at) == (1010.0, 1010.0, 1060.0)
    assert [told.type for told in notices(before, call)] == ["handoff.reconciled"]
    assert asked(call, leg(status="busy")) is call, "it is asked once"


def test_who_ended_it_is_not_known_of_two_legs_that_ended_together():
    assert only(asked(over(rings()), leg(ended_at=1065.0))).ended_by is None


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("busy", Outcome.BUSY),
        ("no-answer", Outcome.NO_ANSWER),
        ("failed", Outcome.FAILED),
        ("canceled", Outcome.CALLER_GONE),
    ],
)
def test_a_phone_that_nobody_picked_up_says_why(status: str, outcome: Outcome):
    call = asked(over(rings()), leg(status=status, answered_at=None))
    assert (only(call).outcome, call.end) == (outcome, End.CALLER_HUNG_UP)


def test_a_screened_person_who_pressed_no_key_has_not_talked_with_the_caller():
    call = asked(over(rings("billing")), leg(BILLING))
    assert (only(call).outcome, only(call).bridged_at, only(call).reconciled) == (Outcome.CALLER_GONE, None, True)


def test_what_was_told_stands():
    story = rings()
    story.happens(ev.DialEnded, attempt=1, status="completed", bridged=True, caller_gone=True)
    call = asked(story.call, leg(ended_at=story.at), ended_at=story.at)
    assert (only(call).ended_by, only(call).bridged_at, call.end) == ("caller", 1010.0, End.PUT_THROUGH)


def test_a_call_of_which_all_was_told_is_not_asked_about():
    story = rings().happens(ev.PersonAnswered, attempt=1)
    story.happens(ev.DialEnded, attempt=1, status="completed", bridged=True)
    assert not only(story.call).doubtful
    assert asked(story.call, leg(status="busy")) is story.call


def test_an_attended_person_s_own_leg_says_when_and_by_whom_the_conversation_ended():
    story = Story().with_bot().asks("doctor").happens(ev.PersonCalled, attempt=1, leg_sid="CA9")
    for fact in (ev.PersonAnswered, ev.PersonAccepted):
        story.happens(fact, attempt=1)
    story.happens(ev.GoodbyeHeard, handoff=1).happens(ev.RedirectAccepted).happens(ev.Bridged, attempt=1)
    call = asked(over(story), leg(to="+442079460104"))
    assert (only(call).outcome, only(call).ended_by, only(call).ended_at) == (Outcome.ANSWERED, "person", 1060.0)
    assert (only(call).bridged_at, call.end) == (story.at, End.PUT_THROUGH), "what was told stands"


def test_a_leg_of_another_time_or_of_somebody_else_proves_nothing():
    for other in (leg(created_at=900.0), leg(to="+442079460199")):
        assert only(asked(over(rings()), other)).outcome is Outcome.CALLER_GONE


# --- who asks ------------------------------------------------------------------------------------------


class Knows:
    """`bot.reconciler.Legs`, with one answer."""

    def __init__(self, *legs: Leg) -> None:
        self.legs, self.asked = legs, 0

    async def of(self, call: Call) -> tuple[float | None, tuple[Leg, ...]]:
        self.asked += 1
        if self.asked == 1:
            raise Unavailable(None, None, "not now")
        return 1065.0, self.legs

    async def status(self, sid: str) -> str:
        return "in-progress"


async def test_of_several_processes_one_asks_and_once_more_when_there_was_no_answer(url: str, spool: Path):
    ledger, clock = await Ledger.open(url, spool), Clock()
    ended = over(rings())
    await ledger.add(ended, Entry(1066.0, "CallEnded", {}, Phase.ENDED, True))
    knows = Knows(leg())
    boards = [board(ledger, clock) for _ in range(3)]
    processes = [Reconciler(each, knows) for each in boards]
    for now, times in ((1066.5, 0), (1067.1, 1), (1067.5, 1), (1068.1, 2), (1069.5, 2)):
        clock.now = now
        for process in (*processes, *processes):
            await process.look()
        assert knows.asked == times
    stored = await ledger.load(ended.sid)
    assert stored is not None
    assert (stored.call.end, only(stored.call).reconciled) == (End.PUT_THROUGH, True)
    for each in boards:
        await each.close()
    await ledger.close()


# --- on the line ---------------------------------------------------------------------------------------

PERSON = "+12025550143"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    _soon_again(monkeypatch)


def _soon_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.reconciler.LET_GO_SECONDS", 8.0)
    monkeypatch.setattr("bot.reconciler.LOOK_SECONDS", 0.2)
    monkeypatch.setattr("bot.reconciler.TRIES", (1.0, 2.0, 3.0, 60.0))
    monkeypatch.setattr("bot.reconciler.RINGS_SECONDS", 1.0)


async def reconciled(stage: Stage, sid: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            record = await stage.record_now(sid)
            if record.get("attempts") and record["attempts"][0]["reconciled"]:
                return record
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("lost", [["/handoff/progress"], ["/handoff/progress", "/handoff/dialed"]])
async def test_a_real_call_whose_callbacks_were_lost_has_its_conversation_in_the_record(
    tmp_path: Path, lost: list[str]
):
    async with Stage() as stage, serving(stage, tmp_path):
        stage.network.lost_webhooks += lost
        played = await stage.play("key", load("key"))
        assert played.call.bridged_to is not None
        record = await reconciled(stage, played.call.sid)
    [attempt] = record["attempts"]
    assert (record["state"], record["end"]) == ("ended", "put_through")
    assert attempt["outcome"] == "answered"
    moments = [attempt["answered_at"], attempt["bridged_at"], attempt["ended_at"], record["ended_at"]]
    assert moments == sorted(moments, key=datetime.fromisoformat)


async def test_while_they_talk_the_record_says_so_although_nobody_told(tmp_path: Path):
    async with Stage() as stage, serving(stage, tmp_path):
        stage.network.lost_webhooks.append("/handoff/progress")
        story = load("key")
        story.people[PERSON] = [Person("answer", after=0.3, hangs_up_after=8.0)]
        playing = asyncio.create_task(stage.play("key", story))
        async with asyncio.timeout(60):
            while not stage.network.calls:
                await asyncio.sleep(0.1)
        record = await reconciled(stage, stage.network.calls[0].sid)
        assert record["state"] == Phase.PERSON
        await playing
        assert (await stage.record(stage.network.calls[0].sid))["end"] == "put_through"


# --- who was to be let go of ---------------------------------------------------------------------------


def test_who_was_let_go_of_is_let_go_of_again_while_they_stay():
    story = Story().with_bot().asks("doctor").happens(ev.PersonCalled, attempt=1, leg_sid="CA9")
    story.happens(ev.StreamEnded, leg=1, stopped=True)
    assert story.effects == (ReleasePerson(1),)
    assert story.happens(PersonStays, attempt=1).effects == (ReleasePerson(1),)
    story.happens(ev.PersonLegEnded, attempt=1, status="canceled")
    assert not story.call.attempts[0].letting_go
    assert story.happens(PersonStays, attempt=1).effects == ()


@pytest.mark.parametrize(
    "person", [Person("no_answer"), Person("answer", after=0.2, digits="")], ids=["rings", "has picked up"]
)
async def test_a_server_that_dies_before_it_lets_go_of_a_person_leaves_them_to_whoever_comes_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, person: Person
):
    released = Orders.release_person
    rules = tmp_path / "handoff.yaml"
    rules.write_text(Path("sandbox/handoff.yaml").read_text().replace("ring_seconds: 5", "ring_seconds: 60"))

    async def dies(*_: object) -> None:
        """Whatever was to be ordered is not ordered any more."""

    async with Stage() as stage:
        story = load("attended_leaves")
        story.people["+12025550155"] = [person]
        async with serving(stage, tmp_path, HANDOFF_POLICY=str(rules)):
            monkeypatch.setattr(Orders, "release_person", dies)
            monkeypatch.setattr("bot.reconciler.Reconciler.look", dies)
            await stage.play("attended_leaves", story)
            leg = stage.network.calls[-1]
            assert leg.live, "the hole that is to be closed"
        monkeypatch.undo()
        _soon_again(monkeypatch)
        assert Orders.release_person is released
        async with serving(stage, tmp_path, HANDOFF_POLICY=str(rules)), asyncio.timeout(60):
            await leg.ended()
