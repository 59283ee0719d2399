"""A telephone network and a model, ready for a server and its stories."""

import asyncio
import itertools
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, Self

import aiohttp

from sandbox.brain import Brain, StockBrain
from sandbox.caller import CallerLeg
from sandbox.check import Played
from sandbox.deepgram import Deepgram
from sandbox.hum import Hum, hum_for
from sandbox.model import RealtimeModel
from sandbox.network import Line, Network
from sandbox.openai_http import OpenAIHttp
from sandbox.people import People, behaviour
from sandbox.scene import Journal, Note
from sandbox.script import PATIENCE_SECONDS, Script
from sandbox.session import Timing
from sandbox.story import Story

PUBLIC_URL = "https://putthrough.example"
"""The server's address as Twilio knows it. The network dials it on loopback."""

OUR_NUMBER = "+12025550100"
TAKERS_NUMBER = "+12025550165"
"""For the people who take callers out of the queue."""

ACCOUNT_SID = "AC" + "5a" * 16
AUTH_TOKEN = "sandbox-auth-token"
API_KEY = "sk-sandbox"


class Stage:
    """Where stories are played. `async with` opens it."""

    def __init__(self, *, timing: Timing | None = None, brain: Brain | None = None, rest_port: int = 0) -> None:
        """Nothing runs yet.

        Args:
            timing: How fast the model is, and how long its sessions last.
            brain: Answers on lines without a story; by default with stock sentences.
            rest_port: Where the network's REST listens on loopback; 0 for a free port.
        """
        self.journal = Journal()
        self.model = RealtimeModel(journal=self.journal, api_key=API_KEY, default_brain=brain, timing=timing)
        self.openai = OpenAIHttp(
            lines=self.model.lines,
            default_brain=brain or StockBrain(),
            journal=self.journal,
            api_key=API_KEY,
            timing=timing,
        )
        self.deepgram = Deepgram(
            lines=self.model.lines, default_brain=StockBrain(), journal=self.journal, api_key=API_KEY
        )
        self.network = Network(
            account_sid=ACCOUNT_SID, auth_token=AUTH_TOKEN, journal=self.journal, rest_port=rest_port
        )
        self.server_url = ""
        self._stack = AsyncExitStack()
        self._lines = itertools.count()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.model)
        await self._stack.enter_async_context(self.openai)
        await self._stack.enter_async_context(self.deepgram)
        await self._stack.enter_async_context(self.network)
        self._http = await self._stack.enter_async_context(aiohttp.ClientSession())
        self.network.numbers[OUR_NUMBER] = Line(
            voice_url=f"{PUBLIC_URL}/twilio/voice", status_callback=f"{PUBLIC_URL}/twilio/status"
        )
        self.network.numbers[TAKERS_NUMBER] = Line(voice_url=f"{PUBLIC_URL}/twilio/queue/support", sms=False)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()

    @property
    def environment(self) -> dict[str, str]:
        """What a server must be told to live on this stage."""
        return {
            "PUBLIC_URL": PUBLIC_URL,
            "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
            "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
            "TWILIO_API_URL": self.network.rest_url,
            "OPENAI_API_KEY": API_KEY,
            "OPENAI_REALTIME_URL": self.model.url,
            "OPENAI_BASE_URL": self.openai.url,
            "DEEPGRAM_API_KEY": API_KEY,
            "DEEPGRAM_BASE_URL": self.deepgram.url,
            "VOICE_DETECTOR": "loudness",  # the sandbox's voices are tones, which are no voices to a network
            "HANDOFF_POLICY": "sandbox/handoff.yaml",
        }

    def connect(self, server_url: str) -> None:
        """The server listens here, on loopback."""
        self.server_url = server_url
        self.network.routes[PUBLIC_URL] = server_url

    def line(self, brain: Brain) -> Hum:
        """A telephone line of its own, on which this brain answers. Returns the hum that a call on it must have."""
        hum = hum_for(next(self._lines))
        self.model.lines[hum] = brain
        return hum

    async def play(self, name: str, story: Story, *, begun: Callable[[CallerLeg], None] = lambda _: None) -> Played:
        """Play one story to the call's end.

        Args:
            name: The story's name.
            story: The story.
            begun: Told of the call as soon as there is one.
        """
        hum = hum_for(next(self._lines))
        asked_before = len(self.openai.requests)
        script = Script(story, self.journal, take=lambda number: self.take(number, story.people))
        self.model.lines[hum] = script
        call = await self._begin(story, hum)
        script.call_sid = call.sid
        consulting = asyncio.create_task(self._consult(story, call)) if story.consult else None
        begun(call)
        try:
            await script.perform(call)
        finally:
            if consulting is not None:
                consulting.cancel()
                await asyncio.gather(consulting, return_exceptions=True)
            await call.hang_up()
            await call.settle()
            del self.model.lines[hum]
        sessions = [session for session in self.model.sessions if session.hum == hum]
        requests = self.openai.requests[asked_before:]
        record = await self.record(call.sid)
        asked = sorted([*sessions, *requests], key=lambda view: view.opened_at)
        return Played(name, story, call, self.journal.of(call.sid), asked, record, bool(requests))

    async def take(self, number: str, people: People) -> CallerLeg:
        """Somebody calls in to take the first caller out of the queue.

        Args:
            number: Their own. E.164.
            people: How they behave then, by number.
        """
        leg = await self.network.call(number, TAKERS_NUMBER, people=people)
        leg.holder = behaviour(people, number, 0)
        return leg

    async def _consult(self, story: Story, call: CallerLeg) -> None:
        """Play what is said on the stream of a person who is called for this caller."""
        script = Script(story, self.journal, story.consult)
        call.person_hum = hum = self.line(script)
        try:

            def theirs(note: Note) -> bool:
                return note.what == "stream started" and any(note.call_sid == leg.sid for leg in call.called)

            started = await self.journal.until(theirs, timeout=PATIENCE_SECONDS)
            leg = next(leg for leg in call.called if leg.sid == started.call_sid)
            script.call_sid = leg.sid
            await script.act(leg)
            await call.ended()
        finally:
            del self.model.lines[hum]

    async def _begin(self, story: Story, hum: Hum) -> CallerLeg:
        if not story.outbound:
            return await self.network.call(story.caller, OUR_NUMBER, hum=hum, people=story.people)
        self.network.expect(story.caller, hum=hum, people=story.people)
        async with self._http.post(f"{self.server_url}/api/calls", json={"to": story.caller}) as answer:
            answer.raise_for_status()
            sid = (await answer.json())["call_sid"]
        return next(call for call in self.network.calls if call.sid == sid)

    async def record(self, sid: str) -> dict[str, Any]:
        """What the server's own record says, as soon as it says that the call is over."""
        record: dict[str, Any] = {}
        for _ in range(50):
            record = await self.record_now(sid)
            if record.get("state") == "ended":
                break
            await asyncio.sleep(0.1)
        return record

    async def record_now(self, sid: str) -> dict[str, Any]:
        """What it says now."""
        async with self._http.get(f"{self.server_url}/api/calls/{sid}") as answer:
            return await answer.json()
