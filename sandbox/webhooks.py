"""Twilio as a client of our server: where it dials, how it signs, how long it waits."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

import aiohttp
from twilio.request_validator import RequestValidator
from yarl import URL

from sandbox.overrides import BadOverrides, Overrides
from sandbox.scene import Journal

RETRY_SECONDS = 0.1
"""Between two tries. Twilio does not say how long it waits."""

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_WEB_OF = {"ws": "http", "wss": "https", "http": "http", "https": "https"}


class Unroutable(Exception):
    """An address that the sandbox does not dial: it never leaves the machine."""


class WebhookFailed(Exception):
    """A webhook got no answer, or one that is not a success.

    Attributes:
        code: Twilio's error code.
        url: The address that was asked.
        kind: What failed, in the words of the retry policy: `ct`, `rt`, `4xx`, `5xx`; empty for anything else.
    """

    def __init__(self, code: int, url: str, text: str, kind: str = "") -> None:
        """Say what happened; see the class."""
        super().__init__(f"{text} ({url})")
        self.code = code
        self.url = url
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with a 2xx status."""

    content_type: str
    """Lower case, without parameters; empty where there was none."""

    body: bytes


class Routes:
    """From public addresses to where they are served on this machine."""

    def __init__(self, routes: Mapping[str, str]) -> None:
        """Take the map, which may change later.

        Args:
            routes: Public base URL → loopback base URL, e.g. `https://bot.example` →
                `http://127.0.0.1:8080`, both without a slash at the end. Loopback addresses need no entry.
        """
        self._routes = routes

    def real(self, url: str) -> URL:
        """Where to dial a public URL, its path and query untouched.

        A WebSocket's URL follows the route of its web address, so `ws` is only dialled where the public
        address is plain `http`.

        Raises:
            Unroutable: It is neither routed nor on loopback.
        """
        scheme, _, rest = url.partition("://")
        web = _WEB_OF.get(scheme)
        if web is None:
            raise Unroutable(f"{url} is not a web or WebSocket address")
        as_web = f"{web}://{rest}"
        for public, real in self._routes.items():
            if as_web == public or as_web.startswith((f"{public}/", f"{public}?")):
                tail = as_web[len(public) :]
                base = f"ws{real[4:]}" if scheme.startswith("ws") else real
                return URL(base + tail, encoded=True)
        if scheme in ("http", "ws") and urlsplit(url).hostname in _LOOPBACK:
            return URL(url, encoded=True)
        raise Unroutable(f"{url} is not routed to this machine")


