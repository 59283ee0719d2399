"""The law when our stream is gone and Twilio asks what to do with the caller."""

import pytest
from calls import CALLER, POLICY, RESCUED, SID, US, Story
from hypothesis import given, strategies as st

from bot import effects as ef, events as ev
from bot.call import By, Call, End, Outcome, Phase
from bot.carried import Carried
from bot.falls import Rung
from bot.law import standing_document, step
from bot.tokens import Seal

SEAL = Seal.from_auth_token("secret", "callback")


def lost(story: Story) -> Story:
    """Our end of the stream has vanished."""
    return story.happens(ev.StreamEnded, leg=story.call.leg, stopped=False)


def asked(story: Story, closed: str = "") -> Story:
    return story.happens(ev.RescueAsked, leg=story.call.leg, closed=closed)


def rungs(call: Call) -> list[Rung]:
    return [fall.rung for fall in call.falls]


@pytest.mark.parametrize("told", [True, False], ids=["told of it first", "not told"])
def test_a_caller_whose_stream_is_lost_gets_a_bot_again(told: bool):
    story = Story(RESCUED).with_bot()
    if told:
        assert lost(story).call.phase is Phase.RESCUE
    asked(story)
    assert story.documents == [ef.ConnectBot(2)]
    assert (story.call.phase, story.call.leg, rungs(story.call)) == (Phase.CONNECTING, 2, [Rung.RESCUE])
    assert story.with_bot().call.phase is Phase.BOT


def test_a_question_that_is_asked_again_gets_the_same_answer():
    story = asked(lost(Story(RESCUED).with_bot()))
    before = story.call
    story.happens(ev.RescueAsked, leg=1)
    assert story.call is before
    assert standing_document(story.call) == ef.ConnectBot(2)


def test_after_two_rescues_comes_a_person_and_after_three_the_recorder():
    story = Story(RESCUED).with_bot()
    for leg in (2, 3):
        assert asked(lost(story)).documents == [ef.ConnectBot(leg)]
        story.with_bot()
    asked(lost(story))
    assert story.documents == [ef.DialPerson(1)]
    assert story.call.handoffs[-1].by is By.WATCH
    story.ends(1, "busy").ends(2, "busy")
    assert story.documents == [ef.ConnectBot(4)]
    asked(lost(story.with_bot()))
    assert story.documents == [ef.TakeMessage()]
    assert story.call.phase is Phase.VOICEMAIL


def test_a_process_whose_bot_takes_no_call_gives_the_caller_to_a_person():
    story = asked(lost(Story(RESCUED).with_bot()), closed="no place")
    assert story.documents == [ef.DialPerson(1)]
    assert story.call.handoffs[-1].by is By.CLOSED


@pytest.mark.parametrize("told", [True, False])
def test_a_hand_off_whose_goodbye_was_cut_off_is_carried_out(told: bool):
    story = Story(RESCUED).leaving()
    if told:
        lost(story)
    asked(story)
    assert story.documents == [ef.DialPerson(1)]
    assert story.call.phase is Phase.RINGING
    assert [attempt.number for attempt in story.call.attempts] == ["+442079460101"]


def test_a_redirect_that_rest_did_not_carry_out_is_carried_out_by_the_rescue():
    story = Story(RESCUED).redirecting().happens(ev.RedirectFailed, failure=ev.Failure.NOT_DONE, code=20500)
    assert ef.CloseStream() in story.effects
    assert story.call.phase is Phase.REDIRECTING
    before = story.call
    assert story.happens(ev.RedirectAccepted).call == before, "too late: our stream is closed, and Twilio will ask"
    asked(story)
    assert story.documents == [ef.DialPerson(2)]
    tried = [(attempt.number, attempt.outcome) for attempt in story.call.attempts]
    assert tried == [("+442079460101", Outcome.FAILED), ("+442079460101", None)]
    assert rungs(story.call) == [Rung.CLOSED_STREAM, Rung.RESCUE]


def test_the_way_to_the_recorder_is_carried_out_too():
    story = asked(lost(Story(RESCUED).leaving(None)))
    assert story.documents == [ef.TakeMessage()]
    assert story.call.phase is Phase.VOICEMAIL


def test_a_wanted_end_is_no_rescue():
    story = asked(lost(Story(RESCUED).closing()))
    assert story.documents == [ef.HangUp()]
    assert story.call.end is End.BOT_HUNG_UP


def test_a_stream_that_never_came_is_asked_for():
    story = asked(Story(RESCUED))
    assert story.documents == [ef.ConnectBot(2)]


