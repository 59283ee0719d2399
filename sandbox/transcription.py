"""What the caller said, as the transcription model writes it down: beside the conversation, and in its own time."""

import asyncio

from sandbox.response import Emit
from sandbox.view import Json

_EVENT = "conversation.item.input_audio_transcription"


async def transcribe(item: Json, transcript: str | None, emit: Emit, *, audio_ms: float, delay: float) -> None:
    """Tell the client what an utterance was.

    The events may come before or after those of the reply (OpenAI: Realtime server events,
    `conversation.item.input_audio_transcription.*`).

    Args:
        item: The caller's message, which gets the transcript.
        transcript: What was said; None for a transcription that fails.
        emit: Sends the events.
        audio_ms: How long the utterance was. Milliseconds.
        delay: How long it takes. Seconds.
    """
    await asyncio.sleep(delay)
    place = {"item_id": item["id"], "content_index": 0}
    if transcript is None:
        message = "The audio could not be transcribed."
        error = {"type": "server_error", "code": "transcription_failed", "message": message}
        emit(f"{_EVENT}.failed", **place, error=error)
        return
    half = len(transcript) // 2
    for delta in (transcript[:half], transcript[half:]):
        emit(f"{_EVENT}.delta", **place, delta=delta)
    item["content"][0]["transcript"] = transcript
    usage = {"type": "duration", "seconds": audio_ms / 1000}
    emit(f"{_EVENT}.completed", **place, transcript=transcript, usage=usage)
