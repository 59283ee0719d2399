"""What is run, in which order: rounds in which the servers take turns, then the special runs."""

import asyncio
import random
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.measure import Figures, Growth, Idle, grow, measure, warm_up
from bench.rig.load import Load, stopping
from bench.rig.model import Model
from bench.rig.notes import Notes
from bench.rig.rest import Rest
from bench.servers import POLICY, Server

DELTA_MS = 200
SHORT_DELTA_MS = 20
STEP_SECONDS = 3.0
"""How long a step of the ramp is measured."""

STEP_SHARE = 0.25
"""How many more calls a step of the ramp adds."""

PER_SECOND = 15
"""How many calls are dialled in a second."""

MOST_CALLS = 600
DISTURBED = 0.2
"""A step that fails while this much of the server's core goes to others is measured again after a pause."""

PAUSE_SECONDS = 5.0
GROWTH_CALLS = 1000


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run."""

    servers: Sequence[str]
    levels: Sequence[int]
    """How many calls at once, ascending."""

    rounds: int = 3
    seconds: float = 10.0
    """How long each level is measured in each round."""

    short_deltas: bool = True
    blocked: bool = True
    growth: bool = True
    ramp: bool = True


@dataclass(slots=True)
class Results:
    """What was found."""

    plan: Plan
    rounds: dict[str, dict[int, list[Figures]]] = field(default_factory=dict[str, dict[int, list[Figures]]])
    """By server and calls; one for each round."""

    not_tried: dict[str, dict[int, str]] = field(default_factory=dict[str, dict[int, str]])
    """By server and calls: why that level was left out."""

    short_deltas: dict[str, Figures] = field(default_factory=dict[str, Figures])
    blocked: dict[str, Figures] = field(default_factory=dict[str, Figures])
    growth: Growth | None = None
    ramp: dict[str, list[Figures]] = field(default_factory=dict[str, list[Figures]])
    """By server: one for each step."""

    def held(self, name: str) -> int:
        """The most calls that a server held in most rounds, for a round can be spoilt by the machine; 0 for none."""
        levels = self.rounds.get(name, {})
        return max((calls for calls, rounds in levels.items() if mostly_held(rounds)), default=0)


def mostly_held(rounds: Sequence[Figures]) -> bool:
    """Whether a server kept up in more than half of the rounds."""
    return 2 * sum(figures.holds for figures in rounds) > len(rounds)


@dataclass(slots=True)
class Bench:
    """One server and the model it talks to, for the whole run."""

    server: Server
    model: Model
    idle: Idle
    seed: int = 0

    def load(self) -> Load:
        """Calls for it."""
        self.seed += 1
        self.model.notes.reset()
        return Load(self.model, self.server.url, seed=self.seed)


async def run(plan: Plan, say: Callable[[str], None]) -> Results:
    """Run a plan.

    Args:
        plan: What to run.
        say: Told of every step.
    """
    results = Results(plan)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        async with Rest() as rest, open_servers(plan.servers, Path(folder), rest, say) as benches:
            for number in range(plan.rounds):
                for name, bench in benches.items():
                    say(f"round {number + 1} of {plan.rounds}: {name}")
                    await _round(bench, name, plan, results)
            if plan.short_deltas:
                for name, bench in benches.items():
                    say(f"deltas of {SHORT_DELTA_MS} ms: {name}")
                    results.short_deltas[name] = await _short_deltas(bench, plan)
            if plan.blocked:
                for name in ("bare", "putthrough"):
                    if name in benches and results.held(name) == plan.levels[-1]:
                        say(f"a blocked loop: {name}")
                        results.blocked[name] = await _blocked(benches[name], plan)
            if plan.ramp:
                for name, bench in benches.items():
                    say(f"how many calls: {name}")
                    results.ramp[name] = await _ramp(bench, results.held(name), say)
            if plan.growth and "putthrough" in benches:
                say(f"{GROWTH_CALLS} calls, one after the other: putthrough")
                async with benches["putthrough"].load() as load:
                    server = benches["putthrough"].server
                    results.growth = await grow(load, server, calls=GROWTH_CALLS, at_once=10, seconds=0.3)
    return results


@asynccontextmanager
async def open_servers(
    names: Sequence[str], folder: Path, rest: Rest, say: Callable[[str], None], policy: Path = POLICY
) -> AsyncIterator[dict[str, Bench]]:
    """Start servers, warm them up, and end them afterwards.

    Args:
        names: Which ones.
        folder: Where their logs and records go.
        rest: What they find instead of Twilio's REST.
        say: Told of every step.
        policy: Our own server's hand-off policy.
    """
    say(f"starting {', '.join(names)}")
    chance = random.Random(7)  # noqa: S311 - lengths of simulated replies, the same in every run
    servers: list[Server] = []
    models: list[Model] = []
    benches: dict[str, Bench] = {}
    try:
        for name in names:
            model = Model(Notes(), delta_ms=DELTA_MS, reply_ms=lambda: chance.randrange(15, 26) * DELTA_MS)
            models.append(model)
            server = Server(name, folder, policy)
            server.start(await model.open(), rest.url)
            servers.append(server)
        for name, server, model in zip(names, servers, models, strict=True):
            await asyncio.to_thread(server.wait_ready)
            async with Load(model, server.url) as load:
                benches[name] = Bench(server, model, await warm_up(load, server))
        yield benches
    finally:
        for model in models:
            model.close()
        for server in servers:
            await asyncio.to_thread(server.stop)


async def _round(bench: Bench, name: str, plan: Plan, results: Results) -> None:
    """Every level that the server can be expected to hold, one on top of the other."""
    async with bench.load() as load:
        before: Figures | None = None
        for calls in plan.levels:
            left_out = results.not_tried.setdefault(name, {})
            if before is not None and before.cpu_per_call * calls > 1.5:
                left_out[calls] = f"{before.calls} calls took {before.core:.0%} of the core"
            if calls in left_out:
                return
            load.notes.reset()
            await load.add(calls - (before.calls if before else 0), per_second=PER_SECOND)
            before = await measure(load, bench.server, bench.idle, calls=calls, seconds=plan.seconds)
            results.rounds.setdefault(name, {}).setdefault(calls, []).append(before)


async def _short_deltas(bench: Bench, plan: Plan) -> Figures:
    bench.model.delta_ms = SHORT_DELTA_MS
    try:
        async with bench.load() as load:
            await load.add(plan.levels[0])
            return await measure(load, bench.server, bench.idle, calls=plan.levels[0], seconds=plan.seconds / 2)
    finally:
        bench.model.delta_ms = DELTA_MS


async def _blocked(bench: Bench, plan: Plan) -> Figures:
    """The server's process stands still for 0.4 s of every second."""
    calls = plan.levels[-1]
    async with bench.load() as load:
        await load.add(calls, per_second=PER_SECOND)
        blocker = asyncio.create_task(stopping(bench.server.pid, load.notes))
        try:
            return await measure(load, bench.server, bench.idle, calls=calls, seconds=plan.seconds)
        finally:
            blocker.cancel()
            await asyncio.gather(blocker, return_exceptions=True)


