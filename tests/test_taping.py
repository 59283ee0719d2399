"""The law of recordings: they begin and end with who has the caller, and nothing about them moves a caller."""

from dataclasses import replace

import pytest
from calls import POLICY, RECORDING, RESCUED, Story

from bot import effects as ef, events as ev, queue_events as qe, recording_events as rec
from bot.call import Call, Phase
from bot.events import Failure, ImpossibleEvent
from bot.notices import notices
from bot.recorded import Part, Recording, RecordingRules
from bot.routing import Policy

BOT = replace(POLICY, recording=RecordingRules(bot=True, announcement="This call is recorded."))
PERSON = replace(POLICY, recording=RecordingRules(person=True, announcement="This call is recorded."))
BOTH = replace(POLICY, recording=RecordingRules(bot=True, person=True, announcement="This call is recorded."))
OTHER = RECORDING.replace("2b", "3c")


def orders(story: Story) -> list[ef.Effect]:
    """The orders to record or to stop that the last fact led to."""
    return [effect for effect in story.effects if isinstance(effect, ef.StartRecording | ef.StopRecording)]


def recorded(policy: Policy = BOT) -> Story:
    """The bot has the caller, and Twilio has taken the order."""
    return Story(policy).with_bot().happens(rec.RecordingBegan, recording=1, url=RECORDING)


@pytest.mark.parametrize("policy", [POLICY, PERSON])
def test_the_bot_is_not_recorded_where_nobody_wants_that(policy: Policy):
    story = Story(policy).redirecting()
    assert not [each for each in story.all_effects if isinstance(each, ef.StartRecording | ef.StopRecording)]


@pytest.mark.parametrize("policy", [BOT, BOTH])
def test_the_bot_s_part_begins_with_the_stream_and_ends_with_the_order_that_moves_the_caller(policy: Policy):
    story = Story(policy).with_bot()
    assert orders(story) == [ef.StartRecording(1)]
    story.happens(rec.RecordingBegan, recording=1, url=RECORDING)
    assert story.call.recordings == (Recording(Part.BOT, 1001.0, leg=1, url=RECORDING, began_at=1002.0),)
    story.asks()
    assert orders(story) == []
    story.happens(ev.GoodbyeHeard, handoff=1)
    assert orders(story) == [ef.StopRecording(1)]
    assert story.documents == [ef.DialPerson(1)]
    story.happens(ev.StreamEnded, leg=1, stopped=True).happens(ev.PersonAnswered, attempt=1)
    assert orders(story) == []


def test_a_caller_who_is_back_is_recorded_anew():
    story = recorded().asks().happens(ev.GoodbyeHeard, handoff=1).happens(ev.StreamEnded, leg=1, stopped=True)
    story.ends(1, "busy").ends(2, "busy")
    assert story.call.phase is Phase.CONNECTING
    assert orders(story) == []
    story.with_bot()
    assert orders(story) == [ef.StartRecording(2)]
    assert [each.leg for each in story.call.recordings] == [1, 2]


@pytest.mark.parametrize("policy", [BOT, replace(RESCUED, recording=BOT.recording)])
def test_it_ends_when_the_stream_is_lost(policy: Policy):
    story = recorded(policy).happens(ev.StreamEnded, leg=1, stopped=False)
    assert orders(story) == [ef.StopRecording(1)]


def test_it_ends_by_itself_with_the_call():
    story = recorded().happens(ev.StreamEnded, leg=1, stopped=True)
    assert story.call.phase is Phase.ENDED
    assert orders(story) == []
    story = recorded().happens(ev.FarewellRequested).happens(ev.FarewellHeard, farewell=1)
    assert story.call.phase is Phase.CLOSING
    assert orders(story) == []


def test_it_goes_on_while_people_are_called_and_ends_before_the_caller_meets_one():
    story = recorded(BOTH).asks("doctor").called(1).accepts(1)
    assert story.call.phase is Phase.LEAVING
    assert orders(story) == []
    story.happens(ev.GoodbyeHeard, handoff=1)
    assert orders(story) == [ef.StopRecording(1)]
    assert story.documents == [ef.MeetPerson(1)]


@pytest.mark.parametrize("failure", [Failure.NOT_DONE, Failure.GONE])
def test_a_recording_that_was_refused_is_not_stopped_and_the_call_goes_on(failure: Failure):
    story = Story(BOT).with_bot().happens(rec.RecordingNotBegan, recording=1, failure=failure, code=21220)
    assert story.call.recordings[0].failed
    assert (story.call.phase, story.effects) == (Phase.BOT, ())
    story.asks().happens(ev.GoodbyeHeard, handoff=1)
    assert orders(story) == []


