"""People who are called while the bot has the caller: every behaviour of theirs, and a caller who stays or leaves."""

from collections.abc import Callable

import pytest
from calls import POLICY, RESCUED, Story, leg

from bot import effects as ef, events as ev
from bot.attended import UNKNOWN_CALL_SECONDS
from bot.briefing import for_returning_bot
from bot.call import By, End, Outcome, Phase
from bot.carried import Carried
from bot.law import standing_document
from bot.routing import allowed_numbers

RELEASED = ef.ReleasePerson(1)


def hangs_up(story: Story) -> Story:
    """The caller."""
    return story.happens(ev.StreamEnded, leg=story.call.leg, stopped=True)


def outcomes(story: Story) -> list[Outcome | None]:
    return [attempt.outcome for attempt in story.call.attempts]


# --- the table: what the person does × what becomes of it ----------------------------------------------------

BEHAVIOURS: dict[str, tuple[Callable[[Story, int], object], Outcome]] = {
    "is busy": (lambda s, n: s.leg_ends(n, "busy"), Outcome.BUSY),
    "does not answer": (lambda s, n: s.leg_ends(n, "no-answer"), Outcome.NO_ANSWER),
    "cannot be reached": (lambda s, n: s.leg_ends(n, "failed"), Outcome.FAILED),
    "presses nothing": (lambda s, n: s.picked_up(n).leg_ends(n, "completed"), Outcome.NO_ANSWER),
    "hangs up while being told": (lambda s, n: s.picked_up(n).leg_ends(n, "completed"), Outcome.NO_ANSWER),
    "declines": (lambda s, n: s.picked_up(n).happens(ev.PersonDeclined, attempt=n), Outcome.DECLINED),
    "is a machine": (lambda s, n: s.happens(ev.PersonAnswered, attempt=n, machine=True), Outcome.MACHINE),
    "is never heard of again": (
        lambda s, n: s.happens(ev.TimerFired, timer=ef.Timer.PERSON, number=n),
        Outcome.NO_ANSWER,
    ),
    "cannot be called": (
        lambda s, n: s.happens(ev.PersonNotCalled, attempt=n, failure=ev.Failure.NOT_DONE, code=21210),
        Outcome.FAILED,
    ),
}


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_who_does_not_take_the_call_is_followed_by_the_next_while_the_caller_stays_with_the_bot(name: str):
    behave, outcome = BEHAVIOURS[name]
    story = Story().seeking()
    behave(story, 1)
    assert outcomes(story) == [outcome, None]
    assert story.call.phase is Phase.SEEKING
    assert ef.CallPerson(2) in story.effects
    assert any(isinstance(effect, ef.TellBot) for effect in story.effects)
    story.called(2)
    behave(story, 2)
    assert outcomes(story) == [outcome, outcome]
    assert story.call.phase is Phase.BOT, "the caller never left the bot"
    assert any(isinstance(effect, ef.ListenAgain) for effect in story.effects)
    assert story.documents == []
    assert story.call.stream_open


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_a_caller_who_leaves_is_nobody_s_ringing_phone(name: str):
    behave, outcome = BEHAVIOURS[name]
    story = Story().seeking()
    behave(story, 1)
    hangs_up(story.called(2))
    assert outcomes(story) == [outcome, Outcome.CALLER_GONE]
    assert story.effects == (ef.ReleasePerson(2),)
    assert story.call.end is End.CALLER_HUNG_UP


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_what_a_person_does_after_the_caller_has_gone_changes_nothing(name: str):
    behave, _ = BEHAVIOURS[name]
    story = hangs_up(Story().seeking())
    assert story.effects == (RELEASED,)
    behave(story, 1)
    assert outcomes(story) == [Outcome.CALLER_GONE]
    assert story.effects == ()