async def _ramp(bench: Bench, begin: int, say: Callable[[str], None]) -> list[Figures]:
    """More and more calls, until the server or the rig does not keep up, measured again."""
    steps: list[Figures] = []
    calls = begin
    async with bench.load() as load:
        await load.add(begin, per_second=PER_SECOND)
        while calls < MOST_CALLS:
            more = max(2, round(calls * STEP_SHARE))
            load.notes.reset()
            await load.add(more, per_second=PER_SECOND)
            calls += more
            step = await _step(bench, load, calls)
            steps.append(step)
            say(f"  {calls} calls: core {step.core:.0%}, rig {step.rig_core:.0%}")
            if not (step.holds and step.rig_holds):
                break
    return steps


async def _step(bench: Bench, load: Load, calls: int, tries: int = 3) -> Figures:
    """Measure one step: once more where it fails, and as often as `tries` says where others had the core."""
    step = await measure(load, bench.server, bench.idle, calls=calls, seconds=STEP_SECONDS, settle=1.0)
    disturbed = step.others >= DISTURBED
    if (step.holds and step.rig_holds) or step.failed_calls or tries == 1:
        return step
    if disturbed:
        await asyncio.sleep(PAUSE_SECONDS)
    load.notes.reset()
    return await _step(bench, load, calls, tries - 1 if disturbed else 1)
