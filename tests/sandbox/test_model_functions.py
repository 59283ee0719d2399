"""The model calls functions, and takes its turns."""

from realtime_client import SPOKEN_REPLY, Scripted, connected, running, session, squeezed, types

from sandbox.brain import Call, Say

HAND_OFF = Call("hand_off", {"target": "sales", "reason": "asked", "summary": "wants a tent"})
FUNCTION_CALL = [
    "response.output_item.added",
    "conversation.item.added",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "conversation.item.done",
    "response.output_item.done",
]


async def test_a_function_call_behind_a_sentence_comes_in_the_documented_order():
    async with session([Say("Goodbye!"), HAND_OFF]) as client:
        events = await client.respond()
    assert squeezed(events) == [*SPOKEN_REPLY[:10], *FUNCTION_CALL, *SPOKEN_REPLY[10:]]
    arguments = "".join(e["delta"] for e in events if e["type"] == FUNCTION_CALL[2])
    (done,) = [e for e in events if e["type"] == FUNCTION_CALL[3]]
    assert done["name"] == "hand_off"
    assert arguments == done["arguments"]
    assert events[-2]["response"]["output"][1]["call_id"] == done["call_id"]


async def test_a_repeated_call_has_call_ids_of_its_own():
    async with session([Call("hand_off", "{not json", repeat=3)]) as client:
        events = await client.respond()
    calls = [e for e in events if e["type"] == FUNCTION_CALL[3]]
    assert len({call["call_id"] for call in calls}) == 3
    assert {call["arguments"] for call in calls} == {"{not json"}


async def test_a_result_must_name_a_call():
    brain = Scripted([HAND_OFF], [Say("Thank you.")])
    async with running(brain) as model, connected(model) as client:
        events = await client.respond()
        call_id = events[-2]["response"]["output"][0]["call_id"]
        output = {"type": "function_call_output", "output": "{}"}
        await client.send("conversation.item.create", item={**output, "call_id": "call_none"})
        (error,) = await client.until("error")
        await client.send("conversation.item.create", item={**output, "call_id": call_id})
        assert types(await client.until("conversation.item.done"))[0] == "conversation.item.added"
        await client.respond()
    assert error["error"]["code"] == "invalid_tool_call_id"
    assert [turn.why for turn in brain.turns] == ["greeting", "tool_result"]


async def test_the_end_of_the_response_can_lag_behind_its_function_call():
    async with session([Call("hand_off", {}, pause_after=0.5)]) as client:
        await client.send("response.create")
        await client.until("response.output_item.done")
        assert await client.until_settled() == []
        await client.until("response.done")
