"""A webhook that Twilio repeats because it lost our answer: it gets that answer, from whichever process it reaches."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
from serving import serving
from twilio.request_validator import RequestValidator

from sandbox.stage import AUTH_TOKEN, OUR_NUMBER, PUBLIC_URL, Stage

SIGN = RequestValidator(AUTH_TOKEN).compute_signature
SID = "CA" + "c3" * 16
KEY = "/twilio/handoff/key?attempt=1"
VOICE = "/twilio/voice"


@pytest.fixture
async def replicas(tmp_path: Path) -> AsyncIterator[tuple[str, str]]:
    """Two servers with one record."""
    async with AsyncExitStack() as stack:
        stage = await stack.enter_async_context(Stage())
        yield (
            await stack.enter_async_context(serving(stage, tmp_path)),
            await stack.enter_async_context(serving(stage, tmp_path)),
        )


async def asked(url: str, path: str, token: str | None, **fields: str) -> str:
    form = {"CallSid": SID, "From": "+442079460123", "To": OUR_NUMBER, **fields}
    headers = {"X-Twilio-Signature": SIGN(f"{PUBLIC_URL}{path}", form)}
    if token is not None:
        headers["I-Twilio-Idempotency-Token"] = token
    async with aiohttp.ClientSession() as http, http.post(url + path, data=form, headers=headers) as answer:
        assert answer.status == 200
        return await answer.text()


async def test_a_retry_gets_the_first_answer_also_from_another_process(replicas: tuple[str, str]):
    one, other = replicas
    taken = await asked(one, KEY, "retry-1", Digits="1")
    # What a retry says is what was said before; another answer shows that it is not looked at.
    assert await asked(one, KEY, "retry-1", Digits="2") == taken
    assert await asked(other, KEY, "retry-1", Digits="2") == taken


async def test_another_request_gets_an_answer_of_its_own(replicas: tuple[str, str]):
    one, other = replicas
    taken = await asked(one, KEY, "retry-1", Digits="1")
    declined = await asked(other, KEY, "retry-2", Digits="2")
    assert declined != taken
    assert await asked(other, KEY, None, Digits="2") == declined
    assert await asked(other, KEY, "x" * 10_000, Digits="2") == declined
    assert "<Stream" in await asked(other, VOICE, "retry-1")


async def test_a_call_that_is_announced_again_is_one_call(replicas: tuple[str, str]):
    one, other = replicas
    first = await asked(one, VOICE, "retry-1")
    assert await asked(other, VOICE, "retry-1") == first
    async with aiohttp.ClientSession() as http, http.get(f"{other}/api/calls/{SID}") as answer:
        call = await answer.json()
    assert [entry["event"] for entry in call["timeline"]] == ["CallAnswered"]
