"""Who looks at the console: pages that stay open, as browsers keep them, without drawing them; and listeners."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from web.console.call_socket import ACKNOWLEDGED


class Pages:
    """What they have been sent."""

    def __init__(self) -> None:
        """Nothing so far."""
        self.patches = 0
        self.heard = 0
        """Messages of calls that are listened to."""

        self.lost: list[str] = []
        """Why a page or a listener got no more."""


@asynccontextmanager
async def open_pages(url: str, *, boards: int, calls: Sequence[str], heard: Sequence[str]) -> AsyncIterator[Pages]:
    """Open pages, each as a browser of its own does, and keep following them.

    Args:
        url: The server.
        boards: How many show the live board.
        calls: The calls whose own pages are open.
        heard: The calls that somebody listens to.

    Raises:
        RuntimeError: The server does not show its console.
    """
    pages = Pages()
    addresses = ["/console"] * boards + [f"/console/calls/{sid}" for sid in calls]
    async with contextlib.AsyncExitStack() as stack:
        followers: list[asyncio.Task[None]] = []

        async def browser(address: str) -> aiohttp.ClientSession:
            http = await stack.enter_async_context(aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)))
            async with http.get(url + address) as page:
                if page.status != 200:
                    raise RuntimeError(f"{address} is answered with {page.status}")
                await page.read()
            return http

        def follow(what: str, following: Coroutine[Any, Any, None]) -> None:
            followers.append(asyncio.create_task(_as_long_as_it_goes(what, following, pages)))

        try:
            for address in addresses:
                follow(address, _follow(await browser(address), f"{url}{address}/live", pages))
            for sid in heard:
                address = f"/console/calls/{sid}"
                follow(f"{address}/listen", _listen(await browser(address), f"{url}{address}/listen", pages))
            yield pages
        finally:
            for task in followers:
                task.cancel()
            await asyncio.gather(*followers, return_exceptions=True)


async def _as_long_as_it_goes(what: str, following: Coroutine[Any, Any, None], pages: Pages) -> None:
    try:
        await following
    except aiohttp.ClientError as error:
        pages.lost.append(f"{what}: {error!r}")
    else:
        pages.lost.append(f"{what}: it ended")


async def _follow(http: aiohttp.ClientSession, address: str, pages: Pages) -> None:
    forever = aiohttp.ClientTimeout(total=None)
    async with http.get(address, timeout=forever) as stream:
        stream.raise_for_status()
        async for chunk in stream.content.iter_any():
            pages.patches += chunk.count(b"data: ")


async def _listen(http: aiohttp.ClientSession, address: str, pages: Pages) -> None:
    async with http.ws_connect(address) as socket:
        heard = 0
        async for _ in socket:
            heard += 1
            pages.heard += 1
            if heard % ACKNOWLEDGED == 0:
                await socket.send_str("")
