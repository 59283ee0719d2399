"""A call's life as lanes: who spoke, who rang, who had the caller, and when nobody spoke. Pure.

It is drawn from the record alone, so a call that is over is drawn as it was while it went on, and a phase, an outcome
or an event that is new to this file is drawn under its own name.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bot.call import BOT_PHASES, Attempt, Call, Direction, Outcome, Phase
from bot.record import Entry, Line, Record
from web.console.words import clock, duration, event_words, words

WIDTH = 1120
"""The least width of the drawing. Pixels; a longer call gets more and is scrolled."""

WIDEST = 24_000
PIXELS_PER_SECOND = 14
LEAST_PIXELS = 2.0
"""Nothing is drawn so short that it cannot be seen."""

SILENCE_SECONDS = 2.0
"""A shorter pause is a pause."""

LANE_PIXELS = 46
TOP_PIXELS = 34
BAR_PIXELS = 22
TICKS = 12

_MARKED = {
    "HandoffRequested": "hand-off asked for",
    "GoodbyeHeard": "goodbye heard to its end",
    "GoodbyeInterrupted": "goodbye interrupted",
    "RedirectAccepted": "redirect accepted",
    "RedirectFailed": "redirect failed",
    "ModelLost": "model lost",
    "ModelRenewed": "model renewed",
    "HintGiven": "hint",
    "FarewellRequested": "hang-up asked for",
    "RescueAsked": "caller taken back",
    "KeyPressed": "key pressed",
    "LimitReached": "limit reached",
}
"""The events that get a mark on the bot's lane, in words."""

_TROUBLE = {"RedirectFailed", "ModelLost", "GoodbyeInterrupted", "RescueAsked"}


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch of time on a lane."""

    kind: str
    """`speech`, `ringing`, `asked`, `talk`, `silence`, or a phase: what it looks like."""

    x: float
    width: float
    label: str
    """Drawn in it, where there is room."""

    title: str
    """What a pointer that rests on it is told."""

    @property
    def has_room(self) -> bool:
        """Whether the label fits."""
        return self.width > 7 * len(self.label) + 10


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment on a lane."""

    kind: str
    """`fact`, `trouble` or `tool`."""

    x: float
    title: str


@dataclass(frozen=True, slots=True)
class Lane:
    """One lane, from top to bottom."""

    name: str
    y: int
    bars: list[Bar]
    marks: list[Mark]


@dataclass(frozen=True, slots=True)
class Tick:
    """A time on the axis."""

    x: float
    label: str


@dataclass(frozen=True, slots=True)
class Lanes:
    """The whole drawing. Pixels."""

    width: int
    height: int
    lanes: list[Lane]
    ticks: list[Tick]
    pixels_per_second: float
    began_at: float
    summary: str
    """What is to be seen, for whoever does not see it."""


def draw(record: Record, now: float, speaking: Mapping[str, float] | None = None) -> Lanes:
    """Draw a call.

    Args:
        record: What is kept of it.
        now: Unix seconds; the drawing of a call that goes on ends here.
        speaking: Who is speaking now, and since when.
    """
    call = record.stored.call
    end = max(call.ended_at if call.ended_at is not None else now, call.started_at + 1.0)
    seconds = end - call.started_at
    width = min(max(WIDTH, seconds * PIXELS_PER_SECOND), WIDEST)
    scale = _Scale(call.started_at, end, width)
    speeches = _speeches(record.journal, {} if call.phase is Phase.ENDED else speaking or {}, end)
    spoken = [(each.who, _bar(each, scale)) for each in speeches]
    silences = [*_silences(record.journal, speeches, scale)]
    lanes = [
        Lane("Phase", 0, [*_phases(call, record.journal, scale)], []),
        Lane("Caller", 1, [bar for who, bar in spoken if who == "caller"], []),
        Lane("Bot", 2, [*silences, *(b for who, b in spoken if who == "bot")], _marks(record, scale)),
        Lane("Person", 3, [*(b for each in call.attempts for b in _attempt(each, scale)), *_joins(call, scale)], []),
    ]
    lanes = [Lane(lane.name, TOP_PIXELS + lane.y * LANE_PIXELS, lane.bars, lane.marks) for lane in lanes]
    summary = (
        f"{duration(seconds)} in all; the caller spoke {sum(who == 'caller' for who, _ in spoken)} times, the bot "
        f"{sum(who == 'bot' for who, _ in spoken)} times; {len(call.attempts)} attempts to reach a person; "
        f"{len(silences)} silences of more than {SILENCE_SECONDS:.0f} seconds"
    )
    height = TOP_PIXELS + len(lanes) * LANE_PIXELS
    return Lanes(round(width), height, lanes, _ticks(scale), width / seconds, call.started_at, summary)


@dataclass(frozen=True, slots=True)
class _Scale:
    """Times as places."""

    start: float
    end: float
    width: float

    def x(self, at: float) -> float:
        share = (min(max(at, self.start), self.end) - self.start) / (self.end - self.start)
        return round(share * self.width, 1)

    def bar(self, kind: str, since: float, until: float, label: str, title: str) -> Bar:
        x = self.x(since)
        return Bar(kind, x, max(round(self.x(until) - x, 1), LEAST_PIXELS), label, title)


