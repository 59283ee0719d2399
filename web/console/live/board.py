"""The live board: all calls of all processes, the day's figures, targets, and how everything is."""

import asyncio
import time
from bisect import insort
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from bot.archive import Archive, Measured
from bot.call import Call, Phase
from bot.news import News
from bot.record import OUTAGE, Entry, LedgerError, Switch
from bot.routing import Target
from web.console.access import Role
from web.console.figures import Day, Summary, day, percentile
from web.console.live.page import Page, Piece, Pieces
from web.console.live.processes import Processes
from web.console.live.speakers import Speakers
from web.console.words import midnight

ACTS = 5
"""So many turnings of the outage switch are shown."""

MOST_CELLS = 4000
"""So many cells that say who speaks are kept, each of one call and one speaker."""

RECENT = 8
"""So many calls that have ended are shown."""

Render = Callable[..., str]
"""`render(name, **what)`: a piece of the page as HTML."""


@dataclass(frozen=True, slots=True)
class Card:
    """One call on the board."""

    call: Call
    since: float
    """Since when it is in its phase. Unix seconds."""

    @property
    def target(self) -> str | None:
        """To whom the caller is on the way, or with whom they are; None while nobody else is meant."""
        if self.call.attempts and self.call.attempts[-1].outcome is None:
            return self.call.attempts[-1].target
        last = self.call.handoffs[-1] if self.call.handoffs else None
        away = self.call.phase not in (Phase.CALLING, Phase.CONNECTING, Phase.BOT, Phase.ENDED)
        return last.target if last is not None and away else None


@dataclass(frozen=True, slots=True)
class Health:
    """How something is."""

    name: str
    state: str
    """`well`, `troubled` or `gone`."""

    words: str


