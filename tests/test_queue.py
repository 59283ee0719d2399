"""The law of a caller who waits in a queue: who takes them, how the wait ends, and what comes then."""

from dataclasses import replace

import pytest
from calls import CALLER, POLICY, QUEUE, SID, Story

from bot import effects as ef, events as ev, queue_events as qe
from bot.briefing import for_returning_bot
from bot.call import Call, End, Outcome, Phase
from bot.events import ImpossibleEvent
from bot.law import standing_document
from bot.notices import notices
from bot.queue_rules import Leave
from bot.routing import Policy, allowed_numbers

ROBIN = "+442079460108"


def with_queue(**rules: object) -> Policy:
    support = replace(POLICY.targets["support"], queue=replace(QUEUE, **rules))  # type: ignore[arg-type]
    return replace(POLICY, targets={**POLICY.targets, "support": support})


def outcome(story: Story) -> Outcome | None:
    return story.call.attempts[0].outcome


def taken() -> Story:
    return Story().queued().happens(qe.TakenFromQueue, who=ROBIN)


# --- the way into the queue ----------------------------------------------------------------------------


def test_a_caller_is_redirected_into_the_queue_after_the_goodbye():
    story = Story().redirecting("support")
    assert story.documents == [ef.Enqueue(1)]
    assert story.call.attempts[0].number == "queue:support"
    story.happens(ev.StreamEnded, leg=1, stopped=True)
    assert story.call.phase is Phase.QUEUED
    [check] = story.effects
    assert isinstance(check, ef.StartTimer)
    assert check.seconds > QUEUE.max_wait
    assert standing_document(story.call) == ef.Enqueue(1)


def test_the_first_question_about_the_wait_proves_the_redirect():
    story = Story().redirecting("support").happens(qe.CallerWaits, attempt=1, position=3, seconds=0)
    assert (story.call.phase, story.call.stream_open) == (Phase.QUEUED, False)
    assert story.happens(ev.StreamEnded, leg=1, stopped=True).effects == ()
    assert story.happens(ev.RedirectAccepted).effects == ()
    assert story.happens(qe.CallerWaits, attempt=1, position=2, seconds=30).effects == ()


def test_a_queue_whose_redirect_fails_is_tried_again_by_the_rescue():
    story = Story(replace(POLICY, rescue=True)).redirecting("support")
    story.happens(ev.RedirectFailed, failure=ev.Failure.NOT_DONE, code=20003)
    assert outcome(story) is Outcome.FAILED
    story.happens(ev.RescueAsked, leg=1)
    assert story.documents == [ef.Enqueue(2)]
    assert story.call.phase is Phase.QUEUED


def test_a_queue_can_follow_people_whose_phones_are_rung():
    policy = with_queue()
    desk = replace(policy.targets["desk"], next="support")
    story = Story(replace(policy, targets={**policy.targets, "desk": desk}))
    story.ringing().ends(1, "busy").ends(2, "no-answer")
    assert story.documents == [ef.Enqueue(3)]
    assert story.call.phase is Phase.QUEUED


# --- somebody takes them -------------------------------------------------------------------------------


def test_who_takes_a_caller_has_them_until_one_of_the_two_hangs_up():
    story = taken()
    assert story.call.phase is Phase.PERSON
    attempt = story.call.attempts[0]
    assert (attempt.answered_by, attempt.accepted_at, attempt.bridged_at) == (ROBIN, story.at, story.at)
    story.at += 60
    story.left("bridged", seconds=30)
    assert (story.call.end, outcome(story), story.documents) == (End.PUT_THROUGH, Outcome.ANSWERED, [ef.HangUp()])
    assert (story.call.attempts[0].ended_by, story.call.attempts[0].short) == ("person", False)


def test_a_caller_who_hangs_up_on_a_person_ends_the_conversation():
    story = taken().left("bridged", caller_gone=True)
    assert (story.call.end, outcome(story)) == (End.PUT_THROUGH, Outcome.ANSWERED)
    assert (story.call.attempts[0].ended_by, story.call.attempts[0].short) == ("caller", True)


def test_people_of_a_workflow_are_known_by_the_end_of_their_conversation():
    story = Story().queued().left("bridged", seconds=20)
    assert (story.call.end, outcome(story)) == (End.PUT_THROUGH, Outcome.ANSWERED)


def test_a_conversation_of_which_nobody_told_us_is_one_although_the_call_s_end_comes_first():
    story = Story().queued().happens(ev.CallEnded)
    assert (story.call.end, outcome(story)) == (End.CALLER_HUNG_UP, Outcome.CALLER_GONE)
    story.left("bridged", caller_gone=True)
    assert (story.call.end, outcome(story)) == (End.PUT_THROUGH, Outcome.ANSWERED)


def test_a_caller_whose_person_hung_up_before_they_were_connected_waits_on():
    story = taken().happens(qe.CallerWaits, attempt=1, position=1, seconds=40)
    assert story.call.phase is Phase.QUEUED
    assert story.call.attempts[0].accepted_at is None
    assert story.left("leave").call.attempts[0].outcome is Outcome.NO_ANSWER


def test_whoever_takes_a_caller_is_told_their_page_where_the_target_sends_texts():
    support = replace(POLICY.targets["support"], sms=True)
    policy = replace(POLICY, targets={**POLICY.targets, "support": support})
    story = Story(policy).queued()
    assert not any(isinstance(effect, ef.TextPerson) for effect in story.all_effects)
    story.happens(qe.TakenFromQueue, who=ROBIN)
    assert ef.TextPerson(1) in story.effects


