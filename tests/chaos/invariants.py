"""What must be true of every call, whatever broke: judged by what the caller heard, what Twilio did, and the record."""

from collections.abc import Iterator
from dataclasses import dataclass

from chaos.plan import BILLING, FRONT_DESK, MANAGER, Story
from chaos.play import Outcome
from sandbox.caller import PersonLeg
from sandbox.leg import ChildLeg

LONGEST_SILENCE = 10.0
"""Seconds."""

MOST_RESCUES = 3
"""How often a call may be taken back after its stream was lost; the last time leads to the recorder."""

CUTS = ("close", "close_1000", "close_1011", "abort", "expire")
"""The faults of a model's session that end it at once."""

ALLOWED = frozenset({*FRONT_DESK, BILLING, *MANAGER})
"""The numbers that these callers may be put through to."""

STOP_SECONDS, TOLD_SECONDS, LATE_SECONDS = 3.0, 8.0, 30.0
"""How long after the caller has gone a person who was called may be on the phone: it stops ringing at once, and who has
picked up is told so. Where REST or the server that would give the order was gone itself, it rings to its end, and who
picks up is told."""

OVERLAP_SECONDS = 8.0
"""How long the one who was called before may still be told that they are not needed when the next phone rings."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a story, in plain values."""

    story: Story
    wrong: list[str]
    """Everything that must not be, in words."""

    ending: str
    rung: str
    silences: list[tuple[float, float]]
    """Dead air: when of the call it began, and how long it was. Seconds."""

    back_after: float | None
    """From the end of the model's session in mid-sentence until the caller heard the next one, at the most. Seconds."""


def judge(outcome: Outcome) -> Verdict:
    """Look at a story that was played and whose record has its end, or should have."""
    began = outcome.notes[0].at
    silences = [(span.start - began, span.end - span.start) for span in outcome.silences]
    return Verdict(outcome.story, violations(outcome), ending(outcome), rung(outcome), silences, back_after(outcome))


def back_after(outcome: Outcome) -> float | None:
    """See `Verdict`. The caller has heard the first piece of the next session's speech when its mark comes back."""
    fault = outcome.story.model
    if fault is None or fault.moment not in ("greeting", "reply") or fault.kind not in CUTS:
        return None
    notes = iter(outcome.notes)
    broke = next((note for note in notes if note.what == "breaks"), None)
    if broke is None:
        return None
    spoke = next((n for n in notes if (n.lane, n.what) == ("model", "says")), None)
    mark = next((note.data["name"] for note in notes if note.what == "mark"), None)
    heard = next((note for note in notes if note.what == "mark echoed" and note.data["name"] == mark), None)
    return heard.at - broke.at if spoke and heard and not heard.data["released"] else None


def violations(outcome: Outcome) -> list[str]:
    """Everything that must not be, in words; nothing where all held."""
    return [*_caller(outcome), *_people(outcome), *called(outcome), *_orders(outcome), *_record(outcome)]


def was_wanted(outcome: Outcome) -> bool:
    """Whether the call ended with what the caller called for, or with another way through."""
    talks = outcome.story.goal in ("chat", "leaves")  # whoever would leave may have heard all they wanted before
    chatted = talks and any(note.data["name"] == "end_call" for note in outcome.of("model", "calls"))
    met = outcome.call.bridged_to is not None  # if only for so short a time that the caller hardly noticed
    return outcome.caller.satisfied or met or (chatted and not outcome.caller.hung_up)


def ending(outcome: Outcome) -> str:
    """How the call ended for the caller, in a word or two."""
    if outcome.caller.gave_up:
        return "stuck"
    if not was_wanted(outcome):
        return "dropped"
    if outcome.story.goal == "leaves" and outcome.call.bridged_to is None:
        return "left"
    if outcome.call.bridged_to is not None:
        return "person"
    return "recorder" if outcome.of("network", "recording") else "bot"


def rung(outcome: Outcome) -> str:
    """The furthest rung of the ladder that was used, by the timeline of the record and the network."""
    if any("/twilio/rescue" in str(note.data.get("url")) for note in outcome.of("webhook", "asks")):
        return "rescue"
    if any(attempt["failsafe"] for attempt in outcome.record.get("attempts", ())):
        return "held document"
    if any(handoff["by"] == "watch" for handoff in outcome.record.get("handoffs", ())):
        return "person"
    return "new session" if any(e["event"] == "ModelRenewed" for e in outcome.record.get("timeline", ())) else "-"


def _caller(outcome: Outcome) -> Iterator[str]:
    if outcome.caller.gave_up:
        yield "the caller got through to nothing and nobody"
    elif not was_wanted(outcome):
        last = "; ".join(f"{code} {text}" for code, text in outcome.call.errors[-2:])
        yield f"the caller was dropped ({last or 'without an error'})"
    if outcome.dead_air > LONGEST_SILENCE:
        worst = max(outcome.silences, key=lambda span: span.end - span.start)
        since = worst.start - outcome.notes[0].at
        yield f"the caller heard nothing for {outcome.dead_air:.1f} s, from {since:.1f} s on"
    if outcome.of("network", "crashed"):
        yield "the sandbox crashed"


