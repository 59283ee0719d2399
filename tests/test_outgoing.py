"""Calls that the bot makes: the law until somebody answers, the book of orders, and all of it over sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from calls import POLICY, SID, US, Story
from serving import serving

from bot import effects as ef, events as ev, outbound_book as book
from bot.addresses import Addresses
from bot.call import Direction, End, Phase
from bot.call_out import call_out
from bot.carried import Carried
from bot.hours import DAYS
from bot.law import standing_document
from bot.ledger import Ledger
from bot.settings import load_all
from bot.tokens import Seal
from bot.twiml import document
from sandbox.check import problems
from sandbox.network import RestFault
from sandbox.people import Person
from sandbox.stage import OUR_NUMBER, Stage
from sandbox.story import load

CALLEE = "+12025550188"
OTHER = "+12025550189"
SEAL = Seal.from_auth_token("secret", "callback")

# --- the law -------------------------------------------------------------------------------------------


def test_whoever_answers_gets_the_bot():
    story = Story.calling().happens(ev.CalleeAnswered)
    assert story.call.phase is Phase.CONNECTING
    assert story.documents == [ef.ConnectBot(1)]
    assert story.with_bot().call.direction is Direction.OUTBOUND


@pytest.mark.parametrize(
    ("status", "end"),
    [
        ("busy", End.BUSY),
        ("no-answer", End.NO_ANSWER),
        ("canceled", End.NO_ANSWER),
        ("failed", End.FAILED),
        ("", End.FAILED),
    ],
)
def test_a_call_that_nobody_answers_ends_with_a_name(status: str, end: End):
    story = Story.calling().happens(ev.CalleeMissed, status=status)
    assert (story.call.phase, story.call.end, story.documents) == (Phase.ENDED, end, [])


def test_a_mailbox_gets_the_message_and_never_the_bot():
    story = Story.calling().happens(ev.CalleeAnswered, machine=True)
    assert (story.call.end, story.documents) == (End.MACHINE, [ef.LeaveMessage()])
    told = document(ef.LeaveMessage(), story.call, POLICY, Addresses("https://bot.example"))
    assert "Please call us back." in told
    assert "<Stream" not in told


def test_an_answer_that_is_told_twice_is_one_stream():
    story = Story.calling().happens(ev.CalleeAnswered).happens(ev.CalleeAnswered)
    assert story.documents == []
    assert standing_document(story.call) == ef.ConnectBot(1)


def test_a_call_that_twilio_knows_nothing_of_any_more_was_not_answered():
    assert Story.calling().happens(ev.CallEnded).call.end is End.NO_ANSWER


def test_a_callee_s_number_is_shown_to_nobody():
    story = Story.calling().happens(ev.CalleeAnswered).with_bot().asks().happens(ev.GoodbyeHeard, handoff=1)
    [dialled] = [effect for effect in story.effects if isinstance(effect, ef.DialPerson)]
    assert f'callerId="{US}"' in document(dialled, story.call, POLICY, Addresses("https://bot.example"))


def test_a_callback_s_address_says_whose_call_it_is():
    call = Story.calling().happens(ev.CalleeAnswered).call
    carried = Carried.read(Carried.of(call).seal(SID, SEAL), SID, SEAL)
    assert carried is not None
    assert carried.new_call(SID).direction is Direction.OUTBOUND


# --- the book ------------------------------------------------------------------------------------------


@pytest.fixture
async def ledger(url: str, spool: Path) -> AsyncIterator[Ledger]:
    ledger = await Ledger.open(url, spool)
    yield ledger
    await ledger.close()


async def test_of_many_who_want_to_make_a_call_one_does_and_the_next_a_second_later(ledger: Ledger):
    for callee in (CALLEE, OTHER):
        await ledger.transact(lambda connection, callee=callee: book.enter(connection, callee, US, "", 10.0))

    async def make(now: float) -> list[str]:
        due = await ledger.transact(lambda connection: book.due(connection, now))
        wanted = [each for each in due for _ in range(3)]
        taken = await asyncio.gather(
            *(ledger.transact(lambda c, each=each: book.take(c, each, now, now + 60)) for each in wanted)
        )
        return [order.callee for order, mine in zip(wanted, taken, strict=True) if mine]

    first = await make(10.0)
    assert await make(10.9) == []
    second = await make(11.0)
    assert sorted([*first, *second]) == [CALLEE, OTHER]
    assert len(first) == len(second) == 1
    assert await make(69.0) == []
    assert await make(70.0) == first, "whoever had taken it is gone"


async def test_what_a_call_was_for_is_forgotten_with_the_order(ledger: Ledger):
    uid = await ledger.transact(lambda connection: book.enter(connection, CALLEE, US, "Their debts.", 10.0))
    order = await ledger.transact(lambda connection: book.link(connection, uid, SID))
    assert order is not None
    await ledger.transact(lambda connection: book.close(connection, order, "put_through", 20.0))
    closed = await ledger.transact(lambda connection: book.read(connection, uid))
    assert closed is not None
    assert (closed.purpose, closed.outcome, closed.call_sid) == ("", "put_through", SID)


# --- all of it -----------------------------------------------------------------------------------------


@asynccontextmanager
async def calling(folder: Path, **people: Person | list[Person]) -> AsyncIterator[tuple[Stage, str]]:
    async with Stage() as stage:
        stage.network.people.update({f"+{number[1:]}": person for number, person in people.items()})
        async with serving(stage, folder) as url:
            yield stage, url


async def ask(url: str, **order: str) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as http, http.post(f"{url}/api/calls", json=order) as answer:
        return answer.status, await answer.json()


async def done(url: str, order: dict[str, Any]) -> dict[str, Any]:
    async with aiohttp.ClientSession() as http, asyncio.timeout(30):
        while True:
            async with http.get(f"{url}/api/calls/orders/{order['order']}") as answer:
                told = await answer.json()
            if told["done_at"] is not None:
                return told
            await asyncio.sleep(0.05)


async def test_a_person_who_is_called_talks_with_the_bot_and_is_put_through(tmp_path: Path):
    async with Stage() as stage, serving(stage, tmp_path) as url:
        played = await stage.play("calls_out", load("calls_out"))
        assert problems(played, on_time=False) == []
        record = played.record
        assert (record["direction"], record["caller"], record["called"]) == ("outbound", CALLEE, OUR_NUMBER)
        async with aiohttp.ClientSession() as http, http.get(f"{url}/api/calls") as answer:
            assert [call["direction"] for call in (await answer.json())["calls"]] == ["outbound"]


@pytest.mark.parametrize(
    ("behaviour", "end", "calls"), [("busy", "busy", 2), ("no_answer", "no_answer", 2), ("failed", "failed", 1)]
)
async def test_a_number_that_is_busy_or_does_not_answer_is_called_again(
    tmp_path: Path, behaviour: Any, end: str, calls: int
):
    async with calling(tmp_path, p12025550188=Person(behaviour, after=0.2)) as (stage, url):
        status, order = await ask(url, to="+1 202 555 0188", purpose="Their parcel came back.")
        assert status == 202
        assert (order["to"], order["from"]) == (CALLEE, OUR_NUMBER)
        told = await done(url, order)
        assert (told["outcome"], told["tries"]) == (end, calls)
        assert len(stage.network.calls) == calls
        for call in stage.network.calls:
            record = await stage.record(call.sid)
            assert (record["end"], record["direction"]) == (end, "outbound")
            assert record["purpose"] == "Their parcel came back."


async def test_who_answers_the_second_call_is_not_called_a_third_time(tmp_path: Path):
    behaves = [Person("busy"), Person("answer", after=0.1, says="", hangs_up_after=1.0)]
    async with calling(tmp_path) as (stage, url):
        stage.network.people[CALLEE] = behaves[0]
        _, order = await ask(url, to=CALLEE)
        stage.network.people[CALLEE] = behaves[1]
        told = await done(url, order)
        assert (told["outcome"], told["tries"]) == ("caller_hung_up", 2)


async def test_a_mailbox_hears_the_message_after_its_greeting(tmp_path: Path):
    mailbox = Person("voicemail", after=0.2, says="I am not here.")
    async with calling(tmp_path, p12025550188=mailbox) as (stage, url):
        _, order = await ask(url, to=CALLEE)
        told = await done(url, order)
        assert (told["outcome"], told["tries"]) == ("machine", 1)
        [call] = stage.network.calls
        await call.ended()
        [said] = [note for note in stage.journal.of(call.sid) if note.what == "says"]
        assert said.data["text"].startswith("This is Northwind Outfitters")
        assert stage.model.sessions == []


async def test_twilio_is_asked_for_one_call_a_second(tmp_path: Path):
    busy = Person("failed")
    async with calling(tmp_path, p12025550188=busy, p12025550189=busy) as (stage, url):
        answers = await asyncio.gather(*(ask(url, to=number) for number in (CALLEE, OTHER, CALLEE)))
        for _, order in answers:
            await done(url, order)
        asked = [each.at for each in stage.network.rest_log if each.path.endswith("/Calls.json")]
        assert len(asked) == 3
        assert all(later - earlier > 0.9 for earlier, later in zip(asked, asked[1:], strict=False))


async def test_a_call_whose_order_got_no_answer_is_made_once(tmp_path: Path):
    person = Person("answer", after=0.3, says="", hangs_up_after=1.0)
    async with calling(tmp_path, p12025550188=person) as (stage, url):
        stage.network.rest_faults.append(RestFault("apply_then_hang"))
        _, order = await ask(url, to=CALLEE)
        assert order["call_sid"] == stage.network.calls[0].sid, "Twilio's own webhooks say which call it is"
        told = await done(url, order)
        assert (told["outcome"], told["tries"]) == ("caller_hung_up", 1)


async def test_while_the_bot_takes_no_calls_it_makes_none(tmp_path: Path):
    async with calling(tmp_path, p12025550188=Person("failed")) as (stage, url):
        async with aiohttp.ClientSession() as http, http.put(f"{url}/api/outage", json={"on": True}) as answer:
            assert answer.status == 200
        order = asyncio.create_task(ask(url, to=CALLEE))
        await asyncio.sleep(2.0)
        assert stage.network.rest_log == []
        async with aiohttp.ClientSession() as http, http.put(f"{url}/api/outage", json={"on": False}) as answer:
            assert answer.status == 200
        assert (await done(url, (await order)[1]))["outcome"] == "failed"


async def test_twilio_s_refusal_ends_an_order(tmp_path: Path):
    async with calling(tmp_path) as (stage, url):
        del stage.network.numbers[OUR_NUMBER]
        _, order = await ask(url, to=CALLEE)
        assert (order["outcome"], order["call_sid"]) == ("refused", None)


@pytest.mark.parametrize(
    ("to", "says"),
    [
        ("+12025550177", "not among the numbers of `outbound.allow`"),
        ("+19005550143", "premium-rate"),
        ("911", "emergency"),
        ("the moon", "no telephone number"),
    ],
)
async def test_other_numbers_are_not_called(tmp_path: Path, to: str, says: str):
    async with calling(tmp_path) as (stage, url):
        status, told = await ask(url, to=to)
        assert status == 422
        assert says in told["detail"]
        assert stage.network.rest_log == []


async def test_nobody_is_called_unless_the_policy_says_whom(tmp_path: Path):
    async with Stage() as stage, serving(stage, tmp_path, HANDOFF_POLICY="handoff.yaml") as url:
        status, told = await ask(url, to=CALLEE)
        assert status == 403
        assert "`outbound:` in handoff.yaml" in told["detail"]


async def test_nobody_is_called_outside_of_the_hours(tmp_path: Path):
    policy = tmp_path / "handoff.yaml"
    day = DAYS[(datetime.now(UTC).weekday() + 3) % 7]
    shut = f'  hours: {{time_zone: Europe/London, open: {{{day}: "03:00-03:01"}}}}\n'
    policy.write_text(Path("sandbox/handoff.yaml").read_text() + shut)
    async with Stage() as stage, serving(stage, tmp_path, HANDOFF_POLICY=str(policy)) as url:
        status, told = await ask(url, to=CALLEE)
        assert status == 409
        assert "at 03:00" in told["detail"]


async def test_the_command_orders_a_call_and_waits_for_its_end(tmp_path: Path):
    said: list[str] = []
    async with calling(tmp_path, p12025550188=Person("failed")) as (stage, url):
        settings = load_all(stage.environment, None).settings
        assert await call_out(settings, CALLEE, server=url, wait=True, say=said.append) == 0
        assert f"{CALLEE}: failed, after 1 calls." in said[-1]
        assert await call_out(settings, "+12025550177", server=url, say=said.append) == 1
        assert "`outbound.allow`" in said[-1]
    assert await call_out(settings, CALLEE, server=url, say=said.append) == 1
    assert "python server.py" in said[-1]