class Board(Page):
    """See the module."""

    lists = ("calls",)

    def __init__(
        self,
        archive: Archive,
        targets: Mapping[str, Target],
        render: Render,
        *,
        failsafe: str,
        known: Callable[[], list[Call]],
        speakers: Speakers | None = None,
        processes: Processes | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Nothing is read before somebody looks.

        Args:
            archive: The record.
            targets: Whom callers are put through to, by key.
            render: Makes HTML.
            failsafe: The target that takes over when nothing else does.
            known: The calls that this process knows, for when the record is away.
            speakers: Knows who is speaking; it is told the news before this is.
            processes: Knows how the processes are; the same.
            clock: Unix seconds.
        """
        super().__init__()
        self._archive = archive
        self._targets = targets
        self._failsafe = failsafe
        self._render = render
        self._known = known
        self._speakers = speakers or Speakers(clock)
        self._clock = clock
        self._cards: dict[str, Card] = {}
        self._recent: dict[str, Call] = {}
        """Calls that have ended, the latest last."""

        self._today: dict[str, Summary] = {}
        self._day_began = 0.0
        self._day: Day | None = None
        """Their figures, until one of them changes: a day may have tens of thousands of calls."""

        self._measured = Measured([], [])
        """In ascending order, so that to look for a median costs little."""

        self._meanwhile: list[tuple[Call, float]] | None = None
        """What has happened since the record began to be read."""

        self._foreign: set[str] = set()
        """Calls of other processes that have gone on, to be read."""

        self._stale = False
        self._switch: Switch | None = None
        self._acts: list[Entry] | None = []
        """How the switch was turned, newest first; None when that is to be read."""

        self._record_answers = True
        self._asking: asyncio.Task[None] | None = None
        self._processes = processes or Processes(clock)
        self._rows: dict[tuple[str, Role], tuple[Card, str]] = {}
        """Rows in which nobody speaks."""

        self._speaks = lru_cache(MOST_CELLS)(self._cell)

    # --- what happens ------------------------------------------------------------------------------

    def heard(self, news: News) -> None:
        """A piece of news."""
        match news.kind:
            case "beat":
                self._beat()
            case _ if not self.watched:
                return
            case "call" if news.call is not None:
                self._take(news.call, float(news.data["at"]))
            case "call":
                self._moved(news)
            case "speaks":
                pass
            case "measured" if "response" in news.data:
                insort(self._measured.responses, float(news.data["response"]))
            case "measured":
                insort(self._measured.silences, float(news.data["silence"]))
            case "switch":
                self._switch = Switch(news.data["on"], news.data["reason"], float(news.data["at"]))
                self._acts = None
            case "missed":
                self._stale = True
            case _:
                return
        self.changed()

    def _beat(self) -> None:
        if self.watched and self._asking is None:
            self._asking = asyncio.get_running_loop().create_task(self._ask())

    async def _ask(self) -> None:
        """Ask the record whether it answers, and read it anew when it does again."""
        try:
            await self._archive.switch(OUTAGE)
            answers = True
        except LedgerError:
            answers = False
        self._asking = None
        if answers is not self._record_answers:
            self._stale = answers  # it is read anew, and with that it answers
            self._record_answers = False
            self.changed()

    def _moved(self, news: News) -> None:
        """Another process's call has gone on."""
        self._foreign.add(news.sid)
        card = self._cards.get(news.sid)
        if card is not None and card.call.phase != news.data["phase"]:
            self._cards[news.sid] = replace(card, since=float(news.data["at"]))

    def _take(self, call: Call, at: float) -> None:
        """A call as it is now."""
        if self._meanwhile is not None:
            self._meanwhile.append((call, at))
        if call.started_at >= self._day_began:
            summary = Summary.of(call)
            if summary != self._today.get(call.sid):
                self._today[call.sid], self._day = summary, None
        before = self._cards.get(call.sid)
        if call.phase is Phase.ENDED:
            self._cards.pop(call.sid, None)
            ended = sorted({**self._recent, call.sid: call}.values(), key=lambda each: each.ended_at or 0.0)
            self._recent = {each.sid: each for each in ended[-RECENT:]}  # a late fact makes no call a newer one
            for role in Role:
                self._rows.pop((call.sid, role), None)
        elif before is None:
            self._cards[call.sid] = Card(call, at)
        elif before.call != call:
            since = before.since if before.call.phase is call.phase else at
            self._cards[call.sid] = replace(before, call=call, since=since)

    # --- Page ----------------------------------------------------------------------------------------

    async def prepare(self) -> None:
        """See `Page`."""
        self._meanwhile = []
        try:
            await self._read_all()
        finally:
            meanwhile, self._meanwhile = self._meanwhile, None
            for call, at in meanwhile or ():
                self._take(call, at)

    async def _read_all(self) -> None:
        self._stale = False
        self._foreign.clear()
        self._rows.clear()
        self._day_began = midnight(self._clock())
        self._record_answers = False
        self._cards = {call.sid: Card(call, call.started_at) for call in self._known()}
        live = await self._archive.live()
        since = await self._archive.phases_since(call.sid for call in live)
        today = await self._archive.begun(self._day_began)
        measured = await self._archive.measured(self._day_began)
        self._measured = Measured(sorted(measured.responses), sorted(measured.silences))
        self._switch = await self._archive.switch(OUTAGE)
        self._acts = await self._archive.acts(ACTS)
        self._record_answers = True
        known = {call.sid: call for call in self._known()}
        every = {call.sid: call for call in live} | known
        self._cards = {
            sid: Card(call, since.get(sid, call.started_at))
            for sid, call in sorted(every.items(), key=lambda pair: pair[1].started_at)
            if call.phase is not Phase.ENDED
        }
        self._today, self._day = {call.sid: Summary.of(call) for call in today}, None
        ended = sorted((call for call in today if call.ended_at is not None), key=lambda call: call.ended_at or 0.0)
        self._recent = {call.sid: call for call in ended[-RECENT:]}

    async def update(self) -> None:
        """See `Page`."""
        if self._stale or self._day_began != midnight(self._clock()):
            await self.prepare()
        if self._acts is None:
            self._acts = await self._archive.acts(ACTS)
        foreign, self._foreign = self._foreign, set()
        if foreign:
            for call in await self._archive.some(foreign):
                card = self._cards.get(call.sid)
                self._take(call, card.since if card is not None else call.started_at)

    def pieces(self, role: Role) -> Pieces:
        """See `Page`."""
        figures = self._day = self._day or day(self._today.values())
        count = len(self._cards)
        return {
            "figures": Piece(self._render("figures", day=figures, live=count, **self._measures())),
            "outage": Piece(self._render("outage", switch=self._switch, role=role)),
            "switched": Piece(self._render("switched", acts=self._acts or [], role=role)),
            "outcomes": Piece(self._render("outcomes", day=figures)),
            "targets": Piece(
                self._render("targets", targets=self._targets, day=figures, failsafe=self._failsafe, now=self._clock())
            ),
            "health": Piece(self._render("health", things=self._health(figures))),
            "none": Piece(self._render("nobody", count=count)),
            "recent": Piece(self._render("recent", calls=[*reversed(self._recent.values())], role=role)),
            **{f"call-{sid}": self._row(card, role) for sid, card in self._cards.items()},
        }

    def _row(self, card: Card, role: Role) -> Piece:
        sid = card.call.sid
        made = self._rows.get((sid, role))
        if made is None or made[0] != card:
            made = self._rows[sid, role] = (card, self._render("row", card=card, role=role))
        nobody, part = self._speaks(sid, ""), self._speaks(sid, self._speakers.latest(sid))
        return Piece(made[1].replace(nobody, part, 1), "calls", (f"speaks-{sid}", part))

    def _cell(self, sid: str, who: str) -> str:
        return self._render("speaks", sid=sid, who=who)

    def _measures(self) -> dict[str, float | None]:
        return {
            "response": percentile(self._measured.responses, 50),
            "silence": percentile(self._measured.silences, 99),
        }

    def _health(self, figures: Day) -> list[Health]:
        processes = [(each.data, self._processes.speaks(each)) for each in self._processes.all()]
        alive = [each for each, speaks in processes if speaks]
        model = sum(each["model_faults"] for each in alive)
        twilio = sum(each["twilio_faults"] for each in alive)
        waiting = sum(each["spooled"] for each in alive)
        things = [
            _trouble("Model", model, "sessions were lost in the last five minutes", "no session was lost lately"),
            _trouble("Twilio", twilio, "orders were not confirmed in the last five minutes", "confirms our orders"),
        ]
        if not self._record_answers:
            things.append(Health("Database", "gone", "does not answer; calls go on"))
        else:
            things.append(_trouble("Database", waiting, "writings wait for it", "has everything"))
        for each, speaks in processes:
            if not speaks:
                things.append(Health(each["name"], "gone", "nothing has been heard of it"))
            elif each["draining"]:
                things.append(Health(each["name"], "troubled", f"is ending; {each['calls']} calls are still on"))
            else:
                calls = each["calls"]
                things.append(Health(each["name"], "well", f"carries {calls} call{'' if calls == 1 else 's'}"))
        return things


def _trouble(name: str, count: int, troubled: str, well: str) -> Health:
    return Health(name, "troubled" if count else "well", f"{count} {troubled}" if count else well)
