"""Callers' messages, and recordings of calls: fetched from Twilio for whoever may hear them, and nowhere kept."""

import asyncio
import re
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp

from bot.telephony import TelephonyError, Unavailable

LONGEST_BYTES = 64 * 1024 * 1024
"""A day of telephone sound is more; a message is less."""

FETCH_SECONDS = 20.0

_PATH = re.compile(r"/2010-04-01/Accounts/AC[0-9a-fA-F]{32}/Recordings/RE[0-9a-fA-F]{32}")
"""Twilio: Recordings resource. The record holds the whole address; only this much of it is used, so that our
credentials go to Twilio's own host, whatever it says."""


class Recordings:
    """The account's recordings."""

    def __init__(self, api_url: str, username: str, password: str) -> None:
        """Args: api_url: Twilio's REST, scheme and host; username, password: as for REST."""
        self._api_url = api_url.rstrip("/")
        self._authorization = "Basic " + b64encode(f"{username}:{password}".encode()).decode()

    async def fetch(self, address: str) -> bytes:
        """A recording as a WAV file.

        Args:
            address: Twilio's `RecordingUrl`.

        Raises:
            TelephonyError: Twilio does not give it; `code` and `status` as far as it says why.
        """
        async with self._asked("GET", address, ".wav") as answer:
            if answer.status != 200:
                raise TelephonyError(None, answer.status, "Twilio does not give the recording")
            return await _whole(answer)

    @asynccontextmanager
    async def stream(self, address: str, byte_range: str = "") -> AsyncIterator[aiohttp.ClientResponse]:
        """A recording as a WAV file, as it comes: one of a long call does not fit into memory for each who listens.

        Args:
            address: Twilio's `RecordingUrl`.
            byte_range: Which bytes of it, as in the header `Range`; empty for all. Twilio may give all of it anyway.

        Raises:
            TelephonyError: Twilio does not give it.
        """
        wanted = {"Accept-Encoding": "identity", **({"Range": byte_range} if byte_range else {})}
        async with self._asked("GET", address, ".wav", wanted, seconds=None) as answer:
            if answer.status not in (200, 206, 416):
                raise TelephonyError(None, answer.status, "Twilio does not give the recording")
            yield answer

    async def delete(self, address: str) -> None:
        """Have Twilio delete a recording; one that is not there is as good as deleted.

        Args:
            address: Twilio's `RecordingUrl`. What is none needs no deleting.

        Raises:
            TelephonyError: Twilio did not delete it.
        """
        if _PATH.search(address) is None:
            return
        async with self._asked("DELETE", address, ".json") as answer:
            if answer.status not in (204, 404):
                raise TelephonyError(None, answer.status, "Twilio does not delete the recording")

    @asynccontextmanager
    async def _asked(
        self,
        method: str,
        address: str,
        form: str,
        more: Mapping[str, str] | None = None,
        *,
        seconds: float | None = FETCH_SECONDS,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        path = _PATH.search(address)
        if path is None:
            raise TelephonyError(None, None, "that is no address of a recording")
        try:
            limits = aiohttp.ClientTimeout(sock_connect=FETCH_SECONDS, sock_read=FETCH_SECONDS)
            async with asyncio.timeout(seconds), aiohttp.ClientSession(timeout=limits) as http:
                headers = {"Authorization": self._authorization, **(more or {})}
                async with http.request(method, f"{self._api_url}{path[0]}{form}", headers=headers) as answer:
                    yield answer
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(None, None, f"Twilio's recordings are out of reach: {error!r}") from error


async def _whole(answer: aiohttp.ClientResponse) -> bytes:
    sound = bytearray()
    async for chunk in answer.content.iter_chunked(64 * 1024):
        sound += chunk
        if len(sound) > LONGEST_BYTES:
            raise TelephonyError(None, answer.status, "the recording is too long to be played here")
    return bytes(sound)
