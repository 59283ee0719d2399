"""Two servers on one PostgreSQL: a page that one of them serves shows what happens on the other, and reaches it."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from serving import serving

from sandbox.people import Person
from sandbox.stage import OUR_NUMBER, Stage

CALLER = "+442079460123"
FRONT_DESK = "+12025550143"
SOON = 1.0
"""Seconds."""


class Follower:
    """A browser that follows a page, without drawing it: it keeps each piece as it was sent last."""

    def __init__(self) -> None:
        self.pieces: dict[str, str] = {}
        self._changed = asyncio.Condition()

    async def follow(self, http: aiohttp.ClientSession, url: str) -> None:
        async with http.get(url, timeout=aiohttp.ClientTimeout(total=None), max_line_size=10**7) as stream:
            async for line in stream.content:
                if line.startswith(b"data: "):
                    await self._take(json.loads(line[6:]))

    async def _take(self, patch: dict[str, Any]) -> None:
        async with self._changed:
            self.pieces |= patch.get("changed", {}) | patch.get("html", {})
            for _, _, html in patch.get("added", []):
                found = re.search(r'id="([^"]+)"', html)
                assert found
                self.pieces[found[1]] = html
            for key in patch.get("changed", {}):
                if key.startswith("call-"):  # with the part of it that may have been sent alone before
                    self.pieces.pop(f"speaks-{key.removeprefix('call-')}", None)
            for key in patch.get("removed", []):
                self.pieces.pop(key, None)
            self._changed.notify_all()

    async def until(self, true: Callable[[dict[str, str]], bool], seconds: float = 20.0) -> None:
        async with self._changed, asyncio.timeout(seconds):
            await self._changed.wait_for(lambda: true(self.pieces))


@asynccontextmanager
async def following(http: aiohttp.ClientSession, url: str) -> AsyncIterator[Follower]:
    follower = Follower()
    task = asyncio.create_task(follower.follow(http, url))
    try:
        await follower.until(lambda pieces: bool(pieces))
        yield follower
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_page_of_one_server_shows_the_calls_of_another_within_a_second_and_acts_on_them(
    tmp_path: Path, postgresql: str, http: aiohttp.ClientSession
):
    people = {FRONT_DESK: Person(after=0.2, hangs_up_after=0.5)}
    async with AsyncExitStack() as stack:
        stage = await stack.enter_async_context(Stage())
        urls = []
        for name in ("a", "b"):  # the last one that comes up has the calls
            settings = {"DATABASE_URL": postgresql, "SPOOL": str(tmp_path / name)}
            urls.append(await stack.enter_async_context(serving(stage, tmp_path, **settings)))
        board = await stack.enter_async_context(following(http, f"{urls[0]}/console/live"))
        await board.until(lambda pieces: pieces["health"].count("carries") == 2)

        call = await stage.network.call(CALLER, OUR_NUMBER, people=people)
        await call.until(lambda note: note.what == "verb" and note.data["name"] == "Connect")
        row, began = f"call-{call.sid}", time.monotonic()
        await board.until(lambda pieces: row in pieces)
        shown_after = time.monotonic() - began
        await board.until(lambda pieces: "with the bot" in pieces[row])
        await board.until(lambda pieces: "s-bot" in pieces.get(f"speaks-{call.sid}", pieces[row]))
        assert shown_after < SOON  # 0.08 to 0.15 s were measured on two slow cores, both of them busy

        page = f"{urls[0]}/console/calls/{call.sid}"
        async with http.get(page) as answer:
            found = re.search(r'name="form-token" content="(\w+)"', await answer.text())
        assert found
        follower = await stack.enter_async_context(following(http, f"{page}/live"))
        await follower.until(lambda pieces: any("r-bot" in html for html in pieces.values()))
        form = {"form": found[1], "target": "front_desk"}
        async with http.post(f"{page}/put-through", data=form, headers={"Accept": "application/json"}) as answer:
            assert (answer.status, (await answer.json())["done"]) == (200, True)
        await follower.until(lambda pieces: "put through" in pieces["head"])
        await board.until(lambda pieces: row not in pieces and call.sid in pieces["recent"])
        await call.ended()
        record = await stage.record(call.sid)
        assert (record["end"], record["handoffs"][0]["by"]) == ("put_through", "console")
        assert record["transcript"][-1]["text"] == "One moment please."  # said by the server that has the caller


async def test_whoever_logs_out_at_one_server_is_out_at_the_other(tmp_path: Path, postgresql: str):
    async with AsyncExitStack() as stack:
        stage, urls = await stack.enter_async_context(Stage()), []
        for name in ("a", "b"):
            settings = {"DATABASE_URL": postgresql, "SPOOL": str(tmp_path / name), "CONSOLE_PASSWORD": "correct horse"}
            urls.append(await stack.enter_async_context(serving(stage, tmp_path, **settings)))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        form = {"name": "Anna", "password": "correct horse"}
        async with http.post(f"{urls[0]}/console/login", data=form, allow_redirects=False) as answer:
            headers = {"Cookie": f"putthrough_console={answer.cookies['putthrough_console'].value}"}

        async def status(url: str) -> int:
            async with http.get(f"{url}/console/calls", headers=headers, allow_redirects=False) as answer:
                return answer.status

        assert [await status(url) for url in urls] == [200, 200]
        async with http.post(f"{urls[0]}/console/logout", headers=headers, allow_redirects=False):
            pass
        assert await status(urls[0]) == 303
        async with asyncio.timeout(SOON):
            while await status(urls[1]) == 200:
                await asyncio.sleep(0.05)
