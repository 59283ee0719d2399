"""The law of a supervisor who talks with the caller in the bot's place: every way in and every way out."""

from dataclasses import replace

import pytest
from calls import POLICY, RESCUED, Story, call_in

from bot import briefing, effects as ef, events as ev, person_events as pe
from bot.call import By, End, Outcome, Phase
from bot.events import ImpossibleEvent
from bot.law import step
from bot.recorded import Part, RecordingRules
from bot.routing import Policy


def joined(policy: Policy = POLICY) -> Story:
    return Story(policy).with_bot().happens(pe.SupervisorJoined, who="Anna")


def test_the_bot_leaves_the_stream_to_them():
    story = joined()
    assert (story.call.phase, story.effects) == (Phase.JOINED, (ef.GiveWay(),))
    [join] = story.call.joins
    assert (join.who, join.at, join.leg, join.until) == ("Anna", story.at, 1, None)


def test_when_they_leave_the_bot_has_the_caller_and_knows_of_them():
    story = joined().happens(pe.SupervisorLeft, join=1)
    assert (story.call.phase, story.effects) == (Phase.BOT, (ef.GiveWay(),))
    assert story.call.joins[0].until == story.at
    assert "colleague" in (briefing.for_returning_bot(story.call, POLICY) or "")


def test_a_second_supervisor_comes_too_late():
    story = joined()
    assert story.happens(pe.SupervisorJoined, who="Ben").effects == ()
    assert [join.who for join in story.call.joins] == ["Anna"]


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase not in (Phase.BOT, Phase.SEEKING, Phase.PARTING)])
def test_nobody_joins_a_call_that_the_bot_does_not_have(phase: Phase):
    call = call_in(phase)
    assert step(call, pe.SupervisorJoined(at=2000.0, who="Ben"), POLICY) == (call, ())


def test_who_is_being_called_for_the_caller_is_let_go_of():
    story = Story().seeking().happens(pe.SupervisorJoined, who="Anna")
    assert story.call.phase is Phase.JOINED
    assert story.call.attempts[0].outcome is Outcome.SUPERSEDED
    assert ef.ReleasePerson(1) in story.effects


def test_a_caller_who_hangs_up_has_been_with_a_person():
    for ends in (lambda s: s.happens(ev.StreamEnded, leg=1, stopped=True), lambda s: s.happens(ev.CallEnded)):
        call = ends(joined()).call
        assert (call.phase, call.end) == (Phase.ENDED, End.PUT_THROUGH)
        assert call.joins[0].until == call.ended_at


def test_a_line_that_is_lost_is_lost_as_with_the_bot():
    assert joined().happens(ev.StreamEnded, leg=1, stopped=False).call.phase is Phase.FAILSAFE
    story = joined(RESCUED).happens(ev.StreamEnded, leg=1, stopped=False)
    assert (story.call.phase, story.call.joins[0].until) == (Phase.RESCUE, story.at)
    story.happens(ev.RescueAsked, leg=1)
    assert story.documents == [ef.ConnectBot(2)]
    assert briefing.TALKED_WITH_COLLEAGUE in (briefing.for_returning_bot(story.call, RESCUED) or "")


def test_a_caller_they_put_through_goes_when_their_own_words_were_heard():
    story = joined().happens(ev.HandoffRequested, target="desk", by=By.CONSOLE, who="Anna")
    assert (story.call.phase, story.call.joins[0].until) == (Phase.LEAVING, story.at)
    assert ef.SayGoodbye(1) in story.effects
    assert story.happens(ev.GoodbyeHeard, handoff=1).documents == [ef.DialPerson(1)]
    assert story.happens(pe.SupervisorLeft, join=1).effects == ()  # their page goes last


def test_where_the_bot_keeps_the_caller_meanwhile_it_has_its_place_back():
    story = joined().happens(ev.HandoffRequested, target="doctor", by=By.CONSOLE, who="Anna")
    assert story.call.phase is Phase.SEEKING
    assert {ef.GiveWay(), ef.CallPerson(1)} <= set(story.effects)
    assert "being called" in (briefing.for_returning_bot(story.call, POLICY) or "")


