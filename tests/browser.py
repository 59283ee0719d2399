"""A real browser for tests: the system's own Chromium, headless, with nothing of another profile and no other host."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, async_playwright, expect

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
"""Where it is; empty where there is none (Debian: apt-get install chromium)."""

FLAGS = (
    "--no-sandbox",  # the tests run as root in a container, and visit their own pages alone
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)

expect.set_options(timeout=20_000)  # ms: the tests share two cores with one another; what must be there soon says so


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """Chromium, with an empty profile of its own."""
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=Path(CHROMIUM), headless=True, args=[*FLAGS])
        try:
            yield started
        finally:
            await started.close()
