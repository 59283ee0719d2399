"""The speech-to-speech leg on OpenAI's Realtime API: Pipecat's service, with what a telephone call needs of it.

Pipecat's service turns every 20 ms of sound into frames and events, truncates by the wall clock, stops reading at the
first error event of any kind, and ends in silence when its socket closes. Here sound goes straight between the line and
the model's socket, and everything else stays Pipecat's. The methods overridden here are private to it; a contract
test fails when they move.
"""

import asyncio
import json
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, Literal

from loguru import logger
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import (
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMMessagesAppendFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext, LLMContextMessage
from pipecat.processors.aggregators.llm_response_universal import LLMUserAggregatorParams
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.openai.realtime import events
from pipecat.services.openai.realtime.llm import CurrentAudioResponse, OpenAIRealtimeLLMService
from pydantic import ValidationError

from pipelines.codecs import Codec, Mulaw, Pcm
from pipelines.config import PipelineConfig
from pipelines.legs import FIRST_SIGN_SECONDS, PROGRESS_SECONDS, Earpiece
from pipelines.model_events import PASSED_ON, SESSION_OVER
from pipelines.model_socket import ModelSocket
from pipelines.realtime_config import RealtimeConfig
from pipelines.session_properties import session_properties
from pipelines.sign_of_life import SignOfLife
from pipelines.spoken import Mouth
from pipelines.turns import turns_of_the_model
from pipelines.usage import Usage

KEPT_UNTIL_READY = 250
"""How many pieces of the caller's audio wait for a session that is not ready: 5 s."""

AHEAD_SECONDS = 300.0
"""How long before its end a session is near it."""

RENEWAL_SECONDS = 3.5
"""How long a new session may take until it is ready."""


class RealtimeLeg(OpenAIRealtimeLLMService):
    """A `Leg` on OpenAI's Realtime API."""

    takes_frames = False
    """See `Leg`."""

    def __init__(self, config: RealtimeConfig, *, api_key: str, url: str, tools: ToolsSchema) -> None:
        """Prepare the session; `open` or the pipeline opens it.

        Args:
            config: The pipeline's settings.
            api_key: OpenAI's API key.
            url: The Realtime API's address, without a query.
            tools: What the model may call; the context that the pipeline brings has the same.
        """
        super().__init__(
            api_key=api_key,
            base_url=url,
            settings=OpenAIRealtimeLLMService.Settings(
                model=config.model,
                system_instruction=config.system_instruction,
                session_properties=session_properties(config, tools),
            ),
        )
        self._config = config
        self._tools = tools
        self._log = config.log
        self._codec: Codec = Mulaw() if config.audio == "pcmu" else Pcm()
        self._mouth = Mouth(self._codec, timing=config.log.timing)
        self._opening: asyncio.Task[ModelSocket] | None = None
        self._session_sent: dict[str, Any] | None = None
        self._early: deque[bytes] = deque(maxlen=KEPT_UNTIL_READY)
        self._due_since: float | None = None
        """Since when an answer is due and nothing has come. Seconds, monotonic."""

        self._sign = SignOfLife()
        self.usage = Usage()
        """See `Leg`."""

        self._patience = FIRST_SIGN_SECONDS
        self._ends_soon_at = float("inf")
        self._caller_speaks = False
        self._ready = asyncio.Event()

    # --- Leg ---------------------------------------------------------------------------------------

    ears: Sequence[FrameProcessor] = ()
    """See `Leg`."""

    unspoken = ""
    """See `Leg`. Its words come with their sound."""

    @property
    def stages(self) -> Sequence[FrameProcessor]:
        """See `Leg`."""
        return (self,)

    @property
    def user_turns(self) -> LLMUserAggregatorParams:
        """See `Leg`."""
        return turns_of_the_model()

    async def open(self) -> None:
        """See `Leg`. Connects, and sends instructions and tools, once; later calls wait for the first."""
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())
        self._websocket = await asyncio.shield(self._opening)

    async def close(self) -> None:
        """See `Leg`."""
        if self._opening is not None:
            self._opening.cancel()
            (socket,) = await asyncio.gather(self._opening, return_exceptions=True)
            if isinstance(socket, ModelSocket):
                await socket.close()

    def speak_to(self, earpiece: Earpiece) -> None:
        """See `Leg`."""
        self._mouth.earpiece = earpiece

    def hear(self, payload: str) -> None:
        """See `Leg`."""
        if self._audio_input_paused or not (audio := self._codec.to_model(payload)):
            return
        append = b'{"type":"input_audio_buffer.append","audio":"%b"}' % audio.encode()
        if self._api_session_ready and self._websocket is not None:
            self._websocket.send_now(append)
        else:
            self._early.append(append)

    def listen(self, on: bool) -> None:
        """See `Leg`."""
        self.set_audio_input_paused(not on)

    @property
    def waiting_seconds(self) -> float:
        """See `Leg`."""
        return 0.0 if self._due_since is None else time.monotonic() - self._due_since

    @property
    def overdue(self) -> str | None:
        """See `Leg`."""
        if self.waiting_seconds > self._patience:
            return f"no answer for {self._patience:.0f} s"
        return self._sign.overdue

    def want_sign(self) -> None:
        """See `Leg`."""
        if isinstance(self._websocket, ModelSocket) and self._due_since is None and self._ready.is_set():
            self._sign.look(self._websocket)
        else:
            self._sign.something_is_due()

    @property
    def ends_soon(self) -> bool:
        """See `Leg`. OpenAI ends a session after 60 minutes (OpenAI: Realtime sessions, `expires_at`)."""
        return time.monotonic() >= self._ends_soon_at

    @property
    def resting(self) -> bool:
        """See `Leg`."""
        return self._due_since is None and not self._caller_speaks and not self._open_function_calls

    async def renew(self, instruction: str | None) -> None:
        """See `Leg`."""
        if self._current_audio_response is not None:
            await self.push_frame(TTSStoppedFrame())
        if not self._response_active:
            await self.push_frame(LLMFullResponseStartFrame())  # what the caller said last joins the context
        await self.push_frame(LLMFullResponseEndFrame())
        self._mouth.fall_silent()
        self._current_audio_response = self._current_assistant_response = None
        async with asyncio.timeout(RENEWAL_SECONDS):
            await self._disconnect()
            self._llm_needs_conversation_setup = True
            if self._context is not None:
                await self._process_completed_function_calls(send_new_results=False)
            await self.open()
            self._receive_task = self.create_task(self._receive_task_handler())
            await self._ready.wait()
        if self._context is None:
            return
        if instruction is None:
            await self._tell_conversation(self._context)
            return
        if instruction:
            self._context.add_message({"role": "developer", "content": instruction})
        await self._create_response()

    async def _tell_conversation(self, context: LLMContext) -> None:
        """What Pipecat does before the first response of a session, without the response."""
        told = await self.get_llm_adapter().get_llm_invocation_params(context)
        for item in told["messages"]:
            event = events.ConversationItemCreateEvent(item=item)
            self._messages_added_manually[event.item.id] = True
            await self.send_client_event(event)
        self._llm_needs_conversation_setup = False

    async def adjust(self, config: PipelineConfig, instruction: str) -> None:
        """See `Leg`. A session that has spoken keeps its voice (OpenAI: `session.update`): a new one has another."""
        if not isinstance(config, RealtimeConfig):
            raise OSError(f"a leg on the Realtime API is not adjusted by a {type(config).__name__}")
        before, self._config = self._config, config
        self._settings.system_instruction = config.system_instruction
        self._settings.session_properties = session_properties(config, self._tools)
        if config.voice != before.voice:
            await self.renew(instruction)
        else:
            await self._send_session_update()
            await self.prompt(instruction)

    async def prompt(self, instruction: str) -> None:
        """See `Leg`. Queued on the service itself: only there does an appended message make the model speak."""
        message: LLMContextMessage = {"role": "developer", "content": instruction}
        await self.queue_frame(LLMMessagesAppendFrame([message], run_llm=True))

    async def write(self, text: str) -> None:
        """See `Leg`. As the user's words, where an appended message would be the system's."""
        await self._ready.wait()
        await self._add("user", text)
        await self._create_response()

    async def note(self, text: str) -> None:
        """See `Leg`. In the context too, for a session that replaces this one."""
        await self._add("system", text)

    async def _add(self, role: Literal["user", "system"], text: str) -> None:
        content = [events.ItemContent(type="input_text", text=text)]
        item = events.ConversationItem(type="message", role=role, content=content)
        self._messages_added_manually[item.id] = True
        await self.send_client_event(events.ConversationItemCreateEvent(item=item))
        if self._context is not None:  # the greeting comes with it
            told: LLMContextMessage = {"role": "developer", "content": text}
            self._context.add_message({"role": "user", "content": text} if role == "user" else told)

    # --- the session -------------------------------------------------------------------------------

    async def _open(self) -> ModelSocket:
        socket = await ModelSocket.connect(
            self.base_url,
            await self._auth_headers(),
            handlers={
                "session.created": self._session_begins,
                "input_audio_buffer.speech_stopped": self._caller_has_spoken,
                "response.created": self._answer_has_begun,
                "response.output_audio.delta": self._speak,
                "response.output_audio_transcript.delta": self._words,
                "response.done": self._response_done,
                "input_audio_buffer.speech_started": self._caller_interrupts,
            },
            passed_on=PASSED_ON,
            logged=self._log.events,
        )
        self._websocket = socket
        await self._send_session_update()
        return socket

    async def _connect(self) -> None:
        """Take the session that was opened ahead, or open one."""
        try:
            await self.open()
        except Exception as error:
            self._opening = None
            await self.push_error(f"the model cannot be reached: {error!r}", exception=error)
        else:
            self._receive_task = self.create_task(self._receive_task_handler())
            self._answer_is_due()  # the greeting, which waits for the session to be ready

    async def _disconnect(self) -> None:
        self._opening = None
        self._session_sent = None
        self._due_since = None
        self._sign.begin()
        self._ready.clear()
        await super()._disconnect()

    async def send_client_event(self, event: events.ClientEvent) -> None:
        """Send an event; a session update only when it says something new."""
        if isinstance(event, events.ResponseCreateEvent):
            self._answer_is_due()
        if isinstance(event, events.SessionUpdateEvent):
            session = event.session.model_dump(exclude_none=True)
            if session == self._session_sent:
                return
            self._session_sent = session
        await super().send_client_event(event)

    async def _handle_evt_session_updated(self, evt: events.SessionUpdatedEvent) -> None:
        """The session is as we asked for: now it can have what the caller has said so far."""
        while self._early and self._websocket is not None:
            self._websocket.send_now(self._early.popleft())
        await super()._handle_evt_session_updated(evt)
        self._ready.set()
        if isinstance(self._websocket, ModelSocket):
            self._sign.session_updated(self._websocket)

    async def _receive_task_handler(self) -> None:
        """Read until the session ends; an end that we did not ask for is an error, never silence."""
        socket = self._websocket
        while socket is not None and socket.ended is None:
            try:
                await super()._receive_task_handler()
            except Exception as error:
                if isinstance(error.__context__, ValidationError):  # Pipecat raises a bare Exception in its place
                    logger.warning("an event of the model is passed over: {}", error.__context__)
                    continue
                await self.push_error(f"the model's session broke: {error!r}", exception=error)
                return
            if socket.ended is None:
                return  # an error event ended it, and has been told
        if socket is not None and not self._disconnecting:
            await self.push_error(socket.ended or "the model's session ended")

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

    # --- what the model says, in the socket's own callback ------------------------------------------

    def _session_begins(self, event: dict[str, Any]) -> bool:
        seconds = float(event["session"].get("expires_at") or 0) - time.time()
        ahead = min(AHEAD_SECONDS, seconds / 4)
        self._ends_soon_at = time.monotonic() + seconds - ahead if seconds > 0 else float("inf")
        return False

    def _caller_has_spoken(self, event: dict[str, Any]) -> bool:
        self._caller_speaks = False
        return self._answer_is_due(event)

    def _answer_is_due(self, event: dict[str, Any] | None = None) -> bool:
        self._due_since, self._patience = time.monotonic(), FIRST_SIGN_SECONDS
        return False

    def _answer_has_begun(self, event: dict[str, Any]) -> bool:
        self._due_since, self._patience = time.monotonic(), PROGRESS_SECONDS
        return False

    def _speak(self, event: dict[str, Any]) -> bool:
        """Play a piece of speech. The first of each item goes on to Pipecat, which shall know that it has begun."""
        if not self._mouth.plays(event):
            return True
        self._due_since = time.monotonic()
        return not self._mouth.speak(event)

    def _words(self, event: dict[str, Any]) -> bool:
        self._mouth.words(event)
        return True

    def _response_done(self, event: dict[str, Any]) -> bool:
        self._due_since = None
        self.usage.add_response(self._config.model, event["response"].get("usage"))
        self._mouth.has_spoken(event["response"]["id"])
        return False

    def _caller_interrupts(self, event: dict[str, Any]) -> bool:
        """Stop the line, and tell the model how much of each item the caller has heard.

        The model has cancelled its response by itself (OpenAI: voice activity detection, `interrupt_response`).
        """
        self._due_since = None
        self._caller_speaks = True
        for truncation in self._mouth.interrupt():
            if self._websocket is not None:
                self._websocket.send_now(json.dumps(truncation).encode())
        return False

    # --- and the rest of it, in Pipecat's own order ---------------------------------------------------

    async def _handle_evt_audio_delta(self, evt: events.ResponseAudioDelta) -> None:
        """Note that an item has begun to be spoken; its sound is on the line already."""
        if self._current_audio_response is None:
            now_ms = int(time.time() * 1000)
            self._current_audio_response = CurrentAudioResponse(evt.item_id, evt.content_index, now_ms)
            await self.push_frame(TTSStartedFrame())

    async def _handle_evt_response_done(self, evt: events.ResponseDone) -> None:
        await super()._handle_evt_response_done(evt)
        self._current_audio_response = None

    async def _truncate_current_audio_response(self) -> None:
        """Done where `speech_started` arrived."""
        self._current_audio_response = None
