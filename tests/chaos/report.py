"""What a run showed: a line for each kind of fault, and the story of each call that went wrong."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from rich.table import Table

from chaos.invariants import Verdict

LONGEST = 5
"""How many of the longest silences are told one by one."""


@dataclass
class Tally:
    """The calls of one kind of fault."""

    endings: Counter[str] = field(default_factory=Counter[str])
    rungs: Counter[str] = field(default_factory=Counter[str])
    silences: list[float] = field(default_factory=list[float])
    """The longest silence of each call. Seconds."""

    wrong: int = 0


class Report:
    """Grows with each call."""

    def __init__(self) -> None:
        """Begin with none."""
        self.wrong: list[tuple[str, list[str]]] = []
        """Story and violations of each call that went wrong."""

        self.calls = 0
        self.silences: list[float] = []
        """Every silence of every call. Seconds."""

        self.back_after: list[float] = []
        """See `Verdict`."""

        self.longest: list[tuple[float, float, str]] = []
        """The calls with the longest silences: for how long and from when of the call on, in seconds; and the story."""

        self._tallies: defaultdict[str, Tally] = defaultdict(Tally)
        self._all = Tally()

    def add(self, verdict: Verdict) -> None:
        """Count a call."""
        self.calls += 1
        self.silences += [seconds for _, seconds in verdict.silences]
        if verdict.back_after is not None:
            self.back_after.append(verdict.back_after)
        if verdict.wrong:
            self.wrong.append((str(verdict.story), verdict.wrong))
        at, longest = max(verdict.silences, key=lambda silence: silence[1], default=(0.0, 0.0))
        told = (round(longest, 2), round(at, 2), str(verdict.story))
        self.longest = sorted([*self.longest, told], reverse=True)[:LONGEST]
        for tally in (self._all, *(self._tallies[fault] for fault in verdict.story.faults)):
            tally.endings[verdict.ending] += 1
            tally.rungs[verdict.rung] += 1
            tally.silences.append(longest)
            tally.wrong += bool(verdict.wrong)

    def table(self) -> Table:
        """Faults × how the calls ended × rungs × the longest silence of a call."""
        table = Table(title=f"{self.calls} calls, {len(self.wrong)} of them wrong")
        for heading in ("fault", "calls", "ended with", "rung"):
            table.add_column(heading, overflow="fold")
        for heading in ("silence p50", "p99", "max", "wrong"):
            table.add_column(heading, justify="right")
        rows = sorted(self._tallies.items())
        for name, tally in [*rows, ("all", self._all)]:
            table.add_row(name, *_cells(tally), end_section=name == rows[-1][0] if rows else False)
        return table

    def summary(self) -> dict[str, object]:
        """The run in figures. Silences in seconds."""
        return {
            "calls": self.calls,
            "wrong": [{"story": story, "violations": wrong} for story, wrong in self.wrong],
            "ended with": dict(self._all.endings),
            "rungs": dict(self._all.rungs),
            "faults": {name: _figures(tally) for name, tally in sorted(self._tallies.items())},
            "silences": dict(zip(("p50", "p99", "max"), _spread(self.silences), strict=True)),
            "back with the bot after": dict(zip(("p50", "p99", "max"), _spread(self.back_after), strict=True)),
            "longest": [{"seconds": seconds, "from": at, "story": story} for seconds, at, story in self.longest],
            "longest silence of a call": dict(zip(("p50", "p99", "max"), _spread(self._all.silences), strict=True)),
        }


def _cells(tally: Tally) -> list[str]:
    spread = [f"{seconds:.1f} s" for seconds in _spread(tally.silences)]
    calls = str(tally.endings.total())
    return [calls, _counted(tally.endings), _counted(tally.rungs), *spread, str(tally.wrong or "")]


def _figures(tally: Tally) -> dict[str, object]:
    return {
        "calls": tally.endings.total(),
        "wrong": tally.wrong,
        "ended with": dict(tally.endings),
        "rungs": dict(tally.rungs),
        "longest silence of a call": dict(zip(("p50", "p99", "max"), _spread(tally.silences), strict=True)),
    }


def _counted(what: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in what.most_common())


def _spread(seconds: Sequence[float]) -> tuple[float, float, float]:
    if not seconds:
        return 0.0, 0.0, 0.0
    p50, p99 = np.percentile(seconds, [50, 99])
    return round(float(p50), 2), round(float(p99), 2), round(max(seconds), 2)
