"""What the model refuses, and how it says so."""

import json

import pytest
from realtime_client import Scripted, connected, greeting, running

from sandbox.session_config import first_config, updated
from sandbox.wire import Refused, checked, parse


def refusal(event: object) -> tuple[str, str | None]:
    with pytest.raises(Refused) as refused:
        parse(event if isinstance(event, str | bytes) else json.dumps(event))
    return refused.value.code, refused.value.param


def session(**fields: object) -> dict:
    return {"type": "session.update", "session": {"type": "realtime", **fields}}


def item(**fields: object) -> dict:
    return {"type": "conversation.item.create", "item": fields}


@pytest.mark.parametrize("message", ["", "x", "[]", "null", "3", b"{}"])
def test_what_is_no_json_object_in_text_is_refused(message):
    assert refusal(message) == ("invalid_json", None)


@pytest.mark.parametrize(
    ("event", "code", "param"),
    [
        ({}, "missing_required_parameter", "type"),
        ({"type": 3}, "invalid_value", "type"),
        ({"type": "session.created"}, "invalid_value", "type"),
        ({"type": "session.update"}, "missing_required_parameter", "session"),
        ({"type": "session.update", "session": {}}, "missing_required_parameter", "session.type"),
        (session(voice="marin"), "unknown_parameter", "session.voice"),
        (session(audio={"input": {"vad": {}}}), "unknown_parameter", "session.audio.input.vad"),
        (
            session(audio={"input": {"format": {"type": "audio/pcm", "rate": 8000}}}),
            "invalid_value",
            "session.audio.input.format.rate",
        ),
        (
            session(audio={"input": {"turn_detection": {"type": "server_vad", "eagerness": "low"}}}),
            "unknown_parameter",
            "session.audio.input.turn_detection.eagerness",
        ),
        (
            session(audio={"input": {"turn_detection": {"type": "server_vad", "threshold": "x"}}}),
            "invalid_type",
            "session.audio.input.turn_detection.threshold",
        ),
        (
            session(tools=[{"type": "function", "name": "x", "strict": True}]),
            "unknown_parameter",
            "session.tools[0].strict",
        ),
        (item(), "missing_required_parameter", "item.type"),
        (item(type="text"), "invalid_value", "item.type"),
        (item(type="message", role="developer", content=[]), "invalid_value", "item.role"),
        (item(type="message", role="user"), "missing_required_parameter", "item.content"),
        (
            item(type="message", role="assistant", content=[{"type": "input_text", "text": "Hi"}]),
            "invalid_value",
            "item.content[0].type",
        ),
        (
            item(type="function_call_output", call_id="c", output={"ok": True}),
            "invalid_type",
            "item.output",
        ),
        ({"type": "input_audio_buffer.append", "audio": 3}, "invalid_type", "audio"),
        ({"type": "response.create", "response": {"voice": "marin"}}, "unknown_parameter", "response.voice"),
        ({"type": "response.create", "respond": {}}, "unknown_parameter", "respond"),
    ],
)
def test_a_client_event_that_does_not_fit_is_refused_by_name(event, code, param):
    assert refusal(event) == (code, param)


def test_a_refusal_names_the_values_that_could_stand_there():
    with pytest.raises(Refused, match="'system' or 'user' or 'assistant'"):
        parse(json.dumps(item(type="message", role="developer", content=[])))


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"audio": {"output": {"speed": 1.6}}}, "session.audio.output.speed"),
        ({"audio": {"output": {"voice": "hal"}}}, "session.audio.output.voice"),
        (
            {"audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 1.1}}}},
            "session.audio.input.turn_detection.threshold",
        ),
        ({"max_output_tokens": 0}, "session.max_output_tokens"),
        ({"output_modalities": ["audio", "text"]}, "session.output_modalities"),
        ({"model": "gpt-realtime-mini"}, "session.model"),
        ({"tools": [{"type": "function"}]}, "session.tools[0].name"),
        ({"tools": [{"type": "mcp", "server_label": "x"}]}, "session.tools[0].type"),
        ({"audio": {"output": {"format": {"type": "audio/pcma"}}}}, "session.audio.output.format.type"),
    ],
)
def test_a_value_that_cannot_be_is_refused(change, param):
    config = first_config("sess_1", "gpt-realtime-2.1", 3600)
    with pytest.raises(Refused) as refused:
        updated(config, {"type": "realtime", **change}, has_spoken=False)
    assert refused.value.param == param


def test_a_server_event_that_does_not_fit_is_never_sent():
    with pytest.raises(ValueError, match="response_id"):
        checked({"type": "response.output_audio.done", "event_id": "event_1", "item_id": "item_1"})


@pytest.mark.parametrize("audio", ["AAA", "&&&&", "AA==", "AAAA"])
async def test_audio_that_is_not_whole_samples_in_base64_is_refused(audio):
    async with running() as model, connected(model) as client:
        await client.send("input_audio_buffer.append", audio=audio)
        (error,) = await client.until("error")
    assert error["error"]["param"] == "audio"


async def test_audio_for_browsers_only_is_refused():
    async with running() as model, connected(model) as client:
        await client.send("output_audio_buffer.clear")
        (error,) = await client.until("error")
    assert error["error"]["param"] == "type"


@pytest.mark.parametrize(
    "response", [{"conversation": "none"}, {"output_modalities": ["audio", "text"]}, {"tools": []}]
)
async def test_a_response_that_cannot_be_simulated_is_refused(response):
    async with running(Scripted(greeting())) as model, connected(model) as client:
        await client.send("response.create", response=response)
        (error,) = await client.until("error")
        assert error["error"]["param"].startswith("response.")
        events = await client.respond()
    assert events[-2]["response"]["status"] == "completed"


async def test_the_session_goes_on_after_every_refusal():
    async with running(Scripted(greeting())) as model, connected(model) as client:
        for message in ("x", "[]", '{"type": "hello"}', '{"type": "session.update"}', b"\x00"):
            await client.socket.send(message)
            await client.until("error")
        events = await client.respond()
        (view,) = model.sessions
    assert events[-2]["response"]["status"] == "completed"
    assert len(view.errors) == 5
