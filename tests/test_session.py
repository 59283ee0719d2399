"""A live call: what is ordered, once, and what goes on when the record or Twilio fails."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

import pytest
from calls import CALLER, POLICY, SID, US
from fakes import Orders, ScriptedTelephony

from bot import attended, events as ev, person_events as pe
from bot.addresses import Addresses
from bot.admission import Admission, Limits
from bot.call import End, Outcome, Phase
from bot.carried import Carried
from bot.ledger import Ledger, LedgerError
from bot.session import Session
from bot.switchboard import Switchboard
from bot.telephony import Ambiguous, CallGone, Refused
from bot.tokens import PersonPages, Seal, StreamTokens

SEAL = Seal.from_auth_token("secret", "callback")


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    opened = await Ledger.open(f"sqlite+aiosqlite:///{tmp_path}/calls.db")
    yield opened
    await opened.close()


@pytest.fixture
def telephony() -> ScriptedTelephony:
    return ScriptedTelephony()


def switchboard(ledger: Ledger, telephony: ScriptedTelephony) -> Switchboard:
    return Switchboard(
        policy=lambda called: POLICY,
        ledger=ledger,
        telephony=telephony,
        addresses=Addresses("https://bot.example"),
        admission=Admission(ledger, Limits(places=10)),
        tokens=StreamTokens.from_auth_token("secret"),
        seal=SEAL,
        pages=PersonPages.from_auth_token("secret"),
    )


@pytest.fixture
async def board(ledger: Ledger, telephony: ScriptedTelephony) -> AsyncIterator[Switchboard]:
    made = switchboard(ledger, telephony)
    yield made
    await made.close()


def token_in(document: str) -> str:
    parameter = ElementTree.fromstring(document).find("Connect/Stream/Parameter")
    assert parameter is not None
    return parameter.get("value") or ""


async def with_bot(board: Switchboard) -> tuple[Session, Orders]:
    """A call that the bot has answered."""
    session = await board.open_stream(SID, token_in(await board.answer_call(SID, CALLER, US)))
    assert session is not None
    orders = Orders()
    session.attach(orders)
    return session, orders


async def until(true: Callable[[], object]) -> None:
    """Wait for what background tasks bring about; the test's own time limit ends it."""
    while not true():
        await asyncio.sleep(0.005)


def fact(kind: type[ev.Event], **facts: object) -> ev.Event:
    return kind(at=2000.0, **facts)  # type: ignore[call-arg]


async def test_the_goodbye_is_ordered_and_its_echo_redirects_the_call(board, telephony):
    session, orders = await with_bot(board)
    await session.apply(fact(ev.HandoffRequested, target="desk"))
    assert orders.told == ["goodbye 1"]
    assert telephony.orders == []
    await session.apply(fact(ev.GoodbyeHeard, handoff=1))
    await until(lambda: session.call.phase is Phase.RINGING)
    [(order, twiml)] = telephony.orders
    assert order == "redirect"
    assert "+442079460101" in twiml


async def test_a_hand_off_asked_for_five_times_at_once_redirects_once(board, telephony):
    session, _ = await with_bot(board)
    for _ in range(5):
        session.post(fact(ev.HandoffRequested, target="desk"))
    for _ in range(5):
        session.post(fact(ev.GoodbyeHeard, handoff=1))
    await until(lambda: session.call.phase is Phase.RINGING)
    assert len(telephony.orders) == 1


async def test_two_processes_that_hear_the_same_fact_redirect_once(ledger, telephony):
    one, other = switchboard(ledger, telephony), switchboard(ledger, telephony)
    session, _ = await with_bot(one)
    await session.apply(fact(ev.HandoffRequested, target="desk"))
    twin = await other.find(SID)
    assert twin is not None
    heard = fact(ev.GoodbyeHeard, handoff=1)
    await asyncio.gather(session.apply(heard), twin.apply(heard))
    await until(lambda: telephony.orders)
    await asyncio.sleep(0.05)
    assert len(telephony.orders) == 1
    await one.close()
    await other.close()


async def test_a_token_opens_one_stream(board):
    token = token_in(await board.answer_call(SID, CALLER, US))
    assert await board.open_stream(SID, token) is not None
    with pytest.raises(ev.ImpossibleEvent):
        await board.open_stream(SID, token)
    assert await board.open_stream("CA" + "b2" * 16, token) is None


