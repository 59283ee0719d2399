"""Listening in and taking over, on the real server: who hears what, who may, who is rung, and what is kept of it."""

import asyncio
import audioop
import json
from base64 import b64decode
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
from serving import serving

from sandbox.caller import CallerLeg
from sandbox.people import Person
from sandbox.stage import OUR_NUMBER, Stage
from sandbox.voice import speak

CALLER = "+442079460123"
SUPERVISOR = "+12025550188"
PASSWORD, VIEWERS = "correct horse", "battery staple"
LOUD = 500
"""Of 32767; what is below is silence."""


class Heard:
    """What came to a listener."""

    def __init__(self) -> None:
        self.loud = {"c": 0.0, "b": 0.0}
        """Seconds of sound by side: the caller's, the bot's."""

        self.words = ""

    async def follow(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            await socket.send_str("")
            if message.data.startswith("{"):
                self.words = json.loads(message.data)["words"]
                continue
            side, told = message.data[0], json.loads(message.data[1:])
            if told["event"] == "media":
                pcm = audioop.ulaw2lin(b64decode(told["media"]["payload"]), 2)
                if audioop.rms(pcm, 2) > LOUD:
                    self.loud[side] += len(pcm) / 16_000

    async def until(self, side: str, seconds: float) -> None:
        async with asyncio.timeout(20):
            while self.loud[side] < seconds:
                await asyncio.sleep(0.02)


async def logged_in(http: aiohttp.ClientSession, url: str, password: str = PASSWORD) -> None:
    async with http.post(f"{url}/console/login", data={"name": "Anna", "password": password}) as answer:
        assert answer.status == 200


def policy(folder: Path, changed: str, into: str) -> str:
    """The sandbox's policy with something changed. Returns its path."""
    text = Path("sandbox/handoff.yaml").read_text()
    assert changed in text
    path = folder / "policy.yaml"
    path.write_text(text.replace(changed, into))
    return str(path)


async def refused(http: aiohttp.ClientSession, address: str, **headers: str) -> bool:
    """Whether this socket of a page is not opened to who asks."""
    try:
        async with http.ws_connect(address, headers=headers):
            return False
    except aiohttp.WSServerHandshakeError as error:
        return error.status == 403


async def greeted(call: CallerLeg) -> None:
    await call.until("speech stopped", timeout=20)


async def journal(http: aiohttp.ClientSession, url: str, sid: str) -> list[tuple[str, str]]:
    """Who listened, as the record says."""
    headers = {"Authorization": aiohttp.encode_basic_auth("", PASSWORD)}
    async with http.get(f"{url}/api/calls/{sid}", headers=headers) as answer:
        record: dict[str, Any] = await answer.json()
    return [(e["event"], e["data"]["who"]) for e in record["timeline"] if e["event"].startswith("Listening")]


async def test_a_supervisor_hears_caller_and_bot_and_the_journal_says_who_listened(
    stage: Stage, tmp_path: Path, http: aiohttp.ClientSession
):
    async with serving(stage, tmp_path, CONSOLE_PASSWORD=PASSWORD) as url:
        await logged_in(http, url)
        call = await stage.network.call(CALLER, OUR_NUMBER)
        await greeted(call)
        heard = Heard()
        async with http.ws_connect(f"{url}/console/calls/{call.sid}/listen") as socket:
            following = asyncio.create_task(heard.follow(socket))
            while ("ListeningBegan", "Anna") not in await journal(http, url, call.sid):
                await asyncio.sleep(0.05)
            await call.say(speak("Where is my order?"))
            await heard.until("c", 0.5)
            await heard.until("b", 0.5)
            await call.hang_up()
            await following
        assert heard.words == "The caller is not with the bot any more."
        await call.ended()
        assert await journal(http, url, call.sid) == [("ListeningBegan", "Anna"), ("ListeningEnded", "Anna")]
        async with http.ws_connect(f"{url}/console/calls/{call.sid}/listen") as socket:
            assert "nothing to hear" in (await socket.receive_json())["words"]


async def test_nobody_listens_who_may_not(stage: Stage, tmp_path: Path, http: aiohttp.ClientSession):
    async with serving(stage, tmp_path, CONSOLE_PASSWORD=PASSWORD, CONSOLE_VIEWER_PASSWORD=VIEWERS) as url:
        address = f"{url}/console/calls/CA{'0' * 32}/listen"

        assert await refused(http, address)
        await logged_in(http, url, VIEWERS)
        assert await refused(http, address)
        await logged_in(http, url)
        assert await refused(http, address, Origin="https://elsewhere.example")
        assert not await refused(http, address, Origin=url)


async def test_where_the_policy_does_not_allow_it_nobody_hears_anything(
    stage: Stage, tmp_path: Path, http: aiohttp.ClientSession
):
    strict = policy(tmp_path, "listen_in: {allowed: true}\n", "")
    async with serving(stage, tmp_path, HANDOFF_POLICY=strict) as url:
        call = await stage.network.call(CALLER, OUR_NUMBER)
        await greeted(call)
        heard = Heard()
        async with http.ws_connect(f"{url}/console/calls/{call.sid}/listen") as socket:
            await heard.follow(socket)
        assert "Nobody may listen in" in heard.words
        assert heard.loud == {"c": 0.0, "b": 0.0}
        async with http.get(f"{url}/console/calls/{call.sid}") as page:
            assert "listen-button" not in await page.text()
        assert await journal(http, url, call.sid) == []
        await call.hang_up()
        await call.ended()


async def test_callers_are_told_before_anything_else_that_somebody_may_listen(stage: Stage, tmp_path: Path):
    told = policy(tmp_path, "{allowed: true}", "{allowed: true, notice: This call may be listened to.}")
    async with serving(stage, tmp_path, HANDOFF_POLICY=told):
        call = await stage.network.call(CALLER, OUR_NUMBER)
        await greeted(call)
        verbs = [note.data["name"] for note in stage.journal.of(call.sid) if note.what == "verb"]
        assert verbs[:2] == ["Say", "Connect"]
        await call.hang_up()
        await call.ended()


async def test_a_call_that_another_server_carries_is_heard_there_and_this_one_says_so(
    stage: Stage, tmp_path: Path, postgresql: str, http: aiohttp.ClientSession
):
    async with AsyncExitStack() as stack:
        urls = []
        for name in ("a", "b"):  # the last one that comes up has the calls
            settings = {"DATABASE_URL": postgresql, "SPOOL": str(tmp_path / name)}
            urls.append(await stack.enter_async_context(serving(stage, tmp_path, **settings)))
        call = await stage.network.call(CALLER, OUR_NUMBER)
        await greeted(call)
        heard, there = Heard(), Heard()
        async with http.ws_connect(f"{urls[0]}/console/calls/{call.sid}/listen") as socket:
            await heard.follow(socket)
        assert "is carried by" in heard.words
        async with http.ws_connect(f"{urls[1]}/console/calls/{call.sid}/listen") as socket:
            following = asyncio.create_task(there.follow(socket))
            await call.say(speak("Where is my order?"))
            await there.until("b", 0.2)
            await call.hang_up()
            await following
        await call.ended()


async def test_a_supervisor_who_takes_over_is_rung_and_has_the_caller(
    stage: Stage, tmp_path: Path, http: aiohttp.ClientSession
):
    people = {SUPERVISOR: Person(after=0.4, hangs_up_after=1.0)}
    async with serving(stage, tmp_path) as url:
        call = await stage.network.call(CALLER, OUR_NUMBER, people=people)
        await greeted(call)
        page = f"{url}/console/calls/{call.sid}"
        async with http.get(page) as answer:
            text = await answer.text()
        form = {"form": text.split('name="form-token" content="')[1].split('"')[0]}
        assert "Rings supervisor" in text
        async with http.post(f"{page}/take-over", data=form, headers={"Accept": "application/json"}) as answer:
            assert (answer.status, (await answer.json())["done"]) == (200, True)
        await call.ended()
        record = await stage.record(call.sid)
        assert (record["end"], record["handoffs"][0]["by"]) == ("put_through", "take_over")
        assert record["attempts"][-1]["target"] == "supervisor"
        [asked] = [e for e in record["timeline"] if e["event"] == "HandoffRequested"]
        assert asked["data"]["who"] == "this machine"
        assert "supervisor" not in json.dumps(stage.model.sessions[0].config["tools"])


async def test_where_nobody_is_named_there_is_nobody_to_take_over(
    stage: Stage, tmp_path: Path, http: aiohttp.ClientSession
):
    none = policy(tmp_path, "take_over: supervisor\n", "")
    async with serving(stage, tmp_path, HANDOFF_POLICY=none) as url:
        call = await stage.network.call(CALLER, OUR_NUMBER)
        await greeted(call)
        page = f"{url}/console/calls/{call.sid}"
        async with http.get(page) as answer:
            text = await answer.text()
        assert "take-over" not in text
        form = {"form": text.split('name="form-token" content="')[1].split('"')[0]}
        async with http.post(f"{page}/take-over", data=form, headers={"Accept": "application/json"}) as answer:
            assert answer.status == 422
        await call.hang_up()
        await call.ended()