def _people(outcome: Outcome) -> Iterator[str]:
    rung_up = {leg.number for leg in (*outcome.call.children, *outcome.call.called)}
    if rung_up - ALLOWED:
        yield f"{', '.join(sorted(rung_up - ALLOWED))} was dialled, which is not in the policy"
    dials = [note.at for note in outcome.of("network", "dials")]
    for child in outcome.call.children:
        later = [at for at in dials if at > _began(child) + 0.01]
        if later and (child.ended_at is None or child.ended_at > later[0] + 0.05):
            yield f"{child.number} was still being rung when the next one was dialled"


def called(outcome: Outcome) -> Iterator[str]:
    """People who were called while the bot had the caller: for this caller, one after the other, and only so long."""
    gone = outcome.call.ended_at
    rang = {note.data["leg"]: note.at for note in outcome.of("person", "rings")}
    late = outcome.story.replicas or outcome.story.rest is not None
    before: PersonLeg | None = None
    for leg in outcome.call.called:
        allowed = LATE_SECONDS if late else STOP_SECONDS if leg.answered_at is None else TOLD_SECONDS
        if gone is not None and (leg.ended_at is None or leg.ended_at > gone + allowed):
            yield f"{leg.number} was still on the phone for a caller who had gone"
        if gone is not None and rang.get(leg.sid, 0.0) > gone + OVERLAP_SECONDS:
            yield f"{leg.number} was rung for a caller who had gone"
        began = rang.get(leg.sid, leg.ended_at)
        if before is not None and began is not None and (before.ended_at or began) > began + OVERLAP_SECONDS:
            yield f"{before.number} was still on the phone when {leg.number} was called"
        before = leg
    yield from _together(outcome)


def _together(outcome: Outcome) -> Iterator[str]:
    """Nobody has two people at once, nor one who has not taken the call."""
    ends = {leg.sid: leg.ended_at for leg in (*outcome.call.children, *outcome.call.called)}
    accepted = {note.data["number"] for note in outcome.of("person", "presses") if note.data["digit"] == "1"}
    with_before: tuple[str, float | None] | None = None
    for note in outcome.of("person", "bridged"):
        number = note.data["number"]
        if with_before is not None and (with_before[1] is None or with_before[1] > note.at):
            yield f"the caller was with {with_before[0]} and {number} at once"
        if number not in (*FRONT_DESK, *accepted):
            yield f"{number} had the caller and had not taken the call"
        with_before = number, ends.get(note.data["leg"])


def _began(child: ChildLeg) -> float:
    """When it was dialled, at the latest. Seconds on the journal's clock."""
    known = [at for at in (child.rang_at, child.answered_at, child.ended_at) if at is not None]
    return min(known, default=0.0)


def _orders(outcome: Outcome) -> Iterator[str]:
    handoffs = [handoff for handoff in outcome.record.get("handoffs", ()) if not handoff["withdrawn"]]
    moved = sum(order.applied and not order.completes for order in outcome.orders)
    legs = {leg.sid for leg in outcome.call.called}
    met = sum(note.data["leg"] in legs for note in outcome.of("person", "bridged"))
    left = sum(attempt["outcome"] == "left" for attempt in outcome.record.get("attempts", ()))
    # Whoever finds nobody there any more is fetched back; so is, without the record, whose person has hung up.
    if outcome.record and moved > len(handoffs) + max(left, met):
        yield f"{moved} redirects for {len(handoffs)} hand-offs"
    calls = outcome.of("model", "calls")
    for note in outcome.of("rest", "hang up"):
        if note.data["leg"] not in (None, outcome.call.sid):
            continue  # somebody who was called is let go
        asked = [call.data["name"] for call in calls if call.at <= note.at and call.data["name"] != "opening_hours"]
        if asked[-1:] != ["end_call"]:
            yield "the call was ordered to end and the bot had not said goodbye"
    rescues = len({n.data["url"] for n in outcome.of("webhook", "asks") if "/twilio/rescue" in n.data["url"]})
    if rescues > MOST_RESCUES:
        yield f"the caller was taken back {rescues} times"


def _record(outcome: Outcome) -> Iterator[str]:
    record = outcome.record
    if not record:
        yield "the record does not know the call"
        return
    phases = [entry["phase"] for entry in record["timeline"] if entry["changed"]]
    ends = sum(phase == "ended" and before != "ended" for before, phase in zip(["", *phases], phases, strict=False))
    if record["state"] != "ended":
        yield f"the record has no end: {record['state']}"
    elif ends != 1:
        yield f"the record has {ends} ends"
