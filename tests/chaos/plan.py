"""Which calls there are and what breaks on each: the same seed gives the same stories."""

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from sandbox.brain import FaultKind
from sandbox.people import Person

T = TypeVar("T")

Goal = Literal["front_desk", "billing", "manager", "chat", "leaves"]
"""What the caller wants: to be put through to one of the three targets, an answer alone, or to hang up in between.
`front_desk` is dialled, `billing` screened; the people of `manager` are called while the bot has the caller."""

Moment = Literal["greeting", "user turn", "reply", "tool call", "goodbye", "redirect"]
"""When the model breaks: in its greeting, while the caller speaks, in an answer, between a function call and what
follows it, in the sentence before the hand-off (or the end), and when the redirect is ordered."""

RestKind = Literal["500", "500 for ever", "429", "429 with Retry-After", "hang", "applied, then no answer", "21220"]

WeatherKind = Literal[
    "model refuses: 401", "model refuses: 429", "model refuses: 503", "model refuses: never", "slow handshake",
    "SIGKILL", "SIGSTOP", "SIGTERM", "blocked loop",
    "database stopped", "database frozen", "database slow", "database read-only",
]  # fmt: skip

MODEL_KINDS: tuple[FaultKind, ...] = (
    "error_event", "close", "close_1000", "close_1011", "expire", "fatal_error", "abort", "hang", "stall", "unparsable",
)  # fmt: skip
MOMENTS: tuple[Moment, ...] = ("greeting", "user turn", "reply", "tool call", "goodbye", "redirect")
REST_KINDS: tuple[RestKind, ...] = (
    "500", "500 for ever", "429", "429 with Retry-After", "hang", "applied, then no answer", "21220",
)  # fmt: skip
MODEL_WEATHER: tuple[WeatherKind, ...] = (
    "model refuses: 401", "model refuses: 429", "model refuses: 503", "model refuses: never", "slow handshake",
)  # fmt: skip
SERVER_WEATHER: tuple[WeatherKind, ...] = (
    "SIGKILL", "SIGSTOP", "SIGTERM", "blocked loop",
    "database stopped", "database frozen", "database slow", "database read-only",
)  # fmt: skip

FRONT_DESK = ("+12025550143", "+12025550178")
BILLING = "+12025550199"
MANAGER = ("+12025550155", "+12025550156")

ROUND, LARGE_ROUND = 16, 48
"""How many calls one weather befalls; and in a plan of more than `LARGE` calls."""

LARGE = 1000
BEGIN_SECONDS, LARGE_BEGIN_SECONDS = 4.0, 10.0
"""Within which time the calls of a round begin."""


@dataclass(frozen=True, slots=True)
class ModelFault:
    """The model breaks once in a call."""

    kind: FaultKind
    moment: Moment


@dataclass(frozen=True, slots=True)
class Weather:
    """What befalls every call of a round at once."""

    kind: WeatherKind
    at: float
    """When, counted from the round's first call. Seconds."""

    lasts: float
    """How long, where it ends by itself. Seconds."""


@dataclass(frozen=True, slots=True)
class Story:
    """One call."""

    id: str
    round: int
    """Stories of one round are played at once; those of round 0 whenever there is room."""

    begins: float
    """When the caller calls, counted from the round's beginning. Seconds."""

    goal: Goal
    questions: int
    """How many questions the caller asks first."""

    looks_up: bool
    """Whether the model answers the first of them with a function call."""

    leaves: float
    """For the goal `leaves`, and where `impatient`: when the caller hangs up. Counted from the call's beginning, or
    from when the manager was asked for. Seconds."""

    people: tuple[tuple[str, Person], ...]
    impatient: bool = False
    """For the goal `manager`: whether the caller hangs up while people are being called."""

    model: ModelFault | None = None
    rest: RestKind | None = None
    weather: Weather | None = None

    @property
    def replicas(self) -> bool:
        """Whether it needs two replicas with PostgreSQL behind a proxy, and not one process with SQLite."""
        return self.weather is not None and self.weather.kind in SERVER_WEATHER

    @property
    def faults(self) -> list[str]:
        """Every fault in it, by kind."""
        found = [f"model: {self.model.kind}"] if self.model else []
        found += [f"REST: {self.rest}"] if self.rest else []
        found += [self.weather.kind] if self.weather else []
        return found or ["none"]

    def __str__(self) -> str:
        model = f"{self.model.kind} in the {self.model.moment}" if self.model else "-"
        people = ", ".join(f"…{number[-4:]} {person.behaviour}" for number, person in self.people)
        weather = f"{self.weather.kind} at {self.weather.at:.1f} s" if self.weather else "-"
        goal = f"{self.goal}, impatient" if self.impatient and self.goal == "manager" else self.goal
        return (
            f"{self.id}: {goal}, {self.questions} questions; model {model}; REST {self.rest or '-'}; "
            f"{weather}; {people}"
        )


