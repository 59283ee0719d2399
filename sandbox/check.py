"""Did a story hold? What the caller heard, what Twilio was asked, and what the server's own record says."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.caller import CallerLeg
from sandbox.scene import Note
from sandbox.story import Story
from sandbox.view import SessionView

REDIRECT_SECONDS = 0.3
"""How soon after the goodbye's last sample a redirect must be ordered."""

TRUNCATION_MS = 60
"""How exactly the model must be told what was heard when the caller interrupts. Milliseconds."""

AT_ONCE_SECONDS = 0.05
"""Two notes of one moment differ by this much at most: one is written by the clock, one by the audio."""


@dataclass(frozen=True, slots=True)
class Played:
    """One story as it went."""

    name: str
    story: Story
    call: CallerLeg
    notes: Sequence[Note]
    """Everything that happened to the call."""

    sessions: Sequence[SessionView]
    """The model sessions of the call, in order."""

    record: Mapping[str, Any]
    """What `GET /api/calls/{call_sid}` says."""

    by_requests: bool = False
    """The model was asked over HTTP, each time anew: `sessions` holds its requests, whose number says nothing."""

    def of(self, lane: str, what: str) -> list[Note]:
        """The notes of one kind."""
        return [note for note in self.notes if note.lane == lane and note.what == what]

    @property
    def redirects(self) -> list[Note]:
        """The orders to Twilio's REST that moved the call."""
        return [note for note in self._orders("redirect") if note.data["status"] == 200]

    @property
    def hang_ups(self) -> list[Note]:
        """The orders to Twilio's REST that ended the call."""
        return self._orders("hang up")

    def _orders(self, what: str) -> list[Note]:
        """Orders for the caller's own leg, not for those of people who were called."""
        return [note for note in self.of("rest", what) if note.data["leg"] in (None, self.call.sid)]

    @property
    def goodbye_gaps(self) -> list[float]:
        """For each redirect: how long after the last sample of the goodbye it was ordered. Seconds."""
        stops = [note.at for note in self.of("bot", "speech stopped")]
        return [
            redirect.at - max((at for at in stops if at <= redirect.at), default=0.0) for redirect in self.redirects
        ]

    @property
    def answer_gaps(self) -> list[float]:
        """For each turn of the caller's that the bot answered: how long that took. Seconds."""
        begins = [note.at for note in self.of("bot", "speech started")]
        ends = [note.at for note in self.of("caller", "falls silent")]
        following = [*ends[1:], float("inf")]
        answers = [
            (end, min((at for at in begins if end <= at < until), default=None))
            for end, until in zip(ends, following, strict=True)
        ]
        return [at - end for end, at in answers if at is not None]

    @property
    def truncation_errors(self) -> list[int]:
        """For each interruption: by how much the model was told wrong what was heard. Milliseconds."""
        told = [note.data["audio_end_ms"] for note in self.of("model", "truncated")]
        return [t - h for t, h in zip(told, self._heard_at_interruptions(), strict=False)]

    def _heard_at_interruptions(self) -> Iterator[int]:
        """How much of the response that an interruption cut short had been played, gaps in it left out."""
        stretches: list[Note] = []
        for note in sorted(self.notes, key=lambda note: note.at):
            match note.lane, note.what:
                case "model", "response started":
                    stretches.clear()
                case "bot", "speech stopped":
                    stretches.append(note)
                case "bot", "clear" if note.data["dropped_ms"] > 0:
                    # The clear ends a stretch itself; the two notes are of one moment and come in either order.
                    before = [s for s in stretches if abs(s.at - note.at) > AT_ONCE_SECONDS]
                    yield note.data["played_ms"] + sum(s.data["played_ms"] for s in before)
                case _:
                    pass

    @property
    def dead_air(self) -> float:
        """The longest silence that the caller heard. Seconds."""
        return max((span.end - span.start for span in self.call.silences), default=0.0)


