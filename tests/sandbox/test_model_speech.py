"""The model listens and speaks."""

import time

import pytest
from realtime_client import (
    FAST,
    SPOKEN_REPLY,
    TEXT,
    Scripted,
    audio_of,
    connected,
    greeting,
    running,
    session,
    squeezed,
    transcript_of,
    types,
    utterance,
)

from sandbox import codec
from sandbox.brain import Say
from sandbox.hum import hum_for, mix
from sandbox.session import Timing
from sandbox.voice import speak


async def test_a_spoken_reply_comes_in_the_documented_order():
    async with session(greeting(TEXT)) as client:
        events = await client.respond()
    assert squeezed(events) == SPOKEN_REPLY
    done = events[-2]["response"]
    assert done["status"] == "completed"
    assert done["output"][0]["content"] == [{"type": "output_audio", "transcript": TEXT}]
    assert done["usage"]["output_token_details"]["audio_tokens"] > 0
    assert events[0]["response"]["usage"] is None


async def test_transcript_and_audio_are_interleaved_and_complete():
    async with session(greeting(TEXT)) as client:
        events = await client.respond()
    assert transcript_of(events) == TEXT
    assert audio_of(events) == speak(TEXT, voice="bot", rate=24000).tobytes()
    deltas = [name for name in types(events) if name.endswith(".delta")]
    first_audio = deltas.index("response.output_audio.delta")
    assert deltas[0] == "response.output_audio_transcript.delta"
    assert "response.output_audio_transcript.delta" in deltas[first_audio:]


async def test_audio_comes_as_mu_law_where_the_session_asks_for_it():
    async with session(greeting(TEXT)) as client:
        await client.configure(audio={"output": {"format": {"type": "audio/pcmu"}}})
        events = await client.respond()
    assert audio_of(events) == codec.encode(speak(TEXT, voice="bot", rate=8000))


async def test_audio_comes_at_the_pace_that_was_set():
    async with session(greeting(TEXT), timing=Timing(pace=4.0, thinking=0.0)) as client:
        began = time.monotonic()
        await client.respond()
    assert time.monotonic() - began >= 0.055 * len(TEXT) / 4


async def test_a_text_session_gets_text():
    async with session(greeting(TEXT)) as client:
        await client.configure(output_modalities=["text"])
        events = await client.respond()
    assert squeezed(events)[4:7] == [
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
    ]
    assert events[-2]["response"]["output"][0]["content"] == [{"type": "output_text", "text": TEXT}]


async def test_an_empty_reply_is_a_response_without_output():
    async with session([]) as client:
        events = await client.respond()
    assert types(events) == ["response.created", "response.done", "rate_limits.updated"]
    assert events[1]["response"]["output"] == []


async def test_two_sentences_are_two_items_of_one_response():
    async with session([Say("One moment."), Say("Here it is.", pause=0.01)]) as client:
        events = await client.respond()
    assert squeezed(events) == [
        *SPOKEN_REPLY[:1],
        *SPOKEN_REPLY[1:10],
        *SPOKEN_REPLY[1:10],
        *SPOKEN_REPLY[10:],
    ]
    assert {e["output_index"] for e in events if "output_index" in e} == {0, 1}


@pytest.mark.parametrize("turns", ["server_vad", "semantic_vad"])
@pytest.mark.parametrize("format", ["audio/pcm", "audio/pcmu"])
async def test_a_caller_turn_comes_in_the_documented_order(turns, format):
    async with session(greeting("I see.")) as client:
        audio = {"format": {"type": format}, "turn_detection": {"type": turns}}
        await client.configure(audio={"input": audio})
        await client.append(utterance(), format)
        events = await client.until("rate_limits.updated")
    assert squeezed(events) == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        *SPOKEN_REPLY,
    ]
    started, stopped, committed, added = events[:4]
    assert started["item_id"] == stopped["item_id"] == committed["item_id"] == added["item"]["id"]
    assert abs(started["audio_start_ms"] - (400 - 300)) <= 20
    speech_ms = 1000 * len(speak("A person, please.")) / 8000
    assert abs(stopped["audio_end_ms"] - (400 + speech_ms + 500)) <= 40


