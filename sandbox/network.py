"""A telephone network on loopback, with Twilio in it: numbers, callers, people, and REST.

It dials the real server over real sockets and does what Twilio does, with each fact's source in the module that does
it. Where Twilio's behaviour is not documented, the module says what was chosen.
"""

import asyncio
from collections import deque
from collections.abc import Coroutine, Mapping
from typing import Any, Self

import aiohttp

from sandbox.account import Account, Line, Recording
from sandbox.caller import CallerLeg, PersonLeg
from sandbox.calls import come_in, go_out
from sandbox.conference import Conferences
from sandbox.hum import Hum
from sandbox.leg import ChildLeg
from sandbox.people import People, Person
from sandbox.progress import notify
from sandbox.queues import CallQueues
from sandbox.rest import NewCall, Rest, RestFault, RestRequest
from sandbox.rest_messages import TextMessage
from sandbox.scene import Journal
from sandbox.webhooks import Routes, Webhooks

__all__ = [
    "CallerLeg",
    "ChildLeg",
    "Line",
    "Network",
    "Person",
    "Recording",
    "RestFault",
    "RestRequest",
]

_LEAVE_SECONDS = 2.0
"""How long calls have to end when the network is taken down."""


class Network:
    """The network. `async with` brings it up; leaving it ends every call.

    Attributes:
        journal: Where everything is noted.
        routes: Public base URL → loopback base URL; may be filled while the network is up.
        calls: Every call, in order.
    """

    def __init__(
        self,
        *,
        account_sid: str,
        auth_token: str,
        journal: Journal,
        api_keys: Mapping[str, str] | None = None,
        routes: Mapping[str, str] | None = None,
        strict: bool = True,
        webhook_seconds: float = 15.0,
        rest_port: int = 0,
    ) -> None:
        """Prepare; nothing is open yet.

        Args:
            account_sid: The account's SID.
            auth_token: Its Auth Token, which signs webhooks and opens REST.
            journal: Where everything is noted.
            api_keys: Secrets by SID, which open REST too.
            routes: Public base URL → loopback base URL. Addresses are signed as they are public and dialled on
                loopback; an address that is neither routed nor on loopback is not dialled.
            strict: Whether unknown verbs and attributes are errors of the call, rather than warnings.
            webhook_seconds: The longest wait for the answer to a webhook (Twilio: 15).
            rest_port: Where REST listens on loopback; 0 for a free port.
        """
        self.journal = journal
        self.routes: dict[str, str] = dict(routes or {})
        self.calls: list[CallerLeg] = []
        self._account = Account(account_sid, auth_token, journal, dict(api_keys or {}), strict)
        self._webhook_seconds = webhook_seconds
        self.lost_webhooks: list[str] = []
        """Webhooks whose address holds one of these never arrive."""

        self._rest_port = rest_port
        self._rest = Rest(self._account, self._place)
        self._http: aiohttp.ClientSession | None = None
        self._expected: dict[str, tuple[Hum, People]] = {}

    @property
    def numbers(self) -> dict[str, Line]:
        """Our own numbers: what Twilio asks when they are called."""
        return self._account.numbers

    @property
    def people(self) -> dict[str, Person | list[Person]]:
        """Who can be rung, by number; in a list, how they behave attempt by attempt of one call."""
        return self._account.people

    @property
    def verified(self) -> set[str]:
        """Numbers that may be shown as a caller id, beside our own."""
        return self._account.verified

    @property
    def queues(self) -> CallQueues:
        """In which callers wait."""
        return self._account.queues

    @property
    def recordings(self) -> dict[str, Recording]:
        """Every recording that is complete, by SID: messages, and parts of calls."""
        return self._account.recordings

    @property
    def conferences(self) -> list[str]:
        """The SID of every conference that there was, in order."""
        return list(self._account.conferences.by_sid)

    @property
    def messages(self) -> list[TextMessage]:
        """Every text message that our server has sent, in order."""
        return self._rest.messages.sent

    @property
    def rest_url(self) -> str:
        """Where REST is, without a slash at the end. There once the network is up."""
        return self._account.rest_url

    @property
    def rest_log(self) -> list[RestRequest]:
        """Every request to REST, in the order of the answers."""
        return self._rest.log

    @property
    def rest_faults(self) -> deque[RestFault]:
        """What happens to the next requests to REST."""
        return self._rest.faults

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        self._account.webhooks = Webhooks(
            self._http,
            Routes(self.routes),
            self.journal,
            auth_token=self._account.auth_token,
            timeout=self._webhook_seconds,
            lost=self.lost_webhooks,
        )
        self._account.conferences = Conferences(self._account, self._tell_of_conference)
        self._account.rest_url = await self._rest.open(self._rest_port)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        lives = {call.life: call for call in self.calls if call.life is not None and not call.life.done()}
        for call in lives.values():
            await call.hang_up()
        late = (await asyncio.wait(lives, timeout=_LEAVE_SECONDS))[1] if lives else set[asyncio.Task[None]]()
        for life in late:
            life.cancel()
            await asyncio.gather(life, return_exceptions=True)
            await lives[life].abandon()
        await self._rest.close()
        if self._http is not None:
            await self._http.close()

    async def call(self, from_: str, to: str, *, hum: Hum | None = None, people: People | None = None) -> CallerLeg:
        """Call one of our numbers. What follows from it happens in the background.

        Args:
            from_: Who calls. E.164.
            to: The number, one of `numbers`.
            hum: What lies under all that the caller sends.
            people: How people behave in this call, instead of `Network.people`.

        Raises:
            ValueError: It is not one of our numbers.
        """
        line = self.numbers.get(to)
        if line is None:
            raise ValueError(f"{to} is not one of our numbers")
        leg = CallerLeg(
            from_=from_,
            to=to,
            direction="inbound",
            account_sid=self._account.sid,
            journal=self.journal,
            hum=hum,
            people=self.people if people is None else people,
        )
        return self._begin(leg, come_in(self._account, leg))

    def expect(self, number: str, *, hum: Hum, people: People) -> None:
        """The next call that our server makes to this number, for nobody else, is heard and behaves so.

        Args:
            number: E.164.
            hum: What lies under all that the person sends.
            people: How they and others behave in this call, instead of `Network.people`.
        """
        self._expected[number] = hum, people

    def forget(self, call: CallerLeg) -> None:
        """Let go of a call that is over, with its legs, its sound and its notes."""
        self.calls.remove(call)
        for leg in (call, *call.children, *call.called):
            self._account.legs.pop(leg.sid, None)
        for sid in [sid for sid, tape in self._account.tapes.items() if tape.leg is call]:
            del self._account.tapes[sid]
            self._account.recordings.pop(sid, None)
        self.journal.forget(call.sid)

    def _place(self, order: NewCall) -> PersonLeg:
        """Make a call that REST was asked for. A caller whom its document's address names has it in their scene."""
        caller = next((call for call in self.calls if call.sid in order.names), None)
        leg = PersonLeg(
            from_=order.from_, to=order.to, account_sid=self._account.sid, journal=self.journal, for_=caller
        )
        if caller is None:
            leg.hum, leg.people = self._expected.pop(order.to, (None, self.people))
        leg.holder = (caller or leg).person(leg.number)
        if caller is not None:
            caller.called.append(leg)
        self._begin(leg, go_out(self._account, leg, order))
        return leg

    async def _tell_of_conference(self, leg: CallerLeg, url: str, form: dict[str, str], method: str) -> None:
        await notify(self._account.webhooks, leg, url, form, method)

    def _begin(self, leg: CallerLeg, life: Coroutine[Any, Any, None]) -> CallerLeg:
        self._account.legs[leg.sid] = leg
        self.calls.append(leg)
        leg.life = asyncio.create_task(self._watch(leg, life))
        return leg

    async def _watch(self, leg: CallerLeg, life: Coroutine[Any, Any, None]) -> None:
        """Live through a call. A mistake of the sandbox's own is noted, and raised by `CallerLeg.ended`."""
        try:
            await life
        except Exception as error:
            self.journal.note("network", "crashed", leg.sid, error=repr(error))
            leg.end("failed")
            raise
