"""Whose brain answers, when, and what the stock brain says."""

import asyncio

from realtime_client import FAST, Client, Scripted, connected, greeting, running, transcript_of, types, utterance

from sandbox.brain import Call, Say, StockBrain, quoted
from sandbox.hum import Hum, hum_for, mix
from sandbox.model import RealtimeModel
from sandbox.scene import Journal

HAND_OFF = {
    "type": "function",
    "name": "hand_off",
    "parameters": {"type": "object", "properties": {"target": {"type": "string", "enum": ["sales", "repairs"]}}},
}


def system(text: str) -> dict:
    return {"type": "message", "role": "system", "content": [{"type": "input_text", "text": text}]}


async def said_on(model: RealtimeModel, hum: Hum | None, format: str) -> str:
    """What the model says to a line that hums like this."""
    async with connected(model) as client:
        await client.configure(audio={"input": {"format": {"type": format}}})
        await client.append(utterance(hum=hum), format, step_ms=137)
        return transcript_of(await client.until("response.done"))


async def test_twenty_lines_at_once_each_have_their_own_brain():
    hums = [hum_for(i * 17) for i in range(20)]
    lines = {hum: Scripted(greeting(f"You are caller {i}.")) for i, hum in enumerate(hums)}
    formats = ["audio/pcm", "audio/pcmu"]
    async with running(lines=lines) as model:
        said = await asyncio.gather(*(said_on(model, hum, formats[i % 2]) for i, hum in enumerate(hums)))
        assert {view.hum for view in model.sessions} == set(hums)
    assert said == [f"You are caller {i}." for i in range(20)]


async def test_a_line_that_is_not_known_gets_the_default_brain():
    lines = {hum_for(1): Scripted(greeting("For the other one."))}
    async with running(Scripted(greeting("For anybody.")), lines=lines) as model:
        assert await said_on(model, hum_for(2), "audio/pcm") == "For anybody."


async def test_a_greeting_waits_until_the_line_is_recognised():
    lines = {hum_for(30): Scripted(greeting("Just for you."))}
    async with running(lines=lines) as model, connected(model) as client:
        await client.send("response.create")
        await client.append(mix(hum_for(30), 0, 4000))
        events = await client.until("response.done")
    assert transcript_of(events) == "Just for you."


async def test_a_second_session_of_a_line_goes_on_with_the_same_brain():
    hum = hum_for(99)
    brain = Scripted(greeting("The first time."), greeting("Back again."))
    async with running(lines={hum: brain}) as model:
        said = [await said_on(model, hum, "audio/pcmu") for _ in range(2)]
        assert len(model.sessions) == 2
    assert said == ["The first time.", "Back again."]


async def test_notes_of_a_recognised_line_belong_to_its_call():
    journal = Journal()
    model = RealtimeModel(journal=journal, timing=FAST)
    model.lines[hum_for(5)] = Scripted([Say("Goodbye!"), Call("hand_off", {"target": "sales"})], call_sid="CA5")
    async with model:
        await said_on(model, hum_for(5), "audio/pcm")
    notes = {note.what: note.data for note in journal.of("CA5")}
    assert list(notes) == [
        "recognises the line",
        "hears",
        "response started",
        "says",
        "calls",
        "response done",
        "session closed",
    ]
    assert notes["hears"]["text"] == "A person, please."
    assert notes["calls"]["arguments"] == {"target": "sales"}
    assert notes["response done"]["text"] == "Goodbye!"


async def test_the_brain_knows_why_it_is_its_turn():
    brain = Scripted(greeting(), [Call("order_status", {"order": 7})], greeting(), greeting(), greeting())
    async with running(brain) as model, connected(model) as client:
        await client.send("conversation.item.create", item=system("Greet the caller."))
        await client.respond()
        await client.append(utterance())
        call = (await client.until("rate_limits.updated"))[-2]["response"]["output"][0]
        output = {"type": "function_call_output", "call_id": call["call_id"], "output": "shipped"}
        await client.send("conversation.item.create", item=output)
        await client.respond()
        await client.send("conversation.item.create", item=system("Nobody answered."))
        await client.respond()
        await client.respond(instructions="Say goodbye.")
    assert [(turn.why, turn.prompt, turn.transcript) for turn in brain.turns] == [
        ("greeting", "Greet the caller.", ""),
        ("speech", "", "A person, please."),
        ("tool_result", "", ""),
        ("prompt", "Nobody answered.", ""),
        ("prompt", "Say goodbye.", ""),
    ]
    assert "shipped" in brain.turns[2].session.text


async def test_a_brain_that_fails_is_a_failed_response_and_a_note():
    class Broken(Scripted):
        async def reply(self, turn):
            raise LookupError("no such line")

    journal = Journal()
    async with RealtimeModel(journal=journal, default_brain=Broken(), timing=FAST) as model:
        async with connected(model) as client:
            events = await client.respond()
    assert events[-2]["response"]["status"] == "failed"
    assert [note.data["error"] for note in journal.notes if note.what == "brain failed"] == [
        "LookupError('no such line')"
    ]


# --- the stock brain ---------------------------------------------------------------------------------


async def conversation_with_stock_brain(client: Client, turns: int) -> list[dict]:
    await client.configure(tools=[HAND_OFF])
    await client.respond()
    for _ in range(turns - 1):
        await client.append(utterance())
        await client.until("rate_limits.updated")
    await client.append(utterance())
    return await client.until("rate_limits.updated")


async def test_the_stock_brain_chats_and_hands_off_after_the_third_turn():
    async with running() as model:
        async with connected(model) as client:
            events = await conversation_with_stock_brain(client, 2)
            assert "I have a question." in transcript_of(events)
            assert "response.function_call_arguments.done" not in types(events)
        async with connected(model) as client:
            events = await conversation_with_stock_brain(client, 3)
    (call,) = [event for event in events if event["type"] == "response.function_call_arguments.done"]
    assert call["name"] == "hand_off"
    assert '"target": "sales"' in call["arguments"]
    assert transcript_of(events)


async def test_the_stock_brain_says_a_line_that_it_is_asked_for():
    async with running(StockBrain()) as model, connected(model) as client:
        await client.respond(instructions='Begin with exactly: "Good morning!"')
        events = await client.respond(instructions='Say exactly this and nothing else: "Please hold."')
    assert transcript_of(events) == "Please hold."


def test_a_prompt_quotes_the_line_that_it_asks_for():
    assert quoted('The caller said "no". Say exactly: "Goodbye!"') == "Goodbye!"
    assert quoted("Apologise.") is None
