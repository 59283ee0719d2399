"""The live board: what news does to it, and what it shows while the record does not answer."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from calls import CALLER, POLICY, SID, US, call_in
from looking import Looker

from bot.archive import CONSOLE, Archive, Search
from bot.call import Attempt, Call, End, Outcome, Phase
from bot.ledger import Entry, Ledger
from bot.news import News
from web.console.access import Role
from web.console.follower import Follower
from web.console.live.board import Board
from web.console.live.processes import FORGOTTEN_SECONDS, SILENT_SECONDS, Processes
from web.console.live.speakers import Speakers
from web.console.render import Renderer
from web.console.words import midnight

OTHER = "CA" + "b2" * 16


class Clock:
    def __init__(self) -> None:
        self.now = midnight(1_700_000_000.0) + 3600

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    opened = await Ledger.open(f"sqlite+aiosqlite:///{tmp_path}/calls.db")
    yield opened
    await opened.close()


@pytest.fixture
async def archive(ledger: Ledger) -> AsyncIterator[Archive]:
    made = Archive(ledger.url)
    yield made
    await made.close()


class Told(Board):
    """A board that is told the news as the console tells it: first whoever knows who speaks and how all are."""

    def __init__(self, *args: Any, **more: Any) -> None:
        self.speakers, self.processes = Speakers(), Processes(more["clock"])
        super().__init__(*args, speakers=self.speakers, processes=self.processes, **more)

    def heard(self, news: News) -> None:
        self.speakers.heard(news)
        self.processes.heard(news)
        super().heard(news)


def board(archive: Archive, clock: Clock, known: list[Call] | None = None) -> Board:
    render = Renderer(lambda called: POLICY).piece
    return Told(archive, POLICY.targets, render, failsafe="desk", known=lambda: known or [], clock=clock)


def call(clock: Clock, **changes: object) -> Call:
    return replace(Call(SID, CALLER, US, clock.now - 60), **changes)  # type: ignore[arg-type]


def stepped(call: Call, at: float) -> News:
    return News("call", call.sid, {"at": at, "phase": call.phase.value}, call)


def beat(origin: str, **changes: object) -> News:
    told = {"name": origin, "since": 0.0, "at": 0.0, "gone": False, "model_faults": 0, "twilio_faults": 0}
    return News("beat", data={**told, "spooled": 0, "calls": 1, "draining": False, **changes}, origin=origin)


async def patch(watcher: Looker) -> dict[str, Any]:
    return json.loads(await watcher.next())


async def test_a_call_appears_moves_on_and_leaves(archive: Archive, clock: Clock):
    shown, watcher = board(archive, clock), Looker(Role.SUPERVISOR)
    await shown.open(watcher)
    assert "inside" in await patch(watcher)
    row = f"call-{SID}"
    shown.heard(stepped(call(clock, phase=Phase.BOT), clock.now))
    added = await patch(watcher)
    assert added["added"][0][:2] == ["calls", ""]
    shown.heard(News("speaks", SID, {"who": "caller", "on": True}))
    changed = (await patch(watcher))["changed"]
    assert list(changed) == [f"speaks-{SID}"], "the rest of the row stays as it is"
    assert "s-caller" in changed[f"speaks-{SID}"]
    assert "s-caller" in (await shown.look(Role.SUPERVISOR))[row].html
    shown.heard(stepped(call(clock, phase=Phase.RINGING), clock.now + 9))
    moved = (await patch(watcher))["changed"]
    assert f"speaks-{SID}" not in moved
    assert f'data-since="{clock.now + 9}"' in moved[row]
    assert "s-caller" in moved[row]
    over = call(clock, phase=Phase.ENDED, end=End.PUT_THROUGH, ended_at=clock.now + 20)
    shown.heard(stepped(over, clock.now + 20))
    last = await patch(watcher)
    assert last["removed"] == [row]
    assert SID in last["changed"]["recent"]


async def test_a_browser_that_comes_back_is_told_that_no_call_is_left(archive: Archive, clock: Clock):
    shown, watcher = board(archive, clock), Looker(Role.SUPERVISOR)
    await shown.open(watcher)
    assert (await patch(watcher))["inside"] == {"calls": []}


async def test_a_fact_that_comes_late_makes_no_call_a_newer_one(archive: Archive, clock: Clock):
    shown, watcher = board(archive, clock), Looker(Role.SUPERVISOR)
    await shown.open(watcher)
    ended = {"phase": Phase.ENDED, "end": End.PUT_THROUGH}
    first = call(clock, **ended, ended_at=clock.now - 9)
    for each in (first, replace(call(clock, **ended, ended_at=clock.now), sid=OTHER), first):
        shown.heard(stepped(each, clock.now))
    recent = shown.pieces(Role.SUPERVISOR)["recent"].html
    assert recent.index(OTHER) < recent.index(SID)


async def test_what_another_process_does_is_read_from_the_record(ledger: Ledger, archive: Archive, clock: Clock):
    shown, watcher = board(archive, clock), Looker(Role.VIEWER)
    await shown.open(watcher)
    await patch(watcher)
    theirs = call(clock, phase=Phase.BOT)
    await ledger.add(theirs, Entry(theirs.started_at, "CallAnswered", {}, "bot", True))
    shown.heard(News("call", SID, {"at": clock.now, "phase": "bot"}, None, "elsewhere"))
    [[_, _, html]] = (await patch(watcher))["added"]
    assert "with the bot" in html
    assert CALLER not in html


async def test_what_happens_while_the_record_is_being_read_is_not_lost(archive: Archive, clock: Clock):
    shown, watcher = board(archive, clock), Looker(Role.SUPERVISOR)
    opening = asyncio.create_task(shown.open(watcher))
    await asyncio.sleep(0)
    shown.heard(stepped(call(clock, phase=Phase.BOT), clock.now))
    await opening
    assert f"call-{SID}" in (await patch(watcher))["html"]


async def test_while_the_record_is_away_the_calls_of_this_process_are_shown(tmp_path: Path, clock: Clock):
    archive = Archive(f"sqlite+aiosqlite:///{tmp_path}/empty.db")
    shown = board(archive, clock, known=[call(clock, phase=Phase.BOT)])
    pieces = await shown.look(Role.SUPERVISOR)
    assert f"call-{SID}" in pieces
    assert "does not answer; calls go on" in pieces["health"].html
    await archive.close()


async def test_a_record_that_goes_away_and_comes_back_is_told_as_such_though_no_call_goes_on(
    tmp_path: Path, clock: Clock
):
    database = tmp_path / "calls.db"
    archive = Archive(f"sqlite+aiosqlite:///{database}")
    shown, watcher = board(archive, clock), Looker(Role.SUPERVISOR)
    await shown.open(watcher)
    assert "does not answer; calls go on" in (await patch(watcher))["changed"]["health"]
    ledger = await Ledger.open(f"sqlite+aiosqlite:///{database}")
    theirs = call(clock, phase=Phase.BOT)
    await ledger.add(theirs, Entry(theirs.started_at, "CallAnswered", {}, "bot", True))
    shown.heard(beat("one:1"))
    told = await patch(watcher)
    while "has everything" not in told["changed"].get("health", ""):
        told = await patch(watcher)
    assert f"call-{SID}" in shown.pieces(Role.SUPERVISOR)
    await ledger.close()
    with sqlite3.connect(database) as broken:
        broken.execute("DROP TABLE switches")
    shown.heard(beat("one:1"))
    while "does not answer" not in told["changed"].get("health", ""):
        told = await patch(watcher)
    shown.close(watcher)
    await archive.close()


async def test_two_who_come_at_once_see_the_whole_board(ledger: Ledger, archive: Archive, clock: Clock):
    live = call(clock, phase=Phase.BOT)
    await ledger.add(live, Entry(live.started_at, "CallAnswered", {}, "bot", True))
    shown, watchers = board(archive, clock), [Looker(role) for role in Role]
    await asyncio.gather(*(shown.open(watcher) for watcher in watchers))
    for watcher in watchers:
        assert f"call-{SID}" in (await patch(watcher))["html"]


async def test_who_turned_the_outage_switch_is_on_an_open_board_at_once(ledger: Ledger, archive: Archive, clock: Clock):
    shown, watcher = board(archive, clock), Looker(Role.SUPERVISOR)
    await shown.open(watcher)
    await patch(watcher)
    facts = {"on": True, "reason": "it rambles", "who": "Anna"}
    await ledger.note(CONSOLE, Entry(clock.now, "OutageSwitched", facts, "", False))
    shown.heard(News("switch", data={"on": True, "reason": "it rambles (Anna)", "at": clock.now}))
    told = (await patch(watcher))["changed"]
    assert "it rambles (Anna)" in told["outage"]
    assert "<bdi>Anna</bdi>" in told["switched"]


async def test_a_process_of_which_nothing_is_heard_is_gone_and_one_that_ends_is_forgotten(
    archive: Archive, clock: Clock
):
    shown = board(archive, clock)
    for name in ("one:1", "two:2"):
        shown.heard(beat(name))
    clock.now += SILENT_SECONDS + 1
    shown.heard(beat("two:2", draining=True, model_faults=3))
    health = (await shown.look(Role.VIEWER))["health"].html
    assert "nothing has been heard of it" in health
    assert "is ending" in health
    assert "3 sessions were lost" in health
    clock.now += FORGOTTEN_SECONDS
    shown.heard(beat("three:3"))
    health = (await shown.look(Role.VIEWER))["health"].html
    assert [name in health for name in ("one:1", "two:2", "three:3")] == [False, False, True]
    shown.heard(beat("three:3", gone=True))
    assert "three:3" not in (await shown.look(Role.VIEWER))["health"].html


class Weekdays:
    """Hours of people who are away, and back on Monday."""

    def open_at(self, at: float) -> bool:
        return False

    def next_opening(self, at: float) -> str | None:
        return "Monday at 09:00"


async def test_a_target_whose_people_are_away_says_when_they_are_back(archive: Archive, clock: Clock):
    shown = board(archive, clock)
    assert "at all hours" in (await shown.look(Role.VIEWER))["targets"].html
    targets = {"desk": replace(POLICY.targets["desk"], hours=Weekdays())}
    render = Renderer(lambda called: POLICY).piece
    away = Told(archive, targets, render, failsafe="desk", known=list, clock=clock)
    assert "closed, opens Monday at 09:00" in (await away.look(Role.VIEWER))["targets"].html


async def test_a_browser_that_is_too_far_behind_begins_anew():
    follower = Follower()
    for n in range(150):
        follower.take(b"%d" % n)
    assert await follower.next() is None


async def test_calls_are_found_by_time_number_outcome_and_target(ledger: Ledger, archive: Archive, clock: Clock):
    attempt = Attempt("billing", CALLER, clock.now, ended_at=clock.now, outcome=Outcome.BUSY)
    first = replace(call_in(Phase.ENDED), sid=SID, started_at=clock.now - 100)
    second = replace(first, sid=OTHER, caller="+12025550177", started_at=clock.now, attempts=(attempt,))
    for each in (first, second):
        await ledger.add(each, Entry(each.started_at, "CallAnswered", {}, "ended", True))

    async def found(**wanted: Any) -> list[str]:
        return [each.sid for each in (await archive.search(Search(**wanted), limit=10)).calls]

    assert await found() == [OTHER, SID]
    assert await found(digits="0177") == [OTHER]
    assert await found(digits="0%") == []
    assert await found(outcome="busy") == [OTHER]
    assert await found(outcome="caller_hung_up") == [OTHER, SID]
    assert await found(target="billing") == [OTHER]
    assert await found(until=clock.now - 50) == [SID]
    assert await found(since=clock.now - 50) == [OTHER]
    page = await archive.search(Search(), limit=1)
    assert page.next_before == clock.now
    rest = await archive.search(Search(), limit=1, before=page.next_before)
    assert [each.sid for each in rest.calls] == [SID]
    assert rest.next_before is None
