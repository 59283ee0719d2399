"""The law of a call's life, law by law."""

import dataclasses

import pytest
from calls import POLICY, Story

from bot import effects as ef, events as ev
from bot.call import By, End, Outcome, Phase
from bot.falls import Rung
from bot.law import standing_document
from bot.lost_model import RENEWALS
from bot.routing import BargeIn, Fallback

STAY = dataclasses.replace(POLICY, goodbye_barge_in=BargeIn.STAY)


# --- the bot has the caller ---------------------------------------------------------------------------


def test_a_call_that_comes_in_is_connected_with_the_bot():
    story = Story()
    assert story.documents == [ef.ConnectBot(1)]
    assert story.with_bot().call.phase is Phase.BOT


def test_a_stream_that_starts_twice_is_refused():
    story = Story().with_bot()
    with pytest.raises(ev.ImpossibleEvent):
        story.with_bot()


def test_a_stream_of_an_earlier_leg_is_refused():
    story = Story().nobody()
    with pytest.raises(ev.ImpossibleEvent):
        story.happens(ev.StreamStarted, leg=1)
    assert story.with_bot().call.phase is Phase.BOT


def test_a_stream_that_never_comes_means_that_twilio_went_on_to_the_failsafe_person():
    story = Story().happens(ev.TimerFired, timer=ef.Timer.CHECK, number=0)
    assert story.effects == (ef.AskTwilio(),)
    assert story.happens(ev.CallLives).call.phase is Phase.FAILSAFE


def test_a_caller_who_hangs_up_on_the_bot_ends_the_call():
    story = Story().with_bot().happens(ev.StreamEnded, leg=1, stopped=True)
    assert (story.call.phase, story.call.end) == (Phase.ENDED, End.CALLER_HUNG_UP)


def test_a_socket_that_breaks_leaves_the_caller_to_the_failsafe_person():
    story = Story().with_bot().happens(ev.StreamEnded, leg=1, stopped=False)
    assert story.call.phase is Phase.FAILSAFE
    assert story.call.attempts[-1].failsafe
    assert story.call.attempts[-1].number == "+442079460101,+442079460102"


# --- the hand-off -------------------------------------------------------------------------------------


def test_nobody_is_redirected_before_the_goodbye_was_heard():
    story = Story().leaving()
    assert story.call.phase is Phase.LEAVING
    assert story.effects == (ef.SayGoodbye(1), ef.StartTimer(ef.Timer.GOODBYE, 1, 15.0))
    story.happens(ev.GoodbyeHeard, handoff=1)
    assert story.documents == [ef.DialPerson(1)]
    assert story.call.attempts[0].number == "+442079460101"


def test_a_goodbye_that_is_never_heard_ends_at_its_deadline():
    story = Story().leaving().happens(ev.TimerFired, timer=ef.Timer.GOODBYE, number=1)
    assert story.documents == [ef.DialPerson(1)]


def test_a_goodbye_heard_after_its_deadline_changes_nothing():
    story = Story().leaving().happens(ev.TimerFired, timer=ef.Timer.GOODBYE, number=1)
    before = story.call
    story.happens(ev.GoodbyeHeard, handoff=1)
    assert (story.call, story.effects) == (before, ())


@pytest.mark.parametrize("phase", ["leaving", "redirecting", "ringing", "with_person"])
def test_a_hand_off_asked_for_again_while_it_is_under_way_is_done_once(phase: str):
    story = getattr(Story(), phase)()
    before = story.call
    story.asks().asks("billing")
    assert (story.call, story.effects) == (before, ())


def test_an_unknown_target_leads_to_the_default_one():
    story = Story().leaving("the moon")
    assert story.call.handoffs[-1].target == "desk"


def test_a_caller_who_speaks_during_the_goodbye_is_put_through_and_hears_it_whole():
    story = Story().leaving().happens(ev.GoodbyeInterrupted, handoff=1)
    assert story.call.phase is Phase.LEAVING
    assert story.effects == (ef.SayGoodbye(1),)