def test_who_takes_the_call_gets_the_caller_when_the_last_sentence_was_heard():
    story = Story().seeking().accepts(1)
    assert story.call.phase is Phase.LEAVING
    assert story.effects[0] == ef.SayGoodbye(1)
    assert story.documents == [], "nobody is moved before the last sentence was heard"
    story.happens(ev.GoodbyeHeard, handoff=1)
    assert story.documents == [ef.MeetPerson(1)]
    story.happens(ev.StreamEnded, leg=1, stopped=True)
    assert story.call.phase is Phase.PERSON
    story.happens(ev.Bridged, attempt=1)
    story.ends(1, "answered")
    assert (story.call.end, outcomes(story)) == (End.PUT_THROUGH, [Outcome.ANSWERED])
    assert story.effects == (ef.HangUp(),)


def test_nobody_is_moved_to_somebody_who_has_only_picked_up():
    story = Story().seeking().picked_up(1)
    assert (story.call.phase, story.documents) == (Phase.SEEKING, [])


def test_the_key_is_pressed_twice_and_the_caller_moved_once():
    story = Story().seeking().accepts(1)
    before = story.call
    story.happens(ev.PersonAccepted, attempt=1)
    assert (story.call, story.effects) == (before, ())


def test_who_takes_the_call_after_the_caller_has_gone_is_told_so():
    story = hangs_up(Story().seeking())
    story.happens(ev.PersonAnswered, attempt=1).happens(ev.PersonAccepted, attempt=1)
    assert story.call.phase is Phase.ENDED
    assert story.call.attempts[0].accepted_at is None


def test_a_phone_of_which_we_hear_only_after_the_caller_has_gone_stops_ringing():
    story = hangs_up(Story().leaving("doctor"))
    assert story.effects == (), "Twilio has not told yet which call it is"
    story.happens(ev.PersonCalled, attempt=1, leg_sid=leg(1))
    assert story.effects == (RELEASED,)
    assert story.happens(ev.PersonRinging, attempt=1, leg_sid=leg(1)).effects == ()


def test_an_order_whose_answer_was_lost_is_not_given_again():
    story = Story().leaving("doctor").happens(ev.PersonNotCalled, attempt=1, failure=ev.Failure.UNKNOWN)
    assert story.effects == (ef.StartTimer(ef.Timer.UNCALLED, 1, UNKNOWN_CALL_SECONDS),)
    story.happens(ev.PersonRinging, attempt=1, leg_sid=leg(1))
    story.happens(ev.TimerFired, timer=ef.Timer.UNCALLED, number=1)
    assert story.effects == (), "it was carried out, and its callbacks say so"
    assert story.accepts(1).call.phase is Phase.LEAVING


def test_an_order_whose_answer_was_lost_and_of_which_nothing_is_heard_was_not_carried_out():
    story = Story().leaving("doctor").happens(ev.PersonNotCalled, attempt=1, failure=ev.Failure.UNKNOWN)
    story.happens(ev.TimerFired, timer=ef.Timer.UNCALLED, number=1)
    assert outcomes(story)[0] is Outcome.FAILED
    story.happens(ev.PersonRinging, attempt=1, leg_sid=leg(1))
    assert RELEASED in story.effects, "it was, and late: nobody waits for that person any more"


def test_the_caller_leaves_while_the_person_who_took_the_call_waits():
    story = hangs_up(Story().seeking().accepts(1))
    assert story.effects == (RELEASED,)
    assert outcomes(story) == [Outcome.CALLER_GONE]


def test_the_caller_leaves_on_the_way_to_the_person():
    story = Story().meeting().happens(ev.CallEnded)
    assert story.effects == (RELEASED,)
    assert (story.call.end, outcomes(story)) == (End.CALLER_HUNG_UP, [Outcome.CALLER_GONE])


# --- all at once ------------------------------------------------------------------------------------------------


def test_of_several_the_first_to_accept_has_the_caller_and_the_others_stop():
    story = Story().seeking("crew")
    assert outcomes(story) == [None, None]
    story.accepts(2)
    assert outcomes(story) == [Outcome.SUPERSEDED, None]
    assert RELEASED in story.effects
    story.happens(ev.PersonAnswered, attempt=1).happens(ev.PersonAccepted, attempt=1)
    assert outcomes(story) == [Outcome.SUPERSEDED, None], "two at once: one has the caller"
    story.happens(ev.GoodbyeHeard, handoff=1)
    assert story.documents == [ef.MeetPerson(2)]
    story.happens(ev.RedirectAccepted).happens(ev.Bridged, attempt=2).ends(2, "answered")
    assert story.call.end is End.PUT_THROUGH