def test_one_of_which_nobody_knows_whether_it_runs_is_told_to_end_all_the_same():
    story = Story(BOT).with_bot().happens(rec.RecordingNotBegan, recording=1, failure=Failure.UNKNOWN)
    story.asks().happens(ev.GoodbyeHeard, handoff=1)
    assert orders(story) == [ef.StopRecording(1)]


def test_one_that_is_known_by_name_only_when_the_caller_has_left_is_stopped_by_that_name():
    story = Story(BOT).redirecting()
    story.happens(rec.RecordingBegan, recording=1, url=RECORDING)
    assert orders(story) == [ef.StopRecording(1)]
    assert orders(story.happens(rec.RecordingBegan, recording=1, url=RECORDING)) == []


def test_a_screened_person_is_recorded_from_their_yes_on_and_not_in_the_whisper():
    story = Story(PERSON).ringing("billing").happens(ev.PersonAnswered, attempt=1)
    assert orders(story) == []
    story.happens(ev.PersonAccepted, attempt=1)
    assert orders(story) == [ef.StartRecording(1)]
    assert story.call.recordings[0].attempt == 1
    assert orders(story.ends(1, "completed", bridged=True)) == []


def test_callers_who_wait_in_a_queue_are_recorded_when_somebody_takes_them_and_not_in_the_wait():
    story = Story(PERSON).queued().happens(qe.TakenFromQueue, who="+442079460108")
    assert story.call.phase is Phase.PERSON
    assert orders(story) == [ef.StartRecording(1)]
    story.happens(rec.RecordingBegan, recording=1, url=RECORDING)
    story.happens(qe.CallerWaits, attempt=1, position=1, seconds=5)  # whoever it was has hung up
    assert (story.call.phase, orders(story)) == (Phase.QUEUED, [ef.StopRecording(1)])
    story.happens(qe.TakenFromQueue, who="+442079460108")
    assert orders(story) == [ef.StartRecording(2)]


def test_the_documents_themselves_record_those_who_are_dialled_or_met_in_a_conference():
    story = Story(PERSON).with_person()
    assert orders(story) == []
    story = Story(PERSON).seeking().accepts(1).happens(ev.GoodbyeHeard, handoff=1)
    story.happens(ev.StreamEnded, leg=1, stopped=True).happens(ev.Bridged, attempt=1)
    assert orders(story) == []
    story = Story(PERSON).with_bot().happens(ev.StreamEnded, leg=1, stopped=False).happens(ev.PersonAnswered, attempt=0)
    assert orders(story) == []


def ready(story: Story, seconds: int, **facts: object) -> Call:
    """The call after a recording of it is ready."""
    facts = {"part": Part.BOT, "url": RECORDING, "began_at": 1001.0, "recording": 1} | facts
    return story.happens(rec.RecordingReady, seconds=seconds, **facts).call


def test_it_is_told_when_it_can_be_heard_also_when_the_call_is_over():
    story = recorded().happens(ev.StreamEnded, leg=1, stopped=True)
    before = story.call
    [recording] = ready(story, 2).recordings
    assert (recording.seconds, recording.ready, recording.overran) == (2, True, False)
    assert recording.began_at == 1002.0, "the order's answer is more exact than Twilio's whole seconds"
    [notice] = notices(before, story.call)
    assert (notice.type, notice.data["part"], notice.data["url"]) == ("recording.ready", "bot", RECORDING)
    assert ready(story, 2) is story.call
    assert notices(before, before) == ()


@pytest.mark.parametrize(("seconds", "overran"), [(2, False), (9, True)])
def test_one_that_ran_on_when_the_caller_had_left_the_bot_is_known_by_its_length(seconds: int, overran: bool):
    story = recorded().asks().happens(ev.GoodbyeHeard, handoff=1)  # after two seconds
    assert ready(story, seconds).recordings[0].overran is overran


def test_what_a_document_recorded_is_known_when_it_is_ready():
    story = Story(BOTH).with_person()
    person = {"part": Part.PERSON, "recording": 0, "attempt": 1, "url": OTHER, "began_at": 1007.0}
    call = ready(story, 5, **person)
    assert [each.part for each in call.recordings] == [Part.BOT, Part.PERSON]
    assert call.recordings[1] == Recording(Part.PERSON, story.at, attempt=1, url=OTHER, began_at=1007.0, seconds=5)
    assert ready(story, 5, **person) is call


def test_a_process_that_knows_nothing_of_the_order_keeps_what_came_of_it():
    assert len(ready(Story(BOT), 5, recording=3).recordings) == 1


@pytest.mark.parametrize("recording", [0, 2])
def test_an_answer_about_a_recording_that_there_is_not_is_refused(recording: int):
    with pytest.raises(ImpossibleEvent):
        recorded().happens(rec.RecordingStopped, recording=recording)
