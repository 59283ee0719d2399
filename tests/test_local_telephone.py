"""The telephone that a local call is led with: the law's documents, carried out, with their ends as events."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from bot.call import By, End, Outcome, Phase
from bot.events import FarewellHeard, FarewellRequested, GoodbyeHeard, HandoffRequested, StreamEnded
from bot.line import open_line
from bot.local import desk
from bot.local.call import CALLED, CALLER, local_configuration
from bot.local.desk import Act, Desk, Habits
from bot.local.telephone import LocalTelephone
from bot.local.wire import InstantPlayer, LocalWire
from bot.session import Session
from bot.telephony import CallGone

Talk = Callable[[LocalWire, Session], Awaitable[None]]
Meanwhile = Callable[[LocalTelephone], Awaitable[None]]


class Played(Habits):
    """People who do one thing after the other, and a memory of what was told."""

    def __init__(self, *acts: Act | None) -> None:
        super().__init__()
        self.left = list(acts)
        self.told: list[str] = []

    def tell(self, what: str) -> None:
        self.told.append(what)

    async def choose(self, question: str, acts: tuple[Act, ...], seconds: float | None) -> Act | None:
        act = self.left.pop(0) if self.left else None
        assert act is None or act in acts
        return act


def asks_for(target: str | None) -> Talk:
    """A bot that hands off as soon as it has the caller, once; back again, it waits for the caller to leave."""

    async def talk(wire: LocalWire, session: Session) -> None:
        listening = asyncio.create_task(wire.receive(lambda message: None))
        if not session.call.handoffs:
            now = session.now()
            await session.apply(HandoffRequested(at=now, target=target, reason="a test", by=By.MODEL))
            await session.apply(GoodbyeHeard(at=now, handoff=1))
        else:
            await session.apply(FarewellRequested(at=session.now()))
            await session.apply(FarewellHeard(at=session.now(), farewell=1))
        await listening

    return talk


async def lead(folder: Path, people: desk.Tester, talk: Talk, meanwhile: Meanwhile | None = None) -> Session:
    """A whole call. Returns its session."""
    settings = {"OPENAI_API_KEY": "sk-x", "HANDOFF_POLICY": "sandbox/handoff.yaml", "PIPELINE": "openai_realtime"}
    configuration = local_configuration(folder, **settings)
    telephone = LocalTelephone(configuration.policy, people, InstantPlayer())
    async with open_line(configuration, telephone) as line:
        await line.switchboard.answer_call(telephone.sid, CALLER, CALLED)
        session = await line.switchboard.find(telephone.sid)
        assert session is not None
        living = asyncio.create_task(telephone.run(session, lambda wire: talk(wire, session)))
        if meanwhile is not None:
            await meanwhile(telephone)
        await living
        return session


def outcomes(session: Session) -> list[Outcome | None]:
    return [attempt.outcome for attempt in session.call.attempts]


async def test_the_next_number_is_dialled_when_the_first_is_busy(tmp_path: Path):
    people = Played(Act.BUSY, Act.ANSWER)
    session = await lead(tmp_path, people, asks_for("front_desk"))
    assert outcomes(session) == [Outcome.BUSY, Outcome.ANSWERED]
    assert session.call.end is End.PUT_THROUGH
    assert any("+12025550143" in line for line in people.told)
    assert any("+12025550178" in line for line in people.told)


async def test_when_nobody_answers_the_caller_is_back_with_the_bot(tmp_path: Path):
    session = await lead(tmp_path, Played(None, Act.UNREACHABLE), asks_for("front_desk"))
    assert outcomes(session) == [Outcome.NO_ANSWER, Outcome.FAILED]
    assert session.call.leg == 2
    assert session.call.end is End.BOT_HUNG_UP


@pytest.mark.parametrize(
    ("key", "outcome"), [(Act.ACCEPT, Outcome.ANSWERED), (Act.DECLINE, Outcome.DECLINED), (None, Outcome.NO_ANSWER)]
)
async def test_whoever_is_screened_hears_why_and_takes_the_call_or_does_not(
    tmp_path: Path, key: Act | None, outcome: Outcome
):
    people = Played(Act.ANSWER, key)
    session = await lead(tmp_path, people, asks_for("billing"))
    assert outcomes(session) == [outcome]
    assert any("Reason: a test" in line for line in people.told)


async def test_a_message_is_left_on_the_recorder(tmp_path: Path):
    session = await lead(tmp_path, Played(Act.LEAVE_MESSAGE), asks_for(None))
    assert session.call.end is End.MESSAGE_LEFT


async def test_a_caller_who_hangs_up_while_it_rings_ends_the_call(tmp_path: Path):
    asked = Desk()

    async def hang_up(telephone: LocalTelephone) -> None:
        while not asked.acts:
            await asyncio.sleep(0.01)
        telephone.caller_hangs_up()

    session = await lead(tmp_path, asked, asks_for("front_desk"), hang_up)
    assert outcomes(session) == [Outcome.CALLER_GONE]
    assert session.call.end is End.CALLER_HUNG_UP


async def test_when_the_bot_lets_go_the_person_in_the_document_is_rung(tmp_path: Path):
    async def let_go(wire: LocalWire, session: Session) -> None:
        await session.apply(StreamEnded(at=session.now(), leg=1, stopped=False))

    people = Played(Act.ANSWER)
    session = await lead(tmp_path, people, let_go)
    assert outcomes(session) == [Outcome.ANSWERED]
    assert any("by the document that it holds" in line for line in people.told)


async def test_orders_for_a_call_that_is_over_are_refused(tmp_path: Path):
    telephone = LocalTelephone(local_configuration(tmp_path, OPENAI_API_KEY="sk-x").policy, Habits(), InstantPlayer())
    assert await telephone.status(telephone.sid) == "in-progress"
    telephone.caller_hangs_up()
    assert await telephone.status(telephone.sid) == "completed"
    with pytest.raises(CallGone):
        await telephone.redirect(telephone.sid, "<Response/>")
    with pytest.raises(CallGone):
        await telephone.hang_up(telephone.sid)


async def looks_for_the_manager(wire: LocalWire, session: Session) -> None:
    """A bot that keeps the caller while the manager is called."""
    listening = asyncio.create_task(wire.receive(lambda message: None))
    await session.apply(HandoffRequested(at=session.now(), target="manager", reason="a test", by=By.MODEL))
    while session.call.phase is Phase.SEEKING and not wire.stopped:
        await asyncio.sleep(0.01)
    if session.call.phase is Phase.LEAVING:
        await session.apply(GoodbyeHeard(at=session.now(), handoff=1))
    elif session.call.phase is Phase.BOT:
        await session.apply(FarewellRequested(at=session.now()))
        await session.apply(FarewellHeard(at=session.now(), farewell=1))
    await listening


async def test_who_is_called_while_the_bot_stays_gets_the_caller_when_they_say_yes(tmp_path: Path):
    people = Played(Act.BUSY, Act.ANSWER, Act.ACCEPT, Act.HANG_UP)
    session = await lead(tmp_path, people, looks_for_the_manager)
    assert outcomes(session) == [Outcome.BUSY, Outcome.ANSWERED]
    assert session.call.end is End.PUT_THROUGH


async def test_when_nobody_says_yes_the_caller_never_left_the_bot(tmp_path: Path):
    session = await lead(tmp_path, Played(Act.ANSWER, Act.DECLINE, Act.UNREACHABLE), looks_for_the_manager)
    assert outcomes(session) == [Outcome.DECLINED, Outcome.FAILED]
    assert (session.call.leg, session.call.end) == (1, End.BOT_HUNG_UP)


async def test_a_caller_who_hangs_up_meanwhile_is_nobody_s_ringing_phone(tmp_path: Path):
    asked = Desk()

    async def hang_up(telephone: LocalTelephone) -> None:
        while not asked.acts:
            await asyncio.sleep(0.01)
        telephone.caller_hangs_up()

    session = await lead(tmp_path, asked, looks_for_the_manager, hang_up)
    assert outcomes(session) == [Outcome.CALLER_GONE]


@pytest.mark.parametrize(
    ("people", "outcome", "end"),
    [
        ((Act.ANSWER, Act.HANG_UP), Outcome.ANSWERED, End.PUT_THROUGH),
        ((Act.NO_ANSWER,), Outcome.NO_ANSWER, End.BOT_HUNG_UP),
        ((Act.LEAVE_QUEUE, Act.LEAVE_MESSAGE), Outcome.GAVE_UP, End.MESSAGE_LEFT),
    ],
)
async def test_a_caller_waits_in_a_queue(tmp_path: Path, people: tuple[Act, ...], outcome: Outcome, end: End):
    session = await lead(tmp_path, Played(*people), asks_for("support"))
    assert (session.call.attempts[0].outcome, session.call.end) == (outcome, end)
