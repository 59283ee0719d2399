"""`python server.py call`: a telephone in the terminal. What is typed is said to the real server, over real sockets."""

import asyncio
import importlib.util
import os
import sys
import tempfile
import threading
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from rich.console import Console
from rich.markup import escape

from sandbox.caller import CallerLeg
from sandbox.clerk import Clerk
from sandbox.hum import hum_for
from sandbox.leg import HungUp
from sandbox.played import Everybody, PlayedPerson
from sandbox.process import server_process
from sandbox.stage import ACCOUNT_SID, AUTH_TOKEN, OUR_NUMBER, PUBLIC_URL, Stage
from sandbox.timeline import Timeline
from sandbox.voice import ENGINE_VARIABLE, speak

REST_PORT = 8021
"""Where the network's REST is found by a server that was started apart."""

CALLER = "+442079460123"
RING_SECONDS = 40

HELP = """\
Type what the caller says.  [bold]/1[/] … [bold]/9 /* /#[/] the caller's keys   [bold]/hangup[/] the caller hangs up
While a phone rings, you are the person too:  [bold]/answer  /busy  /decline  /noanswer  /reject  /machine[/]
Whoever took it:  [bold]/press 1[/] a key of theirs   [bold]/bye[/] they hang up        [bold]/help[/] this"""

_BEHAVIOURS: Mapping[str, Any] = {
    "answer": "answer",
    "busy": "reject",
    "reject": "reject",
    "noanswer": "no_answer",
    "decline": "decline",
    "machine": "voicemail",
    "unreachable": "failed",
}

_MODEL_VARIABLES = ("OPENAI_API_KEY", "OPENAI_REALTIME_URL", "OPENAI_BASE_URL", "VOICE_DETECTOR")
"""What a stage tells a server of its own model. Empty ones leave it to `.env`."""

_RECORD_SECONDS = 0.5
"""How often a server whose model is not ours is asked what was said."""


def call(*, to: str | None, real: bool, rest_port: int = REST_PORT) -> int:
    """Make one call.

    Args:
        to: A server on loopback that was started with `environment()`; without it, one is started.
        real: The server that is started talks with the model of the environment and `.env`, and not the sandbox's.
        rest_port: Where a server that was started apart finds the network's REST.

    Returns:
        0 when the call has ended, 2 when it could not begin.
    """
    console = Console(highlight=False, soft_wrap=True)
    if importlib.util.find_spec("espeakng_loader"):
        os.environ.setdefault(ENGINE_VARIABLE, "espeak")
    elif to or real:
        console.print("[red]The model would hear tones, not words.[/] For a voice: pip install espeakng-loader")
    try:
        return asyncio.run(_Terminal(console).call(to, real, rest_port))
    except KeyboardInterrupt:
        return 130


def environment(rest_port: int) -> dict[str, str]:
    """What a server must have been started with to be called from here."""
    return {
        "PUBLIC_URL": PUBLIC_URL,
        "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
        "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
        "TWILIO_API_URL": f"http://127.0.0.1:{rest_port}",
    }


