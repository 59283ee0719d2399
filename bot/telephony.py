"""Twilio's REST API, as far as a live call needs it: redirect it, end it, ask how it is.

What can go wrong, by what the caller may do next:

    TelephonyError       code, status, message
    ├── CallGone         Twilio has no such live call: there is nothing left to order
    ├── Refused          Twilio said no: nothing was carried out, nor will it be if asked again
    ├── Unavailable      Twilio was never reached or had no room: nothing was carried out
    └── Ambiguous        nobody knows: it may have been carried out, so it must not be ordered again

A redirect is not idempotent: sent twice, it tears down a phone that is already ringing and rings
it again. So an order is repeated here only when Twilio provably did not carry it out (429, or no
connection), and never beyond its time limit.
"""

import asyncio
import json
import logging
import random
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from typing import Any, Protocol, Self

import aiohttp
from loguru import logger
from twilio.http import AsyncHttpClient
from twilio.http.response import Response
from twilio.rest import Client
from twilio.rest.api.v2010.account.call import CallContext

TWIML_CHARACTERS = 4_000
"""Longest inline document of a redirect, its XML declaration included (Twilio: error 32018)."""

_CONFERENCE_SID = re.compile(r"CF[0-9a-fA-F]{32}")
_CALL_SID = re.compile(r"CA[0-9a-fA-F]{32}")
_ACCOUNT_SID = re.compile(r"AC[0-9a-fA-F]{32}")

# --- What can go wrong ---------------------------------------------------------------------------


class TelephonyError(Exception):
    """An order to Twilio that did not plainly succeed.

    Attributes:
        code: Twilio's error code (Twilio: Error and warning dictionary), None when it gave none.
        status: The HTTP status, None when there was no answer.
        message: What happened, in one line. Holds no credentials.
    """

    def __init__(self, code: int | None, status: int | None, message: str) -> None:
        """Say what happened; see the class."""
        super().__init__(code, status, message)
        self.code = code
        self.status = status
        self.message = message

    def __str__(self) -> str:
        facts = [f"Twilio {self.code}"] if self.code is not None else []
        facts += [f"HTTP {self.status}"] if self.status is not None else []
        return f"{self.message} ({', '.join(facts)})" if facts else self.message


class CallGone(TelephonyError):
    """There is no such call (20404), or it is not in progress (21220).

    Give no further orders for the call and wait for its end to be reported. If its media still
    flows, the call lives in another account or region than the one asked: treat this as `Refused`.
    An outgoing call that is still ringing is "not in progress" too.
    """


class Refused(TelephonyError):
    """Twilio said no (4xx), or would have: nothing was carried out.

    The same order gets the same answer, so do not repeat it; the operator must look at `code`. Take
    the next way to help the caller, e.g. close the media stream.
    """


class Unavailable(TelephonyError):
    """Nothing was carried out: Twilio was not reached, or answered 429 until our time was up.

    The order may be given again later, or be replaced by a way that needs no REST, e.g. closing the
    media stream.

    Attributes:
        retry_after: How long Twilio asked to be left alone. Seconds, 0 when it did not say.
    """

    def __init__(self, code: int | None, status: int | None, message: str, retry_after: float = 0.0) -> None:
        """Say what happened and for how long to wait; see the class."""
        super().__init__(code, status, message)
        self.retry_after = retry_after


class Ambiguous(TelephonyError):
    """The order was sent and its fate is unknown: 5xx, silence, a lost connection, a broken answer.

    Never give it again. The end of the media stream is the proof that a redirect or a hang-up was
    carried out; without it, closing our side of the stream gets the caller on. For a question
    (`status`) it only means that there is no answer.
    """


