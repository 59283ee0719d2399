"""Which calls the bot takes, and what becomes of the others."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from calls import CALLER, POLICY, US
from fakes import ScriptedTelephony
from serving import serving

from bot.addresses import Addresses
from bot.admission import ASK_SECONDS, Admission, Limits
from bot.call import By, Phase
from bot.ledger import Ledger
from bot.metrics import Metrics
from bot.sweeper import ASK_AGAIN_SECONDS, QUIET_SECONDS, Sweeper
from bot.switchboard import Switchboard
from bot.telephony import CallGone, Refused
from bot.tokens import PersonPages, Seal, StreamTokens
from sandbox.stage import Stage


def sid(n: int) -> str:
    return f"CA{n:032x}"


class Clock:
    def __init__(self) -> None:
        self.now = 10_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def ledger(url: str, spool: Path) -> AsyncIterator[Ledger]:
    opened = await Ledger.open(url, spool)
    yield opened
    await opened.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def board(ledger: Ledger, clock: Clock, **limits: object) -> Switchboard:
    admission = Admission(ledger, Limits(**{"places": 100, **limits}))  # type: ignore[arg-type]
    made = Switchboard(
        policy=lambda called: POLICY,
        ledger=ledger,
        telephony=ScriptedTelephony(),
        addresses=Addresses("https://bot.example"),
        tokens=StreamTokens.from_auth_token("secret"),
        seal=Seal.from_auth_token("secret", "callback"),
        pages=PersonPages.from_auth_token("secret"),
        admission=admission,
        observer=Metrics(live=lambda phase: made.live_in(phase), spooled=lambda: ledger.spooled),
        clock=clock,
    )
    return made


def with_bot(document: str) -> bool:
    """Whether the document opens our stream; all others in these tests ring a person."""
    assert ("<Connect>" in document) != ("attempt=1" in document)
    return "<Connect>" in document


async def test_no_more_calls_than_places_also_when_they_come_in_the_same_instant(ledger, clock):
    one = board(ledger, clock, places=3)
    answers = await asyncio.gather(*(one.answer_call(sid(n), CALLER, US) for n in range(8)))
    assert sum(map(with_bot, answers)) == 3
    await one.close()


async def test_the_bots_of_all_processes_take_so_many_calls_together(ledger, clock):
    one, other = board(ledger, clock, together=2), board(ledger, clock, together=2)
    assert with_bot(await one.answer_call(sid(1), CALLER, US))
    assert with_bot(await other.answer_call(sid(2), CALLER, US))
    assert not with_bot(await one.answer_call(sid(3), CALLER, US))
    stored = await ledger.load(sid(3))
    assert stored is not None
    assert (stored.call.phase, stored.call.handoffs[0].by) == (Phase.RINGING, By.CLOSED)
    await one.close()
    await other.close()


async def test_a_caller_who_calls_again_and_again_gets_a_person_until_the_hour_is_over(ledger, clock):
    one = board(ledger, clock, per_caller=2)
    answers = [with_bot(await one.answer_call(sid(n), CALLER, US)) for n in range(3)]
    assert answers == [True, True, False]
    assert with_bot(await one.answer_call(sid(4), "+442079460999", US))
    clock.now += 3601
    assert with_bot(await one.answer_call(sid(5), CALLER, US))
    await one.close()


@pytest.mark.parametrize("withheld", ["anonymous", "+266696687", ""])
async def test_callers_who_show_no_number_are_not_counted_as_one(ledger, clock, withheld):
    one = board(ledger, clock, per_caller=1)
    assert all([with_bot(await one.answer_call(sid(n), withheld, US)) for n in range(3)])
    await one.close()


async def test_the_outage_switch_of_one_process_holds_in_all_and_after_a_restart(ledger, clock):
    one, other = board(ledger, clock), board(ledger, clock)
    assert await one._admission.switch(True, "the model is ill", clock.now)
    assert not with_bot(await other.answer_call(sid(1), CALLER, US))
    call = (await other.find(sid(1))).call
    assert call.handoffs[0].reason == "the model is ill"
    later = board(ledger, clock)
    assert (await later._admission.outage()).on
    clock.now += 1
    await other._admission.switch(False, "", clock.now)
    assert with_bot(await one.answer_call(sid(2), CALLER, US))
    for each in (one, other, later):
        await each.close()


async def test_an_older_turn_of_the_switch_does_not_undo_a_later_one(ledger, clock):
    one, other = Admission(ledger, Limits(1)), Admission(ledger, Limits(1))
    await one.switch(True, "later", 20.0)
    await other.switch(False, "earlier", 10.0)
    assert (await other.outage()).on
    assert (await one.outage()).on


async def test_the_outage_setting_closes_the_bot(ledger, clock):
    one = board(ledger, clock, outage=True)
    assert not with_bot(await one.answer_call(sid(1), CALLER, US))
    await one.close()


async def test_a_record_that_does_not_answer_keeps_nobody_from_the_bot(ledger, clock, monkeypatch):
    async def never(*_: object, **__: object) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(ledger, "traffic", never)
    one = board(ledger, clock, together=1, per_caller=1)
    began = asyncio.get_running_loop().time()
    assert with_bot(await one.answer_call(sid(1), CALLER, US))
    assert asyncio.get_running_loop().time() - began < ASK_SECONDS + 2
    monkeypatch.setattr(ledger, "turn", never)
    assert not await one._admission.switch(True, "", clock.now)
    assert not with_bot(await one.answer_call(sid(2), CALLER, US))
    await one.close()


# --- calls without an end -------------------------------------------------------------------------------


async def orphan(ledger: Ledger, clock: Clock) -> None:
    """A call whose process was killed."""
    dead = board(ledger, clock)
    await dead.answer_call(sid(1), CALLER, US)
    await dead.close()
    clock.now += QUIET_SECONDS + 1


@pytest.mark.parametrize("gone", [False, True])
async def test_a_call_that_ended_while_nobody_listened_gets_its_end(ledger, clock, gone):
    await orphan(ledger, clock)
    telephony = ScriptedTelephony(statuses=["completed"])

    async def status(call_sid: str) -> str:
        raise CallGone(20404, 404, "it is over")

    if gone:
        telephony.status = status  # type: ignore[method-assign]
    living = board(ledger, clock)
    await Sweeper(living, telephony).sweep()
    stored = await ledger.load(sid(1))
    assert stored is not None
    assert (stored.call.phase, stored.call.ended_at) == (Phase.ENDED, clock.now)
    assert living.live == 0
    await living.close()


async def test_a_call_that_lives_is_left_alone_and_asked_about_again_later(ledger, clock):
    await orphan(ledger, clock)
    asked: list[str] = []
    telephony = ScriptedTelephony()

    async def status(call_sid: str) -> str:
        asked.append(call_sid)
        if len(asked) == 2:
            raise Refused(None, 503, "not now")
        return "in-progress"

    telephony.status = status  # type: ignore[method-assign]
    living = board(ledger, clock)
    sweeper = Sweeper(living, telephony)
    for _ in range(3):
        await sweeper.sweep()
        await sweeper.sweep()
        clock.now += ASK_AGAIN_SECONDS + 1
    assert asked == [sid(1)] * 3
    assert living.live == 0
    await living.close()


async def test_a_call_that_this_process_holds_or_that_has_just_begun_is_not_asked_about(ledger, clock):
    living = board(ledger, clock)
    await living.answer_call(sid(1), CALLER, US)
    telephony = ScriptedTelephony(statuses=["completed"])
    await Sweeper(board(ledger, clock), telephony).sweep()
    clock.now += QUIET_SECONDS + 1
    await Sweeper(living, telephony).sweep()
    assert telephony.statuses == ["completed"]
    await living.close()


async def test_a_call_that_another_process_ended_is_let_go(ledger, clock):
    one, other = board(ledger, clock), board(ledger, clock)
    await one.answer_call(sid(1), CALLER, US)
    twin = await other.find(sid(1))
    assert twin is not None
    clock.now += QUIET_SECONDS + 1
    await Sweeper(board(ledger, clock), ScriptedTelephony(statuses=["completed"])).sweep()
    assert (one.live, other.live) == (1, 1)
    for each in (one, other):
        await each.forget_ended()
        assert each.live == 0


# --- over HTTP ------------------------------------------------------------------------------------------


async def test_the_switch_and_the_figures_over_http(tmp_path: Path):
    async with Stage() as stage, serving(stage, tmp_path) as url, aiohttp.ClientSession() as http:
        async with http.get(f"{url}/api/outage") as answer:
            assert await answer.json() == {"on": False, "reason": "", "since": None, "everywhere": True}
        async with http.put(f"{url}/api/outage", json={"on": True, "reason": "the model is ill"}) as answer:
            turned = await answer.json()
            assert (turned["on"], turned["everywhere"]) == (True, True)
        async with http.get(f"{url}/api/outage") as answer:
            read = await answer.json()
            assert (read["on"], read["reason"]) == (True, "the model is ill")
        async with http.put(f"{url}/api/outage", json={"on": "perhaps"}) as answer:
            assert answer.status == 422
        async with http.get(f"{url}/metrics") as answer:
            page = await answer.text()
            assert answer.status == 200
        assert 'putthrough_calls{phase="bot"} 0.0' in page
    async with (
        Stage() as stage,
        serving(stage, tmp_path, CONSOLE_PASSWORD="secret") as url,
        aiohttp.ClientSession() as http,
    ):
        for path in ("/api/outage", "/metrics"):
            async with http.get(url + path) as answer:
                assert answer.status == 401


async def test_the_figures_count_each_step_once(ledger, clock):
    one = board(ledger, clock, places=1)
    await one.answer_call(sid(1), CALLER, US)
    await one.answer_call(sid(2), CALLER, US)
    session = await one.find(sid(1))
    assert session is not None
    page = one._observer.page().decode()  # type: ignore[union-attr]
    assert 'putthrough_calls_begun_total{taken="yes"} 1.0' in page
    assert 'putthrough_calls_begun_total{taken="no"} 1.0' in page
    assert f'putthrough_handoffs_total{{by="closed",target="{POLICY.failsafe}"}} 1.0' in page
    assert 'putthrough_calls{phase="connecting"} 1.0' in page
    await one.close()