def test_of_several_the_last_to_decline_leaves_the_caller_with_the_bot():
    story = Story().seeking("crew").leg_ends(1, "busy")
    assert story.call.phase is Phase.SEEKING
    story.picked_up(2).happens(ev.PersonDeclined, attempt=2, reason="in surgery")
    assert (story.call.phase, story.call.nobody) == (Phase.BOT, 1)
    [told] = [effect.text for effect in story.effects if isinstance(effect, ef.TellBot)]
    assert "in surgery" in told


# --- a person who took the call, and is gone ------------------------------------------------------------------------


def test_who_hangs_up_during_the_goodbye_is_followed_by_the_next():
    story = Story().seeking().accepts(1).leg_ends(1, "completed")
    assert outcomes(story) == [Outcome.LEFT, None]
    assert story.call.phase is Phase.SEEKING
    assert ef.CallPerson(2) in story.effects
    assert isinstance(story.effects[0], ef.ListenAgain)
    assert story.happens(ev.GoodbyeHeard, handoff=1).effects == (), "the goodbye that was being said"


@pytest.mark.parametrize("told", ["before the redirect has taken effect", "after it"])
def test_a_caller_who_came_into_an_empty_conference_is_fetched_back(told: str):
    story = Story().seeking().accepts(1).happens(ev.GoodbyeHeard, handoff=1)
    if told == "after it":
        story.happens(ev.RedirectAccepted)
    story.leg_ends(1, "completed")
    if told != "after it":
        assert story.documents == [], "one order at a time"
        story.happens(ev.RedirectAccepted)
    assert story.documents == [ef.ConnectBot(2)]
    assert (story.call.phase, outcomes(story)) == (Phase.CONNECTING, [Outcome.LEFT])


def test_the_end_of_a_conversation_fetches_nobody_back():
    story = Story().meeting().happens(ev.Bridged, attempt=1).leg_ends(1, "completed")
    assert story.effects == ()
    assert story.ends(1, "answered").call.end is End.PUT_THROUGH


# --- what else may happen meanwhile -----------------------------------------------------------------------------------


def test_a_second_request_while_somebody_is_called_is_none():
    story = Story().seeking()
    before = story.call
    story.asks("desk").happens(ev.KeyPressed, digit="0").happens(ev.CallerSaid, text="a person")
    assert (story.call, story.effects) == (before, ())


def test_a_caller_who_is_done_before_anybody_came_lets_the_phone_stop():
    story = Story().seeking().happens(ev.FarewellRequested)
    assert story.call.phase is Phase.PARTING
    assert RELEASED in story.effects


def test_a_model_that_is_lost_for_good_gives_the_caller_to_the_failsafe_person_and_lets_the_other_go():
    story = Story().seeking().happens(ev.ModelLost, reason="gone", for_good=True)
    assert story.documents == [ef.DialPerson(2)]
    assert RELEASED in story.effects
    assert story.call.handoffs[-1].by is By.WATCH


def test_a_model_that_is_replaced_meanwhile_changes_nothing_for_the_person():
    story = Story().seeking().happens(ev.ModelLost, reason="gone")
    assert ef.RenewModel(1) in story.effects
    assert outcomes(story) == [None]


def test_a_lost_stream_rescues_the_caller_and_lets_the_person_go():
    story = Story(RESCUED).seeking().happens(ev.StreamEnded, leg=1, stopped=False)
    assert story.call.phase is Phase.RESCUE
    assert RELEASED in story.effects
    story.happens(ev.RescueAsked, leg=1)
    assert story.documents == [ef.ConnectBot(2)]