async def test_a_retried_voice_webhook_opens_one_call(board, ledger):
    first, second = await asyncio.gather(board.answer_call(SID, CALLER, US), board.answer_call(SID, CALLER, US))
    assert await board.open_stream(SID, token_in(first)) is not None
    with pytest.raises(ev.ImpossibleEvent):
        await board.open_stream(SID, token_in(second))
    assert len(await ledger.calls()) == 1


async def test_a_callback_is_answered_with_what_follows(board, telephony):
    session, _ = await with_bot(board)
    await session.apply(fact(ev.HandoffRequested, target="desk"))
    await session.apply(fact(ev.GoodbyeHeard, handoff=1))
    busy = fact(ev.DialEnded, attempt=1, status="busy", bridged=False)
    answer = await board.answer_callback(SID, CALLER, US, busy)
    assert "+442079460102" in answer
    assert await board.answer_callback(SID, CALLER, US, busy) == answer
    assert len(telephony.orders) == 1


async def test_an_impossible_callback_is_answered_with_what_twilio_shall_be_doing(board):
    await with_bot(board)
    answer = await board.answer_callback(SID, CALLER, US, fact(ev.MessageRecorded, url="", seconds=1))
    assert "<Stream" in answer


async def test_a_callback_for_a_call_without_a_record_brings_the_bot(board):
    answer = await board.answer_callback(SID, CALLER, US, fact(ev.DialEnded, attempt=1, status="busy", bridged=False))
    assert "<Stream" in answer


async def test_a_refused_redirect_closes_the_stream(board, telephony):
    telephony.answers = [Refused(20003, 401, "no")]
    session, orders = await with_bot(board)
    await session.apply(fact(ev.HandoffRequested, target="desk"))
    await session.apply(fact(ev.GoodbyeHeard, handoff=1))
    await until(lambda: "close" in orders.told)
    assert session.call.phase is Phase.FAILSAFE
    assert session.call.attempts[0].code == 20003


async def test_an_ambiguous_redirect_is_not_repeated_and_the_stop_proves_it(board, telephony):
    telephony.answers = [Ambiguous(None, 500, "?")]
    session, orders = await with_bot(board)
    await session.apply(fact(ev.HandoffRequested, target="desk"))
    await session.apply(fact(ev.GoodbyeHeard, handoff=1))
    await until(lambda: telephony.orders)
    await session.apply(fact(ev.StreamEnded, leg=1, stopped=True))
    assert session.call.phase is Phase.RINGING
    assert len(telephony.orders) == 1
    assert "close" not in orders.told


async def test_a_redirect_of_a_caller_who_has_gone_ends_the_call(board, telephony):
    telephony.answers, telephony.statuses = [CallGone(21220, 400, "gone")], ["completed"]
    session, _ = await with_bot(board)
    await session.apply(fact(ev.HandoffRequested, target="desk"))
    await session.apply(fact(ev.GoodbyeHeard, handoff=1))
    await until(lambda: session.call.phase is Phase.ENDED)
    assert session.call.end is End.CALLER_HUNG_UP
    assert session.call.attempts[0].outcome is Outcome.CALLER_GONE
    assert board.live == 0


async def test_the_bot_hangs_up_over_rest_and_only_after_its_farewell(board, telephony):
    session, orders = await with_bot(board)
    await session.apply(fact(ev.FarewellRequested))
    assert orders.told == ["farewell 1"]
    assert telephony.orders == []
    await session.apply(fact(ev.FarewellHeard, farewell=1))
    await until(lambda: telephony.orders)
    assert telephony.orders == [("hang up", "")]


async def test_a_call_goes_on_when_its_record_cannot_be_kept(board, ledger, telephony):
    session, _ = await with_bot(board)
    await ledger.close()
    await session.apply(fact(ev.HandoffRequested, target="desk"))
    await session.apply(fact(ev.GoodbyeHeard, handoff=1))
    await until(lambda: session.call.phase is Phase.RINGING)
    assert len(telephony.orders) == 1


