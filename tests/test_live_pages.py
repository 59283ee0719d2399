"""The process in which live pages are made: it begins when somebody looks, and whatever becomes of it, calls go on."""

import asyncio
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from calls import CALLER, POLICY, US
from page_processes import ended, lives, on_linux, page_processes
from serving import ROOT, serving

from bot.archive import Archive
from bot.call import Call, Phase
from bot.ledger import Ledger
from bot.loop_thread import LoopThread
from bot.news import News
from bot.policy_file import load_policy
from sandbox.check import problems
from sandbox.process import server_process
from sandbox.stage import Stage
from sandbox.story import load
from web.console import live_pages
from web.console.access import Role, Visitor
from web.console.follower import Follower, Followers
from web.console.live import maker
from web.console.live.__main__ import ALIVE_SECONDS
from web.console.live.maker import MANY_STREAMS, Maker
from web.console.live.messages import BOARD, ENDINGS, Begin, Close, Open, Patch, Told
from web.console.live.processes import Processes
from web.console.live.speakers import Speakers
from web.console.live_pages import LivePages, PagesGone
from web.console.render import Renderer

pytestmark = on_linux

VISITOR = Visitor("somebody", Role.SUPERVISOR, 2e9, "nonce")
WHAT = {"visitor": VISITOR, "live": "/console/live"}


def begin(url: str, speakers: Speakers | None = None, processes: Processes | None = None) -> Begin:
    return Begin(
        database_url=url,
        policy=POLICY,
        policies={US: POLICY},
        targets=POLICY.targets,
        prices=None,
        speakers=speakers or Speakers(),
        processes=processes or Processes(),
        log_level="INFO",
        log_format="text",
    )


def calls(count: int, phase: Phase = Phase.BOT) -> list[Call]:
    return [Call(f"CA{n:032x}", CALLER, US, 1_700_000_000.0 + n, phase) for n in range(count)]


class Pages(LivePages):
    """Live pages without a server."""

    def __init__(self, aside: LoopThread, url: str) -> None:
        self.aside, self.looked_at = aside, list[str]()
        self.archive = Archive(url)
        super().__init__(
            aside,
            Followers(),
            self.archive,
            Renderer(lambda _: POLICY),
            lambda *followed: begin(url, *followed),
            looks=self.looked_at.append,
        )

    async def html(self, sid: str = BOARD, known: list[Call] | None = None) -> str | None:
        return await self.aside.run(self.look(sid, Role.SUPERVISOR, WHAT, known or []))

    async def open_one(self, known: list[Call]) -> Follower:
        """Somebody looks at the board, and the process is ready."""
        follower = Follower()
        self.aside.call_soon(self.open, follower, BOARD, Role.VIEWER, known)
        assert await follower.next()
        async with asyncio.timeout(60):
            while self._process is None or self._process._meanwhile is not None:
                await asyncio.sleep(0.01)
        return follower


