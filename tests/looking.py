"""Somebody who looks at a page of the console, without a browser."""

import asyncio

from web.console.access import Role
from web.console.live.page import Watcher


class Looker(Watcher):
    """What they are sent waits for whoever asks."""

    def __init__(self, role: Role) -> None:
        self._sent = asyncio.Queue[str]()
        super().__init__(role, self._sent.put_nowait)

    async def next(self) -> str:
        """The next patch."""
        async with asyncio.timeout(10):
            return await self._sent.get()