def _phases(call: Call, journal: Sequence[Entry], scale: _Scale) -> Iterable[Bar]:
    """Who had the caller, from step to step."""
    first = Phase.CONNECTING if call.direction is Direction.INBOUND else Phase.CALLING
    phase, since = first.value, call.started_at
    for entry in [*(entry for entry in journal if entry.changed), None]:
        after = entry.phase if entry is not None else ""
        at = entry.at if entry is not None else scale.end
        if after == phase:
            continue
        if phase != Phase.ENDED:
            name = words(phase)
            yield scale.bar(f"phase {phase}", since, at, name, f"{name}: {duration(at - since)}, from {clock(since)}")
        phase, since = after, at


@dataclass(frozen=True, slots=True)
class _Speech:
    """Somebody speaks. Unix seconds."""

    who: str
    since: float
    until: float
    response_ms: int | None = None


def _speeches(journal: Iterable[Entry], speaking: Mapping[str, float], now: float) -> list[_Speech]:
    """All that was spoken, and what is being spoken now."""
    spoken = [
        _Speech(entry.data["who"], float(entry.data["since"]), entry.at, entry.data.get("response_ms"))
        for entry in journal
        if entry.event == "Spoke"
    ]
    told = max((each.until for each in spoken), default=0.0)
    return spoken + [_Speech(who, max(since, told), now) for who, since in speaking.items() if now > since]


def _bar(speech: _Speech, scale: _Scale) -> Bar:
    after = f", {speech.response_ms} ms after the caller" if speech.response_ms is not None else ""
    title = f"{clock(speech.since)} {speech.who} spoke for {duration(speech.until - speech.since)}{after}"
    return scale.bar("speech", speech.since, speech.until, "", title)


def _silences(journal: Sequence[Entry], speeches: Iterable[_Speech], scale: _Scale) -> Iterable[Bar]:
    """Where nobody spoke although the bot had the caller."""
    spoken = sorted((each.since, each.until) for each in speeches)
    for since, until in _with_bot(journal, scale.end):
        at = since
        for begins, ends in [*(pair for pair in spoken if since <= pair[1] and pair[0] <= until), (until, until)]:
            if begins - at > SILENCE_SECONDS:
                title = f"{clock(at)} silence of {duration(begins - at)}"
                yield scale.bar("silence", at, begins, duration(begins - at), title)
            at = max(at, ends)


def _with_bot(journal: Iterable[Entry], end: float) -> Iterable[tuple[float, float]]:
    since: float | None = None
    for entry in journal:
        if not entry.changed:
            continue
        if entry.phase in BOT_PHASES:
            since = entry.at if since is None else since
        elif since is not None:
            yield since, entry.at
            since = None
    if since is not None:
        yield since, end


def _joined(attempt: Attempt) -> float | None:
    """When the caller and the person were together, if they were: who is attended takes the call before that."""
    if attempt.outcome is Outcome.LEFT:
        return None
    waits = attempt.attended and attempt.outcome is None
    return attempt.bridged_at or (None if waits else attempt.accepted_at)


def _attempt(attempt: Attempt, scale: _Scale) -> Iterable[Bar]:
    """Ringing, then what was said to whoever picked up before they took the call, then the conversation."""
    whom = f"{attempt.target.replace('_', ' ')}, attempt of {clock(attempt.at)}"
    picked_up = attempt.answered_at or attempt.accepted_at
    joined = _joined(attempt)
    rang_until = picked_up or attempt.ended_at or scale.end
    outcome = words(attempt.outcome) if attempt.outcome is not None else "rings"
    label = outcome if picked_up is None else ""
    title = f"{whom}: rang {duration(rang_until - attempt.at)}; {outcome}"
    yield scale.bar("ringing", attempt.at, rang_until, label, title)
    until = attempt.ended_at or scale.end
    if picked_up is not None and picked_up < (joined or until):
        label = "picked up" if joined is not None or attempt.outcome is None else outcome
        title = f"{whom}: picked up, and took the call" if joined is not None else f"{whom}: picked up; {outcome}"
        yield scale.bar("asked", picked_up, joined or until, label, title)
    if joined is not None:
        yield scale.bar("talk", joined, until, outcome if attempt.outcome else "talks", f"{whom}: {outcome}")


def _joins(call: Call, scale: _Scale) -> Iterable[Bar]:
    """Supervisors in the bot's place."""
    for join in call.joins:
        until = scale.end if join.until is None else join.until
        title = f"{join.who}, at the console: {duration(until - join.at)}, from {clock(join.at)}"
        yield scale.bar("talk", join.at, until, join.who, title)


def _marks(record: Record, scale: _Scale) -> list[Mark]:
    marks = [
        Mark("trouble" if entry.event in _TROUBLE else "fact", scale.x(entry.at), _told(entry))
        for entry in record.journal
        if entry.event in _MARKED
    ]
    tools = [line for line in record.transcript if line.role == "tool"]
    return marks + [Mark("tool", scale.x(line.at), _tool(line)) for line in tools]


def _told(entry: Entry) -> str:
    return f"{clock(entry.at)} {_MARKED.get(entry.event, event_words(entry.event))}"


def _tool(line: Line) -> str:
    return f"{clock(line.at)} tool {line.text.partition('(')[0]}"


def _ticks(scale: _Scale) -> list[Tick]:
    seconds = scale.end - scale.start
    wanted = seconds / max(TICKS, scale.width / 160)
    step = next((s for s in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800) if s >= wanted), 3600)
    return [Tick(scale.x(scale.start + at), f"{at // 60}:{at % 60:02}") for at in range(0, int(seconds) + 1, step)]