def plan(seed: int, calls: int) -> list[Story]:
    """The stories of a run: three fifths with faults of their own, the rest in rounds with a weather.

    Args:
        seed: What the stories follow from.
        calls: How many there are.
    """
    chance = random.Random(seed)  # noqa: S311 - which calls are played is no secret
    model_faults = _shuffled([ModelFault(k, m) for k, m in itertools.product(MODEL_KINDS, MOMENTS)], chance)
    rest_faults = _shuffled(list(REST_KINDS), chance)
    weathers = {True: _shuffled(list(SERVER_WEATHER), chance), False: _shuffled(list(MODEL_WEATHER), chance)}
    in_rounds = calls * 2 // 5
    stories: list[Story] = []
    for _ in range(calls - in_rounds):
        story = _story(chance, f"{seed}-{len(stories)}", 0)
        dice = chance.random()
        if dice < 0.65:
            story = _with_model_fault(story, next(model_faults))
        if dice > 0.5 and dice < 0.95:
            story = replace(story, rest=next(rest_faults), goal=_put_through(story.goal))
        stories.append(story)
    number = 0
    while len(stories) < calls:
        number += 1
        weather = Weather(next(weathers[number % 4 != 0]), chance.uniform(3.0, 9.0), chance.uniform(4.0, 12.0))
        size, seconds = (ROUND, BEGIN_SECONDS) if calls <= LARGE else (LARGE_ROUND, LARGE_BEGIN_SECONDS)
        for n in range(min(size, calls - len(stories))):
            story = _story(chance, f"{seed}-{len(stories)}", number)
            stories.append(replace(story, weather=weather, begins=n * seconds / size))
    return stories


def _shuffled(kinds: list[T], chance: random.Random) -> Iterator[T]:
    """All of them in chance's order, again and again."""
    while True:
        chance.shuffle(kinds)
        yield from list(kinds)


def _put_through(goal: Goal) -> Goal:
    return goal if goal in ("front_desk", "billing", "manager") else "front_desk"


def _with_model_fault(story: Story, fault: ModelFault) -> Story:
    """The story with the fault, and with whatever has to happen so that the moment comes."""
    story = replace(story, model=fault)
    if story.goal == "leaves":
        story = replace(story, goal="chat")
    match fault.moment:
        case "tool call":
            return replace(story, questions=max(story.questions, 1), looks_up=True)
        case "reply" | "user turn":
            return replace(story, questions=max(story.questions, 1))
        case "redirect":
            return replace(story, goal=_put_through(story.goal))
        case _:
            return story


def _story(chance: random.Random, id_: str, round_: int) -> Story:
    goals: list[Goal] = ["front_desk"] * 5 + ["billing"] * 2 + ["manager"] * 3 + ["chat"] * 2 + ["leaves"]
    return Story(
        id=id_,
        round=round_,
        begins=0.0,
        goal=chance.choice(goals),
        questions=chance.choice([0, 1, 1, 2] if round_ == 0 else [1, 2, 2, 3]),
        looks_up=chance.random() < 0.4,
        leaves=chance.uniform(0.5, 12.0),
        people=tuple((number, _person(chance)) for number in (*FRONT_DESK, BILLING, *MANAGER)),
        impatient=chance.random() < 0.25,
    )


def _person(chance: random.Random) -> Person:
    """Most take the call; the others are everything that people are."""
    after = round(chance.uniform(0.3, 1.5), 2)
    dice = chance.random()
    if dice < 0.5:
        return Person("answer", after=after, hangs_up_after=round(chance.uniform(1.5, 3.0), 2))
    if dice < 0.6:
        return Person("answer", after=after, hangs_up_after=0.5)
    if dice < 0.63:
        return Person("no_answer")
    return Person(chance.choice(["busy", "decline", "reject", "voicemail", "failed"]), after=after, hangs_up_after=2.0)
