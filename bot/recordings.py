"""Messages that callers left: fetched from Twilio for whoever may hear them, and nowhere kept."""

import asyncio
import re
from base64 import b64encode

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
        path = _PATH.search(address)
        if path is None:
            raise TelephonyError(None, None, "that is no address of a recording")
        try:
            async with asyncio.timeout(FETCH_SECONDS), aiohttp.ClientSession() as http:
                headers = {"Authorization": self._authorization}
                url = f"{self._api_url}{path[0]}.wav"
                async with http.get(url, headers=headers, allow_redirects=True) as answer:
                    if answer.status != 200:
                        raise TelephonyError(None, answer.status, "Twilio does not give the recording")
                    return await _whole(answer)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(None, None, f"the recording cannot be had: {error!r}") from error


async def _whole(answer: aiohttp.ClientResponse) -> bytes:
    sound = bytearray()
    async for chunk in answer.content.iter_chunked(64 * 1024):
        sound += chunk
        if len(sound) > LONGEST_BYTES:
            raise TelephonyError(None, answer.status, "the recording is too long to be played here")
    return bytes(sound)