async def test_another_process_knows_the_call_and_its_conversation(board, ledger, telephony):
    session, _ = await with_bot(board)
    session.keep_conversation([{"role": "user", "content": "My order is late."}], 1)
    session.add_line("caller", "My order is late.", 2000.0)
    await session.apply(fact(ev.HandoffRequested, target="desk"))
    other = switchboard(ledger, telephony)
    twin = await other.find(SID)
    assert twin is not None
    assert twin.call == session.call
    assert twin.messages == [{"role": "user", "content": "My order is late."}]
    record = await ledger.record(SID)
    assert record is not None
    assert [entry.event for entry in record.journal] == [
        "CallAnswered", "StreamStarted", "HandoffRequested",
    ]  # fmt: skip
    assert [(line.role, line.text) for line in record.transcript] == [("caller", "My order is late.")]


async def test_a_fact_that_contradicts_what_is_known_here_is_held_against_the_record(ledger, telephony):
    here, elsewhere = switchboard(ledger, telephony), switchboard(ledger, telephony)
    await here.answer_call(SID, CALLER, US)
    session, _ = await with_bot(elsewhere)
    await session.apply(fact(ev.HandoffRequested, target="desk"))
    await session.apply(fact(ev.GoodbyeHeard, handoff=1))
    await until(lambda: session.call.phase is Phase.RINGING)
    behind = await here.find(SID)
    assert behind is not None
    assert behind.call.attempts == ()
    await behind.apply(fact(ev.PersonAnswered, attempt=1))
    assert behind.call.phase is Phase.PERSON
    await here.close()
    await elsewhere.close()


async def test_a_stream_is_opened_by_a_process_that_knew_an_earlier_one(ledger, telephony):
    here, elsewhere = switchboard(ledger, telephony), switchboard(ledger, telephony)
    session, _ = await with_bot(here)
    await session.apply(fact(ev.HandoffRequested, target="desk"))
    await session.apply(fact(ev.GoodbyeHeard, handoff=1))
    await until(lambda: session.call.phase is Phase.RINGING)
    await session.close()
    for attempt in (1, 2):
        busy = fact(ev.DialEnded, attempt=attempt, status="busy", bridged=False)
        document = await elsewhere.answer_callback(SID, CALLER, US, busy)
    parameters = {p.get("name"): p.get("value") for p in ElementTree.fromstring(document).iter("Parameter")}
    again = await here.open_stream(SID, parameters["token"] or "", parameters["state"] or "")
    assert again is session
    assert (again.call.leg, again.call.phase) == (2, Phase.BOT)
    await here.close()
    await elsewhere.close()


async def test_a_record_that_hangs_holds_a_call_up_once_and_not_at_each_step(board, ledger, telephony, monkeypatch):
    session, orders = await with_bot(board)

    async def never(*_: object) -> bool:
        return await asyncio.Event().wait()

    monkeypatch.setattr(ledger, "save", never)
    monkeypatch.setattr("bot.patience.SECONDS", 0.2)
    monkeypatch.setattr("bot.patience.HASTY_SECONDS", 0.0)
    await session.apply(fact(ev.HandoffRequested, target="desk"))
    assert (orders.told, ledger.patience.seconds) == (["goodbye 1"], 0.0)
    await session.apply(fact(ev.GoodbyeHeard, handoff=1))
    await until(lambda: session.call.phase is Phase.RINGING)
    assert len(telephony.orders) == 1


