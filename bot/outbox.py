"""The outbox: what happened to calls, told to the operator's own systems by signed requests.

What is to be told is in the record since the step that brought it about. It is sent until it is taken: at least once,
in order for each call, from whichever process is there. A receiver knows a repetition by the event's id.
"""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import aiohttp
from loguru import logger

from bot.ledger import Ledger, LedgerError
from bot.record import Waiting

LOOK_SECONDS = 0.5
"""How often the outbox is looked into."""

ANSWER_SECONDS = 10.0
"""How long a receiver may take."""

LEASE_SECONDS = 30.0
"""How long an event is one process's to send. Longer than a receiver may take."""

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 300.0
"""Between two tries, doubling. Seconds."""

GIVE_UP_SECONDS = 24 * 3600.0
"""How old an event may become that nobody takes. Then the next one of its call is sent."""


def signature(secret: str, timestamp: int, body: str) -> str:
    """What proves that a request is ours: HMAC-SHA256 over the timestamp, a dot and the body, in hexadecimal."""
    return hmac.new(secret.encode(), f"{timestamp}.{body}".encode(), hashlib.sha256).hexdigest()


def signed(secret: str, timestamp: int, body: str) -> dict[str, str]:
    """The headers of a request of ours to the operator's own systems."""
    return {
        "Content-Type": "application/json",
        "User-Agent": "Putthrough",
        "Putthrough-Timestamp": str(timestamp),
        "Putthrough-Signature": f"v1={signature(secret, timestamp, body)}",
    }


class Outbox:
    """Sends what is to be told."""

    def __init__(
        self,
        ledger: Ledger,
        url: str,
        secret: str,
        *,
        clock: Callable[[], float],
        first_pause: float = FIRST_PAUSE,
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            ledger: The record, which holds it.
            url: The receiver's address.
            secret: What the receiver checks the signature with.
            clock: Unix seconds.
            first_pause: How soon an event that was not taken is sent again. Seconds.
        """
        self._ledger = ledger
        self._url = url
        self._secret = secret
        self._clock = clock
        self._first_pause = first_pause

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Send for ever."""
        limits = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        async with aiohttp.ClientSession(timeout=limits, cookie_jar=aiohttp.DummyCookieJar()) as http:
            while True:
                try:
                    sent = await self.send_what_is_due(http)
                except LedgerError as error:
                    logger.debug("nothing is told while the record does not answer: {}", error)
                    sent = 0
                if not sent:
                    await sleep(LOOK_SECONDS)

    async def send_what_is_due(self, http: aiohttp.ClientSession) -> int:
        """Send what is due, of each call the oldest. Returns how many were taken by the receiver.

        Raises:
            LedgerError: The record does not answer.
        """
        due = await self._ledger.take_notices(self._clock(), LEASE_SECONDS)
        taken = await asyncio.gather(*(self._send(http, waiting) for waiting in due))
        return sum(taken)

    async def _send(self, http: aiohttp.ClientSession, waiting: Waiting) -> bool:
        now = self._clock()
        failure = await self._post(http, waiting, int(now))
        if failure is None:
            await self._ledger.told(waiting.uid, self._clock())
            return True
        with logger.contextualize(call_sid=waiting.call_sid):
            if now - waiting.at > GIVE_UP_SECONDS:
                logger.error("{} is given up after {} tries: {}", waiting.type, waiting.tries + 1, failure)
                await self._ledger.told(waiting.uid, now, failure)
                return False
            pause = min(self._first_pause * 2 ** min(waiting.tries, 20), LONGEST_PAUSE)
            logger.warning("{} was not taken ({}); again in {:.0f} s", waiting.type, failure, pause)
        await self._ledger.put_off(waiting.uid, self._clock() + pause, failure)
        return False

    async def _post(self, http: aiohttp.ClientSession, waiting: Waiting, timestamp: int) -> str | None:
        """Send one. Returns why it was not taken."""
        at = datetime.fromtimestamp(waiting.at, UTC).isoformat()
        body = json.dumps({"id": waiting.uid, "type": waiting.type, "at": at, "data": waiting.data})
        headers = {"Putthrough-Event": waiting.uid, **signed(self._secret, timestamp, body)}
        try:
            async with http.post(self._url, data=body.encode(), headers=headers, allow_redirects=False) as answer:
                return None if 200 <= answer.status < 300 else f"HTTP {answer.status}"
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            return type(error).__name__