async def test_the_padding_and_the_silence_of_the_session_are_kept():
    async with session(greeting("I see.")) as client:
        turns = {"type": "server_vad", "prefix_padding_ms": 100, "silence_duration_ms": 200}
        await client.configure(audio={"input": {"turn_detection": turns}})
        await client.append(utterance("Yes."))
        started, stopped = (await client.until("input_audio_buffer.speech_stopped"))[-2:]
    assert abs(started["audio_start_ms"] - 300) <= 20
    assert abs(stopped["audio_end_ms"] - 1000) <= 40


async def test_a_higher_threshold_needs_louder_speech():
    quiet = (utterance() // 4).astype("int16")
    turns = {"type": "server_vad"}
    async with session() as client:
        await client.configure(audio={"input": {"turn_detection": {**turns, "threshold": 0.9}}})
        await client.append(quiet)
        await client.configure(audio={"input": {"turn_detection": {**turns, "threshold": 0.5}}})
        await client.append(quiet)
        (started,) = await client.until("input_audio_buffer.speech_started")
    assert started["audio_start_ms"] > 1000 * len(quiet) / 8000


@pytest.mark.parametrize("format", ["audio/pcm", "audio/pcmu"])
async def test_neither_a_hum_nor_a_click_is_speech(format):
    async with session() as client:
        turns = {"type": "server_vad", "threshold": 0.0}
        await client.configure(audio={"input": {"format": {"type": format}, "turn_detection": turns}})
        hum = mix(hum_for(3), 0, 16000)
        hum[8000:8160] += 9000
        await client.append(hum, format)
        assert await client.until_settled() == []


async def test_audio_in_pieces_of_any_size_is_the_same_to_the_detector():
    ends = []
    for step_ms in (7, 20, 137, 5000):
        async with session() as client:
            await client.append(utterance(), step_ms=step_ms)
            events = await client.until("input_audio_buffer.speech_stopped")
            ends.append((events[0]["audio_start_ms"], events[1]["audio_end_ms"]))
    assert len(set(ends)) == 1


async def test_a_turn_without_create_response_is_not_answered():
    async with session(greeting("I see.")) as client:
        turns = {"type": "server_vad", "create_response": False}
        await client.configure(audio={"input": {"turn_detection": turns}})
        await client.append(utterance())
        await client.until("conversation.item.done")
        assert await client.until_settled() == []
        events = await client.respond()
    assert squeezed(events) == SPOKEN_REPLY


async def transcribed(hears: str | None, timing: Timing = FAST) -> list[dict]:
    async with running(Scripted(greeting(), hears=hears), timing=timing) as model:
        async with connected(model) as client:
            transcription = {"model": "gpt-realtime-whisper"}
            await client.configure(audio={"input": {"transcription": transcription}})
            await client.append(utterance())
            return await client.until(
                lambda event: event["type"].endswith(("completed", "failed")) and "item_id" in event
            )


async def test_the_caller_is_transcribed_where_the_session_asks_for_it():
    events = await transcribed("A person, please.")
    name = "conversation.item.input_audio_transcription"
    pieces = [event["delta"] for event in events if event["type"] == f"{name}.delta"]
    assert "".join(pieces) == events[-1]["transcript"] == "A person, please."


async def test_a_transcript_may_come_after_the_reply_has_begun():
    events = await transcribed("A person, please.", Timing(pace=100, thinking=0, transcription=0.3))
    assert "response.done" in types(events)


async def test_a_transcription_may_fail():
    events = await transcribed(None)
    assert events[-1]["type"] == "conversation.item.input_audio_transcription.failed"


async def test_nothing_is_transcribed_unasked():
    async with session(greeting()) as client:
        await client.append(utterance())
        events = await client.until("rate_limits.updated")
        events += await client.until_settled()
    assert not any("transcription" in name for name in types(events))
