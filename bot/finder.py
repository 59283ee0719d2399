"""Where the people of a target are right now, asked of the operator's own system when they are to be called.

What it says is checked like the operator's own file, and against the addresses that the operator allows. Whatever goes
wrong, the numbers of the file hold: a caller waits for nobody's database longer than `ANSWER_SECONDS`.
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

import aiohttp
from loguru import logger
from pydantic import Field, ValidationError

from bot.call import AT_ANY_HOUR, STREAM_PHASES, Call
from bot.events import HandoffRequested
from bot.number_entry import NumberEntries
from bot.outbox import signed
from bot.routing import Endpoint, Finder, Found, Policy, finders
from pipelines.section import Section

ANSWER_SECONDS = 2.0
"""How long an answer may take, while the bot says its goodbye."""

ANSWER_BYTES = 16_384
"""How long it may be."""

RING_SECONDS = 20
"""How long whoever it names is rung, unless it says otherwise."""


class FindsPeople(Protocol):
    """Knows where people are, for hand-offs and for callbacks."""

    async def complete(self, request: HandoffRequested, call: Call, policy: Policy) -> HandoffRequested:
        """The request with what is known of the people of its target, and of those that come after it."""
        ...

    async def find(self, policy: Policy, key: str, why: dict[str, Any]) -> tuple[Found, ...]:
        """Where the people of a target are, and of those that come after it.

        Args:
            policy: The operator's rules.
            key: The target's key.
            why: What is told of the reason, as JSON.
        """
        ...


class NobodyIsAsked:
    """The numbers of the file are all that there is."""

    async def complete(self, request: HandoffRequested, call: Call, policy: Policy) -> HandoffRequested:
        """See `FindsPeople`."""
        return request

    async def find(self, policy: Policy, key: str, why: dict[str, Any]) -> tuple[Found, ...]:
        """See `FindsPeople`."""
        return ()


class Answer(Section):
    """What a finder says."""

    numbers: NumberEntries = Field(max_length=10)


class PeopleFinder:
    """Asks over HTTP."""

    def __init__(self, secret: str, clock: Callable[[], float]) -> None:
        """Args: secret: what the operator's system checks our signature with. clock: Unix seconds."""
        self._secret = secret
        self._clock = clock
        self._http: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Ask nobody any more."""
        if self._http is not None:
            await self._http.close()

    async def complete(self, request: HandoffRequested, call: Call, policy: Policy) -> HandoffRequested:
        """See `FindsPeople`."""
        if request.target is None or request.by in AT_ANY_HOUR or call.phase not in STREAM_PHASES:
            return request
        why: dict[str, Any] = {
            "call_sid": call.sid,
            "caller": call.caller,
            "called": call.called,
            "by": request.by,
            "reason": request.reason,
            "summary": request.summary,
            "wants": request.wants,
        }
        return replace(request, found=await self.find(policy, request.target, why))

    async def find(self, policy: Policy, key: str, why: dict[str, Any]) -> tuple[Found, ...]:
        """See `FindsPeople`."""
        asked = finders(policy, key)
        answers = await asyncio.gather(*(self._ask(each, finder, why) for each, finder in asked.items()))
        return tuple(found for found in answers if found is not None)

    async def _ask(self, key: str, finder: Finder, why: dict[str, Any]) -> Found | None:
        question = {**why, "target": key}
        try:
            people = _people(await self._post(finder.url, json.dumps(question)))
        except ValidationError as error:
            faults = "; ".join(f"{'.'.join(map(str, each['loc']))} {each['msg']}" for each in error.errors()[:3])
            logger.error("who is there is not understood, the numbers of the file hold: {}", faults)
            return None
        except (aiohttp.ClientError, OSError, ValueError) as error:  # TimeoutError is an OSError
            logger.error("who is there is not known, the numbers of the file hold: {!r}", error)
            return None
        if refused := [person.address for person in people if not finder.allows(person.address)]:
            logger.error("{} is not in `allow` and is not rung: the numbers of the file hold", ", ".join(refused))
            return None
        return Found(key, tuple(people)) if people else None

    async def _post(self, url: str, body: str) -> bytes:
        if self._http is None:
            limits = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
            self._http = aiohttp.ClientSession(timeout=limits, cookie_jar=aiohttp.DummyCookieJar())
        headers = signed(self._secret, int(self._clock()), body)
        async with self._http.post(url, data=body.encode(), headers=headers, allow_redirects=False) as answer:
            if answer.status != 200:
                raise ValueError(f"HTTP {answer.status}")
            said = await answer.content.read(ANSWER_BYTES + 1)
            while len(said) <= ANSWER_BYTES and (more := await answer.content.read(ANSWER_BYTES)):
                said += more
            if len(said) > ANSWER_BYTES:
                raise ValueError("the answer is too long")
            return said


def _people(said: bytes) -> Sequence[Endpoint]:
    return [entry.endpoint(RING_SECONDS) for entry in Answer.model_validate_json(said, context={}).numbers]