# --- The port, and Twilio behind it --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NewCall:
    """A call that Twilio shall make (Twilio: create a Call resource)."""

    to: str
    """E.164, `sip:…` or `client:…`."""

    from_: str
    """The number that is shown: one that the account owns."""

    url: str
    """Asked for the document when somebody has answered."""

    status_callback: str
    """Told when it is made, when it rings and when it is over."""

    ring_seconds: int
    """How long it may ring. Seconds, 600 at most."""

    digits: str = ""
    """Keys that are pressed when it is answered."""

    machine_detection: bool = False
    """Whether Twilio listens for a mailbox before it asks for the document, which then says `AnsweredBy`."""

    waits_for_beep: bool = False
    """Whether it asks about a mailbox only when the greeting is over (Twilio: `DetectMessageEnd`)."""


@dataclass(frozen=True, slots=True)
class NewText:
    """A text message that Twilio shall send (Twilio: Message resource)."""

    to: str
    """E.164."""

    from_: str
    """A number that the account owns and that can send messages."""

    body: str
    """At most 1600 characters."""


class Telephony(Protocol):
    """What a call's session orders from the telephone network.

    Every order raises a `TelephonyError` when it does not plainly succeed, and ValueError for
    something that is not a CallSid. An order that is cancelled may have been carried out.
    """

    async def redirect(self, call_sid: str, twiml: str) -> None:
        """Replace what the call is doing by a document; `Refused` (32018) when it is too long.

        Success means that the order was taken, not that the caller was moved yet.
        """
        ...

    async def hang_up(self, call_sid: str) -> None:
        """End the call, whatever it is doing."""
        ...

    async def call(self, order: NewCall) -> str:
        """Make a new call, and return its CallSid. Success means that the order was taken."""
        ...

    async def text(self, order: NewText) -> None:
        """Send a text message. Success means that the order was taken."""
        ...

    async def announce(self, conference_sid: str, url: str) -> None:
        """Have all who are in a conference hear a document. Success means that the order was taken."""
        ...

    async def status(self, call_sid: str) -> str:
        """Return the call's status, e.g. `in-progress` (Twilio: Call resource, Status values)."""
        ...

    async def close(self) -> None:
        """Give the connections back. Idempotent; orders given later are `Unavailable`."""
        ...


