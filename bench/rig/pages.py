"""Pages of the console that stay open: browsers that follow the live board, without drawing it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp


class Pages:
    """How many patches have come."""

    def __init__(self) -> None:
        """None so far."""
        self.patches = 0


@asynccontextmanager
async def open_pages(url: str, count: int) -> AsyncIterator[Pages]:
    """Open the live board so many times, each as a browser does, and keep following it.

    Args:
        url: The server.
        count: How many.

    Raises:
        RuntimeError: The server does not show its console.
    """
    pages = Pages()
    async with contextlib.AsyncExitStack() as stack:
        followers: list[asyncio.Task[None]] = []
        try:
            for _ in range(count):
                http = await stack.enter_async_context(aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)))
                async with http.get(f"{url}/console") as page:
                    if page.status != 200:
                        raise RuntimeError(f"the console answers {page.status}")
                    await page.read()
                followers.append(asyncio.create_task(_follow(http, url, pages)))
            yield pages
        finally:
            for task in followers:
                task.cancel()
            await asyncio.gather(*followers, return_exceptions=True)


async def _follow(http: aiohttp.ClientSession, url: str, pages: Pages) -> None:
    forever = aiohttp.ClientTimeout(total=None)
    async with http.get(f"{url}/console/live", timeout=forever) as stream:
        async for chunk in stream.content.iter_any():
            pages.patches += chunk.count(b"data: ")