def test_what_a_bot_asked_for_that_has_left_is_too_late():
    story = joined()
    before = story.call
    for kind, facts in [
        (ev.HandoffRequested, {"target": "desk"}),
        (ev.FarewellRequested, {}),
        (ev.ModelLost, {"reason": "gone"}),
        (ev.KeyPressed, {"digit": "0"}),
        (ev.LineSilent, {}),
        (ev.CallerSaid, {"text": "a person"}),
    ]:
        assert story.happens(kind, **facts).effects == ()
        assert story.call == before


def test_they_hang_up_with_their_own_goodbye():
    story = joined().happens(ev.FarewellRequested, who="Anna")
    assert ef.SayFarewell(1, prompted=True) in story.effects
    story.happens(ev.FarewellHeard, farewell=1)
    assert ef.HangUp() in story.effects
    assert story.happens(ev.StreamEnded, leg=1, stopped=True).call.end is End.BOT_HUNG_UP


def test_a_target_that_is_closed_leaves_the_caller_with_them():
    class Never:
        def open_at(self, at: float) -> bool:
            return False

        def next_opening(self, at: float) -> str:
            return ""

    desk = replace(POLICY.targets["desk"], hours=Never())  # type: ignore[arg-type]
    story = joined(replace(POLICY, targets={**POLICY.targets, "desk": desk}))
    story.happens(ev.HandoffRequested, target="desk", by=By.CONSOLE, who="Anna")
    assert (story.call.phase, story.effects, story.call.handoffs[0].closed) == (Phase.JOINED, (), True)


def test_the_longest_time_with_the_bot_waits_until_they_have_left():
    story = joined().happens(ev.TimerFired, timer=ef.Timer.LIMIT, number=1)
    assert story.call.phase is Phase.JOINED
    [again] = story.effects
    assert isinstance(again, ef.StartTimer)
    story.happens(pe.SupervisorLeft, join=1).happens(ev.TimerFired, timer=ef.Timer.LIMIT, number=1)
    assert story.call.phase is Phase.LEAVING


def test_a_renewal_of_the_model_that_left_is_of_no_interest():
    story = Story().with_bot().happens(ev.ModelLost, reason="gone").happens(pe.SupervisorJoined, who="Anna")
    story.happens(pe.SupervisorLeft, join=1)
    assert not story.call.renewing
    assert story.happens(ev.ModelLost, reason="gone").effects[0] == ef.RenewModel(2)


def test_who_leaves_without_having_joined_is_a_contradiction():
    with pytest.raises(ImpossibleEvent):
        joined().happens(pe.SupervisorLeft, join=2)


def test_the_earlier_of_two_stretches_ends_nothing():
    story = joined().happens(pe.SupervisorLeft, join=1).happens(pe.SupervisorJoined, who="Ben")
    assert story.happens(pe.SupervisorLeft, join=1).call.phase is Phase.JOINED
    assert story.happens(pe.SupervisorLeft, join=2).call.phase is Phase.BOT


@pytest.mark.parametrize(
    ("rules", "parts"),
    [
        (RecordingRules(bot=True), [Part.BOT, Part.BOT]),
        (RecordingRules(person=True), [Part.PERSON]),
        (RecordingRules(bot=True, person=True), [Part.BOT, Part.PERSON, Part.BOT]),
    ],
)
def test_what_they_say_is_recorded_where_people_are(rules: RecordingRules, parts: list[Part]):
    story = joined(replace(POLICY, recording=rules)).happens(pe.SupervisorLeft, join=1)
    assert [each.part for each in story.call.recordings] == parts
    assert [each.left_at is None for each in story.call.recordings[:-1]] == [False] * (len(parts) - 1)
    begun = [effect.recording for effect in story.all_effects if isinstance(effect, ef.StartRecording)]
    assert begun == list(range(1, len(parts) + 1))
    story.happens(ev.HandoffRequested, target="desk")
    assert len(story.call.recordings) == len(parts)


@pytest.mark.parametrize("by", [By.MODEL, By.KEY, By.PHRASE, By.ANGER, By.UNCLEAR, By.TOOLS, By.SILENCE, By.WATCH])
def test_a_search_for_people_that_began_with_the_bot_takes_the_caller_from_nobody(by: By):
    story = joined()
    before = story.call
    assert story.happens(ev.HandoffRequested, target="desk", by=by).effects == ()
    assert story.call == before