class Webhooks:
    """Sends webhooks as Twilio does."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        routes: Routes,
        journal: Journal,
        *,
        auth_token: str,
        timeout: float,
        lost: Sequence[str] = (),
    ) -> None:
        """Prepare.

        Args:
            http: The connections.
            routes: Where public addresses are served.
            journal: Gets a note of each request and of each answer.
            auth_token: The account's primary Auth Token, which signs.
            timeout: The longest wait for a whole answer, with all retries, whatever an address says. Seconds.
            lost: Webhooks whose address holds one of these never arrive. It may change later.
        """
        self.http = http
        self.routes = routes
        self._journal = journal
        self._validator = RequestValidator(auth_token)
        self._timeout = timeout
        self._lost = lost

    def signature(self, url: str, form: Mapping[str, str] | None = None) -> str:
        """Twilio's signature over a public URL and form fields (Twilio: Webhooks security)."""
        return self._validator.compute_signature(url, dict(form or {}))

    async def send(self, url: str, form: Mapping[str, str], *, call_sid: str, method: str = "POST") -> Answer:
        """Send one webhook, and send it again as its address says.

        Args:
            url: In its public form. What stands behind a `#` is not sent, it says how to ask; see `sandbox.overrides`.
            form: The fields.
            call_sid: The caller's leg, for the journal.
            method: `POST` or `GET`.

        Raises:
            WebhookFailed: There was no answer in time, or none with a 2xx status.
        """
        url, _, fragment = url.partition("#")
        if method == "GET" and form:
            url += ("&" if "?" in url else "?") + urlencode(form)
        try:
            overrides = Overrides.read_from(fragment)
        except BadOverrides as error:
            raise WebhookFailed(11243, url, str(error)) from error
        if any(part in url for part in self._lost):
            self._journal.note("webhook", "is lost", call_sid, url=url, form=dict(form))
            raise WebhookFailed(11200, url, "lost on purpose", "ct")
        token = str(uuid4())  # the same on every try (Twilio: Webhooks, retries)
        fields = dict(form) if method == "POST" else {}
        self._journal.note("webhook", "asks", call_sid, url=url, form=dict(form))
        ends = time.monotonic() + min(overrides.total, self._timeout)
        tries = 0
        while True:
            tries += 1
            try:
                return await self._try(method, url, fields, token, overrides, ends, call_sid)
            except WebhookFailed as error:
                again = tries <= overrides.retries and overrides.tries_again_after(error.kind)
                if not again or time.monotonic() + RETRY_SECONDS >= ends:
                    raise
                self._journal.note("webhook", "asks again", call_sid, url=url, after=str(error))
                await asyncio.sleep(RETRY_SECONDS)

    async def fetch(self, url: str) -> Answer:
        """Get a file that a document plays. Nothing is signed there.

        Raises:
            Unroutable: It is not on this machine.
            WebhookFailed: It is not to be had.
        """
        real = self.routes.real(url)
        try:
            async with self.http.get(real, timeout=aiohttp.ClientTimeout(total=self._timeout)) as answer:
                body = await answer.read()
        except (aiohttp.ClientError, OSError) as error:
            raise WebhookFailed(11200, url, f"no answer: {type(error).__name__}", "ct") from error
        if answer.status != 200:
            raise WebhookFailed(11200, url, f"answered with status {answer.status}", f"{answer.status // 100}xx")
        return Answer(answer.content_type.lower(), body)

    async def _try(
        self,
        method: str,
        url: str,
        fields: dict[str, str],
        token: str,
        overrides: Overrides,
        ends: float,
        call_sid: str,
    ) -> Answer:
        headers = {
            "X-Twilio-Signature": self.signature(url, fields),
            "I-Twilio-Idempotency-Token": token,
            "User-Agent": "TwilioProxy/1.1",
            "Accept": "*/*",
        }
        if method == "POST":
            headers["Content-Type"] = "application/x-www-form-urlencoded; charset=UTF-8"
        started = time.monotonic()
        limit = aiohttp.ClientTimeout(
            total=max(ends - started, 0.001), sock_connect=overrides.connect, sock_read=overrides.read
        )
        status: int | None = None
        try:
            async with self.http.request(
                method,
                self.routes.real(url),
                data=urlencode(fields).encode() if method == "POST" else None,
                headers=headers,
                timeout=limit,
                allow_redirects=False,
            ) as answer:
                status = answer.status
                content_type = answer.content_type.lower() if "Content-Type" in answer.headers else ""
                body = await answer.read()
            if not 200 <= status < 300:
                raise WebhookFailed(11200, url, f"answered with status {status}", f"{status // 100}xx")
            return Answer(content_type, body)
        except Unroutable as error:
            raise WebhookFailed(21205, url, str(error)) from None
        except aiohttp.ConnectionTimeoutError:
            raise WebhookFailed(11200, url, "no connection in time", "ct") from None
        except TimeoutError:
            raise WebhookFailed(11200, url, "no answer in time", "rt") from None
        except (aiohttp.ClientError, OSError) as error:
            # Refused, reset, or closed before an answer: Twilio counts all of these as a failed connection.
            raise WebhookFailed(11200, url, f"no answer: {type(error).__name__}", "ct") from error
        finally:
            seconds = round(time.monotonic() - started, 3)
            self._journal.note("webhook", "answered", call_sid, url=url, status=status, seconds=seconds)