def test_a_question_about_a_caller_who_is_with_somebody_changes_nothing():
    story = Story(RESCUED).with_person()
    before = story.call
    assert asked(story).call is before


def test_nobody_who_lost_a_stream_is_forgotten():
    story = lost(Story(RESCUED).with_bot())
    assert any(isinstance(effect, ef.StartTimer) for effect in story.effects)
    story.happens(ev.TimerFired, timer=ef.Timer.CHECK, number=0)
    assert story.effects == (ef.AskTwilio(),)


# --- what stands behind the stream where there is one process ---------------------------------------------------


def test_a_message_behind_the_failsafe_person_ends_the_call():
    story = lost(Story().with_bot()).happens(ev.MessageRecorded, url="u", seconds=7, failsafe=True)
    assert story.call.end is End.MESSAGE_LEFT
    assert story.call.attempts[-1].outcome is Outcome.NO_ANSWER


def test_a_caller_who_stays_after_the_failsafe_person_has_hung_up_was_put_through():
    story = lost(Story().with_bot()).happens(ev.PersonAnswered, attempt=0)
    story.happens(ev.MessageRecorded, url="u", seconds=0, failsafe=True)
    assert story.call.end is End.PUT_THROUGH
    assert story.call.attempts[-1].outcome is Outcome.ANSWERED


def test_another_process_learns_of_the_failsafe_from_its_recorder():
    story = Story().with_bot().happens(ev.MessageRecorded, url="u", seconds=7, failsafe=True)
    assert story.call.end is End.MESSAGE_LEFT
    assert rungs(story.call) == [Rung.HELD_DOCUMENT]


# --- limits -----------------------------------------------------------------------------------------------------


def test_a_call_that_is_with_the_bot_for_too_long_is_put_through():
    story = Story().with_bot()
    (limit,) = story.effects
    assert limit == ef.StartTimer(ef.Timer.LIMIT, 1, POLICY.bot_seconds - 1)
    story.happens(ev.TimerFired, timer=ef.Timer.LIMIT, number=1)
    assert story.call.phase is Phase.LEAVING
    assert story.call.handoffs[-1].by is By.LIMIT


def test_a_limit_that_is_reached_during_the_last_words_waits():
    story = Story().parting().happens(ev.TimerFired, timer=ef.Timer.LIMIT, number=1)
    assert story.call.phase is Phase.PARTING
    assert [type(effect) for effect in story.effects] == [ef.StartTimer]


def test_a_model_that_is_lost_for_good_is_not_asked_again():
    story = Story().with_bot().happens(ev.ModelLost, reason="gone", fault="HTTP 401", for_good=True)
    assert story.call.phase is Phase.REDIRECTING
    assert [(fall.rung, fall.reason) for fall in story.call.falls] == [(Rung.PERSON, "HTTP 401")]


# --- what addresses carry ---------------------------------------------------------------------------------------


def carried(story: Story) -> Carried:
    text = Carried.of(story.call).seal(SID, SEAL)
    read = Carried.read(text, SID, SEAL)
    assert read is not None
    return read


def test_a_call_that_only_an_address_knows_goes_on():
    story = Story(RESCUED).ringing().ends(1, "busy")
    known = carried(story).new_call(SID)
    assert (known.caller, known.called) == (CALLER, US)
    ended = ev.DialEnded(at=2000.0, attempt=2, status="no-answer", bridged=False)
    after, effects = step(known, ended, RESCUED)
    assert ef.ConnectBot(2) in effects, "both numbers were tried: back to the bot"
    assert after.nobody == 1


def test_an_address_that_is_ahead_of_the_record_advances_it():
    behind, ahead = Story(RESCUED).with_bot(), Story(RESCUED).ringing().ends(1, "busy")
    at = carried(ahead)
    assert at.is_ahead_of(behind.call)
    assert not at.is_ahead_of(ahead.call)
    advanced = at.advance(behind.call)
    assert not at.is_ahead_of(advanced)
    assert [a.outcome for a in advanced.attempts] == [Outcome.SUPERSEDED, None]


@given(st.text(max_size=200), st.text(max_size=40))
def test_a_forged_or_foreign_state_says_nothing(text: str, mac: str):
    assert Carried.read(f"{text}.{mac}", SID, SEAL) is None
    assert Carried.read(text, SID, SEAL) is None


def test_the_state_of_another_call_says_nothing():
    text = Carried.of(Story().call).seal("CA" + "b" * 32, SEAL)
    assert Carried.read(text, SID, SEAL) is None
