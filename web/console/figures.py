"""The day in figures, from the calls themselves. Pure.

Each call is counted from what is known of it now, so that a call that goes on is counted anew with every step.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bot.call import Call, Outcome


@dataclass(frozen=True, slots=True)
class Summary:
    """What one call adds to the day's figures."""

    put_through: bool
    """A person took the caller, or a supervisor had the bot's place."""

    wanted: bool
    """Somebody was to take the caller."""

    why_not: str | None
    """Of a call that is over, in which nobody did: how the last attempt ended, or why there was none."""

    in_vain: tuple[str, ...]
    """How the attempts ended that did not lead to a person."""

    seconds_to_person: float | None
    targets: tuple[tuple[str, bool], ...]
    """For each target that was tried: whether somebody there took the caller."""

    rungs: tuple[str, ...]
    end: str | None

    @classmethod
    def of(cls, call: Call) -> "Summary":
        """Of a call as it is now."""
        taken = [each for each in call.attempts if each.accepted_at is not None and each.outcome is not Outcome.LEFT]
        led = [handoff for handoff in call.handoffs if handoff.target is not None and not handoff.withdrawn]
        wanted = bool(call.attempts or led or call.joins)
        why_not = call.attempts[-1].outcome if call.attempts else "closed" if led and led[-1].closed else call.end
        asked = [handoff.at for handoff in call.handoffs]
        seconds = None
        if taken and taken[0].accepted_at is not None:
            before = [at for at in asked if at <= taken[0].accepted_at]
            seconds = taken[0].accepted_at - (before[-1] if before else taken[0].at)
        reached = {attempt.target for attempt in taken}
        tried = dict.fromkeys(attempt.target for attempt in call.attempts)
        return cls(
            put_through=bool(taken or call.joins),
            wanted=wanted,
            why_not=(why_not or call.end) if wanted and not (taken or call.joins) and call.end is not None else None,
            in_vain=tuple(a.outcome for a in call.attempts if a.outcome not in (None, Outcome.ANSWERED)),
            seconds_to_person=seconds,
            targets=tuple((target, target in reached) for target in tried),
            rungs=tuple(fall.rung for fall in call.falls),
            end=call.end,
        )


@dataclass(frozen=True, slots=True)
class Day:
    """A day's figures."""

    calls: int
    put_through: int
    wanted: int
    """Calls in which a person was tried for."""

    not_put_through: Mapping[str, int]
    """Of them, calls that are over in which nobody took the caller, by reason."""

    in_vain: Mapping[str, int]
    """Attempts that led to nobody, by how they ended."""

    ends: Mapping[str, int]
    seconds_to_person: float | None
    """The median."""

    rungs: Mapping[str, int]
    targets: Mapping[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    """By target: how many calls were put through, of how many that were to be."""


def day(summaries: Iterable[Summary]) -> Day:
    """Add them up."""
    every = [*summaries]
    tried: Counter[str] = Counter()
    reached: Counter[str] = Counter()
    for summary in every:
        for target, taken in summary.targets:
            tried[target] += 1
            reached[target] += taken
    return Day(
        calls=len(every),
        put_through=sum(summary.put_through for summary in every),
        wanted=sum(summary.wanted for summary in every),
        not_put_through=_counted(summary.why_not for summary in every if summary.why_not),
        in_vain=_counted(outcome for summary in every for outcome in summary.in_vain),
        ends=_counted(summary.end for summary in every if summary.end),
        seconds_to_person=percentile([s.seconds_to_person for s in every if s.seconds_to_person is not None], 50),
        rungs=_counted(rung for summary in every for rung in summary.rungs),
        targets={target: (reached[target], tried[target]) for target in tried},
    )


def percentile(values: Sequence[float], percent: float) -> float | None:
    """The smallest value that so many percent of them do not exceed; None of none."""
    if not values:
        return None
    ordered = sorted(values)
    place = math.ceil(len(ordered) * percent / 100) - 1
    return ordered[min(max(place, 0), len(ordered) - 1)]


def _counted(values: Iterable[str]) -> dict[str, int]:
    """How often each occurs, the most frequent first."""
    return dict(Counter(str(value) for value in values).most_common())
