"""Two accounts of one call, by processes that could not ask the record."""

from dataclasses import replace

import pytest
from calls import CALLER, SID, US

from bot.accounts import combined, is_further
from bot.call import Attempt, By, Call, End, Handoff, Outcome, Phase

BEGUN = Call(SID, CALLER, US, 1.0, Phase.BOT)
ASKED = replace(BEGUN, handoffs=(Handoff("desk", "", "", By.MODEL, 2.0),), phase=Phase.REDIRECTING)
RINGS = replace(ASKED, attempts=(Attempt("desk", "+12025550143", 3.0, handoff=1),), phase=Phase.RINGING)
TALKS = replace(RINGS, attempts=(replace(RINGS.attempts[0], bridged_at=4.0),), phase=Phase.PERSON)
GONE = replace(BEGUN, phase=Phase.ENDED, end=End.CALLER_HUNG_UP, ended_at=9.0)


@pytest.mark.parametrize(("account", "known"), [(ASKED, BEGUN), (RINGS, ASKED), (GONE, TALKS)])
def test_a_hand_off_an_attempt_and_the_end_bring_a_call_further(account: Call, known: Call):
    assert is_further(account, known)
    assert not is_further(known, account)


def test_of_two_accounts_of_a_living_call_the_further_one_stands():
    assert combined(RINGS, ASKED) is combined(ASKED, RINGS) is RINGS
    other = replace(ASKED, tried=2)
    assert combined(other, ASKED) is ASKED, "the record stands where neither is"


@pytest.mark.parametrize(
    ("told", "end", "outcomes"),
    [
        (BEGUN, End.CALLER_HUNG_UP, []),
        (ASKED, End.CALLER_HUNG_UP, []),
        (RINGS, End.CALLER_HUNG_UP, [Outcome.CALLER_GONE]),
        (TALKS, End.PUT_THROUGH, [Outcome.ANSWERED]),
    ],
)
def test_who_was_told_of_the_end_alone_does_not_decide_how_it_ended(told: Call, end: End, outcomes: list[Outcome]):
    for call in (combined(told, GONE), combined(GONE, told)):
        assert (call.phase, call.end, call.ended_at) == (Phase.ENDED, end, 9.0)
        assert call.handoffs == told.handoffs
        assert [attempt.outcome for attempt in call.attempts] == outcomes


def test_steps_that_come_one_after_another_add_what_each_tells_and_none_takes_away():
    known = GONE
    for account in (ASKED, RINGS, TALKS):
        known = combined(account, known)
    assert known.end is End.PUT_THROUGH
    for account in (TALKS, RINGS, ASKED, BEGUN, GONE):
        assert combined(account, known) is known