@pytest.fixture(autouse=True)
def calls_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where there is none: every page is made in the process."""
    monkeypatch.setattr(maker, "MANY_STREAMS", 0)


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    ledger = await Ledger.open(f"sqlite+aiosqlite:///{tmp_path}/calls.db")
    yield ledger.url
    await ledger.close()


@pytest.fixture
async def pages(url: str) -> AsyncIterator[Pages]:
    aside = LoopThread("aside")
    made = Pages(aside, url)
    yield made
    aside.call_soon(made.close)
    await aside.close(10.0, last=made.archive.close)
    assert page_processes() == set(), "none is left behind"


async def test_none_is_begun_before_somebody_looks_and_one_serves_all(pages: Pages):
    pages.aside.call_soon(pages.heard, News("speaks", "CA1", {"who": "bot", "on": True}))
    assert page_processes() == set()
    both = await asyncio.gather(pages.html(), pages.html())
    assert all(html and "<h1" in html for html in both)
    assert len(page_processes()) == 1


async def test_it_knows_what_was_going_on_before_it_began(pages: Pages, url: str):
    beat = {"name": "phone-7", "since": 0.0, "at": 0.0, "gone": False, "model_faults": 0, "twilio_faults": 0}
    news = News("beat", data={**beat, "spooled": 0, "calls": 1, "draining": False}, origin="other")
    pages.aside.call_soon(pages.heard, news)
    pages.aside.call_soon(pages.heard, News("speaks", calls(1)[0].sid, {"who": "bot", "on": True}))
    Path(url.partition("///")[2]).rename(Path(url.partition("///")[2] + ".away"))
    html = await pages.html(known=calls(30))
    assert html is not None
    assert html.count('id="call-CA') == 30, "the record does not know them"
    assert "phone-7" in html
    assert html.count("s-bot") == 1


def policies(pid: int) -> set[int]:
    return {os.sched_getscheduler(int(thread)) for thread in os.listdir(f"/proc/{pid}/task")}


async def test_it_gives_way_as_soon_as_there_are_many_streams(pages: Pages, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(maker, "MANY_STREAMS", MANY_STREAMS)
    await pages.open_one(calls(MANY_STREAMS - 1) + calls(40, Phase.PERSON)[MANY_STREAMS:])
    (pid,) = page_processes()
    assert policies(pid) == {os.SCHED_OTHER}
    one_more = calls(MANY_STREAMS)[-1]
    news = News("call", one_more.sid, {"at": one_more.started_at, "phase": one_more.phase.value}, one_more)
    pages.aside.call_soon(pages.heard, news)
    async with asyncio.timeout(20):
        while policies(pid) != {os.SCHED_IDLE}:
            await asyncio.sleep(0.01)


async def test_where_there_are_many_streams_it_gives_way_before_it_is_ready(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(maker, "MANY_STREAMS", MANY_STREAMS)
    looking = asyncio.create_task(pages.html(known=calls(MANY_STREAMS)))
    async with asyncio.timeout(20):
        while not (pids := page_processes()) or policies(*pids) != {os.SCHED_IDLE}:
            await asyncio.sleep(0.001)
    assert not looking.done()
    assert await looking


async def test_it_stays_nice_where_it_may_not_give_way():
    script = """
