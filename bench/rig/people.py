"""Calls that are with people: on the board like all others, but without a stream. They begin, last a while, and end."""

import asyncio
import random
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from uuid import uuid4

import aiohttp

from bench.rig.caller import ACCOUNT_SID, OUR_NUMBER, sign
from bench.rig.rest import Rest

TALK_SECONDS = (40.0, 80.0)
"""How long such a call lasts: from, to."""

PER_SECOND = 10.0
"""How many are begun in a second, until there are enough."""

_DIAL = re.compile(r'<Dial\b[^>]*\baction="([^"]+)"')
_PROGRESS = re.compile(r'\bstatusCallback="([^"]+)"')


class People:
    """What has become of the calls."""

    def __init__(self) -> None:
        """None so far."""
        self.failed: list[str] = []


@asynccontextmanager
async def calls_with_people(url: str, rest: Rest, count: int, chance: random.Random) -> AsyncIterator[People]:
    """Keep so many callers with people, who are put through to them at once: the bots are switched off meanwhile.

    Calls that are with a bot already stay so.

    Args:
        url: The server.
        rest: Where it may ask for these calls.
        count: How many at once; who hangs up is followed by another one.
        chance: How long they talk.
    """
    people = People()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        switch = {"on": True, "reason": "Callers go to people."}
        async with http.put(f"{url}/api/outage", json=switch) as answer:
            answer.raise_for_status()
        lines = [asyncio.create_task(_line(http, url, rest, chance, people, n / PER_SECOND)) for n in range(count)]
        try:
            await asyncio.sleep(count / PER_SECOND + 1)
            yield people
        finally:
            for line in lines:
                line.cancel()
            await asyncio.gather(*lines, return_exceptions=True)


async def _line(
    http: aiohttp.ClientSession, url: str, rest: Rest, chance: random.Random, people: People, wait: float
) -> None:
    """One caller after the other."""
    await asyncio.sleep(wait)
    while True:
        try:
            await _call(http, url, rest, chance.uniform(*TALK_SECONDS))
        except (aiohttp.ClientError, ValueError) as error:
            people.failed.append(f"{type(error).__name__}: {error}")
            await asyncio.sleep(1.0)


async def _call(http: aiohttp.ClientSession, url: str, rest: Rest, seconds: float) -> None:
    """A caller rings, a person takes the call, they talk."""
    caller = {"AccountSid": ACCOUNT_SID, "ApiVersion": "2010-04-01", "From": "+442079460123", "To": OUR_NUMBER}
    caller |= {"CallSid": "CA" + uuid4().hex, "Direction": "inbound"}
    person = caller | {"ParentCallSid": caller["CallSid"], "CallSid": "CA" + uuid4().hex, "Direction": "outbound-dial"}
    document = await _webhook(http, f"{url}/twilio/voice", caller | {"CallStatus": "ringing"})
    dial, progress = _DIAL.search(document), _PROGRESS.search(document)
    if dial is None or progress is None:
        raise ValueError("a caller is not put through")
    for status in ("ringing", "in-progress"):
        await _webhook(http, unescape(progress[1]), person | {"CallStatus": status})
    rest.going_on.add(caller["CallSid"])
    try:
        await asyncio.sleep(seconds)
    finally:
        rest.going_on.discard(caller["CallSid"])
    over = {"CallStatus": "completed", "DialCallStatus": "completed", "DialBridged": "true"}
    await _webhook(http, unescape(dial[1]), caller | over)


async def _webhook(http: aiohttp.ClientSession, url: str, form: dict[str, str]) -> str:
    """What the server answers. What stands behind a `#` is for Twilio and is neither sent nor signed."""
    url = url.partition("#")[0]
    async with http.post(url, data=form, headers={"X-Twilio-Signature": sign(url, form)}) as answer:
        answer.raise_for_status()
        return await answer.text()
