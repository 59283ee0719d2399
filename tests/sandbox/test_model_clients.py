"""The model as real clients see it: OpenAI's own, and Pipecat's service in a pipeline."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from openai import AsyncOpenAI
from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import Frame, InputAudioRawFrame, LLMContextFrame, TTSAudioRawFrame, TTSTextFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.llm_service import FunctionCallParams
from pipecat.services.openai.realtime import events
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.workers.runner import WorkerRunner
from realtime_client import FAST, KEY, LONG, SLOW, Scripted, at_24k, greeting, running, utterance

from sandbox.brain import Call, Say
from sandbox.hum import hum_for
from sandbox.model import RealtimeModel
from sandbox.voice import speak

# --- OpenAI's client ---------------------------------------------------------------------------------


async def test_the_official_client_has_a_conversation():
    hum = hum_for(250)
    brain = Scripted(greeting("Hello!"), [Say("Of course."), Call("hand_off", {"target": "sales"})])
    async with running(lines={hum: brain}) as model:
        client = AsyncOpenAI(api_key=KEY, websocket_base_url=model.url.removesuffix("/realtime"))
        async with client.realtime.connect(model="gpt-realtime-2.1") as connection:
            await connection.session.update(
                session={
                    "type": "realtime",
                    "instructions": "Be kind.",
                    "audio": {"input": {"transcription": {"model": "gpt-realtime-whisper"}}},
                }
            )
            sound = at_24k(utterance(hum=hum)).astype("<i2").tobytes()
            hum_only, spoken = sound[: 48 * 390], sound[48 * 390 :]
            await connection.input_audio_buffer.append(audio=base64.b64encode(hum_only).decode())
            await connection.response.create()
            seen: list[Any] = []
            async for event in connection:
                seen.append(event)
                if event.type == "response.done" and len(brain.turns) == 1:
                    await connection.input_audio_buffer.append(audio=base64.b64encode(spoken).decode())
                elif event.type == "response.done":
                    break
        await client.close()
    names = [event.type for event in seen]
    assert names[:3] == ["session.created", "conversation.created", "session.updated"]
    assert "error" not in names
    transcript = "conversation.item.input_audio_transcription.completed"
    assert [event.transcript for event in seen if event.type == transcript] == ["A person, please."]
    assert [item.type for item in seen[-1].response.output] == ["message", "function_call"]
    assert seen[-1].response.usage.total_tokens > 0


# --- Pipecat's service -------------------------------------------------------------------------------


class Ears(FrameProcessor):
    """Keeps what comes out of the service."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[Frame] = []
        self.changed = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        self.frames.append(frame)
        self.changed.set()
        await self.push_frame(frame, direction)

    @property
    def said(self) -> str:
        return "".join(frame.text for frame in self.frames if isinstance(frame, TTSTextFrame))

    @property
    def audio(self) -> bytes:
        return b"".join(frame.audio for frame in self.frames if isinstance(frame, TTSAudioRawFrame))

    async def until_said(self, text: str) -> None:
        async with asyncio.timeout(20):
            while text not in self.said:
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def pipecat(
    model: RealtimeModel, tools: list[FunctionSchema] | None = None
) -> AsyncIterator[tuple[PipelineWorker, Ears]]:
    """A minimal pipeline around Pipecat's own service, at a telephone's rate."""
    session = events.SessionProperties(
        audio=events.AudioConfiguration(
            input=events.AudioInput(
                transcription=events.InputAudioTranscription(), turn_detection=events.TurnDetection()
            ),
            output=events.AudioOutput(voice="marin"),
        )
    )
    service = OpenAIRealtimeLLMService(
        api_key=KEY,
        base_url=model.url,
        settings=OpenAIRealtimeLLMService.Settings(
            model="gpt-realtime-2.1", system_instruction="Be kind.", session_properties=session
        ),
    )
    context = LLMContext(tools=ToolsSchema(standard_tools=list(tools or [])))
    pair = LLMContextAggregatorPair(context)
    ears = Ears()
    worker = PipelineWorker(
        Pipeline([pair.user(), service, ears, pair.assistant()]),
        params=PipelineParams(audio_in_sample_rate=8000, audio_out_sample_rate=8000),
        enable_rtvi=False,
        idle_timeout_secs=None,
    )
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    await worker.queue_frame(LLMContextFrame(context))
    try:
        yield worker, ears
    finally:
        await worker.cancel()
        await running


async def talk(worker: PipelineWorker, text: str, hum: tuple[int, int] | None = None) -> None:
    """The caller's line in frames of 20 ms, as fast as they go."""
    sound = utterance(text, hum=hum)
    for at in range(0, len(sound), 160):
        audio = sound[at : at + 160].tobytes()
        await worker.queue_frame(InputAudioRawFrame(audio=audio, sample_rate=8000, num_channels=1))
        await asyncio.sleep(0.001)


async def test_pipecat_greets_and_answers():
    hum = hum_for(123)
    brain = Scripted(greeting("Good morning!"), greeting("At nine."))
    async with running(lines={hum: brain}) as model, pipecat(model) as (worker, ears):
        talking = asyncio.create_task(talk(worker, "When do you open?", hum))
        await ears.until_said("At nine.")
        await talking
        (view,) = model.sessions
    assert ears.said == "Good morning!At nine."
    assert [turn.why for turn in brain.turns] == ["greeting", "speech"]
    assert view.errors == []
    assert view.instructions.startswith("Be kind.")


async def test_pipecat_calls_a_function_and_the_model_goes_on_with_its_result():
    async def order_status(params: FunctionCallParams) -> None:
        await params.result_callback({"status": f"order {params.arguments['order']} is on its way"})

    schema = FunctionSchema(
        name="order_status",
        description="Where an order is.",
        properties={"order": {"type": "string"}},
        required=["order"],
        handler=order_status,
    )
    brain = Scripted([Call("order_status", {"order": "7"})], greeting("It is on its way."))
    async with running(brain, timing=FAST) as model, pipecat(model, [schema]) as (_, ears):
        await ears.until_said("It is on its way.")
        (view,) = model.sessions
    assert [tool["name"] for tool in view.tools] == ["order_status"]
    assert "order 7 is on its way" in view.text
    assert [turn.why for turn in brain.turns] == ["greeting", "tool_result"]
    assert view.errors == []


@pytest.mark.parametrize("timing", [FAST, SLOW], ids=["generated", "generating"])
async def test_pipecat_truncates_what_a_caller_interrupts(timing):
    async with running(Scripted(greeting(LONG), greeting("Yes?")), timing=timing) as model:
        async with pipecat(model) as (worker, ears):
            await ears.until_said("very long story")
            await talk(worker, "Stop!")
            await ears.until_said("Yes?")
            (view,) = model.sessions
        ((item_id, _, end_ms),) = view.truncations
    assert item_id == view.items[0]["id"]
    assert 0 < end_ms < 1000 * len(speak(LONG)) / 8000
    assert view.errors == []