import os
from web.console.live import priority
def forbidden(*_): raise PermissionError("no")
real, threads = os.sched_setscheduler, os.listdir
os.listdir = lambda path: [*threads(path), "4194399"]
priority.give_way(os.getpid())
assert os.sched_getscheduler(0) == os.SCHED_IDLE
os.sched_setscheduler = forbidden
priority.give_way(os.getpid())
"""
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, timeout=60)  # noqa: ASYNC221, S603 - ourselves


@pytest.mark.parametrize("program", ["/bin/false", "/nowhere/python", "/bin/\0", None])
async def test_a_page_that_cannot_be_made_is_an_answer_in_words(
    program: str | None, stage: Stage, tmp_path: Path, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(live_pages, "PAUSE_SECONDS", 0.0)
    async with serving(stage, tmp_path) as url:
        with monkeypatch.context() as broken:
            broken.setattr(live_pages.sys, "executable", program)
            async with http.get(f"{url}/console") as answer:
                assert answer.status == 503
                assert "Calls go on." in await answer.text()
        async with http.get(f"{url}/console") as answer:
            assert answer.status == 200
    assert page_processes() == set()


async def test_none_is_begun_again_and_again_where_each_ends_at_once(pages: Pages, monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as broken:
        broken.setattr(live_pages.sys, "executable", "/bin/false")
        for _ in range(live_pages.BRIEF_LIVES):
            with pytest.raises(PagesGone):
                await pages.html()
        with pytest.raises(PagesGone):
            await pages.html()
    assert page_processes() == set(), "not even one that would do: not now"
    follower = Follower()
    pages.aside.call_soon(pages.open, follower, BOARD, Role.VIEWER, [])
    async with asyncio.timeout(5):
        assert await follower.next() is None
    monkeypatch.setattr(live_pages.time, "monotonic", lambda now=time.monotonic: now() + live_pages.PAUSE_SECONDS)
    assert await pages.html()


async def test_where_there_are_few_streams_a_page_is_made_here_until_the_process_is_ready(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(maker, "MANY_STREAMS", MANY_STREAMS)
    known = calls(MANY_STREAMS - 1) + calls(40, Phase.PERSON)[MANY_STREAMS:]
    html = await pages.html(known=known)
    assert html is not None
    assert html.count('id="call-CA') == 39
    assert await pages.html("CA" + "f" * 32) is None
    assert page_processes() == set()
    with monkeypatch.context() as broken:
        broken.setattr(maker.Renderer, "page", lambda *_args, **_what: 1 / 0)
        with pytest.raises(PagesGone):
            await pages.html()
        await pages.open_one(known)
        assert await pages.html(known=known), "another process makes it"
    pages.aside.call_soon(pages.close)
    with pytest.raises(PagesGone):
        await pages.html()


async def test_until_the_process_is_ready_whoever_follows_a_page_is_sent_what_is_made_here(
    pages: Pages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(maker, "MANY_STREAMS", MANY_STREAMS)
    gate = tmp_path / "gate"
    gate.write_text(f'#!/bin/sh\nwhile [ ! -e "{tmp_path}/open" ]; do sleep 0.05; done\nexec {sys.executable} "$@"\n')
    gate.chmod(0o755)
    monkeypatch.setattr(live_pages.sys, "executable", str(gate))
    one, other = calls(2)
    follower = Follower()
    pages.aside.call_soon(pages.open, follower, BOARD, Role.VIEWER, [one])

    async def until(words: str) -> None:
        async with asyncio.timeout(30):
            while words not in ((await follower.next()) or b"").decode():
                pass

    await until(one.sid)
    news = News("call", other.sid, {"at": other.started_at, "phase": other.phase.value}, other)
    pages.aside.call_soon(pages.heard, news)
    await until(other.sid)
    assert await pages.html()
    (tmp_path / "open").touch()
    await until('"inside"')  # the whole page again, with both
    third = calls(3)[-1]
    news = News("call", third.sid, {"at": third.started_at, "phase": third.phase.value}, third)
    pages.aside.call_soon(pages.heard, news)
    await until(third.sid)
    assert len(page_processes()) == 1


async def test_what_lies_in_the_working_folder_is_not_run(
    pages: Pages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "web.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    assert await pages.html()


async def test_news_that_it_does_not_understand_does_not_end_it(pages: Pages):
    assert await pages.html()
    before = page_processes()
    follower = Follower()
    pages.aside.call_soon(pages.open, follower, BOARD, Role.VIEWER, [])
    assert await follower.next()
    pages.aside.call_soon(pages.heard, News("measured", data={"of": "a newer server"}))
    await asyncio.sleep(0.2)
    assert await pages.html()
    assert page_processes() == before


async def test_when_it_is_killed_calls_go_on_and_whoever_looked_comes_back(
    stage: Stage, tmp_path: Path, http: aiohttp.ClientSession
):
    async with serving(stage, tmp_path) as url:
        began = asyncio.get_running_loop().create_future()
        story = load("next_number")
        playing = asyncio.create_task(stage.play("next_number", story, begun=lambda call: began.set_result(call.sid)))
        sid = await began
        shown = False
        async with asyncio.timeout(20):
            while not shown:
                async with http.get(f"{url}/console") as answer:
                    shown = f"call-{sid}" in await answer.text()
        (first,) = page_processes()
        async with http.get(f"{url}/console/live") as following:
            await following.content.readuntil(b"\n\n")
            os.kill(first, signal.SIGKILL)
            async with asyncio.timeout(10):
                await following.content.read()  # to its end
        async with http.get(f"{url}/console/calls/{sid}") as answer:
            assert answer.status == 200
        (second,) = page_processes()
        assert first != second
        assert problems(await playing, on_time=False) == []


async def test_one_that_stands_still_is_replaced(pages: Pages, monkeypatch: pytest.MonkeyPatch):
    assert await pages.html()
    (first,) = page_processes()
    with monkeypatch.context() as impatient:  # only while it stands still: to begin one takes longer
        impatient.setattr(live_pages, "SILENT_SECONDS", 0.5)
        follower = Follower()
        pages.aside.call_soon(pages.open, follower, BOARD, Role.VIEWER, [])
        assert await follower.next()
        os.kill(first, signal.SIGSTOP)
        try:
            async with asyncio.timeout(20):
                while await follower.next() is not None:
                    pass
                await ended(first)
        finally:
            if lives(first):
                os.kill(first, signal.SIGKILL)
    assert await pages.html()
    assert page_processes().isdisjoint({first})


async def test_one_that_is_far_behind_is_ended_at_once(pages: Pages, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(live_pages, "MOST_WAITING", 100_000)
    assert await pages.html()
    (first,) = page_processes()
    os.kill(first, signal.SIGSTOP)
    try:
        for _ in range(5):  # more than the socket takes
            pages.aside.call_soon(pages.heard, News("speaks", "x" * 500_000, {"who": "bot", "on": False}))
            await asyncio.sleep(2 * live_pages.GATHER_SECONDS)
        await ended(first)
    finally:
        if lives(first):
            os.kill(first, signal.SIGKILL)
    assert await pages.html()


async def test_whoever_asks_while_it_dies_gets_a_page_or_is_told(pages: Pages):
    assert await pages.html()
    (pid,) = page_processes()

    async def ask_meanwhile() -> list[str | BaseException | None]:
        os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)  # noqa: ASYNC251 - it is dead, and this loop has not heard of it
        looking = list[asyncio.Task[str | None]]()
        for _ in range(20):
            looking.append(asyncio.ensure_future(pages.look(BOARD, Role.VIEWER, WHAT, [])))
            await asyncio.sleep(0)
        return await asyncio.gather(*looking, return_exceptions=True)

    for answer in await pages.aside.run(ask_meanwhile()):
        assert isinstance(answer, str | PagesGone)


async def test_who_is_asked_for_a_page_while_it_is_killed_says_so(pages: Pages):
    assert await pages.html()
    (pid,) = page_processes()
    os.kill(pid, signal.SIGSTOP)
    looking = asyncio.create_task(pages.html())
    await asyncio.sleep(0.1)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(PagesGone):
        await looking
    assert await pages.html()


async def test_it_ends_with_the_server_and_not_before(stage: Stage, tmp_path: Path, http: aiohttp.ClientSession):
    async with server_process(stage, tmp_path) as server:
        async with http.get(f"{server.url}/console/live") as following:
            while not (pids := page_processes(server.process.pid)):
                await asyncio.sleep(0.01)
            (pid,) = pids
            for ending in ENDINGS:  # as a terminal and a service manager send to all processes
                os.kill(pid, ending)
            assert await following.content.readuntil(b"\n\n"), "it was not ready yet"
        for ending in ENDINGS:
            os.kill(pid, ending)
        async with http.get(f"{server.url}/console") as answer:
            assert answer.status == 200
        assert page_processes(server.process.pid) == {pid}
        server.process.kill()
        await ended(pid)


Making = tuple[Maker, list[object]]
"""Who makes pages, and what the server is told."""


@pytest.fixture
async def making(url: str) -> AsyncIterator[Making]:
    archive, sent = Archive(url), list[object]()
    made = Maker(begin(url), archive, Renderer(lambda _: POLICY), sent.append)
    yield made, sent
    made.close()
    await archive.close()


async def test_whoever_leaves_at_once_is_not_sent_anything_later(making: Making):
    maker, sent = making
    for n in range(3):
        maker.take(Open(n, BOARD, Role.SUPERVISOR))
    maker.take(Close(0))
    maker.take(Close(2))
    await asyncio.sleep(0.5)
    sent.clear()
    call = calls(1)[0]
    news = News("call", call.sid, {"at": call.started_at, "phase": call.phase.value}, call)
    maker._heard(news)
    await asyncio.sleep(1.0)
    assert {number for message in sent if isinstance(message, Patch) for number in message.numbers} == {1}


async def test_what_many_browsers_are_sent_is_told_once(making: Making):
    maker, sent = making
    for n in range(5):
        maker.take(Open(n, BOARD, Role.VIEWER))
    await asyncio.sleep(0.5)
    sent.clear()
    call = calls(1)[0]
    maker.take(Told([News("call", call.sid, {"at": call.started_at, "phase": call.phase.value}, call)]))
    await asyncio.sleep(1.0)
    assert [sorted(message.numbers) for message in sent if isinstance(message, Patch)] == [[0, 1, 2, 3, 4]]


async def test_one_at_whose_pages_nobody_looks_any_more_is_ended(pages: Pages, monkeypatch: pytest.MonkeyPatch):
    assert await pages.html()
    (pid,) = page_processes()
    follower = Follower()
    pages.aside.call_soon(pages.open, follower, BOARD, Role.VIEWER, [])
    assert await follower.next()
    monkeypatch.setattr(live_pages, "ALONE_SECONDS", 1.0)
    await asyncio.sleep(2 * ALIVE_SECONDS)
    assert lives(pid), "somebody looks"
    pages.aside.call_soon(pages.leave, follower)
    await ended(pid)
    assert await pages.html()


@pytest.mark.parametrize(
    "path", [ROOT / "handoff.yaml", ROOT / "sandbox/handoff.yaml", *sorted(ROOT.glob("docs/examples/*.yaml"))], ids=str
)
def test_it_can_be_told_every_rule(path: Path):
    policy = load_policy(path, {})
    told = replace(begin("sqlite://"), policy=policy, policies={US: POLICY}, targets=policy.targets)
    heard = pickle.loads(pickle.dumps(told))  # noqa: S301 - it is our own
    assert (heard.policy, heard.policies, heard.targets) == (policy, {US: POLICY}, policy.targets)