@contextmanager
def away(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Neither the record nor its spool can be had."""

    async def fails(*_: object) -> None:
        raise LedgerError

    with monkeypatch.context() as outage:
        for name in ("save", "load", "note", "add"):
            outage.setattr(ledger, name, fails)
        yield


def states(document: str) -> tuple[str, str]:
    """The state and the token that a document's parameters carry to the stream."""
    parameters = {p.get("name"): p.get("value") for p in ElementTree.fromstring(document).iter("Parameter")}
    return parameters["token"] or "", parameters["state"] or ""


async def test_a_call_that_went_on_elsewhere_without_the_record_does_not_go_back_when_the_record_does(
    ledger, telephony, monkeypatch
):
    here, elsewhere = switchboard(ledger, telephony), switchboard(ledger, telephony)
    session, _ = await with_bot(here)
    with away(ledger, monkeypatch):
        await session.apply(fact(ev.HandoffRequested, target="desk"))
        await session.apply(fact(ev.GoodbyeHeard, handoff=1))
        await until(lambda: session.call.phase is Phase.RINGING)
        for attempt in (1, 2):  # of the first nobody here hears, of the second nobody there
            busy = fact(ev.DialEnded, attempt=attempt, status="busy", bridged=False)
            carried = Carried.of(session.call).seal(SID, SEAL)
            process = here if attempt == 1 else elsewhere
            document = await process.answer_callback(SID, CALLER, US, busy, carried)
        again = await elsewhere.open_stream(SID, *states(document))
        assert again is not None
        orders = Orders()
        again.attach(orders)
        await again.apply(fact(ev.HandoffRequested, target="desk"))
        assert orders.told == ["goodbye 2"]
    await again.apply(fact(ev.GoodbyeHeard, handoff=2))
    await until(lambda: again.call.phase is Phase.RINGING)
    await session.apply(fact(ev.PersonLegEnded, attempt=1))
    assert len([order for order, _ in telephony.orders if order == "redirect"]) == 2
    record = await ledger.record(SID)
    assert record is not None
    assert (record.stored.call.leg, len(record.stored.call.handoffs)) == (2, 2)
    await here.close()
    await elsewhere.close()


# --- people who are called while the bot has the caller ----------------------------------------------------------


async def seeking(board: Switchboard) -> tuple[Session, Orders]:
    session, orders = await with_bot(board)
    await session.apply(fact(ev.HandoffRequested, target="doctor", reason="pain", summary="Hurts."))
    await until(lambda: session.call.attempts[0].leg_sid)
    return session, orders


async def test_a_person_is_called_once_and_shown_our_number(board, telephony):
    session, orders = await seeking(board)
    [order] = telephony.calls
    assert (order.to, order.from_, order.ring_seconds) == ("+442079460104", US, 20)
    assert f"call={SID}" in order.url
    assert "state=" in order.status_callback
    assert orders.told == []
    assert session.call.phase is Phase.SEEKING


async def test_an_order_to_call_that_twilio_refuses_leads_to_the_next_person(board, telephony):
    telephony.answers = [Refused(21210, 400, "not verified")]
    session, _ = await with_bot(board)
    await session.apply(fact(ev.HandoffRequested, target="doctor"))
    await until(lambda: len(telephony.calls) == 1)
    first, second = session.call.attempts
    assert (first.outcome, first.code) == (Outcome.FAILED, 21210)
    await until(lambda: session.call.attempts[1].leg_sid)
    assert telephony.calls[0].to == second.number


async def test_a_phone_that_rings_for_nobody_is_stopped_and_who_is_on_the_line_is_told(board, telephony):
    session, _ = await seeking(board)
    await session.apply(fact(ev.StreamEnded, leg=1, stopped=True))
    await until(lambda: telephony.orders[-1][0] == "hang up")


async def test_who_has_picked_up_for_a_caller_who_hangs_up_is_told(board, telephony):
    session, _ = await seeking(board)
    await session.apply(fact(ev.PersonAnswered, attempt=1))
    await session.apply(fact(ev.StreamEnded, leg=1, stopped=True))
    await until(lambda: telephony.orders[-1][0] == "redirect")
    assert "not waiting any more" in telephony.orders[-1][1]


async def test_a_key_that_another_process_is_told_of_has_the_caller_told_here(ledger, telephony):
    one, other = switchboard(ledger, telephony), switchboard(ledger, telephony)
    session, orders = await seeking(one)
    twin = await other.find(SID)
    assert twin is not None
    await twin.apply(fact(ev.PersonAccepted, attempt=1))
    await until(lambda: orders.told)
    assert orders.told == ["goodbye 1"]
    await session.apply(fact(ev.GoodbyeHeard, handoff=1))
    await until(lambda: telephony.orders[-1][0] == "redirect")
    assert "<Conference" in telephony.orders[-1][1]
    await one.close()
    await other.close()


async def test_what_a_person_decided_in_another_process_is_known_here_when_twilio_asks(ledger, telephony):
    one, other = switchboard(ledger, telephony), switchboard(ledger, telephony)
    session, orders = await seeking(one)
    twin = await other.find(SID)
    assert twin is not None
    await twin.apply(pe.ConsultationStarted(at=twin.now(), attempt=1))
    await twin.apply(fact(ev.PersonAccepted, attempt=1))
    await session.apply(pe.ConsultationEnded(at=session.now(), attempt=1))
    [attempt] = session.call.attempts
    assert None not in (attempt.consulted_at, attempt.accepted_at, attempt.consulted_until)
    await until(lambda: "goodbye 1" in orders.told)
    await one.close()
    await other.close()


async def test_a_message_that_was_left_with_another_process_is_told_here(ledger, telephony):
    one, other = switchboard(ledger, telephony), switchboard(ledger, telephony)
    _, orders = await seeking(one)
    twin = await other.find(SID)
    assert twin is not None
    await twin.apply(fact(ev.PersonDeclined, attempt=1, message="Call tomorrow."))
    await until(lambda: orders.told)
    assert orders.told == ["listen"]
    await one.close()
    await other.close()


async def test_a_bot_whose_people_all_declined_to_another_process_is_told_here(ledger, telephony):
    one, other = switchboard(ledger, telephony), switchboard(ledger, telephony)
    _, orders = await seeking(one)
    twin = await other.find(SID)
    assert twin is not None
    await twin.apply(fact(ev.PersonDeclined, attempt=1))
    await until(lambda: len(telephony.calls) == 2)
    await twin.apply(fact(ev.PersonDeclined, attempt=2))
    await until(lambda: orders.told)
    assert orders.told == ["note", "listen"]
    await one.close()
    await other.close()


@pytest.mark.parametrize("pressed", [ev.PersonDeclined, ev.PersonAccepted])
async def test_a_bot_is_told_what_a_person_pressed_also_where_it_hears_of_something_else_first(
    ledger, telephony, monkeypatch, pressed
):
    one, other = switchboard(ledger, telephony), switchboard(ledger, telephony)
    session, orders = await seeking(one)
    twin = await other.find(SID)
    assert twin is not None
    await twin.apply(fact(ev.PersonDeclined, attempt=1))
    await until(lambda: session.call.attempts[-1].leg_sid and len(session.call.attempts) == 2)
    orders.told.clear()
    monkeypatch.setattr("bot.session.FOLLOW_SECONDS", 3600.0)  # nothing is learned by looking
    await asyncio.sleep(1.1)
    await twin.apply(fact(pressed, attempt=2))
    await session.apply(fact(ev.PersonRinging, attempt=2, leg_sid=session.call.attempts[1].leg_sid))
    assert ("listen" if pressed is ev.PersonDeclined else "goodbye 1") in orders.told
    await one.close()
    await other.close()


async def test_nobody_is_called_for_a_caller_who_has_gone_by_a_process_that_was_not_told(ledger, telephony):
    one, other = switchboard(ledger, telephony), switchboard(ledger, telephony)
    await seeking(one)
    twin = await other.find(SID)
    assert twin is not None
    telephony.statuses = ["completed"]
    await twin.apply(fact(ev.PersonDeclined, attempt=1))
    await until(lambda: twin.call.phase is Phase.ENDED)
    assert len(telephony.calls) == 1
    await one.close()
    await other.close()


async def test_without_the_record_nobody_is_called_by_a_process_that_does_not_have_the_caller(
    ledger, telephony, monkeypatch
):
    one, other = switchboard(ledger, telephony), switchboard(ledger, telephony)
    session, _ = await seeking(one)
    twin = await other.find(SID)
    assert twin is not None
    with away(ledger, monkeypatch):
        await twin.apply(fact(ev.PersonDeclined, attempt=1))
        await session.apply(fact(ev.PersonLegEnded, attempt=1, status="completed"))
        await until(lambda: len(telephony.calls) == 2)
        await asyncio.sleep(0.05)
    assert len(telephony.calls) == 2, "each of the two goes on to the second person"
    await one.close()
    await other.close()


async def test_a_bot_knows_whom_another_process_called_and_waits_for_them_when_that_one_dies(
    ledger: Ledger, telephony: ScriptedTelephony, monkeypatch: pytest.MonkeyPatch
):
    one, other = switchboard(ledger, telephony), switchboard(ledger, telephony)
    session, orders = await seeking(one)
    monkeypatch.setattr(attended, "KEY_SECONDS", -19.9)  # of twenty that it rings
    twin = await other.find(SID)
    assert twin is not None
    await twin.apply(fact(ev.PersonDeclined, attempt=1))
    await other.close()  # the second person's call may have been ordered, or not
    await until(lambda: "note" in orders.told)
    await until(lambda: session.call.phase is Phase.BOT)
    first, second = session.call.attempts
    assert first.outcome is Outcome.DECLINED
    assert second.outcome in (Outcome.FAILED, Outcome.NO_ANSWER)
    assert orders.told[-1] == "listen"
    await one.close()
