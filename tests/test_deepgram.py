"""Pipecat's Deepgram service against the simulated Deepgram, alone and in calls."""

import json
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from deepgram.listen.v1.types import ListenV1Results
from serving import serving
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from sandbox.check import problems
from sandbox.stage import API_KEY, Stage
from sandbox.story import load
from sandbox.voice import speak

CASCADE = """\
extends: cascade
tts:
  service: openai
  settings: {voice: marin, sample_rate: 24000, base_url: "${OPENAI_BASE_URL}"}
"""

QUERY = "model=nova-3-general&encoding=linear16&sample_rate=8000&channels=1"
# Deepgram's own library still uses names that its WebSocket library is about to drop.
pytestmark = pytest.mark.filterwarnings("ignore:.*(websockets|legacy).*deprecated:DeprecationWarning")

AUTHORIZED = {"Authorization": f"Token {API_KEY}"}
SILENCE = bytes(2 * 8000 // 50)


def cascade(folder: Path) -> str:
    path = folder / "shop.yaml"
    path.write_text(CASCADE)
    return str(path)


@pytest.mark.parametrize("name", ["put_through", "barge_in", "speaks_during_goodbye"])
async def test_a_story_holds_with_words_that_deepgram_hears(tmp_path, name):
    async with Stage() as stage, serving(stage, tmp_path, PIPELINE=cascade(tmp_path)):
        played = await stage.play(name, load(name))
    assert problems(played, on_time=False) == []
    assert stage.deepgram.connections == len({line["leg"] for line in played.record["transcript"]})


async def test_a_caller_whom_deepgram_does_not_hear_gets_a_person(tmp_path):
    async with Stage() as stage, serving(stage, tmp_path, PIPELINE=cascade(tmp_path)):
        stage.deepgram.refuse = 401
        played = await stage.play("without_a_word", load("without_a_word"))
    assert played.record["end"] == "put_through"
    assert played.record["falls"][-1]["rung"] == "person"


async def test_an_utterance_is_told_once_whether_it_is_finalized_or_ends_by_itself():
    async with AsyncExitStack() as stack:
        stage = await stack.enter_async_context(Stage())
        url = f"{stage.deepgram.url}/v1/listen?{QUERY}"
        it = await stack.enter_async_context(connect(url, additional_headers=AUTHORIZED))
        speech = speak("Hello there", rate=8000).astype("<i2").tobytes()
        await it.send(speech)
        await it.send(json.dumps({"type": "Finalize"}))
        told = ListenV1Results.model_validate(json.loads(await it.recv()))
        assert (told.is_final, told.from_finalize) == (True, True)
        assert told.channel.alternatives[0].transcript
        await it.send(json.dumps({"type": "Finalize"}))
        assert json.loads(await it.recv())["channel"]["alternatives"][0]["transcript"] == ""
        await it.send(speech + SILENCE * 30)
        told = ListenV1Results.model_validate(json.loads(await it.recv()))
        assert (told.speech_final, told.from_finalize) == (True, False)


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        (QUERY, {}, 401),
        (f"{QUERY}&colour=red", AUTHORIZED, 400),
        (QUERY.replace("linear16", "mp3"), AUTHORIZED, 400),
        (QUERY.replace("model=nova-3-general&", ""), AUTHORIZED, 400),
        (QUERY.replace("8000", "fast"), AUTHORIZED, 400),
    ],
)
async def test_what_the_service_would_not_take_is_refused(query, headers, status):
    async with Stage() as stage:
        with pytest.raises(InvalidStatus) as caught:
            await connect(f"{stage.deepgram.url}/v1/listen?{query}", additional_headers=headers)
    assert caught.value.response.status_code == status


@pytest.mark.parametrize("message", ["{}", "nonsense", b"\x00"])
async def test_a_message_that_is_none_ends_the_connection(message):
    async with AsyncExitStack() as stack:
        stage = await stack.enter_async_context(Stage())
        url = f"{stage.deepgram.url}/v1/listen?{QUERY}"
        socket = await stack.enter_async_context(connect(url, additional_headers=AUTHORIZED))
        await socket.send(message)
        with pytest.raises(ConnectionClosed):
            await socket.recv()
