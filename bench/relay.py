"""A baseline: a thin relay, built the way Twilio's Python sample for OpenAI's Realtime API is. `python -m bench.relay`.

FastAPI, `websockets`, the standard library's json, µ-law both ways so that nothing is resampled. A mark after every
piece of audio; a barge-in truncates by the time that has gone by and clears. No signatures, no tools, no hand-off.
"""

import asyncio
import base64
import json
import os
from contextlib import suppress
from dataclasses import dataclass, field

import uvicorn
import websockets
from fastapi import FastAPI, Response, WebSocket, WebSocketDisconnect

PORT = int(os.environ.get("PORT", "0"))
MODEL_URL = os.environ.get("OPENAI_REALTIME_URL", "") + "?model=gpt-realtime-2.1"
LOGGED = {
    "error",
    "response.done",
    "rate_limits.updated",
    "input_audio_buffer.committed",
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "session.created",
    "session.updated",
}
SESSION = {
    "type": "realtime",
    "output_modalities": ["audio"],
    "audio": {
        "input": {"format": {"type": "audio/pcmu"}, "turn_detection": {"type": "server_vad"}},
        "output": {"format": {"type": "audio/pcmu"}, "voice": "alloy"},
    },
    "instructions": "You are a helpful assistant on the phone.",
}
GREETING = {
    "type": "message",
    "role": "user",
    "content": [{"type": "input_text", "text": "Greet the caller in one sentence."}],
}

app = FastAPI()


@dataclass
class Call:
    """What one call remembers."""

    stream_sid: str = ""
    now_ms: int = 0
    """The newest timestamp of the caller's audio. Milliseconds into the stream."""

    item: str | None = None
    """The item that is being played."""

    began_ms: int | None = None
    """Where on the caller's clock that item began."""

    marks: list[str] = field(default_factory=list[str])


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
async def media(twilio: WebSocket) -> None:
    """Carry one call's audio until either side ends it."""
    await twilio.accept()
    async with websockets.connect(MODEL_URL, additional_headers={"Authorization": "Bearer bench"}) as model:
        await model.send(json.dumps({"type": "session.update", "session": SESSION}))
        call = Call()
        directions = [
            asyncio.create_task(_from_twilio(twilio, model, call)),
            asyncio.create_task(_from_model(twilio, model, call)),
        ]
        await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        for direction in directions:
            direction.cancel()
        with suppress(asyncio.CancelledError, WebSocketDisconnect, websockets.ConnectionClosed):
            await asyncio.gather(*directions)


async def _from_twilio(twilio: WebSocket, model: websockets.ClientConnection, call: Call) -> None:
    async for message in twilio.iter_text():
        data = json.loads(message)
        if data["event"] == "media":
            call.now_ms = int(data["media"]["timestamp"])
            append = {"type": "input_audio_buffer.append", "audio": data["media"]["payload"]}
            await model.send(json.dumps(append))
        elif data["event"] == "start":
            call.stream_sid = data["start"]["streamSid"]
            print(f"The stream {call.stream_sid} has started")
            await model.send(json.dumps({"type": "conversation.item.create", "item": GREETING}))
            await model.send(json.dumps({"type": "response.create"}))
        elif data["event"] == "mark":
            if call.marks:
                call.marks.pop(0)
        elif data["event"] == "stop":
            return


async def _from_model(twilio: WebSocket, model: websockets.ClientConnection, call: Call) -> None:
    async for message in model:
        event = json.loads(message)
        if event["type"] in LOGGED:
            print(f"Received event: {event['type']}", event)
        if event["type"] == "response.output_audio.delta":
            payload = base64.b64encode(base64.b64decode(event["delta"])).decode("utf-8")
            await twilio.send_json({"event": "media", "streamSid": call.stream_sid, "media": {"payload": payload}})
            if event["item_id"] != call.item:
                call.item, call.began_ms = event["item_id"], call.now_ms
            mark = {"event": "mark", "streamSid": call.stream_sid, "mark": {"name": "responsePart"}}
            await twilio.send_json(mark)
            call.marks.append("responsePart")
        elif event["type"] == "input_audio_buffer.speech_started":
            await _interrupt(twilio, model, call)


async def _interrupt(twilio: WebSocket, model: websockets.ClientConnection, call: Call) -> None:
    """The caller speaks: while audio is being played, truncate it to the time that has gone by, and clear."""
    if not call.marks or call.began_ms is None or call.item is None:
        return
    truncate = {
        "type": "conversation.item.truncate",
        "item_id": call.item,
        "content_index": 0,
        "audio_end_ms": call.now_ms - call.began_ms,
    }
    await model.send(json.dumps(truncate))
    await twilio.send_json({"event": "clear", "streamSid": call.stream_sid})
    call.marks.clear()
    call.item = call.began_ms = None


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=PORT)