class _Terminal:
    """The caller, and everybody who is rung for them, played from one keyboard."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._clerk = Clerk()
        self._ringing: PlayedPerson | None = None
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()

    async def call(self, to: str | None, real: bool, rest_port: int) -> int:
        async with AsyncExitStack() as stack:
            stage = await stack.enter_async_context(Stage(rest_port=rest_port if to else 0))
            if to is None:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="putthrough-")))
                settings = {name: os.environ.get(name, "") for name in _MODEL_VARIABLES} if real else {}
                settings["HANDOFF_POLICY"] = _patient_policy(folder)
                try:
                    with self._console.status("starting the server …"):
                        await stack.enter_async_context(server_process(stage, folder, **settings))
                except RuntimeError as error:  # it says itself what it misses
                    self._console.print(escape(str(error)))
                    return 2
            elif await _ready(to):
                stage.connect(to.rstrip("/"))
            else:
                told = " ".join(f"{name}={value}" for name, value in environment(rest_port).items())
                self._console.print(f"No server is ready at {to}. Start one so that this telephone reaches it:")
                self._console.print(f"{told} python server.py", style="bold")
                return 2
            return await self._talk(stage, ours=to is None and not real)

    async def _talk(self, stage: Stage, *, ours: bool) -> int:
        stage.journal.subscribe(Timeline(self._console))
        self._console.print(HELP)
        hum = hum_for(0)
        stage.model.lines[hum] = self._clerk
        call = await stage.network.call(CALLER, OUR_NUMBER, hum=hum, people=Everybody(self._rings))
        self._clerk.call_sid = call.sid
        reading = None if ours else asyncio.create_task(self._read_record(stage, call))
        self._listen_to_keyboard()
        acting = asyncio.create_task(self._act(call))
        try:
            await call.ended()
        finally:
            acting.cancel()
            await asyncio.gather(acting, return_exceptions=True)
            if reading is not None:
                await asyncio.sleep(2 * _RECORD_SECONDS)
                reading.cancel()
        self._tell(await stage.record(call.sid))
        return 0

    # --- the keyboard --------------------------------------------------------------------------------

    def _listen_to_keyboard(self) -> None:
        loop = asyncio.get_running_loop()

        def read() -> None:
            for line in sys.stdin:
                loop.call_soon_threadsafe(self._lines.put_nowait, line.strip())
            loop.call_soon_threadsafe(self._lines.put_nowait, None)

        threading.Thread(target=read, name="keyboard", daemon=True).start()  # it ends with the process, not before

    async def _act(self, call: CallerLeg) -> None:
        while (line := await self._lines.get()) is not None:
            if line.startswith("/"):
                await self._command(call, *line[1:].split())
            elif line:
                await self._say(call, line)
        await call.hang_up()

    async def _say(self, call: CallerLeg, text: str) -> None:
        self._clerk.said = text
        call.journal.note("caller", "says", call.sid, text=text)
        await call.say(speak(text, voice="caller", rate=8000))

    async def _command(self, call: CallerLeg, name: str = "help", *arguments: str) -> None:
        person = call.children[-1] if call.children else None
        ringing = self._ringing if person is not None and person.live else None
        match name, arguments:
            case "hangup", ():
                await call.hang_up()
            case "press", (keys,) if person is not None and person.live:
                for digit in keys:
                    call.journal.note("person", "presses", call.sid, number=person.to, digit=digit)
                    person.key(digit)
            case "bye", () if person is not None and person.live:
                person.interrupt(HungUp())
            case behaviour, () if behaviour in _BEHAVIOURS and ringing is not None:
                ringing.decide(_BEHAVIOURS[behaviour])
                self._ringing = None
            case behaviour, () if behaviour in (*_BEHAVIOURS, "press", "bye"):
                self._console.print("Nobody's phone is ringing.")
            case key, () if len(key) == 1 and key in "0123456789*#":
                await call.press(key)
            case "press" | "bye", _:
                self._console.print("Nobody has taken a phone. A key of theirs: /press 1")
            case _:
                self._console.print(HELP)

    def _rings(self, person: PlayedPerson) -> None:
        self._ringing = person
        self._console.print(f"[bold magenta]{person.number} is rung:[/] /answer /busy /decline /noanswer /machine")

    # --- what came of it -----------------------------------------------------------------------------

    async def _read_record(self, stage: Stage, call: CallerLeg) -> None:
        """What the bot says, from the server's own record: its model is not ours to look into."""
        shown = 0
        while True:
            await asyncio.sleep(_RECORD_SECONDS)
            lines = (await stage.record_now(call.sid)).get("transcript", [])
            for line in lines[shown:]:
                if line["role"] != "caller":
                    self._console.print(f"         [bold green]{line['role']:<8}[/]{escape(line['text'])}")
            shown = len(lines)

    def _tell(self, record: Mapping[str, Any]) -> None:
        attempts = [f"{a['target']} {a['number']}: {a['outcome']}" for a in record.get("attempts", ())]
        self._console.print(f"\n[bold]The call has ended:[/] {record.get('end')}")
        for attempt in attempts:
            self._console.print(f"  {attempt}")


def _patient_policy(folder: Path) -> str:
    """The sandbox's people, whose phones ring long enough for somebody who has to type. Returns its path."""
    policy = yaml.safe_load(Path("sandbox/handoff.yaml").read_text())
    for target in policy["targets"].values():
        target["ring_seconds"] = RING_SECONDS
    path = folder / "handoff.yaml"
    path.write_text(yaml.safe_dump(policy))
    return str(path)


async def _ready(url: str) -> bool:
    try:
        async with aiohttp.ClientSession() as http, http.get(f"{url.rstrip('/')}/ready") as answer:
            return answer.status == 200
    except (aiohttp.ClientError, ValueError):
        return False
