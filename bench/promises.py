"""What this project promises of its speed, checked against the figures."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

Json = dict[str, Any]

OURS = "putthrough"
CPU_TO_STOCK = 0.40
CPU_TO_RELAY = 1.0
DELAYS_MS = {"up": (1.0, 10.0), "down": (2.0, 10.0), "barge_in": (3.0, 15.0)}
"""The most at p50 and at p99."""

WATCHED = 1.10
"""How much longer the media path may take while people watch. Times."""

SHOWN = 0.95
"""How many of the calls the board must have: of those who are with people, some have just hung up."""

TRUNCATION_MS = 20.0
MEMORY_MB = 1.0
GROWTH_MB = 10.0
"""Over all calls of the run: what an allocator keeps, not what calls leave behind."""

GROWTH_HANDLES = 4
_WORDS = {
    "up": "from the caller to the model",
    "down": "from the model to the caller",
    "barge_in": "from the barge-in to Twilio's clear",
}


@dataclass(frozen=True, slots=True)
class Promise:
    """One promise and what was found."""

    text: str
    found: str
    kept: bool | None
    """None where it was not measured."""


def promises(document: Json) -> list[Promise]:
    """All promises, checked against a summary."""
    return list(_promises(document))


def broken(document: Json) -> list[Promise]:
    """Those that were measured and not kept."""
    return [promise for promise in promises(document) if promise.kept is False]


def _promises(document: Json) -> Iterator[Promise]:
    if OURS not in document["servers"]:
        return
    levels: Json = document["levels"]
    few = next(iter(levels.values()))[OURS]
    calls, level = list(levels.items())[-1]
    many = level[OURS]
    for other, most in (("stock", CPU_TO_STOCK), ("relay", CPU_TO_RELAY)):
        ratio = few.get("cpu_ratio", {}).get(other)
        words = {"stock": "a stock Pipecat bot's", "relay": "a thin relay's"}[other]
        yield _at_most(f"processor time of a call, to {words}", ratio, most, "×")
    if "not_tried" in many:
        yield Promise(f"{calls} calls on one core", f"not tried: {many['not_tried']}", kept=False)
        many = few
    else:
        yield from _under_load(document, calls, level)
    yield from watched_promises(document.get("watched"))
    yield _at_most("memory of a call", many["memory_per_call"] / 1e6, MEMORY_MB, " MB")
    yield _no_growth(document["growth"])


def _under_load(document: Json, calls: str, level: Json) -> Iterator[Promise]:
    """What is promised for the highest load."""
    many = level[OURS]
    yield Promise(f"{calls} calls: none fails", f"{len(many['failed_calls'])} failed", not many["failed_calls"])
    for name, limits in DELAYS_MS.items():
        delay, yardstick = many[name] or {}, level.get("bare", {}).get(name) or {}
        for quantile, words, most in zip(("p50", "p99"), ("half", "99 %"), limits, strict=True):
            promise = _at_most(f"{calls} calls: {_WORDS[name]}, {words} of the time", delay.get(quantile), most, " ms")
            beside = f" (bare relay: {yardstick[quantile]:.2f})" if yardstick else ""
            yield replace(promise, found=promise.found + beside)
    missed = many["missed_barge_ins"]
    yield Promise(f"{calls} calls: every barge-in is passed on", f"{missed} were not", missed == 0)
    yield from _whole(f"{calls} calls", many)
    blocked = document["blocked"].get(OURS)
    if blocked is None:
        yield Promise(f"{calls} calls and a blocked loop: no gap in a reply", "not measured", None)
    else:
        yield from _whole(f"{calls} calls and a blocked loop", blocked)
    cut = many["truncation"]
    text = f"{calls} calls: what the model is told was heard, 19 of 20 times"
    yield _at_most(text, cut and cut["p95"], TRUNCATION_MS, " ms off")


def _at_most(text: str, value: float | None, most: float, unit: str) -> Promise:
    text = f"{text}: at most {most:g}{unit}"
    if value is None:
        return Promise(text, "not measured", None)
    return Promise(text, f"{value:.2f}{unit}", value <= most)


def _whole(when: str, figures: Json) -> Iterator[Promise]:
    replies, gaps, tails = figures["replies"], figures["underruns"], figures["lost_tails"]
    yield Promise(f"{when}: no gap in a reply", f"{gaps} in {replies} replies", gaps == 0 if replies else None)
    yield Promise(f"{when}: no reply loses its end", f"{tails} of {replies} replies", tails == 0 if replies else None)


def watched_promises(watched: Json | None) -> Iterator[Promise]:
    """What open pages of the console may cost the calls. Args: watched: see `bench.watched`; None: not measured."""
    text = f"open pages of the console: the delay from the caller to the model, 99 % of the time, {WATCHED:g} × at most"
    if watched is None:
        yield Promise(text, "not measured", None)
        return
    nobody, pages = watched["sides"]["nobody"]["up"]["p99"], watched["sides"]["pages"]["up"]["p99"]
    ratio = watched["sides"]["pages"]["ratio"]
    found = (
        f"{ratio['median']:.2f} × ({ratio['least']:.2f} to {ratio['most']:.2f} in {watched['turns']} turns); of all "
        f"probes together {pages:.2f} ms, without pages {nobody:.2f} ms"
    )
    yield Promise(text, found, ratio["median"] <= WATCHED)
    live, shown, looks = watched["live"], watched["shown"], watched["patches"] and watched["heard"]
    text = f"{live} live calls: the pages show them, and lose nothing"
    found = f"{shown} at least; {watched['patches']} patches, {watched['heard']} messages to listeners"
    trouble = "".join(f"; {each}" for each in watched["trouble"][:1])
    kept = bool(looks) and shown >= SHOWN * live and not trouble
    yield Promise(text, found + trouble, kept)


def _no_growth(growth: Json | None) -> Promise:
    text = f"calls that are over leave nothing behind: at most {GROWTH_MB:g} MB, no handles"
    if growth is None:
        return Promise(text, "not measured", None)
    before, after = growth["before"], growth["after"]
    more = (after["rss"] - before["rss"]) / 1e6
    handles = after["fds"] - before["fds"], after["threads"] - before["threads"]
    found = f"{more:+.1f} MB, {handles[0]:+d} files, {handles[1]:+d} threads over {growth['calls']} calls"
    if growth["failed"]:
        found += f", {growth['failed']} failed"
    return Promise(text, found, more <= GROWTH_MB and max(handles) <= GROWTH_HANDLES and not growth["failed"])
