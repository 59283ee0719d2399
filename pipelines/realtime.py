"""The speech-to-speech leg on OpenAI's Realtime API: Pipecat's service, with what a telephone call needs of it.

Pipecat's service truncates by the wall clock, stops reading at the first error event of any kind, and ends in silence
when its socket closes. The methods overridden here are private to it; a contract test fails when they move.
"""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from loguru import logger
from pipecat.frames.frames import (
    Frame,
    LLMMessagesAppendFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContextMessage
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.openai.realtime import events
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService

from pipelines.config import PipelineConfig
from pipelines.legs import Heard

HEARD_TOLERANCE_MS = 20
"""An item of which at most this much is missing was heard to its end: resampling and chunks round."""

SESSION_OVER = {"session_expired", "invalid_api_key", "insufficient_quota", "billing_hard_limit_reached"}
"""Error codes after which the session gives no more answers."""


@dataclass(slots=True)
class _Segment:
    """The audio of one item within an utterance."""

    utterance: int
    item_id: str
    content_index: int
    start_ms: float
    """Where it begins in the utterance."""

    duration_ms: float = 0.0


class RealtimeLeg(OpenAIRealtimeLLMService):
    """A `Leg` on OpenAI's Realtime API."""

    def __init__(self, config: PipelineConfig, *, api_key: str, url: str, heard: Heard) -> None:
        """Prepare the session; the pipeline opens it.

        Args:
            config: The pipeline's settings.
            api_key: OpenAI's API key.
            url: The Realtime API's address, without a query.
            heard: How much of the bot's speech the caller has heard.
        """
        super().__init__(
            api_key=api_key,
            base_url=url,
            settings=OpenAIRealtimeLLMService.Settings(
                model=config.model,
                system_instruction=config.system_instruction,
                session_properties=_session(config),
            ),
        )
        self._heard = heard
        self._log = config.log
        self._segments: list[_Segment] = []
        self._utterance = 0
        self._utterance_ms = 0.0

    @property
    def stages(self) -> Sequence[FrameProcessor]:
        """See `Leg`."""
        return (self,)

    def listen(self, on: bool) -> None:
        """See `Leg`."""
        self.set_audio_input_paused(not on)

    async def prompt(self, instruction: str) -> None:
        """See `Leg`. Queued on the service itself: only there does an appended message make the model speak."""
        message: LLMContextMessage = {"role": "developer", "content": instruction}
        await self.queue_frame(LLMMessagesAppendFrame([message], run_llm=True))

    # --- truncation to what was heard --------------------------------------------------------------

    async def push_frame(self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM) -> None:
        """Keep account of which item each stretch of audio belongs to."""
        if isinstance(frame, TTSStartedFrame):
            self._utterance, self._utterance_ms = frame.id, 0.0
        elif isinstance(frame, TTSAudioRawFrame):
            self._account(1000 * len(frame.audio) / (2 * frame.sample_rate))
        await super().push_frame(frame, direction)

    def _account(self, duration_ms: float) -> None:
        current = self._current_audio_response
        if current is None:
            return
        last = self._segments[-1] if self._segments else None
        key = (self._utterance, current.item_id, current.content_index)
        if last is None or key != (last.utterance, last.item_id, last.content_index):
            last = _Segment(*key, start_ms=self._utterance_ms)
            self._segments.append(last)
        last.duration_ms += duration_ms
        self._utterance_ms += duration_ms

    async def _truncate_current_audio_response(self) -> None:
        """Tell the model how much of each item the caller heard, and forget the items."""
        utterance, heard_ms = self._heard.position()
        segments, self._segments = self._segments, []
        self._current_audio_response = None
        played = [s.utterance for s in segments]
        now = played.index(utterance) if utterance in played else 0
        for index, segment in enumerate(segments):
            if index < now:
                continue  # an earlier utterance, played to its end
            reached = heard_ms - segment.start_ms if segment.utterance == utterance else 0
            end_ms = int(max(0, min(reached, segment.duration_ms)))
            if segment.duration_ms - end_ms <= HEARD_TOLERANCE_MS:
                continue
            if self._log.timing:
                logger.info("barge-in: {} of {:.0f} ms heard of {}", end_ms, segment.duration_ms, segment.item_id)
            await self.send_client_event(
                events.ConversationItemTruncateEvent(
                    item_id=segment.item_id, content_index=segment.content_index, audio_end_ms=end_ms
                )
            )

    # --- errors and the end of the session ---------------------------------------------------------

    async def _receive_task_handler(self) -> None:
        """Read until the session ends; an end that we did not ask for is an error, never silence."""
        if self._log.events and self._websocket is not None:
            self._websocket = _Logged(self._websocket, frozenset(self._log.events))
        try:
            await super()._receive_task_handler()
        except Exception as error:
            await self.push_error(f"the model's session broke: {error!r}", exception=error)
        else:
            if not self._disconnecting:
                await self.push_error("the model's session ended")

    async def _maybe_handle_evt_retrieve_conversation_item_error(self, evt: events.ErrorEvent) -> bool:
        """Called first for every error event; True keeps the session going.

        Most errors concern one request and leave the session open (OpenAI: Realtime server events, `error`).
        """
        if await super()._maybe_handle_evt_retrieve_conversation_item_error(evt):
            return True
        if evt.error.type == "invalid_request_error" and evt.error.code not in SESSION_OVER:
            logger.warning("the model refused a request: {} ({})", evt.error.code, evt.error.param)
            return True
        return False


class _Logged:
    """The model's socket, with the chosen kinds of server events written to the log, without their content."""

    def __init__(self, websocket: Any, kinds: frozenset[str]) -> None:
        self._websocket = websocket
        self._kinds = kinds

    def __getattr__(self, name: str) -> Any:
        return getattr(self._websocket, name)

    async def __aiter__(self) -> AsyncIterator[Any]:
        async for message in self._websocket:
            kind = json.loads(message).get("type")
            if kind in self._kinds:
                logger.info("model event {}", kind)
            yield message


def _session(config: PipelineConfig) -> events.SessionProperties:
    turns = config.turn_detection
    detection = (
        events.SemanticTurnDetection(eagerness=turns.eagerness)
        if turns.type == "semantic_vad"
        else events.TurnDetection(
            threshold=turns.threshold,
            prefix_padding_ms=turns.prefix_padding_ms,
            silence_duration_ms=turns.silence_duration_ms,
        )
    )
    noise = config.noise_reduction
    return events.SessionProperties(
        output_modalities=["audio"],
        audio=events.AudioConfiguration(
            input=events.AudioInput(
                transcription=events.InputAudioTranscription(
                    model=config.transcription.model, language=config.language
                ),
                noise_reduction=events.InputAudioNoiseReduction(type=noise) if noise else None,
                turn_detection=detection,
            ),
            output=events.AudioOutput(voice=config.voice, speed=config.speed),
        ),
    )