class TwilioTelephony:
    """`Telephony` on Twilio's library. Made inside a running event loop; `async with` closes it."""

    def __init__(
        self,
        account_sid: str,
        *,
        auth_token: str | None = None,
        api_key: tuple[str, str] | None = None,
        api_url: str | None = None,
        connect_seconds: float = 2.0,
        read_seconds: float = 4.0,
    ) -> None:
        """Prepare the client; nothing is sent yet.

        Args:
            account_sid: The account that owns the calls, `AC` and 32 hex digits.
            auth_token: The account's Auth Token.
            api_key: SID and secret of an API key, which is used instead of the Auth Token.
            api_url: Replaces `https://api.twilio.com`: a region's host, or a simulated Twilio.
            connect_seconds: Longest wait for a connection.
            read_seconds: Longest silence of Twilio once the order is sent. An order takes at most
                `connect_seconds + read_seconds`, repetitions and pauses included.

        Raises:
            ValueError: No credentials, or something that is not an account SID, a URL, or a time.
            RuntimeError: No event loop is running.
        """
        if not _ACCOUNT_SID.fullmatch(account_sid):
            raise ValueError("the account SID must be AC and 32 hex digits")
        if api_key is None and not auth_token:
            raise ValueError("an Auth Token or an API key is needed to give Twilio orders")
        if connect_seconds <= 0 or read_seconds <= 0:
            raise ValueError("time limits must be longer than 0 s")
        if api_url is not None and not re.match(r"https?://[^/?#]", api_url):
            raise ValueError("the API's address must be an http(s) URL")
        username, password = api_key or (account_sid, auth_token)
        self._http = _TwilioHttp(connect_seconds, read_seconds)
        self.client = Client(
            username,
            password,
            account_sid,
            http_client=self._http,
            # Without an environment of its own (an empty one does not count) the library takes
            # region and edge from the process's, and sends orders elsewhere than `api_url` says.
            environment={"TWILIO_REGION": ""},
        )
        """Twilio's library, for what is no order for a live call. What goes wrong is a `TelephonyError` there, too."""

        if api_url is not None:
            self.client.api.base_url = api_url

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def redirect(self, call_sid: str, twiml: str) -> None:
        """See `Telephony.redirect`. The document may have `TWIML_CHARACTERS`."""
        with self._call(call_sid) as call:
            if len(twiml) > TWIML_CHARACTERS:
                raise Refused(32018, None, f"{len(twiml)} characters of TwiML are too many")
            await call.update_async(twiml=twiml)

    async def hang_up(self, call_sid: str) -> None:
        """See `Telephony.hang_up`."""
        with self._call(call_sid) as call:
            await call.update_async(status="completed")

    async def call(self, order: NewCall) -> str:
        """See `Telephony.call`. Unlike a redirect, it is never repeated here but where it was provably not taken."""
        options: dict[str, Any] = {"send_digits": order.digits} if order.digits else {}
        if order.machine_detection:
            options["machine_detection"] = "DetectMessageEnd" if order.waits_for_beep else "Enable"
        with plain_answers():
            made: object = (
                await self.client.calls.create_async(
                    to=order.to,
                    from_=order.from_,
                    url=order.url,
                    status_callback=order.status_callback,
                    status_callback_event=["initiated", "ringing", "completed"],
                    timeout=order.ring_seconds,
                    **options,
                )
            ).sid
        if not isinstance(made, str) or not _CALL_SID.fullmatch(made):
            raise Ambiguous(None, 201, "Twilio's answer names no call")
        return made

    async def text(self, order: NewText) -> None:
        """See `Telephony.text`."""
        with plain_answers():
            await self.client.messages.create_async(to=order.to, from_=order.from_, body=order.body)

    async def announce(self, conference_sid: str, url: str) -> None:
        """See `Telephony.announce` (Twilio: Conference resource, `AnnounceUrl`)."""
        if not _CONFERENCE_SID.fullmatch(conference_sid):
            raise ValueError("a ConferenceSid must be CF and 32 hex digits")
        with plain_answers():
            await self.client.conferences(conference_sid).update_async(announce_url=url)

    async def status(self, call_sid: str) -> str:
        """See `Telephony.status`."""
        with self._call(call_sid) as call:
            status: object = (await call.fetch_async()).status
        if not isinstance(status, str):
            raise Ambiguous(None, 200, "Twilio's answer names no status")
        return status

    async def close(self) -> None:
        """See `Telephony.close`."""
        await self._http.close()

    @contextmanager
    def _call(self, call_sid: str) -> Iterator[CallContext]:
        """Give the library's view of one call.

        The library puts the SID into a URL as it is, so it is checked here.
        """
        if not _CALL_SID.fullmatch(call_sid):
            raise ValueError("a CallSid must be CA and 32 hex digits")
        with logger.contextualize(call_sid=call_sid):
            with plain_answers():
                yield self.client.calls(call_sid)


@contextmanager
def plain_answers() -> Iterator[None]:
    """What the library cannot read is told as an answer that nobody knows the meaning of."""
    try:
        yield
    except (ValueError, TypeError, AttributeError) as error:
        # How the library stumbles over a success that is not JSON, not an object, or has a date that is none.
        broken = f"Twilio's answer makes no sense: {type(error).__name__}"
        raise Ambiguous(None, 200, broken) from error


# --- The library's HTTP client -------------------------------------------------------------------


