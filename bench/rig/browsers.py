"""`python -m bench.rig.browsers`: browsers that keep pages of the console open, without drawing them; and listeners.

They run when the rig does not, for in truth they are on other machines: what they take must not be taken for the
server's delay. Standard input tells which pages (see `Wanted`) and ends when they are to be closed; standard output
says when all are open, and what they have been sent.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field

import aiohttp
import uvloop
from pydantic import TypeAdapter

from web.console.call_socket import ACKNOWLEDGED


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which pages."""

    url: str
    """The server."""

    boards: int
    """How many show the live board."""

    calls: Sequence[str]
    """The calls whose own pages are open."""

    heard: Sequence[str]
    """The calls that somebody listens to."""


@dataclass(slots=True)
class Sent:
    """What they have been sent."""

    patches: int = 0
    heard: int = 0
    """Messages of calls that are listened to."""

    lost: list[str] = field(default_factory=list[str])
    """Why a page or a listener got no more."""


WANTED = TypeAdapter(Wanted)
SENT = TypeAdapter(Sent)


async def browse() -> None:
    """See the module. Raises `RuntimeError`: the server does not show its console."""
    told = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(told), sys.stdin)
    wanted, sent = WANTED.validate_json(await told.readline()), Sent()
    addresses = ["/console"] * wanted.boards + [f"/console/calls/{sid}" for sid in wanted.calls]
    async with contextlib.AsyncExitStack() as stack:
        followers: list[asyncio.Task[None]] = []

        async def browser(address: str) -> aiohttp.ClientSession:
            http = await stack.enter_async_context(aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)))
            async with http.get(wanted.url + address) as page:
                if page.status != 200:
                    raise RuntimeError(f"{address} is answered with {page.status}")
                await page.read()
            return http

        def follow(what: str, following: Coroutine[None, None, None]) -> None:
            followers.append(asyncio.create_task(_as_long_as_it_goes(what, following, sent)))

        try:
            for address in addresses:
                follow(address, _follow(await browser(address), f"{wanted.url}{address}/live", sent))
            for sid in wanted.heard:
                address = f"/console/calls/{sid}"
                follow(f"{address}/listen", _listen(await browser(address), f"{wanted.url}{address}/listen", sent))
            _say(sent)
            await told.read()
        finally:
            for task in followers:
                task.cancel()
            await asyncio.gather(*followers, return_exceptions=True)
    _say(sent)


def _say(sent: Sent) -> None:
    print(SENT.dump_json(sent).decode(), flush=True)


async def _as_long_as_it_goes(what: str, following: Coroutine[None, None, None], sent: Sent) -> None:
    try:
        await following
    except Exception as error:  # whatever it is: a page that is not followed any more is told of
        sent.lost.append(f"{what}: {error!r}")
    else:
        sent.lost.append(f"{what}: it ended")


async def _follow(http: aiohttp.ClientSession, address: str, sent: Sent) -> None:
    forever = aiohttp.ClientTimeout(total=None)
    async with http.get(address, timeout=forever) as stream:
        stream.raise_for_status()
        async for chunk in stream.content.iter_any():
            sent.patches += chunk.count(b"data: ")


async def _listen(http: aiohttp.ClientSession, address: str, sent: Sent) -> None:
    async with http.ws_connect(address) as socket:
        heard = 0
        async for _ in socket:
            heard += 1
            sent.heard += 1
            if heard % ACKNOWLEDGED == 0:
                await socket.send_str("")


if __name__ == "__main__":
    if sys.platform == "linux":
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    uvloop.run(browse())
