"""Connections to the model: who is let in, what a session is, how it is configured, how it ends."""

import asyncio
import json

import pytest
from realtime_client import KEY, Scripted, Timing, connected, greeting, running, session, types
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

AUTHORISED = {"Authorization": f"Bearer {KEY}"}

TOOL = {
    "type": "function",
    "name": "hand_off",
    "description": "Puts the caller through.",
    "parameters": {"type": "object", "properties": {"target": {"enum": ["sales"]}}},
}


async def status_of(url: str, headers: dict[str, str]) -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as refused:
        await connect(url, additional_headers=headers)
    response = refused.value.response
    return response.status_code, json.loads(response.body)["error"]["code"]


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer sk-other"}, {"Authorization": KEY}])
async def test_without_the_key_nobody_is_let_in(headers):
    async with running() as model:
        assert await status_of(f"{model.url}?model=x", headers) == (401, "invalid_api_key")
    assert model.sessions == []


async def test_a_connection_names_its_model():
    async with running() as model:
        assert await status_of(model.url, AUTHORISED) == (400, "missing_model")


async def test_there_is_no_other_path():
    async with running() as model:
        url = model.url.replace("realtime", "live")
        assert (await status_of(f"{url}?model=x", AUTHORISED))[0] == 404


@pytest.mark.parametrize("status", [401, 403, 429, 503])
async def test_connections_can_be_refused(status):
    async with running() as model:
        model.refuse = status
        assert (await status_of(f"{model.url}?model=x", AUTHORISED))[0] == status
        model.refuse = None
        async with connected(model):
            pass


async def test_a_connection_can_stay_without_an_answer():
    async with running() as model:
        model.refuse = "never"
        opening = asyncio.create_task(connect(f"{model.url}?model=x", additional_headers=AUTHORISED).__aenter__())
        done, _ = await asyncio.wait({opening}, timeout=0.2)
        assert not done
    with pytest.raises((InvalidStatus, OSError)):
        await opening


async def test_a_session_begins_with_its_whole_configuration():
    async with session() as client:
        created = client.received[0]["session"]
    assert types(client.received) == ["session.created", "conversation.created"]
    assert created["model"] == "gpt-realtime-2.1"
    assert created["audio"]["input"]["turn_detection"]["silence_duration_ms"] == 500
    assert created["audio"]["output"]["format"] == {"type": "audio/pcm", "rate": 24000}


async def test_an_update_changes_only_what_it_names():
    async with session() as client:
        before = client.received[0]["session"]
        after = await client.configure(instructions="Be kind.", audio={"output": {"speed": 1.2}})
        after = await client.configure(tools=[TOOL])
    assert after["instructions"] == "Be kind."
    assert after["audio"]["output"] == {**before["audio"]["output"], "speed": 1.2}
    assert after["audio"]["input"] == before["audio"]["input"]
    assert after["tools"] == [TOOL]


async def test_null_and_empty_values_clear():
    async with session() as client:
        listening = {"transcription": {"model": "gpt-realtime-whisper"}, "noise_reduction": {"type": "near_field"}}
        await client.configure(instructions="Be kind.", tools=[TOOL], audio={"input": listening})
        nothing = {"transcription": None, "noise_reduction": None, "turn_detection": None}
        after = await client.configure(instructions="", tools=[], audio={"input": nothing})
    assert (after["instructions"], after["tools"]) == ("", [])
    assert after["audio"]["input"].items() >= nothing.items()


async def test_turn_detection_of_another_type_has_its_own_defaults():
    async with session() as client:
        semantic = {"turn_detection": {"type": "semantic_vad", "eagerness": "high"}}
        after = await client.configure(audio={"input": semantic})
        assert after["audio"]["input"]["turn_detection"] == {
            "type": "semantic_vad",
            "eagerness": "high",
            "create_response": True,
            "interrupt_response": True,
        }
        after = await client.configure(audio={"input": {"turn_detection": {"type": "server_vad"}}})
        assert after["audio"]["input"]["turn_detection"]["threshold"] == 0.5


async def test_the_voice_stays_once_the_model_has_spoken():
    async with session(greeting()) as client:
        await client.configure(audio={"output": {"voice": "marin"}})
        await client.respond()
        await client.configure(audio={"output": {"voice": "marin"}})
        update = {"type": "realtime", "audio": {"output": {"voice": "cedar"}}}
        await client.send("session.update", session=update)
        (error,) = await client.until("error")
    assert error["error"]["code"] == "cannot_update_voice"


async def test_a_refused_update_changes_nothing():
    async with running() as model, connected(model) as client:
        update = {"type": "realtime", "instructions": "Be rude.", "temperature": 0.8}
        await client.send("session.update", session=update, event_id="mine")
        (error,) = await client.until("error")
        (view,) = model.sessions
    assert error["error"]["code"] == "unknown_parameter"
    assert error["error"]["param"] == "session.temperature"
    assert error["error"]["event_id"] == "mine"
    assert view.errors == [error["error"]]
    assert view.instructions == ""


async def test_a_session_expires_with_an_error_and_1001():
    async with running(timing=Timing(session=0.1)) as model, connected(model) as client:
        (error,) = await client.until("error")
        with pytest.raises(ConnectionClosed) as closed:
            await client.next()
    assert error["error"]["code"] == "session_expired"
    assert closed.value.rcvd.code == 1001


async def test_what_a_client_did_can_be_read_afterwards():
    async with running(Scripted(greeting())) as model:
        async with connected(model) as client:
            await client.configure(instructions="Be kind.", tools=[TOOL])
            message = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Ahoy!"}]}
            await client.send("conversation.item.create", item=message)
            await client.respond()
            await client.send("input_audio_buffer.append", audio="AAAA" * 120)
            await client.until_settled()
        (view,) = model.sessions
    assert view.closed
    assert view.instructions == "Be kind."
    assert view.tools == [TOOL]
    assert view.text == "Ahoy!\nHello there, how can I help you today?"
    assert view.audio_ms_received == 7.5
    assert view.response_count == 1
    (append,) = view.sent("input_audio_buffer.append")
    assert append.payload["audio"] == "(480 characters)"
    assert append.at >= view.sent("session.update")[0].at


async def test_items_are_put_where_the_client_wants_them():
    def message(text: str, **more: str) -> dict:
        content = [{"type": "input_text", "text": text}]
        return {"type": "message", "role": "user", "content": content, **more}

    async with running() as model, connected(model) as client:
        await client.send("conversation.item.create", item=message("two", id="item_2"))
        await client.send("conversation.item.create", item=message("one"), previous_item_id="root")
        await client.send("conversation.item.create", item=message("three"), previous_item_id="item_2")
        await client.send("conversation.item.create", item=message("?"), previous_item_id="item_9")
        await client.send("conversation.item.create", item=message("?", id="item_2"))
        events = await client.until_settled()
        (view,) = model.sessions
        assert view.text == "one\ntwo\nthree"
        await client.send("conversation.item.delete", item_id="item_2")
        await client.until("conversation.item.deleted")
        assert view.text == "one\nthree"
    codes = [event["error"]["code"] for event in events if event["type"] == "error"]
    assert codes == ["item_create_invalid_previous_item_id", "item_id_already_exists"]