class _TwilioHttp(AsyncHttpClient):
    """One pool of connections, time limits that hold, repetition only of what was not carried out.

    The library's own asynchronous client passes no time limit on and repeats orders that may have
    been carried out; its two families of exceptions have no common shape and no headers. So this
    one names the error itself, and only successes go back to the library. It logs neither headers
    nor bodies.
    """

    def __init__(self, connect_seconds: float, read_seconds: float) -> None:
        super().__init__(logging.getLogger(__name__), is_async=True)
        self._connect_seconds = connect_seconds
        self._read_seconds = read_seconds
        self._total_seconds = connect_seconds + read_seconds
        self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())

    async def close(self) -> None:
        await self._session.close()

    async def request(
        self,
        method: str,
        uri: str,
        params: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's signature; never set
        allow_redirects: bool = False,
    ) -> Response:
        """Send one request, again if it was not carried out, and return its success."""
        headers = dict(headers or {})
        if auth is not None:
            headers["Authorization"] = aiohttp.encode_basic_auth(*auth)
        # For the default time limits: pauses of 0.25, 0.5 and 1 s, or what Twilio asks for; never
        # more than 2 s of pauses in all, and no attempt that would have less than 2 s.
        total = self._total_seconds
        pauses = iter((total / 24, total / 12, total / 6))
        patience = shortest_attempt = total / 3
        clock = asyncio.get_running_loop().time
        deadline = clock() + total
        while True:
            try:
                return await self._attempt(deadline - clock(), method, uri, params=params, data=data, headers=headers)
            except Unavailable as error:
                # Spread out: calls that were turned away together must not come back together.
                pause = max(error.retry_after, next(pauses, inf) * random.uniform(0.5, 1.0))  # noqa: S311 - it spreads retries, nothing more
                patience -= pause
                too_late = clock() + pause > deadline - shortest_attempt
                if patience < 0 or too_late or self._session.closed:
                    raise
                logger.warning("{}; asking Twilio again in {:.2f} s", error, pause)
            await asyncio.sleep(pause)

    async def _attempt(self, seconds: float, method: str, uri: str, **request: Any) -> Response:
        """Send one request once.

        Raises:
            Unavailable: It was not carried out, and may be sent again.
            TelephonyError: Any other answer than a success.
        """
        if self._session.closed:
            raise Unavailable(None, None, "our connections to Twilio are closed")
        limits = aiohttp.ClientTimeout(
            total=seconds,
            # Until a connection stands nothing is sent, and of the three only this one can end the
            # wait: the other two always mean that the order was sent.
            connect=min(self._connect_seconds, seconds / 2),
            sock_read=self._read_seconds,
            ceil_threshold=inf,  # do not round up to whole seconds
        )
        try:
            async with self._session.request(method, uri, timeout=limits, allow_redirects=False, **request) as answer:
                text = await answer.text(errors="replace")
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            unreached = f"Twilio was not reached: {type(error).__name__}"
            raise Unavailable(None, None, unreached) from error
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            unknown = f"Twilio gave no whole answer: {type(error).__name__}"
            raise Ambiguous(None, None, unknown) from error
        if 200 <= answer.status < 300:
            return Response(answer.status, text, answer.headers)
        raise _error(answer, text)


def _error(answer: aiohttp.ClientResponse, text: str) -> TelephonyError:
    """Name an answer that is not a success.

    Twilio's errors are `{code, message, …}`, in newer services `{code, title, detail, …}` as in
    RFC 9457; what stands between us and Twilio answers in HTML.
    """
    try:
        body = json.loads(text)
    except ValueError:
        body = None
    told = body if isinstance(body, dict) else {}
    code = told["code"] if isinstance(told.get("code"), int) else None
    words = told.get("message") or told.get("detail") or told.get("title") or answer.reason
    facts = (code, answer.status, " ".join(str(words).split())[:200])
    if code in (20404, 21220):
        return CallGone(*facts)
    if answer.status == 429:
        # Delay-seconds; a date or nonsense counts as not said.
        delay = re.fullmatch(r"[0-9]{1,6}", answer.headers.get("Retry-After", ""))
        return Unavailable(*facts, retry_after=float(delay[0]) if delay else 0.0)
    if 400 <= answer.status < 500:
        return Refused(*facts)
    return Ambiguous(*facts)
