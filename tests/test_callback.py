"""Callers who are called back: the law, the book, the keys, and all of it over sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from calls import CALLER, POLICY, SID, US, Story
from hypothesis import given, strategies as st
from serving import serving

from bot import callback as cb, callback_book as book, effects as ef, events as ev
from bot.callback import Callback, CallbackEvent, CallbackOutcome, State, TryOutcome, step
from bot.callback_rules import CallbackRules
from bot.callbacks import uid_of
from bot.hours import Hours
from bot.keypad import Keypad, number_of
from bot.ledger import Ledger
from bot.retention import without_words
from bot.tools import call_tools, requested
from sandbox.check import problems
from sandbox.network import RestFault
from sandbox.people import Person
from sandbox.stage import OUR_NUMBER, Stage
from sandbox.story import load

OTHER = "+442079460122"
RULES = CallbackRules(tries=2, retry_seconds=100.0, ring_seconds=30)
RULED = replace(POLICY, callback=RULES)
NEW = Callback(uid_of(SID, 1), SID, CALLER, US, "doctor", "pain", "Has pain.", 1000.0, 1000.0, 1000.0)


class Tale:
    """A callback that facts happen to, one second apart."""

    def __init__(self, policy: Any = RULED, callback: Callback = NEW) -> None:
        self.policy, self.callback, self.at = policy, callback, callback.due_at
        self.effects: tuple[cb.CallbackEffect, ...] = ()
        self.called: list[str] = []

    def happens(self, kind: type[CallbackEvent], **facts: Any) -> "Tale":
        self.at += 1
        self.callback, self.effects = step(self.callback, kind(at=self.at, **facts), self.policy)
        self.called += [self.callback.tries[e.n - 1].number for e in self.effects if isinstance(e, cb.CallSomebody)]
        return self

    def due(self) -> "Tale":
        self.at = max(self.at, self.callback.due_at)
        return self.happens(cb.CameDue)

    @property
    def n(self) -> int:
        return len(self.callback.tries)

    def person(self, does: str) -> "Tale":
        """The person who is called, and their telephone."""
        n = self.n
        self.happens(cb.TryBegan, n=n, leg_sid=f"CA{n:032x}")
        match does:
            case "accepts" | "declines":
                self.happens(cb.TryAnswered, n=n, machine=False)
                self.happens(cb.KeyTold, n=n, accepted=does == "accepts")
                if does == "declines":
                    self.happens(cb.TryEnded, n=n, status="completed")
            case "machine":
                self.happens(cb.TryAnswered, n=n, machine=True).happens(cb.TryEnded, n=n, status="completed")
            case "no key" | "hangs up":
                self.happens(cb.TryAnswered, n=n, machine=False).happens(cb.TryEnded, n=n, status="completed")
            case "silence":
                self.due()  # nothing is heard of the call
            case _:
                self.happens(cb.TryEnded, n=n, status=does)
        return self

    def caller(self, does: str) -> "Tale":
        """The caller, whose telephone rings after that."""
        n = self.n
        match does:
            case "talks" | "hangs up":
                self.happens(cb.CallerDialed, n=n, status="completed", joined=True, person_gone=does == "talks")
            case "person leaves":
                self.happens(cb.TryEnded, n=n, status="completed")
                self.happens(cb.CallerDialed, n=n, status="no-answer", joined=False, person_gone=True)
            case "unheard":
                return self.happens(cb.TryEnded, n=n, status="completed").due()
            case "silence":
                return self.due()
            case _:
                self.happens(cb.CallerDialed, n=n, status=does, joined=False, person_gone=False)
        return self.happens(cb.TryEnded, n=n, status="completed")


PEOPLE = {
    "declines": TryOutcome.DECLINED,
    "busy": TryOutcome.BUSY,
    "no-answer": TryOutcome.NO_ANSWER,
    "no key": TryOutcome.NO_ANSWER,
    "hangs up": TryOutcome.NO_ANSWER,
    "machine": TryOutcome.MACHINE,
    "failed": TryOutcome.FAILED,
    "silence": TryOutcome.UNKNOWN,
}
CALLERS = {
    "talks": (TryOutcome.JOINED, CallbackOutcome.JOINED),
    "hangs up": (TryOutcome.JOINED, CallbackOutcome.JOINED),
    "busy": (TryOutcome.CALLER_BUSY, CallbackOutcome.CALLER_NOT_REACHED),
    "no-answer": (TryOutcome.CALLER_NO_ANSWER, CallbackOutcome.CALLER_NOT_REACHED),
    "failed": (TryOutcome.CALLER_FAILED, CallbackOutcome.CALLER_NOT_REACHED),
    "person leaves": (TryOutcome.LEFT, CallbackOutcome.NOBODY),
    "unheard": (TryOutcome.LEFT, CallbackOutcome.NOBODY),
    "silence": (TryOutcome.UNKNOWN, CallbackOutcome.UNKNOWN),
}


@pytest.mark.parametrize("does", PEOPLE)
def test_a_person_who_does_not_take_it_is_followed_by_the_next_one_and_then_by_another_try(does: str):
    tale = Tale()
    for _ in range(4):
        assert tale.callback.state is State.WAITING
        tale.due().person(does)
    assert tale.called == ["+442079460104", "+442079460105"] * 2
    assert [each.outcome for each in tale.callback.tries] == [PEOPLE[does]] * 4
    assert (tale.callback.outcome, tale.callback.round) == (CallbackOutcome.NOBODY, 2)


@pytest.mark.parametrize(("before", "does"), list(product([None, *PEOPLE], CALLERS)))
def test_a_person_takes_it_and_the_caller_is_called(before: str | None, does: str):
    tale = Tale()
    if before is not None:
        tale.due().person(before)
    tale.due().person("accepts")
    assert tale.callback.state is State.CALLER
    tale.caller(does)
    one, all_of_it = CALLERS[does]
    assert tale.callback.tries[-1].outcome is one
    if all_of_it in (CallbackOutcome.JOINED, CallbackOutcome.UNKNOWN):
        assert tale.callback.outcome is all_of_it
        return
    assert tale.callback.state is State.WAITING
    assert tale.callback.due_at >= tale.at + RULES.retry_seconds - 5
    tale.due().person("accepts").caller(does)
    assert tale.callback.outcome is all_of_it, "two tries, and no third"


FACTS: list[tuple[type[CallbackEvent], dict[str, Any]]] = [
    (cb.CameDue, {}),
    (cb.WasCancelled, {}),
    (cb.TryBegan, {"leg_sid": "CA1"}),
    (cb.TryNotMade, {"unavailable": True}),
    (cb.TryNotMade, {"unavailable": False}),
    (cb.TryAnswered, {"machine": False}),
    (cb.TryAnswered, {"machine": True}),
    (cb.KeyTold, {"accepted": True}),
    (cb.KeyTold, {"accepted": False}),
    (cb.CallerDialed, {"status": "completed", "joined": True, "person_gone": True}),
    (cb.CallerDialed, {"status": "busy", "joined": False, "person_gone": False}),
    (cb.TryEnded, {"status": "completed"}),
]


@given(st.lists(st.tuples(st.sampled_from(FACTS), st.integers(0, 6), st.booleans()), max_size=40))
def test_whatever_is_told_in_whatever_order_tries_are_bounded_and_typed(told: list[Any]):
    tale = Tale()
    for (kind, facts), n, later in told:
        if later:
            tale.at = max(tale.at, tale.callback.due_at)
        facts = facts if kind in (cb.CameDue, cb.WasCancelled) else {**facts, "n": n}
        before = tale.callback
        tale.happens(kind, **facts)
        open_ = [each for each in tale.callback.tries if each.outcome is None]
        assert len(open_) == (tale.callback.state in (State.PERSON, State.CALLER)), "one person at a time"
        assert len(tale.callback.tries) <= 4
        if before.state is State.DONE:
            assert (tale.callback.state, tale.callback.outcome) == (State.DONE, before.outcome)
            assert not any(isinstance(effect, cb.CallSomebody) for effect in tale.effects)
        if tale.callback.state is State.CALLER:
            assert tale.callback.tries[-1].accepted_at is not None, "the caller is called only for somebody"
    for _ in range(30):
        tale.due()
    assert tale.callback.state is State.DONE, "every wait has an end"


def test_who_is_called_after_it_was_cancelled_is_let_go_of():
    tale = Tale().due().happens(cb.WasCancelled)
    assert (tale.callback.outcome, tale.callback.tries[0].outcome) == (
        CallbackOutcome.CANCELLED,
        TryOutcome.CANCELLED,
    )
    assert tale.effects == ()
    assert tale.happens(cb.TryBegan, n=1, leg_sid="CA1").effects == (cb.LetGo(1),)
    assert tale.happens(cb.TryBegan, n=1, leg_sid="CA1").effects == ()


def test_it_cannot_be_cancelled_while_the_caller_is_called():
    tale = Tale().due().person("accepts").happens(cb.WasCancelled)
    assert tale.callback.state is State.CALLER


def test_while_twilio_is_out_of_reach_nothing_counts():
    tale = Tale().due().happens(cb.TryNotMade, n=1, unavailable=True)
    assert (tale.callback.state, tale.callback.tries, tale.callback.round) == (State.WAITING, (), 0)
    assert tale.due().called == ["+442079460104"] * 2


def test_callers_are_called_within_the_hours_only():
    nine_to_five = Hours("Europe/London", ((((9 * 60, 17 * 60)),),) * 5 + ((),) * 2)
    friday = datetime(2026, 11, 27, 16, 59, 30, tzinfo=UTC).timestamp()
    policy = replace(RULED, callback=replace(RULES, hours=nine_to_five))
    tale = Tale(policy, replace(NEW, asked_at=friday, not_before=friday, due_at=friday))
    tale.due().person("no-answer").at += 60
    tale.due()
    assert tale.called == ["+442079460104"]
    assert tale.callback.due_at == datetime(2026, 11, 30, 9, tzinfo=UTC).timestamp()
    tale.at = tale.callback.due_at
    assert tale.due().called == ["+442079460104", "+442079460105"]


def test_one_that_could_not_be_made_for_a_week_is_given_up():
    tale = Tale()
    tale.at += RULES.expire_seconds + 1
    assert tale.due().callback.outcome is CallbackOutcome.EXPIRED


def test_where_callbacks_are_no_longer_wanted_none_is_made():
    assert Tale(replace(POLICY, callback=None)).due().callback.outcome is CallbackOutcome.REFUSED


# --- asking for it -------------------------------------------------------------------------------------


def ask(story: Story, **asked: Any) -> Story:
    return story.happens(ev.CallbackAsked, confirmed=asked.pop("confirmed", True), **asked)


def test_the_callers_own_number_is_called_when_they_have_said_that_it_is_right():
    story = ask(Story(RULED).with_bot(), confirmed=False)
    assert [type(effect) for effect in story.effects] == [ef.Advise]
    assert ask(story, reason="pain").effects == (ef.BookCallback(1),)
    assert story.call.wishes[0].number == CALLER
    story.happens(ev.CallbackBooked, wish=1, callback="c1", due_at=story.at)
    assert story.call.wishes[0].callback == "c1"
    [told] = story.effects
    assert isinstance(told, ef.Advise)
    assert "as soon as somebody is free" in told.text
    assert [type(effect) for effect in ask(story).effects] == [ef.Advise], "it is booked already"
    assert without_words(story.call).wishes[0].reason == ""


@pytest.mark.parametrize("number", [OTHER, "+19005550100", "911", "sip:a@b.example", "client:eve", "+44", "x"])
def test_another_number_is_not_called_whatever_the_model_says(number: str):
    story = ask(Story(RULED).with_bot(), number=number)
    assert story.call.wishes == ()
    assert [type(effect) for effect in story.effects] == [ef.Advise]


def test_one_that_they_have_typed_is_called_and_one_that_the_operator_allows():
    story = Story(RULED).with_bot().happens(ev.NumberTyped, number=OTHER)
    assert ask(story, number=OTHER).effects == (ef.BookCallback(1),)
    allowed = replace(RULED, callback=replace(RULES, allow=("+4420794601*",)))
    assert ask(Story(allowed).with_bot(), number=OTHER).effects == (ef.BookCallback(1),)


def test_what_cannot_be_booked_is_told_and_can_be_asked_for_again_but_not_for_ever():
    story = Story(RULED).with_bot()
    for n in (1, 2, 3):
        assert ask(story).effects == (ef.BookCallback(n),)
        [told] = story.happens(ev.CallbackBooked, wish=n).effects
        assert isinstance(told, ef.Advise)
        assert "could not be booked" in told.text
    assert [type(effect) for effect in ask(story).effects] == [ef.Advise]


def test_a_caller_who_has_no_number_is_asked_to_type_one():
    story = Story(RULED).with_bot()
    story.call = replace(story.call, caller="anonymous")
    assert [type(effect) for effect in ask(story).effects] == [ef.Advise]
    assert story.call.wishes == ()


def test_the_tool_is_offered_where_callers_are_called_back():
    def names(policy: Any) -> list[str]:
        return [tool.name for tool in call_tools(policy)]

    assert "schedule_callback" in names(RULED)
    assert "schedule_callback" not in names(replace(POLICY, callback=None))
    asked = requested("schedule_callback", {"confirmed": "yes", "number": ["+1"], "day": 7, "time": None}, 1.0)
    assert asked == ev.CallbackAsked(at=1.0)


def test_keys_of_a_number_lead_to_nobody():
    call = Story(RULED).with_bot().call
    keypad = Keypad(call, RULES)
    assert keypad.press("0", 1.0) == ev.KeyPressed(at=1.0, digit="0")
    told = [keypad.press(key, 2.0) for key in "*02079460122#"]
    assert told == [None] * 12 + [ev.NumberTyped(at=2.0, number=OTHER)]
    assert [keypad.press(key, 3.0) for key in "*0"] == [None, None]
    assert keypad.press("0", 30.0) == ev.KeyPressed(at=30.0, digit="0"), "an unfinished number is forgotten"


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("02079460122", OTHER),
        ("00442079460122", OTHER),
        ("0012025550143", ""),  # another country
        ("09098790000", ""),  # premium rate
        ("999", ""),
        ("", ""),
        ("*", ""),
    ],
)
def test_a_typed_number_is_one_of_here_that_exists(typed: str, number: str):
    assert number_of(typed, Story(RULED).call, RULES) == number


def test_what_people_say_of_the_clock_is_a_time_to_come():
    hours = Hours("Europe/London", (((0, 1440),),) * 7)
    thursday = datetime(2026, 11, 26, 12, tzinfo=UTC).timestamp()

    def at(day: str, clock: str) -> str | None:
        then = hours.on_clock(thursday, day, clock)
        return None if then is None else f"{datetime.fromtimestamp(then, UTC):%d %H:%M}"

    assert at("today", "15:30") == "26 15:30"
    assert at("", "15:30") == "26 15:30"
    assert at("tomorrow", "09:00") == "27 09:00"
    assert at("mon", "") == "30 00:00"
    assert at("thu", "09:00") == "03 09:00"
    assert [at(*words) for words in (("today", "09:00"), ("someday", "9:00"), ("today", "25:00"))] == [None] * 3
    assert hours.in_words(thursday, thursday + 86_400) == "tomorrow at 12:00"


# --- the book ------------------------------------------------------------------------------------------


@pytest.fixture
async def ledger(url: str, spool: Path) -> AsyncIterator[Ledger]:
    ledger = await Ledger.open(url, spool)
    yield ledger
    await ledger.close()


async def test_of_many_who_make_the_same_step_one_does(ledger: Ledger):
    await ledger.transact(lambda connection: book.enter(connection, NEW, ()))
    after, _ = step(NEW, cb.CameDue(at=1001.0), RULED)
    made = await asyncio.gather(
        *(ledger.transact(lambda connection: book.save(connection, after, 1, 1001.0, ())) for _ in range(5))
    )
    assert sum(made) == 1
    assert await ledger.transact(lambda connection: book.read(connection, NEW.uid)) == (after, 2)
    assert await ledger.transact(lambda connection: book.due(connection, 1002.0)) == []
    assert await ledger.transact(lambda connection: book.due(connection, after.due_at)) == [NEW.uid]


async def test_a_number_is_called_back_once_however_often_it_asks(ledger: Ledger):
    again = replace(NEW, uid=uid_of(SID, 2))
    assert await ledger.transact(lambda connection: book.enter(connection, NEW, ())) == NEW
    assert await ledger.transact(lambda connection: book.enter(connection, again, ())) == NEW
    done = replace(NEW, state=State.DONE, done_at=1.0, outcome=CallbackOutcome.JOINED)
    await ledger.transact(lambda connection: book.save(connection, done, 1, 1.0, ()))
    await ledger.transact(lambda connection: book.forget(connection, SID))
    kept = await ledger.transact(lambda connection: book.read(connection, NEW.uid))
    assert kept is not None
    assert (kept[0].reason, kept[0].summary) == ("", "")
    assert await ledger.transact(lambda connection: book.enter(connection, again, ())) == again


# --- all of it -----------------------------------------------------------------------------------------

FIRST, SECOND = "+12025550155", "+12025550156"
TAKES = Person("answer", after=0.2, says="")


@asynccontextmanager
async def asked(folder: Path, caller: Person, *people: Person) -> AsyncIterator[tuple[Stage, str, str]]:
    """A caller has asked to be called back, and has hung up. Yields the server's address and the first call's SID."""
    async with Stage() as stage, serving(stage, folder) as url:
        story = load("callback")
        stage.network.people.update(dict(zip((FIRST, SECOND), people, strict=False)) | {story.caller: caller})
        played = await stage.play("callback", story)
        assert problems(played, on_time=False) == []
        yield stage, url, played.call.sid


async def get(url: str) -> Any:
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        return await answer.json()


async def done(url: str, sid: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            [told] = (await get(f"{url}/api/callbacks?open=false&call_sid={sid}"))["callbacks"]
            if told["outcome"] is not None:
                return told
            await asyncio.sleep(0.1)


async def test_a_person_is_called_first_and_then_the_caller(tmp_path: Path):
    caller = Person("answer", after=0.2, says="Yes?", hangs_up_after=1.0)
    async with asked(tmp_path, caller, Person("busy"), TAKES) as (stage, url, sid):
        told = await done(url, sid)
        assert told["outcome"] == "joined"
        assert [(each["number"], each["outcome"]) for each in told["tries"]] == [(FIRST, "busy"), (SECOND, "joined")]
        record = await stage.record(sid)
        [promised] = record["callbacks"]
        assert (promised["callback"], promised["number"]) == (told["callback"], told["number"])
        assert (await get(f"{url}/api/callbacks"))["callbacks"] == []
        assert await get(f"{url}/api/callbacks/{told['callback']}") == told
        person = stage.network.calls[-1]
        await person.ended()
        assert person.errors == []
        said = [note.data["text"] for note in stage.journal.of(person.sid) if note.what == "says"]
        assert "has asked to be called back" in said[0]
        assert "A question about the head office." in said[0]
        [child] = person.children
        assert (child.to, child.from_) == (told["number"], OUR_NUMBER)


@pytest.mark.parametrize(
    ("caller", "outcome"),
    [
        (Person("busy"), "caller_busy"),
        (Person("no_answer"), "caller_no_answer"),
        (Person("failed"), "caller_failed"),
    ],
)
async def test_a_caller_who_does_not_answer_is_called_once_more_and_the_person_is_told(
    tmp_path: Path, caller: Person, outcome: str
):
    async with asked(tmp_path, caller, TAKES, TAKES) as (stage, url, sid):
        told = await done(url, sid)
        assert told["outcome"] == "caller_not_reached"
        assert [each["outcome"] for each in told["tries"]] == [outcome] * 2
        person = stage.network.calls[-1]
        await person.ended()
        said = [note.data["text"] for note in stage.journal.of(person.sid) if note.what == "says"]
        assert said[-1] == "They do not answer. Thank you, goodbye."


@pytest.mark.parametrize(
    ("person", "outcome"),
    [
        (Person("decline", after=0.2), "declined"),
        (Person("hang_up", after=0.2), "no_answer"),
        (Person("failed"), "failed"),
        (Person("answer", after=0.2, digits="7"), "no_answer"),
    ],
)
async def test_a_caller_is_not_called_for_a_person_who_does_not_take_it(tmp_path: Path, person: Person, outcome: str):
    async with asked(tmp_path, TAKES, person, person) as (stage, url, sid):
        told = await done(url, sid)
        assert told["outcome"] == "nobody"
        assert [each["outcome"] for each in told["tries"]] == [outcome] * 4
        assert all(call.to in (FIRST, SECOND) and not call.children for call in stage.network.calls[1:])


async def test_a_callback_is_cancelled_and_the_telephone_stops_ringing(tmp_path: Path):
    async with asked(tmp_path, TAKES, Person("no_answer"), Person("no_answer")) as (stage, url, _):
        [told] = (await get(f"{url}/api/callbacks"))["callbacks"]
        async with asyncio.timeout(10):
            while stage.network.calls[-1].status != "ringing":
                await asyncio.sleep(0.05)
        async with aiohttp.ClientSession() as http:
            async with http.delete(f"{url}/api/callbacks/{told['callback']}") as answer:
                assert (answer.status, (await answer.json())["outcome"]) == (200, "cancelled")
            async with http.delete(f"{url}/api/callbacks/{'0' * 32}") as answer:
                assert answer.status == 404
        person = stage.network.calls[-1]
        async with asyncio.timeout(5):
            await person.ended()
        assert person.status in ("canceled", "no-answer")


async def test_the_console_shows_who_is_to_be_called_back_and_cancels(tmp_path: Path):
    async with asked(tmp_path, TAKES, Person("no_answer"), Person("no_answer")) as (stage, url, sid):
        [told] = (await get(f"{url}/api/callbacks"))["callbacks"]
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
            async with http.get(f"{url}/console/callbacks") as answer:
                page = await answer.text()
                assert answer.status == 200
                assert told["number"] in page
                assert "a question" in page
            token = page.partition('name="form" value="')[2].partition('"')[0]
            cancel = f"{url}/console/callbacks/{told['callback']}/cancel"
            async with http.post(cancel, data={"form": token}, headers={"Origin": url}) as answer:
                assert answer.status == 200
                assert "Nobody is called back." in await answer.text()
            async with http.post(cancel, data={"form": "no"}, headers={"Origin": url}) as answer:
                assert answer.status == 403
        assert (await done(url, sid))["outcome"] == "cancelled"
        assert "CallbackCancelled" in [each["event"] for each in (await stage.record(sid))["timeline"]]


async def test_an_order_without_an_answer_is_one_call(tmp_path: Path):
    caller = Person("answer", after=0.2, says="", hangs_up_after=0.5)
    async with Stage() as stage, serving(stage, tmp_path) as url:
        story = load("callback")
        stage.network.people.update({FIRST: TAKES, SECOND: TAKES, story.caller: caller})
        stage.network.rest_faults.append(RestFault("apply_then_hang"))
        played = await stage.play("callback", story)
        told = await done(url, played.call.sid)
        assert [each["outcome"] for each in told["tries"]] == ["joined"]
        assert len(stage.network.calls) == 2


async def test_another_process_goes_on_where_one_has_died(tmp_path: Path):
    async with Stage() as stage:
        story = load("callback")
        stage.network.people.update({FIRST: Person("no_answer"), SECOND: Person("no_answer")})
        async with serving(stage, tmp_path):
            await stage.play("callback", story)
        caller = Person("answer", after=0.2, hangs_up_after=0.5)
        stage.network.people.update({FIRST: TAKES, SECOND: TAKES, story.caller: caller})
        async with serving(stage, tmp_path) as url:
            told = await done(url, stage.network.calls[0].sid)
            assert told["outcome"] == "joined"
