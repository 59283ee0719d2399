"""What happens to calls is told to the operator's own systems: signed, at least once, in order for each call."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from calls import CALLER, SID, US, Story
from serving import serving

from bot import events as ev
from bot.call import Call
from bot.ledger import Entry, Ledger
from bot.notices import notices
from bot.outbox import GIVE_UP_SECONDS, LEASE_SECONDS, Outbox
from sandbox.check import problems
from sandbox.stage import Stage
from sandbox.story import load

SECRET = "a secret of sixteen or more"


@dataclass
class Receiver:
    """An operator's system: it takes what it is told, when it is there."""

    url: str = ""
    down: bool = False
    taken: list[dict[str, Any]] = field(default_factory=list)
    refused: int = 0

    async def take(self, request: web.Request) -> web.Response:
        if self.down:
            self.refused += 1
            return web.Response(status=503)
        body = await request.text()
        timestamp = request.headers["Putthrough-Timestamp"]
        expected = hmac.new(SECRET.encode(), f"{timestamp}.{body}".encode(), hashlib.sha256).hexdigest()
        assert request.headers["Putthrough-Signature"] == f"v1={expected}"
        event = json.loads(body)
        assert request.headers["Putthrough-Event"] == event["id"]
        self.taken.append(event)
        return web.Response(status=204)

    def types(self, sid: str = SID) -> list[str]:
        return [event["type"] for event in self.taken if event["data"]["call_sid"] == sid]


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/events", receiver.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/events"
    yield receiver
    await runner.cleanup()


@dataclass
class Clock:
    at: float = 10_000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    opened = await Ledger.open(f"sqlite+aiosqlite:///{tmp_path}/calls.db")
    yield opened
    await opened.close()


async def tell(ledger: Ledger, story: Story, sid: str = SID, at: float = 10_000.0) -> None:
    """Write what a whole call has to tell, as its steps would."""
    call = Call(sid, CALLER, US, at)
    await ledger.add(call, Entry(at, "CallAnswered", {}, call.phase, True, notices=notices(None, call)))
    after = story.call
    await ledger.save(after, 1, Entry(at, "Step", {}, after.phase, True, notices=notices(call, after)))


async def sent(outbox: Outbox) -> int:
    async with aiohttp.ClientSession() as http:
        return await outbox.send_what_is_due(http)


def named(story: Story) -> list[str]:
    """What a call has told, step by step."""
    return [notice.type.removeprefix("handoff.") for notice in story.told]


