"""`python -m bot -t webrtc`, driven by a real browser with a microphone of its own: sound both ways, and a hand-off."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from dev_runner import dev_runner
from playwright.async_api import Page, async_playwright, expect

from sandbox.clerk import Clerk
from sandbox.codec import write_wav
from sandbox.stage import Stage
from sandbox.voice import speak

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")

FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --autoplay-policy=no-user-gesture-required "
    "--use-fake-ui-for-media-stream --use-fake-device-for-media-stream"
)

GREETING_SECONDS = 8.0
"""How long the caller is silent at first. The bot's greeting takes less, in tones."""

SOUND_HEARD = """async () => {
  let energy = 0, packets = 0;
  for (const report of (await connection.getStats()).values())
    if (report.type === "inbound-rtp" && report.kind === "audio") {
      energy += report.totalAudioEnergy; packets += report.packetsReceived;
    }
  return { energy, packets };
}"""


@asynccontextmanager
async def browser(folder: Path, said: str | None) -> AsyncIterator[Page]:
    """A page of a browser into whose microphone this is said once, or nothing."""
    silence = np.zeros(round(GREETING_SECONDS * 8000), dtype=np.int16)
    sound = folder / "microphone.wav"
    words = [] if said is None else [speak(said, voice="caller", rate=8000)]
    write_wav(sound, np.concatenate([silence, *words, *[silence] * 10]))
    async with async_playwright() as playwright:
        context = await playwright.chromium.launch_persistent_context(
            folder / "profile",
            executable_path=CHROMIUM,
            headless=True,
            args=[*FLAGS.split(), f"--use-file-for-fake-audio-capture={sound}%noloop"],
        )
        try:
            yield await context.new_page()
        finally:
            await context.close()


async def test_a_caller_in_the_browser_is_put_through_by_whoever_tests(tmp_path: Path):
    clerk = Clerk()
    clerk.said = "A person, please."
    async with (
        Stage(brain=clerk) as stage,
        dev_runner(stage, tmp_path, "-t", "webrtc") as bot,
        browser(tmp_path, clerk.said) as page,
    ):
        await page.goto(f"http://{bot}/telephone")
        log, telephone = page.locator("#log"), page.get_by_role("group", name="The other telephone")
        await page.get_by_role("button", name="Call", exact=True).click()

        await expect(log).to_contain_text("Northwind Outfitters, hello!", timeout=30_000)
        heard = await page.evaluate(SOUND_HEARD)
        assert heard["packets"] > 50
        assert heard["energy"] > 0.001, "the bot's greeting was sent as silence"

        await telephone.get_by_role("button", name="busy").click(timeout=30_000)
        assert [view.audio_ms_received for view in stage.model.sessions if view.audio_ms_received > 1000]
        await expect(log).to_contain_text("A person, please.")  # what the model heard through the microphone
        await expect(log).to_contain_text("+12025550143: busy")

        await telephone.get_by_role("button", name="answer", exact=True).click()
        await telephone.get_by_role("button", name="hang up").click()
        await expect(log).to_contain_text("The call has ended: put_through", timeout=10_000)
        await expect(page.locator("#state")).to_have_text("not connected", timeout=10_000)


async def test_a_caller_may_type_and_hang_up_while_it_rings(tmp_path: Path):
    async with (
        Stage(brain=Clerk()) as stage,
        dev_runner(stage, tmp_path, "-t", "webrtc") as bot,
        browser(tmp_path, None) as page,
    ):
        await page.goto(f"http://{bot}/telephone")
        await page.get_by_role("button", name="Call", exact=True).click()
        await expect(page.locator("#log")).to_contain_text("Northwind Outfitters, hello!", timeout=30_000)
        await page.get_by_label("What the caller says").fill("Billing, a person there, please.")
        await page.keyboard.press("Enter")
        await expect(page.locator("#log")).to_contain_text("Twilio would dial +12025550199", timeout=30_000)
        await page.get_by_role("button", name="Hang up", exact=True).click()
        await expect(page.get_by_role("group", name="The other telephone")).to_be_empty(timeout=10_000)
    assert "The call has ended: caller_hung_up" in (tmp_path / "runner.log").read_text()


async def test_pipecat_s_own_page_is_served_beside_it(tmp_path: Path):
    async with (
        Stage(brain=Clerk()) as stage,
        dev_runner(stage, tmp_path, "-t", "webrtc") as bot,
        browser(tmp_path, None) as page,
    ):
        await page.goto(f"http://{bot}/client/")
        await expect(page.get_by_role("button", name="Connect")).to_be_visible()
