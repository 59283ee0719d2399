"""Who is tried, and in which order."""

from dataclasses import dataclass, replace

import pytest
from calls import POLICY, Story

from bot import effects as ef, events as ev
from bot.call import By, Outcome, Phase
from bot.routing import Endpoint, Mode, Order, Policy, Target, route


@dataclass(frozen=True)
class Until:
    """Open before some time. See `bot.opening.Opening`."""

    end: float

    def open_at(self, at: float) -> bool:
        return at < self.end

    def next_opening(self, at: float) -> str | None:
        return "on Monday at 09:00"

    def opens_at(self, at: float) -> float | None:
        return at if self.open_at(at) else None


def people(*names: str, **what: tuple[str, ...]) -> tuple[Endpoint, ...]:
    return tuple(Endpoint(f"client:{name}", 20, languages=what.get(name, ())) for name in names)


def with_targets(**targets: Target) -> Policy:
    return replace(POLICY, targets={**POLICY.targets, **targets})


def tried(policy: Policy, key: str, at: float = 0.0, **facts: object) -> list[str]:
    return [stop.addresses.replace("client:", "") for stop in route(policy, key, at, **facts)]  # type: ignore[arg-type]


def test_people_are_tried_as_they_are_written_down():
    policy = with_targets(a=Target("a", "", people("x", "y", "z")))
    assert tried(policy, "a") == ["x", "y", "z"]


def test_all_at_once_is_one_attempt():
    policy = with_targets(a=Target("a", "", people("x", "y"), order=Order.ALL))
    assert tried(policy, "a") == ["x,y"]


def test_who_takes_turns_gets_an_equal_share():
    policy = with_targets(a=Target("a", "", people("x", "y", "z"), order=Order.ROUND_ROBIN))
    first = [tried(policy, "a", turn=f"CA{n:032x}")[0] for n in range(900)]
    assert all(250 < first.count(name) < 350 for name in "xyz")
    assert sorted(tried(policy, "a", turn="CA1")) == ["x", "y", "z"], "and everybody is tried"
    assert tried(policy, "a", turn="CA1") == tried(policy, "a", turn="CA1"), "in the same order, whoever asks"


def test_who_speaks_the_caller_s_language_is_tried_first_and_the_others_after_them():
    policy = with_targets(a=Target("a", "", people("x", "y", "z", y=("es",), z=("es", "fr"))))
    assert tried(policy, "a", wants=("es",)) == ["y", "z", "x"]
    assert tried(policy, "a", wants=("fr", "es")) == ["z", "y", "x"]
    assert tried(policy, "a", wants=("nonsense", "")) == ["x", "y", "z"]


def test_after_the_people_of_a_target_come_those_of_the_next_and_no_circle_is_endless():
    policy = with_targets(
        a=Target("a", "", people("x"), next="b"),
        b=Target("b", "", people("y"), hours=Until(100.0), next="c"),
        c=Target("c", "", people("z"), next="a"),
    )
    assert tried(policy, "a", 50.0) == ["x", "y", "z"]
    assert tried(policy, "a", 200.0) == ["x", "z"]
    assert tried(policy, "b", 200.0, at_any_hour=True) == ["y", "z", "x"]


CLOSED = with_targets(a=Target("a", "", people("x"), hours=Until(0.0), closed_line="We open on Monday."))


def test_nobody_is_rung_where_everybody_has_gone_home_and_the_bot_says_so():
    story = Story(CLOSED).with_bot().asks("a")
    [told] = story.effects
    assert isinstance(told, ef.ListenAgain)
    assert "We open on Monday." in told.advice
    assert "on Monday at 09:00" in told.advice
    assert (story.call.phase, story.call.handoffs[-1].closed, story.call.attempts) == (Phase.BOT, True, ())


def test_a_bot_that_asks_for_closed_people_again_and_again_ends_at_the_recorder():
    story = Story(CLOSED).with_bot()
    for _ in range(CLOSED.max_hops):
        assert story.asks("a").call.phase is Phase.BOT
    assert story.asks("a").call.phase is Phase.LEAVING
    assert story.happens(ev.GoodbyeHeard, handoff=7).documents == [ef.TakeMessage()]


def test_whoever_must_take_a_caller_takes_them_at_any_hour():
    policy = replace(CLOSED, failsafe="a")
    story = Story(policy).with_bot().happens(ev.ModelLost, reason="gone", for_good=True)
    assert story.documents == [ef.DialPerson(1)]
    assert story.call.handoffs[-1].by is By.WATCH


def test_a_supervisor_who_takes_over_is_there_whatever_the_hour():
    story = Story(CLOSED).with_bot().happens(ev.HandoffRequested, target="a", by=By.TAKE_OVER, who="Anna")
    assert story.call.phase is Phase.LEAVING
    assert story.happens(ev.GoodbyeHeard, handoff=1).documents == [ef.DialPerson(1)]


def test_the_hour_at_which_a_hand_off_was_asked_for_counts():
    policy = with_targets(a=Target("a", "", people("x", "y"), hours=Until(1003.5)))
    story = Story(policy).with_bot().asks("a")
    assert story.at == 1002.0
    story.at = 5000.0
    story.happens(ev.GoodbyeHeard, handoff=1).happens(ev.RedirectAccepted).ends(1, "busy")
    assert story.documents == [ef.DialPerson(2)], "who was put through before closing time is put through"


def test_the_next_target_s_people_are_rung_without_going_back_to_the_bot():
    policy = with_targets(a=Target("a", "", people("x"), next="desk"))
    story = Story(policy).ringing("a").ends(1, "no-answer")
    assert story.documents == [ef.DialPerson(2)]
    assert story.call.attempts[-1].target == "desk"


def test_attended_people_are_followed_by_people_who_are_dialled():
    policy = with_targets(a=Target("a", "", people("x"), mode=Mode.ATTENDED, next="desk"))
    story = Story(policy).seeking("a").leg_ends(1, "busy")
    assert story.call.phase is Phase.LEAVING
    assert ef.SayGoodbye(1) in story.effects
    story.happens(ev.GoodbyeHeard, handoff=1)
    assert story.documents == [ef.DialPerson(2)]
    assert [attempt.outcome for attempt in story.call.attempts] == [Outcome.BUSY, None]


def test_the_longest_route_is_walked_once():
    policy = with_targets(a=Target("a", "", people("x"), mode=Mode.ATTENDED, next="doctor"))
    story = Story(policy).seeking("a")
    for n in range(1, 4):
        story.leg_ends(n, "busy")
    assert story.call.phase is Phase.BOT
    assert [attempt.target for attempt in story.call.attempts] == ["a", "doctor", "doctor"]


@pytest.mark.parametrize("mode", [Mode.SCREENED, Mode.ATTENDED])
def test_a_person_who_is_rung_by_a_dial_has_to_press_the_key(mode: Mode):
    policy = with_targets(a=Target("a", "", people("x"), mode=mode))
    story = Story(policy).with_bot()
    story.happens(ev.ModelLost, reason="gone", for_good=True)
    first = replace(story.call.attempts[0], target="a")
    story.call = replace(story.call, attempts=(first,))
    assert story.happens(ev.PersonAnswered, attempt=1).call.phase is not Phase.PERSON
    assert story.happens(ev.PersonAccepted, attempt=1).call.phase is Phase.PERSON


def test_a_machine_that_answers_a_dial_is_one_in_the_record():
    story = Story().ringing("billing").happens(ev.PersonAnswered, attempt=1, machine=True)
    story.ends(1, "completed")
    assert story.call.attempts[0].outcome is Outcome.MACHINE