def test_where_the_policy_says_stay_a_caller_who_speaks_during_the_goodbye_keeps_the_bot():
    story = Story(STAY).leaving().happens(ev.GoodbyeInterrupted, handoff=1)
    assert story.call.phase is Phase.BOT
    assert story.call.handoffs[-1].withdrawn
    assert isinstance(story.effects[0], ef.ListenAgain)
    assert story.asks().call.phase is Phase.LEAVING
    assert story.happens(ev.GoodbyeHeard, handoff=1).effects == ()  # the first goodbye's, told late
    assert story.happens(ev.GoodbyeHeard, handoff=2).documents == [ef.DialPerson(1)]


def test_keys_pressed_during_the_goodbye_do_not_disturb_it():
    story = Story().leaving()
    before = story.call
    assert story.happens(ev.KeyPressed, digit="5").call == before


def test_a_caller_who_hangs_up_during_the_goodbye_is_not_put_through():
    story = Story().leaving().happens(ev.StreamEnded, leg=1, stopped=True)
    assert story.call.end is End.CALLER_HUNG_UP
    assert story.happens(ev.GoodbyeHeard, handoff=1).effects == ()


def test_beyond_the_most_hand_offs_of_a_call_a_request_leads_to_the_recorder():
    story = Story(dataclasses.replace(POLICY, max_hops=1)).nobody().with_bot().asks()
    assert story.call.handoffs[-1].target is None
    assert story.happens(ev.GoodbyeHeard, handoff=2).documents == [ef.TakeMessage()]


# --- the redirect -------------------------------------------------------------------------------------


def test_the_stream_s_stop_acknowledges_the_redirect():
    story = Story().ringing()
    assert story.call.phase is Phase.RINGING
    assert story.happens(ev.RedirectAccepted).effects == ()


def test_the_rest_answer_acknowledges_the_redirect():
    story = Story().redirecting().happens(ev.RedirectAccepted)
    assert story.call.phase is Phase.RINGING
    assert story.happens(ev.StreamEnded, leg=1, stopped=True).effects == ()


def test_a_redirect_that_was_refused_hands_over_by_closing_the_stream():
    story = Story().redirecting()
    story.happens(ev.RedirectFailed, failure=ev.Failure.NOT_DONE, code=20003)
    assert ef.CloseStream() in story.effects
    assert story.call.phase is Phase.FAILSAFE
    assert (story.call.attempts[0].outcome, story.call.attempts[0].code) == (Outcome.FAILED, 20003)


def test_an_ambiguous_redirect_is_never_repeated():
    story = Story().redirecting().happens(ev.RedirectFailed, failure=ev.Failure.UNKNOWN)
    assert story.documents == []
    story.happens(ev.StreamEnded, leg=1, stopped=True)
    assert story.call.phase is Phase.RINGING


def test_an_ambiguous_redirect_without_a_stop_ends_in_closing_the_stream():
    story = Story().redirecting().happens(ev.RedirectFailed, failure=ev.Failure.UNKNOWN)
    story.happens(ev.TimerFired, timer=ef.Timer.REDIRECT, number=1)
    assert ef.CloseStream() in story.effects
    assert story.call.phase is Phase.FAILSAFE


def test_an_accepted_redirect_that_does_not_happen_ends_in_closing_the_stream():
    story = Story().redirecting().happens(ev.RedirectAccepted)
    story.happens(ev.TimerFired, timer=ef.Timer.REDIRECT, number=1)
    assert ef.CloseStream() in story.effects


def test_a_redirect_of_a_caller_who_has_gone_ends_the_call():
    story = Story().redirecting().happens(ev.RedirectFailed, failure=ev.Failure.GONE, code=21220)
    assert ef.AskTwilio() in story.effects
    story.happens(ev.CallEnded)
    assert story.call.end is End.CALLER_HUNG_UP
    assert story.call.attempts[0].outcome is Outcome.CALLER_GONE


def test_nobody_is_left_on_a_line_that_rest_takes_for_dead():
    story = Story().redirecting().happens(ev.RedirectFailed, failure=ev.Failure.GONE, code=21220)
    story.happens(ev.CallLives).happens(ev.TimerFired, timer=ef.Timer.REDIRECT, number=1)
    assert story.call.phase is Phase.FAILSAFE
    assert ef.CloseStream() in story.effects


def test_a_callback_may_overtake_the_answer_to_the_redirect():
    story = Story().redirecting().ends(1, "busy")
    assert story.documents == [ef.DialPerson(2)]
    assert story.happens(ev.RedirectAccepted).effects == ()
    assert story.happens(ev.RedirectFailed, failure=ev.Failure.UNKNOWN).effects == ()


