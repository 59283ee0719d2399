"""Messages that callers left: who may hear them, and that our credentials go to Twilio alone."""

import io
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from aiohttp import web
from serving import serving

from bot.recordings import Recordings
from bot.telephony import TelephonyError, Unavailable
from sandbox.stage import Stage
from sandbox.story import load

PASSWORD, VIEWERS = "correct horse", "battery staple"
PATH = f"/2010-04-01/Accounts/AC{'1a' * 16}/Recordings/RE{'2b' * 16}"


@pytest.fixture
async def asked() -> AsyncIterator[tuple[str, list[web.Request]]]:
    """A REST host that has one recording, and what it was asked."""
    requests: list[web.Request] = []

    async def answer(request: web.Request) -> web.Response:
        requests.append(request)
        return web.Response(body=b"RIFF") if request.path == f"{PATH}.wav" else web.Response(status=404)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", requests
    await runner.cleanup()


@pytest.mark.parametrize("host", ["https://api.twilio.com", "https://evil.example"])
async def test_a_recording_is_asked_of_twilio_s_own_host_whatever_the_record_says(
    asked: tuple[str, list[web.Request]], host: str
):
    url, requests = asked
    recordings = Recordings(url, "AC1", "secret")
    assert await recordings.fetch(host + PATH) == b"RIFF"
    assert requests[0].headers["Authorization"] == "Basic QUMxOnNlY3JldA=="


@pytest.mark.parametrize("address", ["", "https://evil.example/x", "file:///etc/passwd", PATH[:-1]])
async def test_what_is_no_address_of_a_recording_is_not_asked_for(asked: tuple[str, list[web.Request]], address: str):
    url, requests = asked
    with pytest.raises(TelephonyError):
        await Recordings(url, "AC1", "secret").fetch(address)
    assert requests == []


async def test_a_recording_that_twilio_does_not_give_or_that_is_out_of_reach_is_told_as_such(
    asked: tuple[str, list[web.Request]],
):
    url, _ = asked
    with pytest.raises(TelephonyError, match="404"):
        await Recordings(url, "AC1", "secret").fetch(PATH.replace("2b", "3c"))
    with pytest.raises(Unavailable):
        await Recordings("http://127.0.0.1:9", "AC1", "secret").fetch(PATH)


async def test_a_supervisor_hears_the_message_that_a_caller_left_and_a_viewer_does_not(tmp_path: Path):
    async with (
        Stage() as stage,
        serving(stage, tmp_path, CONSOLE_PASSWORD=PASSWORD, CONSOLE_VIEWER_PASSWORD=VIEWERS) as url,
        httpx2.AsyncClient(base_url=url) as client,
    ):
        await stage.play("message", load("message"))
        [call] = stage.network.calls
        page = f"/console/calls/{call.sid}"
        await client.post("/console/login", data={"name": "Anna", "password": PASSWORD})
        assert f'src="{page}/message"' in (await client.get(page)).text
        answer = await client.get(f"{page}/message")
        assert answer.headers["content-type"] == "audio/wav"
        with wave.open(io.BytesIO(answer.content)) as sound:
            assert sound.getnframes() / sound.getframerate() > 1
        await client.post("/console/login", data={"name": "Ben", "password": VIEWERS})
        assert "/message" not in (await client.get(page)).text
        assert (await client.get(f"{page}/message")).status_code == 403
