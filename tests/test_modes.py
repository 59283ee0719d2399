"""Each mode × what the person does × when the caller leaves, or that they stay: as the law decides it.

A behaviour is the facts that Twilio tells of it, in order. For a caller who stays they are told to their end, number
after number. For one who leaves they are cut short after each fact; what Twilio tells later comes all the same.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest
from calls import POLICY, Story

from bot import effects as ef, events as ev, person_events as pe
from bot.call import End, Outcome, Phase
from bot.effects import Effect
from bot.law import standing_document
from bot.routing import Endpoint, Mode, Target

Fact = Callable[[Story, int], object]

CONFERENCE = f"CF{1:032x}"

PEOPLE = (Endpoint("+442079460104", 20), Endpoint("+442079460105", 20))
SAME = replace(
    POLICY, targets={**POLICY.targets, **{mode.value: Target(mode.value, "", PEOPLE, mode=mode) for mode in Mode}}
)
"""The same two people in every mode."""

ASKED = tuple(mode for mode in Mode if mode is not Mode.DIAL)
"""The modes in which nobody has the caller who was not asked."""


@dataclass(frozen=True)
class Behaviour:
    """What somebody does, mode by mode, and how the attempt is named then."""

    facts: dict[Mode, tuple[Fact, ...]]
    outcome: Outcome
    takes: bool = False
    """Whether they take the call."""


def rings(s: Story, n: int) -> Story:
    return s.happens(ev.PersonRinging, attempt=n)


def picks_up(s: Story, n: int) -> Story:
    return s.happens(ev.PersonAnswered, attempt=n)


def machine(s: Story, n: int) -> Story:
    return s.happens(ev.PersonAnswered, attempt=n, machine=True)


def talks(s: Story, n: int) -> Story:
    """With the bot, before they decide."""
    return s.happens(pe.ConsultationStarted, attempt=n)


def accepts(s: Story, n: int) -> Story:
    return s.happens(ev.PersonAccepted, attempt=n)


def declines(s: Story, n: int) -> Story:
    return s.happens(ev.PersonDeclined, attempt=n)


def heard(s: Story, n: int) -> Story:
    return s.happens(ev.GoodbyeHeard, handoff=s.call.attempts[n - 1].handoff)


def moved(s: Story, n: int) -> Story:
    return s.happens(ev.StreamEnded, leg=s.call.leg, stopped=True)


def together(s: Story, n: int) -> Story:
    return s.happens(ev.Bridged, attempt=n, conference=CONFERENCE)


def introduced(s: Story, n: int) -> Story:
    return s.happens(pe.IntroductionEnded, attempt=n, said=True)


def leg(status: str) -> Fact:
    return lambda s, n: s.leg_ends(n, status)


def dial(status: str, *, bridged: bool = False) -> Fact:
    return lambda s, n: s.ends(n, status, bridged=bridged)


def in_dial(*before: Fact, status: str, bridged: bool = False) -> tuple[Fact, ...]:
    """The facts of a person whom a `<Dial>` rings: their own leg's end, then the Dial's."""
    return (rings, *before, leg(status), dial(status, bridged=bridged))


TALKED = (heard, moved, together, leg("completed"), dial("answered"))

BEHAVIOURS = {
    "takes the call": Behaviour(
        {
            Mode.DIAL: in_dial(picks_up, status="completed", bridged=True),
            Mode.SCREENED: in_dial(picks_up, accepts, status="completed", bridged=True),
            Mode.ATTENDED: (rings, picks_up, accepts, *TALKED),
        },
        Outcome.ANSWERED,
        takes=True,
    ),
    "presses the key twice": Behaviour(
        {
            Mode.SCREENED: in_dial(picks_up, accepts, accepts, status="completed", bridged=True),
            Mode.ATTENDED: (rings, picks_up, accepts, accepts, *TALKED),
        },
        Outcome.ANSWERED,
        takes=True,
    ),
    "takes the call, and then thinks better of it": Behaviour(
        {
            Mode.SCREENED: in_dial(picks_up, accepts, declines, status="completed", bridged=True),
            Mode.ATTENDED: (rings, picks_up, accepts, declines, *TALKED),
        },
        Outcome.ANSWERED,
        takes=True,
    ),
    "declines": Behaviour(
        {
            Mode.SCREENED: in_dial(picks_up, declines, status="completed"),
            Mode.ATTENDED: (rings, picks_up, declines, leg("completed")),
        },
        Outcome.DECLINED,
    ),
    "presses the red button": Behaviour(
        {
            Mode.DIAL: in_dial(status="busy"),
            Mode.SCREENED: in_dial(status="busy"),
            Mode.ATTENDED: (rings, leg("busy")),
        },
        Outcome.BUSY,
    ),
    "is busy": Behaviour(
        {
            Mode.DIAL: (leg("busy"), dial("busy")),
            Mode.SCREENED: (leg("busy"), dial("busy")),
            Mode.ATTENDED: (leg("busy"),),
        },
        Outcome.BUSY,
    ),
    "does not answer": Behaviour(
        {
            Mode.DIAL: in_dial(status="no-answer"),
            Mode.SCREENED: in_dial(status="no-answer"),
            Mode.ATTENDED: (rings, leg("no-answer")),
        },
        Outcome.NO_ANSWER,
    ),
    "cannot be reached": Behaviour(
        {
            Mode.DIAL: (leg("failed"), dial("failed")),
            Mode.SCREENED: (leg("failed"), dial("failed")),
            Mode.ATTENDED: (leg("failed"),),
        },
        Outcome.FAILED,
    ),
    "is a machine": Behaviour(
        {
            Mode.SCREENED: in_dial(picks_up, machine, status="completed"),
            Mode.ATTENDED: (rings, machine, leg("completed")),
        },
        Outcome.MACHINE,
    ),
    "is a machine that nobody listens for": Behaviour(
        {
            Mode.SCREENED: in_dial(picks_up, status="completed"),
            Mode.ATTENDED: (rings, picks_up, leg("completed")),
        },
        Outcome.NO_ANSWER,
    ),
    "presses another key, or hangs up in the whisper": Behaviour(
        {
            Mode.SCREENED: in_dial(picks_up, status="completed"),
            Mode.ATTENDED: (rings, picks_up, leg("completed")),
        },
        Outcome.NO_ANSWER,
    ),
    "takes the call and hangs up before the caller is there": Behaviour(
        {
            Mode.SCREENED: in_dial(picks_up, accepts, status="completed"),
            Mode.ATTENDED: (rings, picks_up, accepts, leg("completed")),
        },
        Outcome.LEFT,
    ),
    "answers late": Behaviour(
        {
            Mode.DIAL: (*in_dial(status="no-answer"), picks_up),
            Mode.SCREENED: (*in_dial(status="no-answer"), picks_up, accepts),
            Mode.ATTENDED: (
                rings,
                lambda s, n: s.happens(ev.TimerFired, timer=ef.Timer.PERSON, number=n),
                picks_up,
                accepts,
            ),
        },
        Outcome.NO_ANSWER,
    ),
}

for behaviour in BEHAVIOURS.values():
    if Mode.ATTENDED in behaviour.facts:
        facts = behaviour.facts[Mode.ATTENDED]
        met = facts.index(together) + 1 if together in facts else len(facts)
        picked = facts.index(picks_up) + 1 if facts[:2] == (rings, picks_up) else 0
        behaviour.facts[Mode.CONSULT] = (*facts[:picked], *([talks] if picked else []), *facts[picked:])
        behaviour.facts[Mode.INTRODUCE] = (*facts[:met], *([introduced] if behaviour.takes else []), *facts[met:])

TABLE = [(mode, name) for name, behaviour in BEHAVIOURS.items() for mode in behaviour.facts]
IN_VAIN = [(mode, name) for mode, name in TABLE if not BEHAVIOURS[name].takes]


def begun(mode: Mode) -> Story:
    """The hand-off is agreed, and the first person is about to be rung."""
    story = Story(SAME).leaving(mode.value)
    if mode.bot_stays:
        return story.happens(ev.PersonCalled, attempt=1, leg_sid=f"CA{1:032x}")
    return heard_and_moved(story)


def heard_and_moved(story: Story) -> Story:
    story.happens(ev.GoodbyeHeard, handoff=len(story.call.handoffs))
    return story.happens(ev.StreamEnded, leg=story.call.leg, stopped=True)


def told(story: Story, mode: Mode, name: str, n: int) -> Iterator[Story]:
    """The call after each fact about the person of this attempt."""
    accepted = False
    for fact in BEHAVIOURS[name].facts[mode]:
        fact(story, n)
        accepted = accepted or fact is accepts
        if mode in ASKED and story.call.phase is Phase.PERSON:
            assert accepted, "nobody has the caller who did not say yes"
        if mode in ASKED and not accepted:
            assert story.call.attempts[n - 1].bridged_at is None
        yield story


def leaves(story: Story, n: int) -> Story:
    """The caller hangs up, wherever they are: Twilio tells of the stream, or of the `<Dial>`, and then of the call."""
    if story.call.stream_open:
        story.happens(ev.StreamEnded, leg=story.call.leg, stopped=True)
    elif story.call.phase in (Phase.RINGING, Phase.PERSON):
        attempt = story.call.attempts[-1]
        status = "completed" if attempt.answered_at is not None or attempt.attended else "no-answer"
        story.ends(len(story.call.attempts), status, bridged=attempt.bridged_at is not None, caller_gone=True)
    return story.happens(ev.CallEnded)


def orders(effects: tuple[Effect, ...]) -> list[Effect]:
    return [effect for effect in effects if not isinstance(effect, ef.HangUp)]


@pytest.mark.parametrize(("mode", "name"), TABLE, ids=[f"{mode.value}: {name}" for mode, name in TABLE])
def test_the_attempt_is_named_after_what_the_person_did(mode: Mode, name: str):
    story = begun(mode)
    for _ in told(story, mode, name, 1):
        pass
    behaviour = BEHAVIOURS[name]
    assert story.call.attempts[0].outcome is behaviour.outcome
    assert (story.call.end is End.PUT_THROUGH) is behaviour.takes
    assert len(story.call.attempts) == (1 if behaviour.takes else 2), "who took no call is followed by the next"


@pytest.mark.parametrize(("mode", "name"), IN_VAIN, ids=[f"{mode.value}: {name}" for mode, name in IN_VAIN])
def test_a_caller_who_stays_is_with_the_bot_when_nobody_took_the_call(mode: Mode, name: str):
    story = begun(mode)
    for _ in told(story, mode, name, 1):
        pass
    if mode.bot_stays:
        story.happens(ev.PersonCalled, attempt=2, leg_sid=f"CA{2:032x}")
    for _ in told(story, mode, name, 2):
        pass
    assert {attempt.outcome for attempt in story.call.attempts} == {BEHAVIOURS[name].outcome}
    assert len(story.call.attempts) == 2, "and nobody is rung twice for one request"
    bot = Phase.BOT if mode.bot_stays else Phase.CONNECTING
    assert (story.call.phase, story.call.nobody) == (bot, 1)
    assert not any(isinstance(effect, ef.HangUp) for effect in story.all_effects)


@pytest.mark.parametrize(("mode", "name"), TABLE, ids=[f"{mode.value}: {name}" for mode, name in TABLE])
def test_nobody_is_rung_for_a_caller_who_leaves_after_any_of_it(mode: Mode, name: str):
    facts = BEHAVIOURS[name].facts[mode]
    for stays in range(len(facts) + 1):
        story = begun(mode)
        for fact in facts[:stays]:
            fact(story, 1)
        if story.call.phase is Phase.ENDED:
            continue  # they have talked: there is nobody left to leave
        before = len(story.call.attempts)
        leaves(story, 1)
        assert story.call.phase is Phase.ENDED
        assert None not in {attempt.outcome for attempt in story.call.attempts}, f"left after {stays} facts"
        ended, effects = story.call, len(story.all_effects)
        for fact in facts[stays:]:
            fact(story, 1)  # what Twilio tells late
        assert len(story.call.attempts) == before, f"somebody was rung for a caller who left after {stays} facts"
        assert [a.outcome for a in story.call.attempts] == [a.outcome for a in ended.attempts]
        assert orders(tuple(story.all_effects[effects:])) == []
        assert standing_document(story.call) == ef.HangUp()


@pytest.mark.parametrize("mode", Mode)
def test_nobody_is_rung_for_a_caller_who_leaves_during_the_goodbye(mode: Mode):
    story = Story(SAME).leaving(mode.value)
    if mode.bot_stays:
        story.called(1).accepts(1)
    leaves(story, 1).happens(ev.GoodbyeHeard, handoff=1)
    assert story.documents == []
    assert story.call.end is End.CALLER_HUNG_UP
    assert not any(isinstance(effect, ef.DialPerson | ef.MeetPerson) for effect in story.all_effects)


@pytest.mark.parametrize("mode", [Mode.DIAL, Mode.SCREENED])
@pytest.mark.parametrize("order", [(moved, "answer"), ("answer", moved)])
def test_a_caller_who_leaves_while_being_redirected_is_nobody_s_ringing_phone(mode: Mode, order: tuple):
    story = Story(SAME).redirecting(mode.value)
    for what in order:
        if what == "answer":
            story.happens(ev.RedirectFailed, failure=ev.Failure.GONE, code=21220)
        else:
            moved(story, 1)
    story.happens(ev.CallEnded)
    assert (story.call.phase, story.call.attempts[0].outcome) == (Phase.ENDED, Outcome.CALLER_GONE)
    assert len(story.call.attempts) == 1


# --- two at once ------------------------------------------------------------------------------------------

AT_ONCE = replace(SAME, targets={k: replace(t, order=SAME.targets["crew"].order) for k, t in SAME.targets.items()})


@pytest.mark.parametrize("mode", [Mode.DIAL, Mode.SCREENED])
def test_two_who_are_rung_at_once_by_one_document_are_one_attempt_that_one_of_them_has(mode: Mode):
    story = heard_and_moved(Story(AT_ONCE).leaving(mode.value))
    [attempt] = story.call.attempts
    assert attempt.number == "+442079460104,+442079460105"
    story.happens(ev.PersonAnswered, attempt=1, who="+442079460105")
    story.happens(ev.PersonAnswered, attempt=1, who="+442079460104")
    story.leg_ends(1, "canceled")  # the other one's
    accepts(story, 1)
    story.ends(1, "completed", bridged=True)
    [attempt] = story.call.attempts
    assert (attempt.outcome, attempt.answered_by) == (Outcome.ANSWERED, "+442079460105")


@pytest.mark.parametrize("mode", [Mode.DIAL, Mode.SCREENED])
def test_two_who_are_rung_at_once_in_vain_leave_the_caller_to_the_bot(mode: Mode):
    story = heard_and_moved(Story(AT_ONCE).leaving(mode.value))
    story.leg_ends(1, "busy").leg_ends(1, "no-answer").ends(1, "no-answer")
    assert story.documents == [ef.ConnectBot(2)]
    assert [attempt.outcome for attempt in story.call.attempts] == [Outcome.NO_ANSWER]


@pytest.mark.parametrize("first", [1, 2])
def test_of_two_who_accept_at_once_one_has_the_caller_and_the_other_is_let_go(first: int):
    second = 3 - first
    story = Story(AT_ONCE).seeking("attended").picked_up(1).picked_up(2)
    accepts(story, first)
    assert ef.ReleasePerson(second) in story.effects
    accepts(story, second)
    assert story.effects == ()
    heard(story, 1)
    assert story.documents == [ef.MeetPerson(first)]
    outcomes = {n: story.call.attempts[n - 1].outcome for n in (1, 2)}
    assert outcomes == {first: None, second: Outcome.SUPERSEDED}
