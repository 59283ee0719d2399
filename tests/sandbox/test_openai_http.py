"""OpenAI over HTTP, with OpenAI's own client: what it answers, and what it refuses."""

import io
import json
import wave
from collections.abc import AsyncIterator

import pytest
from openai import APIConnectionError, AsyncOpenAI, AuthenticationError, BadRequestError, InternalServerError

from sandbox.brain import Call, Fault, Reply, Say, Turn
from sandbox.openai_http import OpenAIHttp
from sandbox.scene import Journal
from sandbox.voice import speak

KEY = "sk-test"
TOOL = {"type": "function", "function": {"name": "order_status", "parameters": {"type": "object", "properties": {}}}}
CALLED = {
    "role": "assistant",
    "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "order_status", "arguments": "{}"}}],
}
ANSWERED = {"role": "tool", "tool_call_id": "call_1", "content": "{}"}


class Brain:
    call_sid: str | None = None

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.says: Reply = [Say("Hello there, caller.")]

    def transcript(self) -> str | None:
        return "Where is my order?"

    async def reply(self, turn: Turn) -> Reply:
        self.turns.append(turn)
        return self.says


@pytest.fixture
def brain() -> Brain:
    return Brain()


@pytest.fixture
async def service(brain: Brain) -> AsyncIterator[OpenAIHttp]:
    async with OpenAIHttp(lines={}, default_brain=brain, journal=Journal(), api_key=KEY) as service:
        yield service


@pytest.fixture
async def client(service: OpenAIHttp) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(api_key=KEY, base_url=service.url, max_retries=0) as client:
        yield client


async def ask(client: AsyncOpenAI, *messages: object, **more: object) -> list[object]:
    options = {"stream_options": {"include_usage": True}, "tools": [TOOL], **more}
    stream = await client.chat.completions.create(model="gpt-4.1", messages=list(messages), stream=True, **options)  # type: ignore
    return [chunk async for chunk in stream]


USER = {"role": "user", "content": "Where is my order?"}
SYSTEM = {"role": "system", "content": "Be kind."}


async def test_an_answer_comes_in_chunks_with_its_calls_and_its_tokens(client, brain):
    brain.says = [Say("Let me see."), Call("order_status", {"n": 1}), Call("order_status", "{broken")]
    chunks = await ask(client, SYSTEM, USER)
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    assert "".join(choice.delta.content or "" for choice in choices) == "Let me see."
    calls: dict[int, str] = {}
    for choice in choices:
        for call in choice.delta.tool_calls or ():
            calls[call.index] = calls.get(call.index, "") + (call.function.arguments or "")
    assert calls == {0: '{"n": 1}', 1: "{broken"}
    assert choices[-1].finish_reason == "tool_calls"
    assert chunks[-1].usage.total_tokens > 0


@pytest.mark.parametrize(
    ("messages", "why"),
    [
        ([SYSTEM, {"role": "developer", "content": "Greet."}], "greeting"),
        ([SYSTEM, USER], "speech"),
        ([SYSTEM, USER, CALLED, ANSWERED], "tool_result"),
        ([SYSTEM, {"role": "assistant", "content": "Hello!"}, {"role": "developer", "content": "Go on."}], "prompt"),
    ],
)
async def test_the_last_message_says_why_it_is_the_model_s_turn(client, brain, service, messages, why):
    await ask(client, *messages)
    assert brain.turns[-1].why == why
    assert service.requests[-1].instructions == "Be kind."


@pytest.mark.parametrize(
    ("messages", "options", "code"),
    [
        ([], {}, "missing_required_parameter"),
        ([{"role": "robot", "content": "x"}], {}, "invalid_value"),
        ([ANSWERED], {}, "invalid_value"),
        ([CALLED, USER], {}, "invalid_value"),
        ([CALLED], {}, "invalid_value"),
        ([{"role": "user", "content": ""}], {}, "invalid_value"),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}], {}, "invalid_type"),
        ([USER], {"tools": [{"type": "function"}]}, "invalid_type"),
        ([USER], {"extra_body": {"colour": "red"}}, "unknown_parameter"),
        ([USER], {"n": 2}, "not_simulated"),
    ],
)
async def test_what_the_service_would_not_take_is_refused(client, messages, options, code):
    with pytest.raises(BadRequestError) as caught:
        await ask(client, *messages, **options)
    assert caught.value.code == code


async def test_another_key_is_turned_away(service):
    async with AsyncOpenAI(api_key="other", base_url=service.url, max_retries=0) as client:
        with pytest.raises(AuthenticationError):
            await ask(client, USER)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        ([Fault("error_event")], InternalServerError),
        ([Fault("close")], APIConnectionError),
        ([Say("Your order"), Fault("abort")], APIConnectionError),
    ],
)
async def test_what_breaks_breaks_as_it_does_over_http(client, brain, reply, error):
    brain.says = reply
    with pytest.raises(error):
        await ask(client, USER)


async def test_speech_is_as_long_as_the_words_take(client):
    async with client.audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts", voice="marin", input="Hello there!", response_format="pcm"
    ) as answer:
        audio = b"".join([piece async for piece in answer.iter_bytes()])
    assert len(audio) == 2 * len(speak("Hello there!", voice="bot", rate=24_000))


@pytest.mark.parametrize(
    "change",
    [{"voice": "nobody"}, {"input": ""}, {"input": "x" * 4097}, {"response_format": "mp3"}, {"speed": 9}],
    ids=["voice", "empty", "long", "format", "speed"],
)
async def test_speech_that_the_service_would_not_make_is_refused(client, change):
    asked = {"model": "gpt-4o-mini-tts", "voice": "marin", "input": "Hello", "response_format": "pcm", **change}
    with pytest.raises(BadRequestError):
        await client.audio.speech.create(**asked)


def recording(seconds: float) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(8000)
        wav.writeframes(bytes(2 * int(8000 * seconds)))
    return file.getvalue()


async def test_an_utterance_is_written_down(client):
    told = await client.audio.transcriptions.create(
        file=("a.wav", recording(0.5)), model="gpt-transcribe", language="en"
    )
    assert told.text == "Where is my order?"


@pytest.mark.parametrize("file", [recording(0.05), b"nonsense"], ids=["too short", "no recording"])
async def test_what_is_no_utterance_is_refused(client, file):
    with pytest.raises(BadRequestError):
        await client.audio.transcriptions.create(file=("a.wav", file), model="gpt-transcribe")


async def test_a_request_of_one_of_several_open_lines_is_refused_rather_than_guessed(brain):
    lines = {(0, 1): brain, (0, 2): brain}
    async with (
        OpenAIHttp(lines=lines, default_brain=brain, journal=Journal(), api_key=KEY) as service,
        AsyncOpenAI(api_key=KEY, base_url=service.url, max_retries=0) as client,
    ):
        with pytest.raises(BadRequestError) as caught:
            await ask(client, USER)
    assert "several open lines" in json.dumps(caught.value.body)
