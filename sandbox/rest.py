"""Twilio's REST API on loopback, as far as a live call needs it.

Source of every protocol fact here: Twilio: Calls resource; Twilio: error and warning dictionary.
"""

import asyncio
import re
from base64 import b64decode
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Literal
from urllib.parse import urlsplit

from aiohttp import web

from sandbox.account import Account
from sandbox.leg import ChildLeg, Fetch, HungUp, Inline, Leg, Redirected, Source
from sandbox.rest_answers import Refusal, page
from sandbox.rest_conferences import ConferencesResource
from sandbox.rest_messages import MessagesResource
from sandbox.rest_numbers import NumbersResource
from sandbox.rest_queues import QueuesResource
from sandbox.rest_recordings import RecordingsResource

LONGEST_TWIML = 4000
"""Characters of a document that a request carries (Twilio: error 32018)."""

FaultKind = Literal["500", "429", "401", "html502", "hang", "apply_then_hang"]


@dataclass(frozen=True, slots=True)
class RestFault:
    """What happens to the next requests instead of, or after, what they ask for."""

    kind: FaultKind
    retry_after: int | None = None
    """With `429`: what the header says. Seconds; None for no header."""

    times: int = 1
    """How many requests it happens to."""


@dataclass(frozen=True, slots=True)
class RestRequest:
    """One request, as it was answered."""

    at: float
    """When it came. Seconds on the journal's clock."""

    method: str
    path: str
    form: Mapping[str, str]
    status: int | None
    """None when it was left without an answer."""

    code: int | None
    """Twilio's error code."""


@dataclass(frozen=True, slots=True)
class NewCall:
    """A call that our server asks for."""

    from_: str
    to: str
    source: Source
    timeout: int
    """How long it may ring. Seconds."""

    detects_machines: bool
    waits_for_beep: bool
    """Whether a mailbox is told of when its greeting is over, and not as soon as it is known."""

    digits: str
    """Pressed when it is answered."""

    status_callback: str | None
    events: frozenset[str]
    """What the status callback is told."""

    @property
    def names(self) -> str:
        """Where a caller may be named on whose behalf it is made."""
        return self.source.url if isinstance(self.source, Fetch) else self.source.text


