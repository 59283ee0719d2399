"""What we use of Pipecat beyond its public face. An upgrade that moves any of it fails here, and not on a call."""

import inspect
import re

import pytest
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.services.openai.realtime.llm import CurrentAudioResponse, OpenAIRealtimeLLMService

from pipelines.model_events import PASSED_ON

SERVICE = inspect.getsource(OpenAIRealtimeLLMService)
READING = inspect.getsource(OpenAIRealtimeLLMService._receive_task_handler)


@pytest.mark.parametrize(
    "name",
    [
        "_auth_headers",
        "_connect",
        "_disconnect",
        "_handle_evt_audio_delta",
        "_handle_evt_response_done",
        "_handle_evt_session_updated",
        "_maybe_handle_evt_retrieve_conversation_item_error",
        "_receive_task_handler",
        "_send_session_update",
        "_truncate_current_audio_response",
        "send_client_event",
    ],
)
def test_a_method_that_we_override_or_call_is_still_there_and_still_used(name: str):
    assert inspect.iscoroutinefunction(getattr(OpenAIRealtimeLLMService, name, None))
    assert f"self.{name}(" in SERVICE


@pytest.mark.parametrize(
    "name",
    [
        "_api_session_ready",
        "_audio_input_paused",
        "_current_audio_response",
        "_disconnecting",
        "_receive_task",
        "_websocket",
    ],
)
def test_an_attribute_that_we_read_or_set_is_still_used(name: str):
    assert f"self.{name} = " in SERVICE


def test_the_serializer_can_be_told_not_to_hang_up_and_reads_messages():
    assert TwilioFrameSerializer.InputParams(auto_hang_up=False).auto_hang_up is False
    assert inspect.iscoroutinefunction(TwilioFrameSerializer.deserialize)


def test_exactly_the_events_that_the_service_acts_on_are_passed_on_to_it():
    acted_on = set(re.findall(r'evt\.type == "([^"]+)"', READING))
    assert acted_on - PASSED_ON == {
        "conversation.item.done",  # tells subscribers that there are none of
        "conversation.item.input_audio_transcription.delta",  # half-finished words
        "response.output_audio_transcript.delta",  # handled where it arrives
    }
    assert acted_on >= PASSED_ON


def test_the_service_reads_its_socket_by_iterating_and_writes_with_send():
    assert "async for message in self._websocket:" in READING
    assert "await self._websocket.send(" in SERVICE
    assert "await self._websocket.close()" in SERVICE


def test_every_error_event_is_ours_to_judge_first():
    assert "if not await self._maybe_handle_evt_retrieve_conversation_item_error(evt):" in READING


def test_a_response_that_has_begun_to_be_spoken_ends_with_a_frame_that_says_so():
    ending = inspect.getsource(OpenAIRealtimeLLMService._handle_evt_response_done)
    assert "if self._current_audio_response is not None:" in ending
    assert "await self.push_frame(TTSStoppedFrame())" in ending
    assert CurrentAudioResponse("item", 0, 1).item_id == "item"
