"""A baseline: a stock Pipecat bot on Twilio, as Pipecat's documentation shows one. `python -m bench.stock`.

Pipecat's own parts with their defaults: 24 kHz audio between the bot and the model, resampled on both ways, and sent to
Twilio at the pace at which it is heard. No signatures, no hand-off; it writes its log at INFO like the server beside
it, though Pipecat's examples write at DEBUG.
"""

import os
import sys

import uvicorn
from fastapi import FastAPI, Response, WebSocket
from loguru import logger
from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import LLMRunFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.runner.utils import parse_telephony_websocket
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.services.llm_service import FunctionCallParams
from pipecat.services.openai.realtime.events import (
    AudioConfiguration,
    AudioInput,
    InputAudioTranscription,
    SessionProperties,
)
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport
from pipecat.workers.runner import WorkerRunner

PORT = int(os.environ.get("PORT", "0"))
MODEL_URL = os.environ.get("OPENAI_REALTIME_URL", "")

app = FastAPI()


async def _opening_hours(params: FunctionCallParams) -> None:
    await params.result_callback({"hours": "9 to 5"})


OPENING_HOURS = FunctionSchema(
    name="opening_hours",
    description="When the shop is open.",
    properties={},
    required=[],
    handler=_opening_hours,
)


@app.get("/health")
async def health() -> dict[str, str]:
    """The process lives."""
    return {"status": "ok"}


@app.post("/twilio/voice")
async def voice() -> Response:
    """Answer a call with a media stream."""
    document = f'<Response><Connect><Stream url="ws://127.0.0.1:{PORT}/twilio/media"/></Connect></Response>'
    return Response(document, media_type="text/xml")


@app.websocket("/twilio/media")
async def media(websocket: WebSocket) -> None:
    """Talk on one stream until it ends."""
    await websocket.accept()
    _, call = await parse_telephony_websocket(websocket)
    serializer = TwilioFrameSerializer(
        stream_sid=call["stream_id"],
        call_sid=call["call_id"],
        params=TwilioFrameSerializer.InputParams(auto_hang_up=False),  # there is no Twilio to hang up with
    )
    transport = FastAPIWebsocketTransport(
        websocket,
        FastAPIWebsocketParams(audio_in_enabled=True, audio_out_enabled=True, serializer=serializer),
    )
    properties = SessionProperties(
        audio=AudioConfiguration(input=AudioInput(transcription=InputAudioTranscription())),
    )
    llm = OpenAIRealtimeLLMService(
        api_key="bench",
        base_url=MODEL_URL,
        settings=OpenAIRealtimeLLMService.Settings(
            system_instruction="You answer the phone of a shop. Be brief.", session_properties=properties
        ),
    )
    context = LLMContext([{"role": "user", "content": "Say hello!"}], ToolsSchema([OPENING_HOURS]))
    user, assistant = LLMContextAggregatorPair(context)
    worker = PipelineWorker(
        Pipeline([transport.input(), user, llm, transport.output(), assistant]),
        params=PipelineParams(audio_in_sample_rate=8000, audio_out_sample_rate=8000),
    )

    @transport.event_handler("on_client_connected")
    async def on_client_connected(_: object, __: object) -> None:
        await worker.queue_frame(LLMRunFrame())

    @transport.event_handler("on_client_disconnected")
    async def on_client_disconnected(_: object, __: object) -> None:
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


if __name__ == "__main__":
    logger.remove()
    logger.add(sys.stderr, level="INFO")
    uvicorn.run(app, host="127.0.0.1", port=PORT)
