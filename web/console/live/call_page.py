"""The page of one call: its lanes, its transcript as it is spoken, its attempts, its journal."""

import asyncio
import time
from collections.abc import Callable, Iterable

from bot.archive import Archive
from bot.call import BOT_PHASES, Call, Phase
from bot.news import News
from bot.record import Line, Record, Stored
from web.console.access import Role
from web.console.live.board import Render
from web.console.live.lanes import draw
from web.console.live.page import Page, Piece, Pieces, Watcher
from web.console.live.speakers import Speakers

TICK_SECONDS = 1.0
"""How often the lanes of a call that goes on grow."""


class CallPage(Page):
    """One call's page."""

    lists = ("recordings", "transcript", "journal")

    def __init__(
        self,
        sid: str,
        archive: Archive,
        render: Render,
        *,
        known: Callable[[str], Call | None],
        look: Callable[[], None] = lambda: None,
        speakers: Speakers | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Nothing is read before somebody looks.

        Args:
            sid: Twilio's CallSid.
            archive: The record.
            render: Makes HTML.
            known: The call as this process knows it, for when the record is away.
            look: Says to whoever carries the call that somebody looks at it.
            speakers: Knows who is speaking; it is told the news before this is.
            clock: Unix seconds.
        """
        super().__init__()
        self._sid = sid
        self._archive = archive
        self._render = render
        self._known = known
        self._look = look
        self._clock = clock
        self._record: Record | None = None
        self._speakers = speakers or Speakers(clock)
        self._words = ""
        """What the caller has heard of the turn that the bot is at."""

        self._fresh = False
        """The record is as it was read last."""

        self._made: dict[tuple[str, Role], str] = {}
        """Lines that were rendered; they do not change before they are forgotten."""

        self._ticking: asyncio.Task[None] | None = None

    @property
    def call(self) -> Call | None:
        """The call, as far as it is known; None for one that nobody knows."""
        return None if self._record is None else self._record.stored.call

    def heard(self, news: News) -> None:
        """A piece of news about this call, or of news that was missed."""
        match news.kind:
            case "looks":
                return
            case "words":
                self._words += news.data["text"]
                self.changed()
                return
            case "speaks" if news.data["on"]:
                self.changed()
                return  # the record hears of it when they have spoken
            case "said" if news.data.get("role") == "bot":
                self._words = ""
            case "missed" | "forgotten":
                self._words = ""
                self._made.clear()
            case _:
                pass
        self._fresh = False
        self.changed()

    # --- Page ----------------------------------------------------------------------------------------

    async def prepare(self) -> None:
        """See `Page`."""
        self._fresh = False
        known = self._known(self._sid)
        if known is not None:
            self._record = Record(Stored(known, 0), [], [])
        await self.update()

    async def update(self) -> None:
        """See `Page`."""
        if not self._fresh:
            self._fresh = True
            self._record = await self._archive.record(self._sid) or self._record

    async def open(self, watcher: Watcher) -> None:
        """See `Page`. While somebody looks at a call that goes on, its lanes grow."""
        await super().open(watcher)
        self._look()
        if self._ticking is None or self._ticking.done():
            self._ticking = asyncio.create_task(self._tick())

    async def _tick(self) -> None:
        while self.watched and self.call is not None and self.call.phase is not Phase.ENDED:
            await asyncio.sleep(TICK_SECONDS)
            self._look()
            self.changed()

    def pieces(self, role: Role) -> Pieces:
        """See `Page`."""
        record = self._record
        if record is None:
            return {}
        call, now = record.stored.call, self._clock()
        speaks = "" if call.phase is Phase.ENDED else self._speakers.latest(call.sid)
        lanes = draw(record, now, self._speakers.of(call.sid))
        return {
            "head": Piece(self._render("head", call=call, speaks=speaks, role=role)),
            "acts": Piece(self._render("acts", call=call, role=role)),
            "lanes": Piece(self._render("lanes", lanes=lanes, live=call.phase is not Phase.ENDED)),
            "message-text": Piece(self._render("message", message=call.message, role=role)),
            "attempts": Piece(self._render("attempts", call=call, role=role)),
            "numbers": Piece(self._render("numbers", record=record, role=role)),
            "unsaid": Piece(
                self._render("unsaid", count=len(record.transcript) + bool(self._words), over=call.end is not None)
            ),
            **{
                key: Piece(self._once("line", key, role, line=line), "transcript")
                for key, line in _keyed(record.transcript).items()
            },
            **self._being_said(call, role),
            **(self._sounds(record) if role is Role.SUPERVISOR else {}),
            **{
                f"entry-{n}": Piece(self._once("entry", f"entry-{n}", role, entry=each), "journal")
                for n, each in enumerate(record.journal)
            },
        }

    def _sounds(self, record: Record) -> Pieces:
        """What can be heard. A piece that is there stays as it is: somebody may be listening."""
        call, began_at = record.stored.call, _message_began_at(record)
        message = {}
        if began_at is not None:
            message["message-left"] = Piece(self._render("message_left", call=call, began_at=began_at), "recordings")
        return message | {
            f"recording-{n}": Piece(self._render("recording", call=call, recording=each, n=n), "recordings")
            for n, each in enumerate(call.recordings, 1)
            if each.ready
        }

    def _being_said(self, call: Call, role: Role) -> Pieces:
        """The turn that the bot is at, behind the lines."""
        words = self._words.strip() if call.phase in BOT_PHASES else ""
        return {"being-said": Piece(self._render("being_said", text=words, role=role), "transcript")} if words else {}

    def _once(self, name: str, key: str, role: Role, **what: object) -> str:
        """Render what does not change any more."""
        made = self._made.get((key, role))
        if made is None:
            made = self._made[key, role] = self._render(name, key=key, role=role, **what)
        return made


def _message_began_at(record: Record) -> float | None:
    """When the caller began to speak on the recorder; None where there is nothing to hear."""
    message = record.stored.call.message
    if message is None or not message.url:
        return None
    for entry in record.journal:
        if entry.event == "MessageRecorded" and entry.data.get("seconds"):
            return entry.at - float(entry.data["seconds"])
    return None


def _keyed(lines: Iterable[Line]) -> dict[str, Line]:
    """Each line by a name that it keeps when an earlier one is told late."""
    keyed: dict[str, Line] = {}
    for line in lines:
        key = f"line-{line.leg}-{line.role}-{line.at:.3f}"
        while key in keyed:
            key += "."
        keyed[key] = line
    return keyed
