"""Callers and clients that interrupt the model, and truncation."""

import pytest
from realtime_client import (
    LONG,
    SLOW,
    TEXT,
    Client,
    Scripted,
    Thinking,
    audio_of,
    connected,
    greeting,
    running,
    session,
    silence,
    types,
    utterance,
)


async def test_a_caller_who_speaks_cancels_the_response_in_order():
    async with session(greeting(LONG), greeting("Yes?"), timing=SLOW) as client:
        await client.send("response.create")
        await client.until("response.output_audio.delta")
        await client.append(utterance()[: 8000 // 2])
        events = await client.until("response.done")
    at = types(events).index("input_audio_buffer.speech_started")
    assert types(events[at:]) == [
        "input_audio_buffer.speech_started",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    done = events[-1]["response"]
    assert done["status"] == "cancelled"
    assert done["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    assert done["output"][0]["status"] == "incomplete"
    said = done["output"][0]["content"][0]["transcript"]
    assert LONG.startswith(said)
    assert said != LONG
    assert done["usage"]["output_tokens"] > 0


async def test_a_caller_who_speaks_while_the_model_thinks_cancels_an_empty_response():
    async with running(Thinking()) as model, connected(model) as client:
        await client.send("response.create")
        await client.until("response.created")
        await client.append(utterance())
        events = await client.until("response.done")
    assert types(events) == ["input_audio_buffer.speech_started", "response.done"]
    assert events[-1]["response"]["output"] == []


async def test_a_response_that_was_sent_completely_is_not_cancelled():
    async with session(greeting(LONG), greeting("Yes?")) as client:
        await client.respond()
        await client.append(utterance())
        events = await client.until("input_audio_buffer.speech_stopped")
    assert types(events) == ["input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped"]


async def test_without_interrupt_response_the_model_finishes_its_sentence():
    async with session(greeting(LONG), timing=SLOW) as client:
        turns = {"type": "server_vad", "interrupt_response": False, "create_response": False}
        await client.configure(audio={"input": {"turn_detection": turns}})
        await client.send("response.create")
        await client.until("response.output_audio.delta")
        await client.append(utterance())
        events = await client.until("response.done")
    assert "input_audio_buffer.speech_stopped" in types(events)
    assert events[-1]["response"]["status"] == "completed"


async def spoken(client: Client) -> tuple[str, int]:
    """A spoken item and the milliseconds of its audio."""
    events = await client.respond()
    item = events[-2]["response"]["output"][0]
    return item["id"], len(audio_of(events)) // 48


async def test_truncation_drops_the_transcript_and_is_confirmed():
    brain = Scripted(greeting(TEXT))
    async with running(brain) as model, connected(model) as client:
        item_id, _ = await spoken(client)
        place = {"item_id": item_id, "content_index": 0, "audio_end_ms": 700}
        await client.send("conversation.item.truncate", **place)
        (event,) = await client.until("conversation.item.truncated")
        (view,) = model.sessions
    assert event.items() >= place.items()
    assert view.truncations == [(item_id, 0, 700)]
    assert TEXT not in view.text


async def test_truncation_beyond_the_audio_is_refused():
    async with session(greeting(TEXT)) as client:
        item_id, ms = await spoken(client)
        truncate = {"item_id": item_id, "content_index": 0}
        await client.send("conversation.item.truncate", **truncate, audio_end_ms=ms + 1, event_id="t1")
        (error,) = await client.until("error")
        await client.send("conversation.item.truncate", **truncate, audio_end_ms=ms)
        await client.until("conversation.item.truncated")
    assert error["error"] == {
        "type": "invalid_request_error",
        "code": "invalid_value",
        "message": f"Audio content of {ms}ms is already shorter than {ms + 1}ms",
        "param": "audio_end_ms",
        "event_id": "t1",
    }


async def test_audio_that_was_truncated_does_not_grow_again():
    async with session(greeting(TEXT)) as client:
        item_id, _ = await spoken(client)
        for end_ms in (500, 501):
            await client.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=end_ms)
        events = await client.until("error")
    assert types(events) == ["conversation.item.truncated", "error"]


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"item_id": "item_none"}, "item_id"),
        ({"content_index": 1}, "content_index"),
        ({"audio_end_ms": -1}, "audio_end_ms"),
    ],
)
async def test_only_audio_that_there_is_can_be_truncated(change, param):
    async with session(greeting(TEXT)) as client:
        item_id, _ = await spoken(client)
        truncate = {"item_id": item_id, "content_index": 0, "audio_end_ms": 100} | change
        await client.send("conversation.item.truncate", **truncate)
        (error,) = await client.until("error")
    assert error["error"]["param"] == param


async def test_without_turn_detection_the_client_commits_and_asks():
    brain = Scripted(greeting("I see."))
    async with running(brain) as model, connected(model) as client:
        await client.configure(audio={"input": {"turn_detection": None}})
        await client.append(utterance())
        await client.send("input_audio_buffer.commit")
        events = await client.until("conversation.item.done")
        assert types(events)[0] == "input_audio_buffer.committed"
        await client.respond()
    assert [(turn.why, turn.transcript) for turn in brain.turns] == [("speech", "A person, please.")]


async def test_a_commit_of_too_little_audio_is_refused():
    async with session() as client:
        await client.configure(audio={"input": {"turn_detection": None}})
        await client.append(silence(0.3))
        await client.send("input_audio_buffer.clear")
        await client.until("input_audio_buffer.cleared")
        await client.append(silence(0.05))
        await client.send("input_audio_buffer.commit")
        (error,) = await client.until("error")
    assert error["error"]["code"] == "input_audio_buffer_commit_empty"


async def test_a_client_can_cancel_a_response():
    async with session(greeting(LONG), timing=SLOW) as client:
        await client.send("response.create")
        await client.until("response.output_audio.delta")
        await client.send("response.cancel")
        done = (await client.until("response.done"))[-1]["response"]
    assert done["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}


async def test_cancelling_when_nothing_is_active_is_an_error():
    async with session(greeting(TEXT)) as client:
        await client.respond()
        await client.send("response.cancel")
        (error,) = await client.until("error")
    assert error["error"]["code"] == "response_cancel_not_active"


async def test_a_second_response_at_once_is_an_error():
    async with session(greeting(LONG), timing=SLOW) as client:
        await client.send("response.create")
        await client.send("response.create", event_id="second")
        events = await client.until("response.done")
    (error,) = [event["error"] for event in events if event["type"] == "error"]
    assert error["code"] == "conversation_already_has_active_response"
    assert error["event_id"] == "second"
    assert events[-1]["response"]["status"] == "completed"
