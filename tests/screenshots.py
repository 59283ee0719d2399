"""`make screenshots`: pictures of the console for the documentation, of real calls through the real server."""

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from browser import CHROMIUM, browser
from playwright.async_api import Browser, Page

from sandbox.process import server_process
from sandbox.stage import Stage
from sandbox.story import load
from sandbox.telephone.server import telephone

FOLDER = Path(__file__).parent.parent / "docs" / "console"
LIGHT: dict[str, Any] = {"color_scheme": "light", "viewport": {"width": 1280, "height": 860}}
DARK: dict[str, Any] = {**LIGHT, "color_scheme": "dark"}
NARROW: dict[str, Any] = {"color_scheme": "light", "viewport": {"width": 390, "height": 844}, "device_scale_factor": 2}
LOOKS = {"light": LIGHT, "dark": DARK, "phone": NARROW}

BEFORE = ("next_number", "message", "put_through", "voicemail")
"""Stories that are over when the pictures are taken."""

DURING = ("put_through", "barge_in", "next_number", "twice_asked")
"""Stories that go on meanwhile, begun a while apart."""


@asynccontextmanager
async def page(opened: Browser, look: str) -> AsyncIterator[Page]:
    """A page with this look."""
    context = await opened.new_context(**LOOKS[look])
    try:
        yield await context.new_page()
    finally:
        await context.close()


async def take(opened: Browser, url: str, name: str, look: str, *, wait: str) -> None:
    """One picture."""
    async with page(opened, look) as shown:
        await shown.goto(url)
        await shown.wait_for_selector(wait)
        await shown.wait_for_timeout(600)  # the first patch and the clocks
        await shown.screenshot(path=FOLDER / f"{name}-{look}.png")


async def take_telephone(opened: Browser, url: str, look: str) -> None:
    """The telephone, while the bot puts the caller through and a phone rings."""
    async with page(opened, look) as shown:
        await shown.goto(url)
        await shown.get_by_role("button", name="Call", exact=True).click()
        await shown.locator("#said li").first.wait_for()
        await shown.wait_for_timeout(2500)
        await shown.get_by_label("Say").fill("I want to speak to a person, please")
        await shown.keyboard.press("Enter")
        await shown.locator(".card.rings").wait_for(timeout=40_000)
        await shown.wait_for_timeout(800)
        await shown.screenshot(path=FOLDER / f"telephone-{look}.png", full_page=look == "phone")


async def take_console(opened: Browser, stage: Stage, url: str) -> None:
    """The board while calls go on, and one call when it is over."""
    await asyncio.gather(*(stage.play(name, load(name)) for name in BEFORE))
    playing = []
    for n, name in enumerate(DURING):
        story = load(name).model_copy(update={"caller": f"+44207946{1234 + 2111 * n}"})
        playing.append(asyncio.create_task(stage.play(name, story)))
        await asyncio.sleep(3.5)
    for look in LOOKS:
        await take(opened, f"{url}/console", "board", look, wait="#calls tr")
    played = await playing[0]
    for look in LOOKS:
        await take(opened, f"{url}/console/calls/{played.call.sid}", "call", look, wait="#lanes rect")
    await take(opened, f"{url}/console/calls", "calls", "light", wait="#h-found")
    for task in playing[1:]:
        with contextlib.suppress(Exception):
            await task


async def main(parts: list[str]) -> None:
    """Play calls and take the pictures.

    Args:
        parts: `console`, `telephone`, or both.
    """
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        async with Stage() as stage, server_process(stage, Path(folder)) as server, browser() as opened:
            if "console" in parts:
                await take_console(opened, stage, server.url)
            if "telephone" in parts:
                async with telephone(stage) as address:
                    for look in LOOKS:
                        await take_telephone(opened, address, look)


if __name__ == "__main__":
    if not CHROMIUM:
        raise SystemExit("There is no Chromium (Debian: apt-get install chromium).")
    asyncio.run(main(sys.argv[1:] or ["console", "telephone"]))
