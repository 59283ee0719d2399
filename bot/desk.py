"""Where people act on a live call: each act is a fact of the call, told in the process that carries it.

A page or a request reaches any of the processes; the goodbye can be said only by the one that has the caller's stream.
Where that is another one, the order goes to it over the feed, and its answer comes back the same way.
"""

import asyncio
import uuid
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from bot.call import STREAM_PHASES, By, Phase
from bot.events import FarewellRequested, HandoffRequested, HintGiven
from bot.feed import Feed
from bot.news import News
from bot.session import Session
from bot.switchboard import Switchboard

ANSWER_SECONDS = 2.0
"""How long the process that carries a call may take to answer."""

LONGEST_NAME = 60
LONGEST_HINT = 500
LONGEST_REASON = 500
LONGEST_SUMMARY = 800
"""Characters that go to another process: together they are one piece of news."""


_WHERE = "where"
"""The act that changes nothing: whoever carries the call says so."""


class NobodyCarries(Exception):
    """No process carries the call, or the one that does gave no answer."""


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody wants done with a call."""

    act: Literal["put_through", "hint", "hang_up"]
    by: By = By.CONSOLE
    who: str = ""
    """The person's name."""

    target: str = ""
    """Put through: a target's key."""

    reason: str = ""
    summary: str = ""
    text: str = ""
    """The hint."""


class Desk:
    """Takes orders for calls, wherever they are."""

    def __init__(self, switchboard: Switchboard, feed: Feed, *, name: str = "this process") -> None:
        """Take orders.

        Args:
            switchboard: This process's calls.
            feed: The way to the other processes.
            name: What the others shall call this one.
        """
        self._switchboard = switchboard
        self._feed = feed
        self._name = name
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._end = feed.subscribe(self._heard)

    def close(self) -> None:
        """Take no more orders from other processes."""
        self._end()

    async def order(self, sid: str, order: Order) -> bool:
        """Have something done with a call. Returns whether it is being done.

        It is not where it makes no sense: a hand-off of a caller who is with a person, a hint to a bot that says
        goodbye.

        Raises:
            KeyError: Nobody knows this call.
            NobodyCarries: It is to be done by another process, which did not answer.
        """
        session = await self._switchboard.find(sid)
        if session is None:
            raise KeyError(sid)
        if not session.talks and self._feed.shared:
            try:
                return await self._pass_on(sid, order)
            except NobodyCarries:
                if session.call.phase in STREAM_PHASES:
                    raise
        return await self._carry_out(session, order)

    async def request_handoff(self, sid: str, target: str, reason: str, summary: str) -> bool:
        """Put a caller through for whoever uses the API. See `order`."""
        return await self.order(sid, Order("put_through", By.API, target=target, reason=reason, summary=summary))

    async def whereabouts(self, sid: str) -> str:
        """The name of the process that carries a call.

        Raises:
            NobodyCarries: None says that it does.
        """
        if self._switchboard.talks_here(sid):
            return self._name
        if not self._feed.shared:
            raise NobodyCarries(sid)
        return str((await self._ask(sid, {"act": _WHERE}))["name"])

    async def _carry_out(self, session: Session, order: Order) -> bool:
        now, call = session.now(), session.call
        match order.act:
            case "put_through":
                event = HandoffRequested(
                    at=now,
                    target=order.target,
                    reason=order.reason,
                    summary=order.summary,
                    by=order.by,
                    who=order.who,
                )
                await session.apply(event)
                return len(session.call.handoffs) > len(call.handoffs)
            case "hint":
                agreed = call.phase is Phase.BOT and session.talks
                if agreed:
                    await session.apply(HintGiven(at=now, text=order.text, who=order.who))
                return agreed
            case "hang_up":
                await session.apply(FarewellRequested(at=now, who=order.who))
                return session.call.farewells > call.farewells

    # --- between processes ---------------------------------------------------------------------------

    async def _pass_on(self, sid: str, order: Order) -> bool:
        order = replace(order, reason=order.reason[:LONGEST_REASON], summary=order.summary[:LONGEST_SUMMARY])
        return bool((await self._ask(sid, asdict(order)))["agreed"])

    async def _ask(self, sid: str, what: dict[str, Any]) -> dict[str, Any]:
        """Have whoever carries a call do something, or say something. Returns their answer."""
        number = uuid.uuid4().hex
        answer = self._waiting[number] = self._loop.create_future()
        self._feed.publish(News("order", sid, {"number": number, **what}))
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await answer
        except TimeoutError as error:
            raise NobodyCarries(sid) from error
        finally:
            del self._waiting[number]

    def _heard(self, news: News) -> None:
        """News, on the feed's thread."""
        if news.kind in ("order", "done") and news.origin != self._feed.origin:
            self._loop.call_soon_threadsafe(self._take, news)

    def _take(self, news: News) -> None:
        number = news.data["number"]
        if news.kind == "done":
            answer = self._waiting.get(number)
            if answer is not None and not answer.done():
                answer.set_result(news.data)
        elif self._switchboard.talks_here(news.sid):
            task = asyncio.create_task(self._serve(news))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, news: News) -> None:
        """Another process's order for a call that we carry."""
        told = dict(news.data)
        number = told.pop("number")
        agreed = True
        if told["act"] != _WHERE:
            session = await self._switchboard.find(news.sid)
            agreed = session is not None and await self._carry_out(session, Order(**{**told, "by": By(told["by"])}))
        self._feed.publish(News("done", news.sid, {"number": number, "agreed": agreed, "name": self._name}))
