"""The figures for a reader: tables on the terminal, and the marked block of docs/performance.md.

`python -m bench.report` rewrites the block from docs/performance.json.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from bench.promises import Promise, promises, watched_promises
from bench.watched import KINDS

DOCS = Path(__file__).parent.parent / "docs"
BLOCK = re.compile(r"(<!-- figures -->\n).*(<!-- /figures -->)", re.DOTALL)

Json = dict[str, Any]
Rows = list[list[str]]

NAMES = {"bare": "bare relay", "relay": "thin relay", "stock": "stock Pipecat", "putthrough": "Putthrough"}
NONE = "–"


def terminal(document: Json) -> str:
    """All of it, for a terminal."""
    return "\n\n".join(
        [title + "\n" + _aligned(rows) for title, rows in tables(document)]
        + ["What Putthrough promises\n" + _aligned(promise_rows(promises(document)))]
        + ["\n".join(notes(document))]
    )


def watched_terminal(watched: Json) -> str:
    """What open pages cost, for a terminal."""
    title, rows = watched_table(watched)
    return f"{title}\n{_aligned(rows)}\n\n{_aligned(promise_rows(watched_promises(watched)))}"


def markdown(document: Json) -> str:
    """All of it, for docs/performance.md."""
    parts = [f"Measured {document['when']} on {_machine(document)}."]
    parts += [f"**{title}**\n\n" + _markdown_table(rows) for title, rows in tables(document)]
    parts += ["**What Putthrough promises**\n\n" + _markdown_table(promise_rows(promises(document)))]
    parts += ["\n".join(f"- {note}" for note in notes(document))]
    parts += ["![Processor time and delay](performance.png)"]
    return "\n\n".join(parts) + "\n"


# --- tables ------------------------------------------------------------------------------------------------


def tables(document: Json) -> list[tuple[str, Rows]]:
    """A title and rows for each load; the first row is the head."""
    names = document["servers"]
    found: list[tuple[str, Rows]] = []
    for calls, level in document["levels"].items():
        found.append((f"{calls} calls at once", _table(names, level)))
    if document["short_deltas"]:
        calls = next(iter(document["short_deltas"].values()))["calls"]
        title = f"{calls} calls at once, the model's audio in pieces of 20 ms instead of 200"
        found.append((title, _table(names, document["short_deltas"], brief=True)))
    if document["blocked"]:
        calls = next(iter(document["blocked"].values()))["calls"]
        title = f"{calls} calls at once, the process stopped for 0.4 s of every second"
        found.append((title, _blocked_table(document["blocked"])))
    held = [
        [_calls(document["calls_per_core"][name]) for name in names],
    ]
    if watched := document.get("watched"):
        found.append(watched_table(watched))
    if document["ramp"]:
        found.append(("How many", [["", *(NAMES[name] for name in names)], ["calls that one core holds", *held[0]]]))
    return found


def _table(names: Sequence[str], level: Json, *, brief: bool = False) -> Rows:
    tried = [level.get(name) for name in names]

    def row(words: str, cell: Callable[[Json], str]) -> list[str]:
        return [words, *(NONE if one is None or "not_tried" in one else cell(one) for one in tried)]

    def ratio(to: str) -> Callable[[Json], str]:
        return lambda one: _number(one.get("cpu_ratio", {}).get(to), "× ")

    rows = [["", *(NAMES[name] for name in names)]]
    for to in ("bare", "relay", "stock"):
        if not brief and to in names:
            rows.append(row(f"processor time of a call, to the {NAMES[to]}'s", ratio(to)))
    rows += [
        row("processor time of a call, of one core", lambda one: f"{one['cpu_per_call']:.2%}"),
        row("caller → model, added delay p50 / p99, ms", lambda one: _delay(one["up"])),
        row("model → caller, added delay p50 / p99, ms", lambda one: _delay(one["down"])),
        row("barge-in → Twilio told to stop p50 / p99, ms", lambda one: _delay(one["barge_in"])),
    ]
    if brief:
        return rows
    return [
        *rows,
        row("stream starts → model asked to speak p50, ms", lambda one: _p50(one["to_response"])),
        row("model's first sound → caller p50, ms", lambda one: _p50(one["to_greeting"])),
        row("gaps in replies (underruns)", lambda one: f"{one['underruns']} in {one['replies']}"),
        row("replies that lost their end", lambda one: f"{one['lost_tails']} of {one['replies']}"),
        row("told-as-heard error p50 / p95 / max, ms", _truncation),
        row("memory of a call, MB", lambda one: _number(one["memory_per_call"] / 1e6)),
        row("another request waits p99, ms", lambda one: _number(one["health"] and one["health"]["p99"])),
        row("of its core: used / by others", lambda one: f"{one['core']:.0%} / {one['others']:.0%}"),
        row("rig: late p99, ms / of its core", lambda one: f"{one['rig_lag']['p99']:.1f} / {one['rig_core']:.0%}"),
        row("probes: bursts up / replies down / barge-ins", _probes),
        row("calls that failed", lambda one: str(len(one["failed_calls"]))),
    ]


def watched_table(watched: Json) -> tuple[str, Rows]:
    """With open pages of the console and without: a title and rows."""
    pages = watched["open"]
    title = (
        f"{watched['live']} live calls, {watched['streams']} of them with the bot (on one core) and the others with "
        f"people; {pages['boards']} pages of the live board, {pages['calls']} of a call, {pages['listeners']} listeners"
    )

    def row(words: str, cell: Callable[[Json], str]) -> list[str]:
        return [words, *(cell(watched["sides"][kind]) for kind in KINDS)]

    return title, [
        ["", "nobody looks", "pages", "pages and listeners"],
        row("caller → model, added delay p50 / p99 of all probes, ms", lambda one: _delay(one["up"])),
        row("p99 of each turn, ms", lambda one: " / ".join(f"{p99:.1f}" for p99 in one["p99_by_turn"])),
        row("p99, to that of the turn with nobody: median (least to most)", lambda one: _times(one["ratio"])),
        row("of the server's core: used / by others at most", lambda one: f"{one['core']:.0%} / {one['others']:.0%}"),
        row("rig: late p99, ms / of its core", lambda one: f"{one['rig_lag_p99']:.1f} / {one['rig_core']:.0%}"),
        row("probes", lambda one: str(one["up"]["count"])),
    ]


def _times(ratio: Json) -> str:
    return f"{ratio['median']:.2f}× ({ratio['least']:.2f} to {ratio['most']:.2f})"


def _blocked_table(blocked: Json) -> Rows:
    rows = [["", *(NAMES[name] for name in blocked)]]
    rows.append(
        ["gaps in replies (underruns)", *(f"{one['underruns']} in {one['replies']}" for one in blocked.values())]
    )
    words = "gaps that no server could have filled"
    rows.append([words, *(str(one["unavoidable"]) for one in blocked.values())])
    rows.append(["replies that lost their end", *(str(one["lost_tails"]) for one in blocked.values())])
    return rows


def promise_rows(found: Iterable[Promise]) -> Rows:
    """Promises as a table."""
    words = {True: "kept", False: "BROKEN", None: "–"}
    return [["promise", "found", ""], *([one.text, one.found, words[one.kept]] for one in found)]


def notes(document: Json) -> list[str]:
    """What tells a reader how far to trust the figures."""
    plan = document["plan"]
    lines = [
        f"Medians of {plan['rounds']} rounds of {plan['seconds']:.0f} s, in which the servers took turns; ratios are "
        "taken within a round. Every server on one core, the rig on another.",
    ]
    if watched := document.get("watched"):
        lines.append(
            f"With pages and without: {watched['turns']} turns of {watched['seconds']:.0f} s each, in turn, measured "
            f"{watched['when']} on {_machine(watched)}."
        )
    for calls, level in document["levels"].items():
        for name, one in level.items():
            if "not_tried" in one:
                lines.append(f"{NAMES[name]} was not tried with {calls} calls: {one['not_tried']}.")
            elif one["failed_calls"]:
                lines.append(f"{NAMES[name]} with {calls} calls, a failed call: {one['failed_calls'][0]}.")
            if one.get("rig_lag") and one["rig_lag"]["p99"] > 20:
                lines.append(f"The rig itself was late with {calls} calls on {NAMES[name]}: its delays are too high.")
    return lines


# --- cells -------------------------------------------------------------------------------------------------


def _number(value: float | None, unit: str = "") -> str:
    return NONE if value is None else f"{value:.2f}{unit}".rstrip()


def _delay(delay: Json | None) -> str:
    return NONE if delay is None else f"{delay['p50']:.1f} / {delay['p99']:.1f}"


def _p50(delay: Json | None) -> str:
    return NONE if delay is None else f"{delay['p50']:.1f}"


def _truncation(one: Json) -> str:
    cut = one["truncation"]
    return NONE if cut is None else f"{cut['p50']:.0f} / {cut['p95']:.0f} / {cut['max']:.0f}"


def _probes(one: Json) -> str:
    counts = [0 if one[name] is None else one[name]["count"] for name in ("up", "down", "barge_in")]
    return " / ".join(map(str, counts))


def _calls(found: Json) -> str:
    if found["limit"] == "rig":
        return f"over {found['calls']} (the rig's limit)"
    return str(found["calls"]) if found["limit"] else f"at least {found['calls']}"


def _machine(document: Json) -> str:
    machine = document["machine"]
    return f"{machine['cores']} cores of {machine['cpu']}, {machine['system']}, Python {machine['python']}"


def _aligned(rows: Rows) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _markdown_table(rows: Rows) -> str:
    head, *body = rows
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


# --- docs/performance.md -----------------------------------------------------------------------------------


def rewrite(text: str, document: Json) -> str:
    """A page with its marked block made new.

    Raises:
        ValueError: It has no such block.
    """
    if not BLOCK.search(text):
        raise ValueError("the page has no block between <!-- figures --> and <!-- /figures -->")
    return BLOCK.sub(lambda match: f"{match[1]}{markdown(document)}{match[2]}", text)


def write_page() -> None:
    """Bring docs/performance.json into docs/performance.md."""
    page = DOCS / "performance.md"
    document = json.loads((DOCS / "performance.json").read_text())
    page.write_text(rewrite(page.read_text(), document))


if __name__ == "__main__":
    write_page()