class Rest:
    """The server. `async with` opens it."""

    def __init__(self, account: Account, place: Callable[[NewCall], Leg]) -> None:
        """Prepare; nothing listens yet.

        Args:
            account: Whose calls these are.
            place: Makes a call that was asked for.
        """
        self.log: list[RestRequest] = []
        self.faults: deque[RestFault] = deque()
        self._account = account
        self._place = place
        self._closing = asyncio.Event()
        app = web.Application()
        calls, recorded = f"{account.path}/Calls", f"{account.path}/Recordings"
        numbers, queues = NumbersResource(account), QueuesResource(account)
        conferences = ConferencesResource(account)
        recordings = RecordingsResource(account)
        self.messages = MessagesResource(account)
        app.add_routes(
            [
                web.post(f"{calls}.json", self._answer("create", self._create)),
                web.get(f"{calls}.json", self._answer("list", self._list)),
                web.post(f"{calls}/{{sid}}.json", self._answer("update", self._update)),
                web.get(f"{calls}/{{sid}}.json", self._answer("fetch", self._fetch)),
                web.get(f"{account.path}/Conferences/{{sid}}.json", self._answer("fetch", conferences.fetch)),
                web.post(f"{account.path}/Conferences/{{sid}}.json", self._answer("announce", conferences.update)),
                web.post(f"{account.path}/Messages.json", self._answer("text", self.messages.create)),
                web.get(f"{account.path}/IncomingPhoneNumbers.json", self._answer("list numbers", numbers.list)),
                web.post(
                    f"{account.path}/IncomingPhoneNumbers/{{sid}}.json", self._answer("update number", numbers.update)
                ),
                web.get(f"{account.path}/Queues.json", self._answer("list queues", queues.list)),
                web.post(f"{account.path}/Queues.json", self._answer("create queue", queues.create)),
                web.get(f"{account.path}/Queues/{{sid}}.json", self._answer("fetch queue", queues.fetch)),
                web.post(f"{calls}/{{sid}}/Recordings.json", self._answer("record", recordings.create)),
                web.get(f"{calls}/{{sid}}/Recordings.json", self._answer("list recordings", recordings.list)),
                web.post(f"{calls}/{{sid}}/Recordings/{{name}}.json", self._answer("end recording", recordings.update)),
                web.get(f"{recorded}/{{name}}.wav", recordings.media),
                web.delete(
                    f"{account.path}/Recordings/{{name}}.json", self._answer("delete recording", recordings.delete)
                ),
                web.route("*", "/{any:.*}", self._answer("unknown", self._unknown)),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)

    async def open(self, port: int = 0) -> str:
        """Listen on loopback, on a free port where none is given. Returns the address, without a slash at the end."""
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}"

    async def close(self) -> None:
        """Stop listening; requests without an answer are let go."""
        self._closing.set()
        await self._runner.cleanup()

    # --- every request ---

    def _answer(
        self, what: str, handle: Callable[[web.Request], Awaitable[tuple[int, object]]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """A handler with everything around it: faults, credentials, errors, the log."""

        async def answer(request: web.Request) -> web.StreamResponse:
            at = self._account.journal.now()
            form = {name: str(value) for name, value in (await request.post()).items()}
            fault = self._next_fault()
            kind = fault.kind if fault else None
            status: int | None = None
            code: int | None = None
            body: object = None
            headers: dict[str, str] = {}
            try:
                if fault is not None:
                    _fail_with(fault, headers)
                if kind != "hang":
                    self._check(request)
                    status, body = await handle(request)
            except Refusal as refusal:
                status, code = refusal.status, refusal.code
                body = _error(refusal)
            if kind in ("hang", "apply_then_hang"):
                status = None
            self.log.append(RestRequest(at, request.method, request.path, form, status, code))
            self._note(at, _name(what, form), request, status, code)
            if status is None:
                await self._closing.wait()
                return web.Response(status=503)
            if kind == "html502":
                page = "<html><body><h1>502 Bad Gateway</h1></body></html>"
                return web.Response(status=502, text=page, content_type="text/html")
            return web.json_response(body, status=status, headers=headers)

        return answer

    def _next_fault(self) -> RestFault | None:
        if not self.faults:
            return None
        fault = self.faults.popleft()
        if fault.times > 1:
            self.faults.appendleft(RestFault(fault.kind, fault.retry_after, fault.times - 1))
        return fault

    def _check(self, request: web.Request) -> None:
        """Check credentials and the body's form."""
        scheme, _, value = request.headers.get("Authorization", "").partition(" ")
        try:
            username, _, password = b64decode(value, validate=True).decode().partition(":")
        except ValueError:
            username = password = ""
        secrets = {self._account.sid: self._account.auth_token, **self._account.api_keys}
        if scheme.lower() != "basic" or not password or secrets.get(username) != password:
            raise Refusal(401, 20003, "Authenticate")
        if request.method == "POST" and request.content_type != "application/x-www-form-urlencoded":
            raise Refusal(400, 20001, f"a body of type {request.content_type} is not accepted")

    def _note(self, at: float, what: str, request: web.Request, status: int | None, code: int | None) -> None:
        leg = self._account.legs.get(request.match_info.get("sid", ""))
        sid = None if leg is None else leg.scene_sid
        leg_sid = None if leg is None else leg.sid
        self._account.journal.note("rest", what, sid, at=at, status=status, code=code, leg=leg_sid)

    # --- resources ---

    async def _fetch(self, request: web.Request) -> tuple[int, object]:
        return 200, self._resource(self._leg(request))

    async def _list(self, request: web.Request) -> tuple[int, object]:
        wanted = request.query
        parent, to, from_, status = (wanted.get(k) for k in ("ParentCallSid", "To", "From", "Status"))
        legs = [
            leg
            for leg in reversed(self._account.legs.values())
            if (parent is None or (isinstance(leg, ChildLeg) and leg.parent.sid == parent))
            and (to is None or leg.to == to)
            and (from_ is None or leg.from_ == from_)
            and (status is None or leg.status == status)
        ]
        return 200, page("calls", f"{self._account.path}/Calls.json", [self._resource(leg) for leg in legs])

    async def _update(self, request: web.Request) -> tuple[int, object]:
        """Redirect or end a call (Twilio: update a Call resource)."""
        leg = self._leg(request)
        form = await request.post()
        status = form.get("Status")
        source = _source(form)
        if status is not None:
            self._end(leg, str(status))
        elif source is not None:
            if leg.status != "in-progress" or isinstance(leg, ChildLeg):
                raise Refusal(400, 21220, "Call is not in-progress. Cannot redirect.")
            leg.interrupt(Redirected(source))
        return 200, self._resource(leg)

    def _end(self, leg: Leg, status: str) -> None:
        if status not in ("completed", "canceled"):
            raise Refusal(400, 20001, f"{status!r} is not a status that a call can be given")
        only_rings = leg.status in ("queued", "ringing")
        if not leg.live or (status == "canceled" and not only_rings):
            raise Refusal(400, 21220, "Call is not in-progress. Cannot redirect.")
        if not isinstance(leg, ChildLeg):  # its phone ends a child's leg, with all that belongs to it
            leg.end("canceled" if only_rings else "completed")
        leg.interrupt(HungUp())

    async def _create(self, request: web.Request) -> tuple[int, object]:
        """Place a call (Twilio: create a Call resource)."""
        form = await request.post()
        to, from_ = str(form.get("To", "")), str(form.get("From", ""))
        source = _source(form)
        if not to:
            raise Refusal(400, 21201, "No 'To' number is specified")
        if not _TO.fullmatch(to):
            raise Refusal(400, 21211, f"The 'To' number {to} is not a valid phone number.")
        if from_ not in self._account.numbers and from_ not in self._account.verified:
            raise Refusal(400, 21210, f"The source number {from_} is not verified for your account.")
        if source is None:
            raise Refusal(400, 21205, "Url parameter is required.")
        callback = form.get("StatusCallback")
        events = {str(event) for event in form.getall("StatusCallbackEvent", ["completed"])}
        timeout = _between(form, "Timeout", 60, 1, 600)
        machine = form.get("MachineDetection")
        if machine not in (None, "Enable", "DetectMessageEnd"):
            raise Refusal(400, 20001, f"{machine!r} is no value of MachineDetection")
        leg = self._place(
            NewCall(
                from_,
                to,
                source,
                timeout=timeout,
                detects_machines=machine is not None,
                waits_for_beep=machine == "DetectMessageEnd",
                digits=str(form.get("SendDigits", "")),
                status_callback=None if callback is None else str(callback),
                events=frozenset(events if events <= _EVENTS else ()),
            )
        )
        if not events <= _EVENTS:  # the call is made all the same, and tells nothing (Twilio: error 21626)
            leg.fail(21626, f"StatusCallbackEvent {' '.join(sorted(events - _EVENTS))!r} is none")
        return 201, self._resource(leg)

    async def _unknown(self, request: web.Request) -> tuple[int, object]:
        raise Refusal(404, 20404, f"The requested resource {request.path} was not found")

    def _leg(self, request: web.Request) -> Leg:
        leg = self._account.legs.get(request.match_info["sid"])
        if leg is None:
            raise Refusal(404, 20404, f"The requested resource {request.path} was not found")
        return leg

    def _resource(self, leg: Leg) -> dict[str, object]:
        """A call as REST tells it."""
        uri = f"{self._account.path}/Calls/{leg.sid}"
        age = leg.journal.now()
        return {
            "sid": leg.sid,
            "account_sid": self._account.sid,
            "parent_call_sid": leg.parent.sid if isinstance(leg, ChildLeg) else None,
            "phone_number_sid": None,
            "to": leg.to,
            "to_formatted": leg.to,
            "from": leg.from_,
            "from_formatted": leg.from_,
            "status": leg.status,
            "start_time": _date(leg, leg.answered_at, age),
            "end_time": _date(leg, leg.ended_at, age),
            "duration": None if leg.live else str(leg.seconds),
            "price": None,
            "price_unit": "USD",
            "direction": leg.direction,
            "answered_by": None,
            "api_version": "2010-04-01",
            "annotation": None,
            "forwarded_from": None,
            "group_sid": None,
            "caller_name": None,
            "queue_time": "0",
            "trunk_sid": None,
            "date_created": format_datetime(leg.created_at),
            "date_updated": format_datetime(datetime.now(UTC)),
            "uri": f"{uri}.json",
            "subresource_uris": {
                name: f"{uri}/{path}.json"
                for name, path in (
                    ("events", "Events"),
                    ("notifications", "Notifications"),
                    ("payments", "Payments"),
                    ("recordings", "Recordings"),
                    ("siprec", "Siprec"),
                    ("streams", "Streams"),
                    ("transcriptions", "Transcriptions"),
                    ("user_defined_messages", "UserDefinedMessages"),
                    ("user_defined_message_subscriptions", "UserDefinedMessageSubscriptions"),
                )
            },
        }


_TO = re.compile(r"\+[1-9][0-9]{1,14}|sips?:[^@\s]+@\S+|client:[\w.@+-]+")
_EVENTS = {"initiated", "ringing", "answered", "completed"}


def _between(form: Mapping[str, object], field: str, default: int, least: int, most: int) -> int:
    """A whole number that a request gives."""
    value = str(form.get(field, default))
    if not value.isdecimal() or not least <= int(value) <= most:
        raise Refusal(400, 20001, f"{field} must be a whole number from {least} to {most}")
    return int(value)


def _source(form: Mapping[str, object]) -> Source | None:
    """The document that a request gives, if it gives one."""
    twiml, url = form.get("Twiml"), form.get("Url")
    if twiml is not None and url is not None:
        raise Refusal(400, 20001, "Twiml and Url exclude each other")
    if twiml is not None:
        if len(str(twiml)) > LONGEST_TWIML:
            raise Refusal(400, 32018, f"Twiml is longer than {LONGEST_TWIML} characters")
        return Inline(str(twiml))
    if url is None:
        return None
    parts = urlsplit(str(url))
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Refusal(400, 21205, f"Url is not a valid URL: {url}")
    return Fetch(str(url), str(form.get("Method", "POST")).upper())


def _name(what: str, form: Mapping[str, str]) -> str:
    """What the journal calls a request."""
    if what != "update":
        return what
    if "Status" in form:
        return "hang up"
    return "redirect" if "Twiml" in form or "Url" in form else what


def _fail_with(fault: RestFault, headers: dict[str, str]) -> None:
    match fault.kind:
        case "500":
            raise Refusal(500, 20500, "Internal Server Error")
        case "401":
            raise Refusal(401, 20003, "Authenticate")
        case "429":
            if fault.retry_after is not None:
                headers["Retry-After"] = str(fault.retry_after)
            raise Refusal(429, 20429, "Too Many Requests")
        case "html502":
            raise Refusal(502, 0, "Bad Gateway")
        case "hang" | "apply_then_hang":
            pass


def _error(refusal: Refusal) -> dict[str, object]:
    return {
        "code": refusal.code,
        "message": str(refusal),
        "more_info": f"https://www.twilio.com/docs/errors/{refusal.code}",
        "status": refusal.status,
    }


def _date(leg: Leg, at: float | None, now: float) -> str | None:
    """A moment on the journal's clock as REST tells it (RFC 2822)."""
    if at is None:
        return None
    return format_datetime(datetime.now(UTC) - timedelta(seconds=now - at))