# --- nobody does ---------------------------------------------------------------------------------------

ENDS: dict[str, tuple[str, Outcome]] = {
    "nobody within the time": ("leave", Outcome.NO_ANSWER),
    "a full queue": ("queue-full", Outcome.BUSY),
    "a fault of Twilio's": ("system-error", Outcome.FAILED),
    "a document that cannot be had": ("error", Outcome.FAILED),
    "a result that nobody knows": ("lost", Outcome.FAILED),
}


@pytest.mark.parametrize(("result", "expected"), ENDS.values(), ids=ENDS)
def test_a_wait_in_vain_leads_back_to_the_bot_and_then_to_the_recorder(result: str, expected: Outcome):
    story = Story().queued().left(result)
    assert (outcome(story), story.documents, story.call.phase) == (expected, [ef.ConnectBot(2)], Phase.CONNECTING)
    told = for_returning_bot(story.call, POLICY)
    assert told is not None
    assert "nobody took the call" in told
    assert story.left(result).effects == (), "a retried webhook"
    story.with_bot().asks("support").happens(ev.GoodbyeHeard, handoff=2).happens(ev.StreamEnded, leg=2, stopped=True)
    story.happens(qe.QueueLeft, attempt=2, result=result)
    assert story.documents == [ef.TakeMessage()]


def test_a_wait_in_vain_leads_to_the_next_target():
    policy = with_queue()
    support = replace(policy.targets["support"], next="desk")
    story = Story(replace(policy, targets={**policy.targets, "support": support})).queued().left("leave")
    assert story.documents == [ef.DialPerson(2)]
    assert story.call.phase is Phase.RINGING


@pytest.mark.parametrize("result", ["hangup", "leave", "system-error"])
def test_a_caller_who_hangs_up_in_the_queue_ends_the_call(result: str):
    story = Story().queued().left(result, caller_gone=True)
    assert (story.call.end, outcome(story)) == (End.CALLER_HUNG_UP, Outcome.CALLER_GONE)
    assert story.happens(ev.CallEnded).effects == ()


@pytest.mark.parametrize("result", ["redirected", "redirected-from-bridged", "bridging-in-process"])
def test_a_caller_whom_another_order_moves_is_not_given_to_anybody_else(result: str):
    story = Story().queued().left(result)
    assert (story.effects, outcome(story), story.call.phase) == ((), None, Phase.QUEUED)
    assert standing_document(story.call) == ef.Enqueue(1), "and should Twilio take our answer, they wait on"
    story.happens(qe.TakenFromQueue).left(result)
    assert standing_document(story.call) == ef.Enqueue(1), "nor are they hung up on"
    assert story.left("bridged").call.end is End.PUT_THROUGH


# --- the caller does not want to wait ------------------------------------------------------------------

LEAVES = {Leave.VOICEMAIL: ef.TakeMessage(), Leave.CALLBACK: ef.ConnectBot(2), Leave.BOT: ef.ConnectBot(2)}


@pytest.mark.parametrize(("leave", "document"), LEAVES.items())
def test_the_key_leads_to_what_the_operator_offers(leave: Leave, document: ef.Document):
    story = Story(with_queue(leave=leave)).queued().happens(qe.WaitGivenUp, attempt=1)
    assert (story.effects, story.call.phase) == ((), Phase.QUEUED), "Twilio asks what comes next"
    story.left("leave", seconds=20)
    assert (outcome(story), story.documents) == (Outcome.GAVE_UP, [document])
    assert story.call.nobody == 0
    told = for_returning_bot(story.call, story.policy)
    if leave is not Leave.VOICEMAIL:
        assert told is not None
        assert ("schedule_callback" in told.partition("They want to be called back")[2]) is (leave is Leave.CALLBACK)


def test_a_person_who_is_faster_than_the_key_has_the_caller():
    story = Story().queued().happens(qe.WaitGivenUp, attempt=1).happens(qe.TakenFromQueue, who=ROBIN).left("bridged")
    assert (story.call.end, outcome(story)) == (End.PUT_THROUGH, Outcome.ANSWERED)


# --- what cannot be, and what is told ------------------------------------------------------------------


def test_facts_of_a_queue_do_not_fit_a_telephone():
    story = Story().ringing()
    for fact in (qe.QueueLeft(at=1, attempt=1, result="leave"), qe.WaitGivenUp(at=1, attempt=1)):
        with pytest.raises(ImpossibleEvent):
            story.happens(type(fact), **{k: getattr(fact, k) for k in fact.__slots__ if k != "at"})
    assert story.happens(qe.TakenFromQueue).effects == ()


def test_the_operator_s_systems_are_told_who_waits_and_with_whose_page():
    story = Story().redirecting("support")
    [queued] = [n for n in notices(Call(SID, CALLER, "", 0.0), story.call, lambda n: f"page {n}") if "queued" in n.type]
    assert (queued.type, queued.data["page"], queued.data["number"]) == ("handoff.queued", "page 1", "queue:support")
    before = story.happens(qe.CallerWaits, attempt=1, position=1, seconds=0).call
    after = story.happens(qe.TakenFromQueue, who=ROBIN).call
    assert [n.type for n in notices(before, after)] == ["handoff.answered", "handoff.accepted", "handoff.bridged"]


def test_nobody_is_dialled_but_the_people_of_the_policy():
    assert ROBIN in allowed_numbers(POLICY)
