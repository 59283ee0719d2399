"""What open pages of the console cost the calls: the same calls without anybody who looks and with them, in turn."""

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
from bench.rig.pages import open_pages
from bench.rig.people import calls_with_people
from bench.rig.rest import Rest
from bench.servers import ROOT

Json = dict[str, Any]

LIVE_CALLS = 200
STREAMS = 100
"""So many of them are with the bot and have a stream: what one core holds with room to spare. The others are with
people; there the server has no stream to carry, as in any real day of this many calls."""

BOARDS = 14
CALL_PAGES = 6
LISTENERS = 5
TURNS = 6
"""How often the run goes on without pages and with them."""

SECONDS = 15.0
"""How long a turn is measured."""

_ROW = re.compile(r'id="call-CA')


@dataclass(slots=True)
class Watched:
    """What was found, turn by turn: a turn without pages and the one with pages behind it are neighbours."""

    live: int
    """Calls on the board, as it should be."""

    streams: int
    seconds: float
    without: list[Figures] = field(default_factory=list[Figures])
    beside: list[Figures] = field(default_factory=list[Figures])
    up_without: list[float] = field(default_factory=list[float])
    """Every probe of all turns. Seconds."""

    up_beside: list[float] = field(default_factory=list[float])
    shown: list[int] = field(default_factory=list[int])
    """How many calls the board had at the end of each turn."""

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
                async with calls_with_people(url, live - streams, chance) as people:
                    sids = load.sids

                    async def turn(figures: list[Figures], up: list[float]) -> None:
                        load.notes.reset()
                        one = await measure(load, bench.server, bench.idle, calls=streams, seconds=seconds)
                        figures.append(one)
                        up.extend(load.notes.up)
                        found.trouble += one.failed_calls

                    for number in range(turns):
                        say(f"turn {number + 1} of {turns}: without pages")
                        await turn(found.without, found.up_without)
                        say(f"turn {number + 1} of {turns}: with pages")
                        heard = sids[-LISTENERS:]
                        async with open_pages(url, boards=BOARDS, calls=sids[:CALL_PAGES], heard=heard) as pages:
                            await turn(found.beside, found.up_beside)
                            found.patches += pages.patches
                            found.heard += pages.heard
                            found.trouble += pages.lost
                        found.shown.append(await _on_the_board(url))
                    found.trouble += people.failed
    return found


async def _on_the_board(url: str) -> int:
    async with aiohttp.ClientSession() as http, http.get(f"{url}/console") as page:
        return len(_ROW.findall(await page.text()))


# --- the figures -------------------------------------------------------------------------------------------


def watched_summary(found: Watched) -> Json:
    """What was found as a plain document."""
    pairs = zip(found.without, found.beside, strict=True)
    ratios = [beside.up.p99 / alone.up.p99 for alone, beside in pairs if alone.up and beside.up]
    without, beside = _side(found.without, found.up_without), _side(found.beside, found.up_beside)
    return {
        "live": found.live,
        "streams": found.streams,
        "shown": min(found.shown, default=0),
        "seconds": found.seconds,
        "turns": len(found.without),
        "pages": {"boards": BOARDS, "calls": CALL_PAGES, "listeners": LISTENERS},
        "without": without,
        "with": beside,
        "ratio": {"median": median(ratios), "least": min(ratios), "most": max(ratios)} if ratios else None,
        "patches": found.patches,
        "heard": found.heard,
        "trouble": found.trouble,
    }


def _side(turns: Sequence[Figures], up: Sequence[float]) -> Json:
    pooled = Delay.of(up)
    return {
        "up": None if pooled is None else {"p50": pooled.p50, "p99": pooled.p99, "count": pooled.count},
        "p99_by_turn": [one.up.p99 for one in turns if one.up is not None],
        "core": median([one.core for one in turns]),
        "others": max(one.others for one in turns),
        "rig_core": median([one.rig_core for one in turns]),
        "rig_lag_p99": median([one.rig_lag.p99 for one in turns if one.rig_lag is not None]),
    }