# --- with a person ------------------------------------------------------------------------------------


def test_a_person_who_answers_has_the_caller():
    story = Story().with_person()
    assert story.call.phase is Phase.PERSON
    story.ends(1, "completed", bridged=True)
    assert story.documents == [ef.HangUp()]
    assert (story.call.end, story.call.attempts[0].outcome) == (End.PUT_THROUGH, Outcome.ANSWERED)


def test_a_screened_person_has_the_caller_only_after_accepting():
    story = Story().ringing("billing").happens(ev.PersonAnswered, attempt=1)
    assert story.call.phase is Phase.RINGING
    story.happens(ev.PersonAccepted, attempt=1)
    assert story.call.phase is Phase.PERSON
    assert story.call.attempts[0].answered_at == story.at - 1
    assert story.call.attempts[0].accepted_at == story.at


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("busy", Outcome.BUSY),
        ("no-answer", Outcome.NO_ANSWER),
        ("failed", Outcome.FAILED),
        ("canceled", Outcome.SUPERSEDED),
        ("something new", Outcome.FAILED),
    ],
)
def test_each_failed_attempt_has_its_name_and_leads_to_the_next_number(status: str, outcome: Outcome):
    story = Story().ringing().ends(1, status)
    assert story.call.attempts[0].outcome is outcome
    assert story.documents == [ef.DialPerson(2)]
    assert story.call.attempts[1].number == "+442079460102"


def test_a_declined_whisper_counts_as_not_answered():
    story = Story().ringing("billing").happens(ev.PersonAnswered, attempt=1)
    story.happens(ev.PersonDeclined, attempt=1).ends(1, "completed")
    assert story.call.attempts[0].outcome is Outcome.DECLINED
    assert story.documents == [ef.ConnectBot(2)]


def test_a_whisper_without_a_key_is_no_answer():
    story = Story().ringing("billing").happens(ev.PersonAnswered, attempt=1).ends(1, "completed")
    assert story.call.attempts[0].outcome is Outcome.NO_ANSWER


def test_the_action_of_an_interrupted_dial_is_not_a_person_who_hung_up():
    story = Story().ringing().ends(1, "completed")
    assert story.call.attempts[0].outcome is Outcome.SUPERSEDED
    assert story.call.phase is not Phase.ENDED


def test_a_retried_callback_changes_nothing_and_gets_the_same_answer():
    story = Story().ringing().ends(1, "busy")
    before = story.call
    assert story.ends(1, "busy").effects == ()
    assert story.call == before
    assert standing_document(story.call) == ef.DialPerson(2)


def test_a_caller_who_hangs_up_while_it_rings_ends_the_call():
    story = Story().ringing().ends(1, "no-answer", caller_gone=True)
    assert story.call.end is End.CALLER_HUNG_UP
    assert story.call.attempts[0].outcome is Outcome.CALLER_GONE


def test_a_callback_that_never_comes_is_asked_for():
    story = Story().ringing().happens(ev.TimerFired, timer=ef.Timer.CHECK, number=1)
    assert story.effects == (ef.AskTwilio(),)
    assert story.happens(ev.CallLives).effects == (ef.StartTimer(ef.Timer.CHECK, 1, 60.0),)
    assert story.happens(ev.CallEnded).call.end is End.CALLER_HUNG_UP


def test_the_failsafe_person_who_answers_has_the_caller():
    story = Story().with_bot().happens(ev.StreamEnded, leg=1, stopped=False)
    story.happens(ev.PersonAnswered, attempt=0)
    assert story.call.phase is Phase.PERSON
    assert story.happens(ev.PersonLegEnded, attempt=0).effects == (ef.AskTwilio(),)
    assert story.happens(ev.CallEnded).call.end is End.PUT_THROUGH


def test_another_process_learns_of_the_failsafe_from_the_person_who_answers():
    story = Story().with_bot().happens(ev.PersonAnswered, attempt=0)
    assert story.call.phase is Phase.PERSON
    assert story.call.attempts[-1].failsafe


# --- nobody answers -----------------------------------------------------------------------------------