def problems(played: Played, *, on_time: bool = True) -> list[str]:
    """Everything in which the story did not hold, in words; nothing where it did.

    Args:
        played: The story as it went.
        on_time: Whether lengths of time count. On a machine that has other things to do they say nothing.
    """
    return [*_as_told(played), *_as_always(played), *(_on_time(played) if on_time else [])]


def _as_told(played: Played) -> list[str]:
    """What this story says must be true."""
    then, record = played.story.then, played.record
    told = [(a["number"], a["outcome"]) for a in record["attempts"]]
    said = [line["text"] for line in record["transcript"] if line["role"] == "bot"]
    answered = [name for session in played.sessions for name in _answered(session)]
    pairs: list[tuple[str, Any, Any]] = [
        ("end", record["end"], then.end),
        ("attempts", told, [(a.number, a.outcome) for a in then.attempts]),
        ("redirects", len(played.redirects), then.redirects),
        ("hang-ups", len(played.hang_ups), then.hang_ups),
        (
            "announced",
            [(n.data["text"], len(n.data["legs"])) for n in played.of("network", "announces")],
            [(text, 2) for text in then.announced],
        ),
    ]
    if not played.by_requests:
        pairs.append(("model sessions", len(played.sessions), then.sessions))
    if then.recorded is not None:
        parts = [each["part"] for each in record["recordings"] if each["seconds"] and not each["overran"]]
        pairs.append(("recorded", parts, then.recorded))
    if then.bridged_to is not None:
        pairs.append(("bridged to", played.call.bridged_to, then.bridged_to))
    found = [f"{what}: {is_!r}, should be {should!r}" for what, is_, should in pairs if is_ != should]
    memory = played.sessions[-1].text if played.sessions else ""
    found += [f"the last model session does not know {text!r}" for text in then.knows if text not in memory]
    found += [f"the bot did not say {text!r}" for text in then.says if not any(text in line for line in said)]
    found += [f"the model got no result of {name}" for name in then.tools if name not in answered]
    return found


def _on_time(played: Played) -> list[str]:
    """What must not take longer."""
    found = []
    if played.dead_air > played.story.then.dead_air:
        found.append(f"the caller heard nothing for {played.dead_air:.1f} s")
    if not played.story.then.without_goodbye:
        late = [gap for gap in played.goodbye_gaps if gap > REDIRECT_SECONDS]
        found += [f"a redirect came {gap * 1000:.0f} ms after the goodbye" for gap in late]
    if played.call.called:  # people were called while the bot had the caller
        found += [f"the bot left the caller {gap:.1f} s without an answer" for gap in played.answer_gaps if gap > 1.0]
    wrong = [ms for ms in played.truncation_errors if abs(ms) > TRUNCATION_MS]
    found += [f"what was heard at a barge-in was told wrong by {ms} ms" for ms in wrong]
    return found


def _answered(session: SessionView) -> list[str]:
    """The functions of which the model got a result."""
    outputs = {item["call_id"] for item in session.items if item["type"] == "function_call_output"}
    calls = [item for item in session.items if item["type"] == "function_call"]
    return [item["name"] for item in calls if item["call_id"] in outputs]


def _as_always(played: Played) -> list[str]:
    """What must be true of every call."""
    found = [f"Twilio: error {code}, {text}" for code, text in played.call.errors]
    if not played.story.then.warnings:
        found += [f"Twilio: warning {code}, {text}" for code, text in played.call.warnings]
    found += [f"the model refused: {error}" for session in played.sessions for error in session.errors]
    if played.record["state"] != "ended":
        found.append(f"the record has no end: {played.record['state']}")
    if any(gap < 0 for gap in played.goodbye_gaps):
        found.append("a redirect was ordered before the goodbye was heard to its end")
    known = set(played.story.people) | {a.number for a in played.story.then.attempts}
    found += [f"{n.data['number']} was rung" for n in played.of("person", "rings") if n.data["number"] not in known]
    return found
