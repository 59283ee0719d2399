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

PAUSE_SECONDS = 3.0
"""How long the caller is silent before they say it once more."""

MICROPHONE = """
const ask = navigator.mediaDevices?.getUserMedia.bind(navigator.mediaDevices);
if (ask) navigator.mediaDevices.getUserMedia = async wanted => {
  const stream = await ask(wanted);
  window.unmute = on => { stream.getAudioTracks()[0].enabled = on };
  unmute(false);
  return stream;
};"""
"""The caller speaks when the test says so, however long a slow machine takes until then."""

SOUND_HEARD = """async () => {
  let energy = 0, packets = 0;
  for (const report of (await connection.getStats()).values())
    if (report.type === "inbound-rtp" && report.kind === "audio") {
      energy += report.totalAudioEnergy; packets += report.packetsReceived;
    }
  return { energy, packets };
}"""

REMEMBER = """() => {
  const first = told;
  window.seen = [];
  told = message => { seen.push(message); first(message) };
}"""


def patient(folder: Path) -> str:
    """The sandbox's policy, with phones that ring for long."""
    policy = folder / "handoff.yaml"
    policy.write_text(Path("sandbox/handoff.yaml").read_text().replace("ring_seconds: 5", "ring_seconds: 60"))
    return str(policy)


@asynccontextmanager
async def browser(folder: Path) -> AsyncIterator[Page]:
    """A page of a browser whose microphone is muted, and says something again and again."""
    silence = np.zeros(round(PAUSE_SECONDS * 8000), dtype=np.int16)
    sound = folder / "microphone.wav"
    write_wav(sound, np.concatenate([speak("A person, please.", voice="caller", rate=8000), silence]))
    async with async_playwright() as playwright:
        context = await playwright.chromium.launch_persistent_context(
            folder / "profile",
            executable_path=CHROMIUM,
            headless=True,
            args=[*FLAGS.split(), f"--use-file-for-fake-audio-capture={sound}"],
        )
        await context.add_init_script(MICROPHONE)
        try:
            yield await context.new_page()
        finally:
            await context.close()


async def test_a_caller_in_the_browser_is_put_through_by_whoever_tests(tmp_path: Path):
    clerk = Clerk()
    clerk.said = "A person, please."
    async with (
        Stage(brain=clerk) as stage,
        dev_runner(stage, tmp_path, "-t", "webrtc", HANDOFF_POLICY=patient(tmp_path)) as bot,
        browser(tmp_path) as page,
    ):
        await page.goto(f"http://{bot}/telephone")
        await page.evaluate(REMEMBER)
        log, telephone = page.locator("#log"), page.get_by_role("group", name="The other telephone")
        await page.get_by_role("button", name="Call", exact=True).click()

        await expect(log).to_contain_text("Northwind Outfitters, hello!", timeout=60_000)
        heard = await page.evaluate(SOUND_HEARD)
        assert heard["packets"] > 50
        assert heard["energy"] > 0.001, "the bot's greeting was sent as silence"

        await page.evaluate("unmute(true)")
        await expect(log).to_contain_text("A person, please.", timeout=60_000)  # as the model heard it
        await page.evaluate("unmute(false)")
        assert [view.audio_ms_received for view in stage.model.sessions if view.audio_ms_received > 1000]
        await telephone.get_by_role("button", name="busy").click(timeout=60_000)
        await expect(log).to_contain_text("+12025550143: busy")

        await telephone.get_by_role("button", name="answer", exact=True).click()
        await telephone.get_by_role("button", name="hang up").click()
        await expect(log).to_contain_text("The call has ended: put_through", timeout=10_000)
        await expect(page.locator("#state")).to_have_text("not connected", timeout=10_000)
        seen = await page.evaluate("seen")
    shown = "".join(message["data"]["text"] for message in seen if message["type"] == "bot-output")
    assert shown.startswith("Northwind Outfitters, hello!")  # what Pipecat's own page shows
    assert "hand_off" in {m["data"].get("function_name") for m in seen if m["type"] == "llm-function-call-in-progress"}


async def test_a_caller_may_type_and_hang_up_while_it_rings(tmp_path: Path):
    async with (
        Stage(brain=Clerk()) as stage,
        dev_runner(stage, tmp_path, "-t", "webrtc") as bot,
        browser(tmp_path) as page,
    ):
        await page.goto(f"http://{bot}/telephone")
        await page.get_by_role("button", name="Call", exact=True).click()
        await expect(page.locator("#log")).to_contain_text("Northwind Outfitters, hello!", timeout=60_000)
        await page.get_by_label("What the caller says").fill("Billing, a person there, please.")
        await page.keyboard.press("Enter")
        await expect(page.locator("#log")).to_contain_text("Twilio would dial +12025550199", timeout=60_000)
        await page.get_by_role("button", name="Hang up", exact=True).click()
        await expect(page.get_by_role("group", name="The other telephone")).to_be_empty(timeout=10_000)
    assert "The call has ended: caller_hung_up" in (tmp_path / "runner.log").read_text()


async def test_pipecat_s_own_page_is_served_beside_it(tmp_path: Path):
    async with (
        Stage(brain=Clerk()) as stage,
        dev_runner(stage, tmp_path, "-t", "webrtc") as bot,
        browser(tmp_path) as page,
    ):
        await page.goto(f"http://{bot}/client/")
        await expect(page.get_by_role("button", name="Connect")).to_be_visible()
