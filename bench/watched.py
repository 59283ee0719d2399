"""What people at the console cost the calls: with nobody there, with open pages, with listeners too, and again."""

import random
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from bench.measure import Delay, Figures, measure, median
from bench.plan import PER_SECOND, open_servers
from bench.rig.browsers import Wanted
from bench.rig.pages import open_pages
from bench.rig.people import calls_with_people
from bench.rig.rest import Rest
from bench.servers import ROOT

Json = dict[str, Any]

LIVE_CALLS = 200
STREAMS = 100
"""So many of them are with the bot and have a stream. The others are with people; there the server has no stream to
carry, as in any real day of this many calls."""

BOARDS = 14
CALL_PAGES = 6
LISTENERS = 5
TURNS = 10
"""How often the run goes on with each of `KINDS`."""

SECONDS = 8.0
"""How long a turn is measured."""

KINDS = ("nobody", "pages", "listeners")
"""Who is at the console in a turn. Listeners have pages open beside all the others, and are sent the call's sound."""

_ROW = re.compile(r'id="call-CA')


@dataclass(slots=True)
class Side:
    """The turns of one kind."""

    turns: list[Figures] = field(default_factory=list[Figures])
    up: list[float] = field(default_factory=list[float])
    """Every probe of all of them. Seconds."""


@dataclass(slots=True)
class Watched:
    """What was found. The turns of each kind are in the order in which they took place: neighbours have one index."""

    live: int
    """Calls on the board, as it should be."""

    streams: int
    seconds: float
    sides: dict[str, Side] = field(default_factory=lambda: {kind: Side() for kind in KINDS})
    shown: list[int] = field(default_factory=list[int])
    """How many calls the board had at the end of each turn with pages."""

    patches: int = 0
    heard: int = 0
    """Messages that listeners were sent."""

    trouble: list[str] = field(default_factory=list[str])


async def watch(live: int, streams: int, seconds: float, say: Callable[[str], None], *, turns: int = TURNS) -> Watched:
    """Run it.

    Args:
        live: How many calls there are.
        streams: How many of them are with the bot.
        seconds: How long each turn is measured.
        say: Told of every step.
        turns: How many turns there are of each kind.
    """
    found = Watched(live, streams, seconds)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        policy = Path(folder) / "handoff.yaml"
        policy.write_text((ROOT / "handoff.yaml").read_text() + "\nlisten_in: {allowed: true}\n")
        async with Rest() as rest, open_servers(["putthrough"], Path(folder), rest, say, policy) as benches:
            bench = benches["putthrough"]
            url, chance = bench.server.url, random.Random(11)  # noqa: S311 - lengths of simulated talks
            async with bench.load() as load:
                say(f"{streams} calls with the bot, {live - streams} with people")
                await load.add(streams, per_second=PER_SECOND)
                async with calls_with_people(url, rest, live - streams, chance) as people:

                    async def turn(side: Side) -> None:
                        load.notes.reset()
                        one = await measure(load, bench.server, bench.idle, calls=streams, seconds=seconds)
                        side.turns.append(one)
                        side.up.extend(load.notes.up)
                        found.trouble += one.failed_calls

                    for number in range(turns):
                        for kind, side in found.sides.items():
                            say(f"turn {number + 1} of {turns}: {kind}")
                            if kind == "nobody":
                                await turn(side)
                                continue
                            heard = load.sids[-LISTENERS:] if kind == "listeners" else []
                            calls = load.sids[:CALL_PAGES]
                            async with open_pages(Wanted(url, BOARDS, calls, heard)) as sent:
                                await turn(side)
                            found.patches += sent.patches
                            found.heard += sent.heard
                            found.trouble += sent.lost
                            found.shown.append(await _on_the_board(url))
                    found.trouble += people.failed
    return found


async def _on_the_board(url: str) -> int:
    async with aiohttp.ClientSession() as http, http.get(f"{url}/console") as page:
        return len(_ROW.findall(await page.text()))


# --- the figures -------------------------------------------------------------------------------------------


def watched_summary(found: Watched) -> Json:
    """What was found as a plain document."""
    nobody = found.sides["nobody"].turns
    return {
        "live": found.live,
        "streams": found.streams,
        "shown": min(found.shown, default=0),
        "seconds": found.seconds,
        "turns": len(nobody),
        "open": {"boards": BOARDS, "calls": CALL_PAGES, "listeners": LISTENERS},
        "sides": {kind: _side(side, nobody) for kind, side in found.sides.items()},
        "patches": found.patches,
        "heard": found.heard,
        "trouble": found.trouble,
    }


def _side(side: Side, nobody: Sequence[Figures]) -> Json:
    pooled = Delay.of(side.up)
    ratios = [one.up.p99 / alone.up.p99 for one, alone in zip(side.turns, nobody, strict=True) if one.up and alone.up]
    return {
        "up": None if pooled is None else {"p50": pooled.p50, "p99": pooled.p99, "count": pooled.count},
        "p99_by_turn": [one.up.p99 for one in side.turns if one.up is not None],
        "ratio": {"median": median(ratios), "least": min(ratios), "most": max(ratios)} if ratios else None,
        "core": median([one.core for one in side.turns]),
        "others": max(one.others for one in side.turns),
        "rig_core": median([one.rig_core for one in side.turns]),
        "rig_lag_p99": median([one.rig_lag.p99 for one in side.turns if one.rig_lag is not None]),
    }