def test_when_nobody_answers_the_caller_is_back_with_the_bot():
    story = Story().nobody()
    assert story.documents == [ef.ConnectBot(2)]
    assert (story.call.phase, story.call.leg, story.call.nobody) == (Phase.CONNECTING, 2, 1)


def test_the_second_time_nobody_answers_the_caller_can_leave_a_message():
    story = Story().nobody().with_bot().asks().happens(ev.GoodbyeHeard, handoff=2)
    story.happens(ev.StreamEnded, leg=2, stopped=True).ends(3, "busy").ends(4, "busy")
    assert story.documents == [ef.TakeMessage()]
    story.happens(ev.MessageRecorded, url="https://api.example/RE1", seconds=7)
    assert story.call.end is End.MESSAGE_LEFT
    assert story.documents == [ef.HangUp()]


def test_where_the_policy_says_so_the_recorder_comes_at_once():
    story = Story(dataclasses.replace(POLICY, nobody=(Fallback.VOICEMAIL,))).nobody()
    assert story.documents == [ef.TakeMessage()]


def test_the_bot_can_lead_to_the_recorder_itself():
    story = Story().ringing(None)
    assert story.call.phase is Phase.VOICEMAIL


def test_an_empty_recording_is_no_message():
    story = Story().ringing(None).happens(ev.MessageRecorded, url="", seconds=0)
    assert story.call.end is End.NO_MESSAGE


def test_a_message_told_of_after_the_call_s_end_is_kept():
    story = Story().ringing(None).happens(ev.CallEnded)
    assert story.call.end is End.NO_MESSAGE
    story.happens(ev.MessageRecorded, url="https://api.example/RE1", seconds=7)
    assert story.call.end is End.MESSAGE_LEFT
    assert story.call.message is not None


# --- hanging up ---------------------------------------------------------------------------------------


def test_the_bot_hangs_up_only_after_its_last_words_were_heard():
    story = Story().parting()
    assert story.documents == []
    assert story.happens(ev.FarewellHeard, farewell=1).documents == [ef.HangUp()]
    assert story.happens(ev.StreamEnded, leg=1, stopped=True).call.end is End.BOT_HUNG_UP


def test_a_caller_who_speaks_during_the_farewell_is_not_hung_up_on():
    story = Story().parting().happens(ev.CallerSpoke)
    assert story.call.phase is Phase.BOT
    assert story.happens(ev.FarewellHeard, farewell=1).effects == ()


def test_a_hand_off_asked_for_during_the_farewell_goes_first():
    assert Story().parting().asks().call.phase is Phase.LEAVING


def test_a_hang_up_that_does_not_happen_is_ordered_again_and_then_left_to_a_person():
    story = Story().closing()
    for number in (1, 2):
        story.happens(ev.TimerFired, timer=ef.Timer.HANG_UP, number=number)
        assert story.documents == [ef.HangUp()]
    story.happens(ev.TimerFired, timer=ef.Timer.HANG_UP, number=3)
    assert story.effects == (ef.CloseStream(),)


def test_a_hang_up_of_a_caller_who_has_gone_is_the_end():
    story = Story().closing().happens(ev.HangUpFailed, failure=ev.Failure.GONE)
    assert story.effects == (ef.AskTwilio(),)
    story.happens(ev.CallEnded)
    assert story.call.end is End.BOT_HUNG_UP


# --- the model is gone --------------------------------------------------------------------------------


def test_a_lost_model_is_replaced_by_a_new_session_of_it():
    story = Story().with_bot().happens(ev.ModelLost, reason="closed")
    assert story.call.phase is Phase.BOT
    assert ef.RenewModel(1) in story.effects
    assert not story.happens(ev.ModelRenewed, renewal=1).call.renewing


@pytest.mark.parametrize(
    ("kind", "facts"),
    [(ev.ModelLost, {"reason": "refused"}), (ev.TimerFired, {"timer": ef.Timer.RENEWAL, "number": 1})],
)
def test_a_model_that_cannot_be_replaced_means_a_person(kind: type[ev.Event], facts: dict):
    story = Story().with_bot().happens(ev.ModelLost, reason="closed").happens(kind, **facts)
    assert story.documents == [ef.DialPerson(1)]
    assert story.call.handoffs[-1].by is By.WATCH