class Telling(Story):
    """A story that gathers what each step has to tell."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.told = list(notices(None, self.call))

    def happens(self, kind: type[ev.Event], **facts: object) -> "Telling":
        before = self.call
        super().happens(kind, **facts)
        self.told += notices(before, self.call)
        return self


# --- what is told -----------------------------------------------------------------------------------------


def test_a_screened_hand_off_is_told_step_by_step():
    story = Telling().ringing("billing").happens(ev.PersonAnswered, attempt=1).happens(ev.PersonAccepted, attempt=1)
    story.ends(1, "completed", bridged=True)
    assert named(story) == [
        *("call.started", "requested", "ringing", "answered", "accepted", "bridged", "ended", "call.ended"),
    ]


def test_an_attended_hand_off_is_told_step_by_step():
    story = Telling().seeking().leg_ends(1, "busy").called(2).accepts(2).happens(ev.GoodbyeHeard, handoff=1)
    story.happens(ev.RedirectAccepted).happens(ev.Bridged, attempt=2).ends(2, "answered")
    assert named(story) == [
        *("call.started", "requested", "ringing", "failed"),
        *("ringing", "answered", "accepted", "bridged", "ended", "call.ended"),
    ]
    assert [notice.data.get("attempt") for notice in story.told] == [None, None, 1, 1, 2, 2, 2, 2, 2, None]


def test_a_caller_who_leaves_is_told_with_the_attempt_that_ended_by_it():
    story = Telling().seeking().happens(ev.StreamEnded, leg=1, stopped=True)
    assert named(story)[-2:] == ["failed", "call.ended"]
    assert story.told[-2].data["outcome"] == "caller_gone"


def test_what_changes_nothing_is_not_told():
    story = Telling().seeking()
    before = len(story.told)
    story.happens(ev.PersonRinging, attempt=1).happens(ev.CallerSpoke).asks()
    assert len(story.told) == before


# --- how it is told --------------------------------------------------------------------------------------------


async def test_a_receiver_that_is_away_gets_everything_afterwards_once_and_in_order(ledger: Ledger):
    clock = Clock()
    async with receiving() as receiver:
        outbox = Outbox(ledger, receiver.url, SECRET, clock=clock)
        await tell(ledger, Story().nobody())
        receiver.down = True
        for _ in range(60):  # a minute, second by second
            clock.at += 1
            await sent(outbox)
        assert 3 <= receiver.refused <= 10, "one at a time, and more and more rarely"
        receiver.down = False
        clock.at += 60
        while await sent(outbox):
            clock.at += 1
    story = Telling().nobody()
    assert receiver.types() == [
        "call.started",
        "handoff.requested",
        *("handoff.ringing", "handoff.failed", "handoff.ringing", "handoff.failed"),
    ]
    assert len(receiver.types()) == len(story.told)
    ids = [event["id"] for event in receiver.taken]
    assert len(ids) == len(set(ids))


async def test_a_call_whose_receiver_does_not_take_an_event_does_not_hold_up_another_call(ledger: Ledger):
    other = "CA" + "b2" * 16
    async with receiving() as receiver:
        outbox = Outbox(ledger, receiver.url, SECRET, clock=Clock())
        await tell(ledger, Story().with_bot())
        receiver.down = True
        await sent(outbox)
        receiver.down = False
        story = Story()
        story.call = Call(other, CALLER, US, 1.0)
        await tell(ledger, story, other)
        assert await sent(outbox) == 1
    assert (receiver.types(SID), receiver.types(other)) == ([], ["call.started"])


async def test_two_processes_do_not_send_the_same_event(ledger: Ledger):
    async with receiving() as receiver:
        one, other = (Outbox(ledger, receiver.url, SECRET, clock=Clock()) for _ in range(2))
        await tell(ledger, Story().nobody())
        while sum(await asyncio.gather(sent(one), sent(other))):
            pass
    assert len(receiver.taken) == len({event["id"] for event in receiver.taken}) == 6


async def test_what_a_killed_process_had_taken_is_sent_by_another_one(ledger: Ledger):
    clock = Clock()
    async with receiving() as receiver:
        await tell(ledger, Story())
        [taken] = await ledger.take_notices(clock(), LEASE_SECONDS)
        outbox = Outbox(ledger, receiver.url, SECRET, clock=clock)
        assert await sent(outbox) == 0, "it is being sent, as far as anybody knows"
        clock.at += LEASE_SECONDS
        assert await sent(outbox) == 1
    assert receiver.taken[0]["id"] == taken.uid


async def test_after_a_day_the_next_event_has_its_turn(ledger: Ledger):
    clock = Clock()
    async with receiving() as receiver:
        outbox = Outbox(ledger, receiver.url, SECRET, clock=clock)
        await tell(ledger, Story().leaving(), at=clock.at)
        receiver.down = True
        clock.at += GIVE_UP_SECONDS + 1
        await sent(outbox)
        receiver.down = False
        await sent(outbox)
    assert receiver.types() == ["handoff.requested"]


async def test_nobody_is_told_of_a_step_that_another_process_was_first_to_make(ledger: Ledger):
    call = Call(SID, CALLER, US, 1.0)
    told = notices(None, call)
    assert await ledger.add(call, Entry(1.0, "CallAnswered", {}, call.phase, True, notices=told))
    assert not await ledger.add(call, Entry(1.0, "CallAnswered", {}, call.phase, True, notices=told))
    assert not await ledger.save(call, 7, Entry(1.0, "Step", {}, call.phase, True, notices=told))
    async with receiving() as receiver:
        outbox = Outbox(ledger, receiver.url, SECRET, clock=Clock())
        while await sent(outbox):
            pass
    assert receiver.types() == ["call.started"]


async def test_a_real_call_is_told_from_its_beginning_to_its_end(tmp_path: Path):
    async with receiving() as receiver, Stage() as stage:
        async with serving(stage, tmp_path, WEBHOOK_URL=receiver.url, WEBHOOK_SECRET=SECRET):
            played = await stage.play("attended_at_once", load("attended_at_once"))
            while "call.ended" not in receiver.types(played.call.sid):
                await asyncio.sleep(0.05)
        assert problems(played, on_time=False) == []
    types = receiver.types(played.call.sid)
    assert types[:2] == ["call.started", "handoff.requested"]
    assert types[-2:] == ["handoff.ended", "call.ended"]
    assert types.index("handoff.accepted") < types.index("handoff.bridged")
    assert types.count("handoff.failed") == 1, "the phone that was slower"
