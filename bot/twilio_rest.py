"""Twilio's REST API on Twilio's library: `bot.telephony.Telephony`, with time limits that hold.

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
from math import inf
from typing import Any, Self

import aiohttp
from loguru import logger
from twilio.http import AsyncHttpClient
from twilio.http.response import Response
from twilio.rest import Client
from twilio.rest.api.v2010.account.call import CallContext

from bot.telephony import TWIML_CHARACTERS, Ambiguous, CallGone, NewCall, NewText, Refused, TelephonyError, Unavailable

_CONFERENCE_SID = re.compile(r"CF[0-9a-fA-F]{32}")
_CALL_SID = re.compile(r"CA[0-9a-fA-F]{32}")
_ACCOUNT_SID = re.compile(r"AC[0-9a-fA-F]{32}")


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