def test_a_model_that_is_lost_again_and_again_means_a_person():
    story = Story().with_bot()
    for n in range(1, RENEWALS + 1):
        story.happens(ev.ModelLost, reason="closed").happens(ev.ModelRenewed, renewal=n)
        assert story.call.phase is Phase.BOT
    assert story.happens(ev.ModelLost, reason="closed").documents == [ef.DialPerson(1)]


def test_a_new_session_that_comes_too_late_changes_nothing():
    story = Story().with_bot().happens(ev.ModelLost, reason="closed").asks()
    assert story.happens(ev.TimerFired, timer=ef.Timer.RENEWAL, number=1).call.phase is not Phase.BOT


def test_a_model_lost_during_the_goodbye_does_not_hold_the_hand_off_up():
    story = Story().leaving("billing").happens(ev.ModelLost, reason="closed")
    assert story.call.attempts[0].target == "billing"


# --- what cannot be -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        (ev.GoodbyeHeard, {"handoff": 1}),
        (ev.FarewellHeard, {"farewell": 1}),
        (ev.RedirectAccepted, {}),
        (ev.PersonAnswered, {"attempt": 1}),
        (ev.DialEnded, {"attempt": 1, "status": "busy", "bridged": False}),
        (ev.MessageRecorded, {"url": "", "seconds": 1}),
        (ev.StreamEnded, {"leg": 2, "stopped": True}),
    ],
)
def test_a_contradiction_raises_and_leaves_the_call_untouched(kind: type[ev.Event], facts: dict):
    story = Story().with_bot()
    before = story.call
    with pytest.raises(ev.ImpossibleEvent):
        story.happens(kind, **facts)
    assert story.call == before


# --- another model ------------------------------------------------------------------------------------


OTHERS = dataclasses.replace(POLICY, other_models=2)


def gone(story: Story, **facts: object) -> Story:
    return story.happens(ev.ModelLost, reason="gone", **facts)


def test_another_model_takes_over_when_there_is_no_new_session():
    story = gone(Story(OTHERS).with_bot())
    assert story.effects[0] == ef.RenewModel(1)
    gone(story)
    assert story.effects[0] == ef.ChangeModel(1, 2)
    assert (story.call.model, story.call.phase, story.call.renewing) == (1, Phase.BOT, True)


def test_another_model_takes_over_at_once_when_a_new_session_would_fail_for_the_same_reason():
    story = gone(Story(OTHERS).with_bot(), for_good=True)
    assert story.effects[0] == ef.ChangeModel(1, 1)


def test_a_person_takes_over_when_the_last_model_is_gone():
    story = gone(gone(gone(Story(OTHERS).with_bot(), for_good=True), for_good=True), for_good=True)
    assert [fall.rung for fall in story.call.falls] == [Rung.ANOTHER_MODEL, Rung.ANOTHER_MODEL, Rung.PERSON]
    assert story.call.phase is Phase.REDIRECTING


def test_every_model_has_its_new_sessions():
    story = Story(dataclasses.replace(POLICY, other_models=1)).with_bot()
    for renewal in range(1, RENEWALS + 1):
        gone(story).happens(ev.ModelRenewed, renewal=renewal)
    gone(story)
    assert story.effects[0] == ef.ChangeModel(1, RENEWALS + 1)
    story.happens(ev.ModelRenewed, renewal=RENEWALS + 1)
    assert gone(story).effects[0] == ef.RenewModel(RENEWALS + 2)


def test_the_caller_does_not_wait_for_a_session_and_for_another_model():
    waits = {
        others: next(
            e
            for e in gone(Story(dataclasses.replace(POLICY, other_models=others)).with_bot()).effects
            if isinstance(e, ef.StartTimer)
        ).seconds
        for others in (0, 1)
    }
    assert waits[1] < waits[0]
    story = gone(Story(OTHERS).with_bot()).happens(ev.TimerFired, timer=ef.Timer.RENEWAL, number=1)
    assert story.effects[0] == ef.ChangeModel(1, 2)


def test_a_change_is_made_once_and_only_while_the_bot_has_the_caller():
    story = Story().with_bot().happens(ev.ChangeAsked, change="spanish")
    assert story.effects == (ef.Adjust("spanish"),)
    assert story.happens(ev.ChangeAsked, change="spanish").effects == ()
    assert Story().ringing().happens(ev.ChangeAsked, change="spanish").call.change == ""
