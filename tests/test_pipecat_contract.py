"""What we use of Pipecat beyond its public face. An upgrade that moves any of it fails here, and not on a call."""

import inspect

import pytest
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.websocket.fastapi import (
    FastAPIWebsocketOutputTransport,
    FastAPIWebsocketTransport,
)


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (OpenAIRealtimeLLMService, "_truncate_current_audio_response"),
        (OpenAIRealtimeLLMService, "_receive_task_handler"),
        (OpenAIRealtimeLLMService, "_maybe_handle_evt_retrieve_conversation_item_error"),
        (FastAPIWebsocketOutputTransport, "_write_frame"),
        (FastAPIWebsocketOutputTransport, "_write_audio_sleep"),
        (FastAPIWebsocketOutputTransport, "write_audio_frame"),
        (FastAPIWebsocketOutputTransport, "send_message"),
        (BaseOutputTransport, "write_transport_frame"),
        (TwilioFrameSerializer, "deserialize"),
    ],
)
def test_a_method_that_we_override_or_call_is_still_there(owner: type, name: str):
    assert inspect.iscoroutinefunction(getattr(owner, name, None))


@pytest.mark.parametrize(
    ("owner", "names"),
    [
        (OpenAIRealtimeLLMService, ["_current_audio_response", "_disconnecting", "_websocket"]),
        (FastAPIWebsocketTransport, ["_client", "_params", "_output", "_output_name"]),
        (FastAPIWebsocketOutputTransport, ["_client"]),
        (TwilioFrameSerializer, ["_stream_sid"]),
    ],
)
def test_an_attribute_that_we_read_or_set_is_still_used(owner: type, names: list[str]):
    source = inspect.getsource(inspect.getmodule(owner))  # type: ignore[arg-type]
    for name in names:
        assert f"self.{name}" in source


def test_the_session_s_own_methods_are_called_where_we_rely_on_it():
    source = inspect.getsource(OpenAIRealtimeLLMService)
    assert "await self._truncate_current_audio_response()" in source
    reading = inspect.getsource(OpenAIRealtimeLLMService._receive_task_handler)
    # Asked first for every error event; True keeps the loop going.
    assert "if not await self._maybe_handle_evt_retrieve_conversation_item_error(evt):" in reading


def test_frames_that_the_output_does_not_know_reach_us_in_order_with_the_audio():
    handling = inspect.getsource(BaseOutputTransport.MediaSender._handle_frame)
    assert "await self._transport.write_transport_frame(frame)" in handling