def test_a_process_that_hears_of_the_lost_stream_by_the_rescue_lets_the_person_go():
    story = Story(RESCUED).seeking().happens(ev.RescueAsked, leg=1)
    assert story.documents == [ef.ConnectBot(2)]
    assert RELEASED in story.effects
    assert outcomes(story) == [Outcome.SUPERSEDED], "it is not the person's line that was lost"
    note = for_returning_bot(story.call, story.policy)
    assert note is not None
    assert "not being called any more" in note, "or the bot would wait for them"


def test_where_one_process_answers_a_lost_stream_leads_to_the_failsafe_person():
    story = Story().seeking().happens(ev.StreamEnded, leg=1, stopped=False)
    assert story.call.phase is Phase.FAILSAFE
    assert RELEASED in story.effects


def test_a_rescue_during_the_goodbye_brings_the_caller_to_the_person_who_waits():
    story = Story(RESCUED).seeking().accepts(1).happens(ev.StreamEnded, leg=1, stopped=False)
    story.happens(ev.RescueAsked, leg=1)
    assert story.documents == [ef.MeetPerson(1)]
    assert story.call.phase is Phase.PERSON


def test_a_redirect_that_rest_did_not_carry_out_leads_to_the_person_who_waits_by_the_rescue():
    story = Story(RESCUED).seeking().accepts(1).happens(ev.GoodbyeHeard, handoff=1)
    story.happens(ev.RedirectFailed, failure=ev.Failure.NOT_DONE, code=20500)
    assert ef.CloseStream() in story.effects
    assert RELEASED not in story.effects
    assert story.happens(ev.RedirectAccepted).effects == (), "too late"
    assert story.happens(ev.RescueAsked, leg=1).documents == [ef.MeetPerson(1)]


def test_where_one_process_answers_a_redirect_that_failed_leads_to_the_failsafe_person():
    story = Story().seeking().accepts(1).happens(ev.GoodbyeHeard, handoff=1)
    story.happens(ev.RedirectFailed, failure=ev.Failure.NOT_DONE, code=20500)
    assert story.call.phase is Phase.FAILSAFE
    assert RELEASED in story.effects


def test_whoever_asks_again_on_the_way_to_the_person_is_sent_there_again():
    assert standing_document(Story().meeting().call) == ef.MeetPerson(1)


def test_attended_people_of_a_call_that_the_bot_does_not_have_are_screened():
    story = Story().with_bot().happens(ev.HandoffRequested, target="doctor", by=By.API)
    assert story.call.phase is Phase.SEEKING
    assert isinstance(story.effects[0], ef.ListenAgain), "the bot did not ask, so it is told"
    assert {attempt.number for attempt in story.call.attempts} <= allowed_numbers(POLICY)


# --- afterwards ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gone", [True, False])
@pytest.mark.parametrize(("seconds", "short"), [(5, True), (60, False)])
def test_the_record_says_who_ended_a_conversation_and_whether_it_was_one(gone: bool, seconds: int, short: bool):
    for story, n in ((Story().meeting().happens(ev.Bridged, attempt=1), 1), (Story().with_person(), 1)):
        story.at += seconds - 1
        story.ends(n, "completed", bridged=True, caller_gone=gone)
        attempt = story.call.attempts[n - 1]
        assert (attempt.ended_by, attempt.short) == ("caller" if gone else "person", short)


def test_a_call_that_has_ended_does_not_begin_anew_by_what_a_process_without_the_record_did():
    elsewhere = Story().seeking().happens(ev.PersonDeclined, attempt=1)
    story = hangs_up(Story().seeking())
    at = Carried.of(elsewhere.call)
    assert at.is_ahead_of(story.call)
    story.call = at.advance(story.call)
    assert (story.call.phase, story.call.end) == (Phase.ENDED, End.CALLER_HUNG_UP)
    story.happens(ev.PersonRinging, attempt=2, leg_sid=leg(2))
    assert story.effects == (ef.ReleasePerson(2),), "somebody was called for a caller who had gone"
    assert (story.call.phase, outcomes(story)) == (Phase.ENDED, [Outcome.CALLER_GONE] * 2)
