"""One session of the model: what the client says becomes hearing, turns and responses."""

import asyncio
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from loguru import logger
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from sandbox.brain import Brain, FaultKind, Turn, Why
from sandbox.conversation import Conversation, new_id
from sandbox.hearing import Ear, SpeechStarted, SpeechStopped
from sandbox.hum import Hum
from sandbox.outlet import Outlet
from sandbox.response import Manner, Response
from sandbox.scene import Journal
from sandbox.session_config import first_config, updated, vad_of
from sandbox.transcription import transcribe
from sandbox.view import ClientEvent, Json, SessionView, texts
from sandbox.wire import Refused, parse

HUM_PATIENCE_SECONDS = 3.0
"""How long the first response waits until the line is recognised."""

SHORTEST_COMMIT_MS = 100
"""Less audio than this is not taken for an utterance (OpenAI: `input_audio_buffer.commit`)."""

NOT_SIMULATED = ("conversation", "input", "prompt", "audio", "tools", "tool_choice", "metadata")
"""What a `response.create` cannot ask for here."""

SERVER_ERROR: Json = {"type": "server_error", "code": "server_error"}


@dataclass(frozen=True, slots=True)
class Timing:
    """How fast the model is. Seconds, where nothing else is said."""

    pace: float = 10.0
    """How many times faster than real time audio is sent."""

    thinking: float = 0.15
    """From the beginning of a response to its first item."""

    transcription: float = 0.1
    """From the end of an utterance to its transcript."""

    session: float = 3600.0
    """After which a session expires."""


class Session:
    """One connection."""

    def __init__(
        self,
        socket: ServerConnection,
        model: str,
        *,
        lines: Mapping[Hum, Brain],
        default_brain: Brain,
        journal: Journal,
        timing: Timing,
    ) -> None:
        """Prepare the session; `run` opens it.

        Args:
            socket: The connection, upgraded.
            model: The model that it asked for.
            lines: The brain of each line.
            default_brain: The brain of a line that does not hum, or is not known.
            journal: Where notes go.
            timing: How fast the model is.
        """
        session_id = new_id("sess")
        config = first_config(session_id, model, timing.session)
        self.view = SessionView(session_id, journal.now(), config)
        self._socket = socket
        self._lines = lines
        self._default_brain = default_brain
        self._journal = journal
        self._timing = timing
        self._conversation = Conversation(self.view.items)
        self._outlet = Outlet(socket)
        self._emit = self._outlet.emit
        self._tasks: set[asyncio.Task[None]] = set()

        self._ear = Ear(self._format("input"), vad_of(config))
        self._utterance = SpeechStarted(0)
        self._utterance_id = ""
        """The item that the utterance which has begun will be."""
        self._heard = ""
        """What the caller said last."""

        self._response: Response | None = None
        self._responding: asyncio.Task[None] | None = None
        self._greeted = False

    async def run(self) -> None:
        """Serve the client until one of both ends it."""
        self._note("session opened")
        self._emit("session.created", session=self.view.config)
        conversation = {"id": self._conversation.id, "object": "realtime.conversation"}
        self._emit("conversation.created", conversation=conversation)
        expiry = asyncio.get_running_loop().call_later(self._timing.session, self._expire)
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self._start(self._outlet.drain())
                with suppress(ConnectionClosed):
                    async for message in self._socket:
                        self._receive(message)
                for task in tuple(self._tasks):
                    task.cancel()
        finally:
            expiry.cancel()
            self.view.closed = True
            self._note("session closed", code=self._socket.close_code)

    # --- events --------------------------------------------------------------------------------------

    def _error(self, error: Json) -> None:
        error = {"code": None, "param": None, "event_id": None, **error}
        self.view.errors.append(error)
        self._note("error", code=error["code"], param=error["param"], message=error["message"])
        self._emit("error", error=error)

    def _note(self, what: str, **data: Any) -> None:
        self._journal.note("model", what, self._brain.call_sid, session=self.view.id, **data)

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _receive(self, message: str | bytes) -> None:
        event: Json = {}
        try:
            event = parse(message)
            self._keep(event)
            if not self._outlet.mute:
                self._handle(event)
        except Refused as refused:
            self._error(
                {
                    "type": "invalid_request_error",
                    "code": refused.code,
                    "message": str(refused),
                    "param": refused.param,
                    "event_id": refused.event_id or event.get("event_id"),
                }
            )

    def _keep(self, event: Json) -> None:
        payload = event
        if event["type"] == "input_audio_buffer.append":
            payload = {**event, "audio": f"({len(event['audio'])} characters)"}
        self.view.client_events.append(ClientEvent(self._journal.now(), event["type"], payload))

    def _handle(self, event: Json) -> None:
        match event["type"]:
            case "session.update":
                self._update(event["session"])
            case "input_audio_buffer.append":
                self._hear(event["audio"])
            case "input_audio_buffer.commit":
                self._commit_by_client()
            case "input_audio_buffer.clear":
                self._ear.clear()
                self._emit("input_audio_buffer.cleared")
            case "conversation.item.create":
                self._create_item(event["item"], event.get("previous_item_id"))
            case "conversation.item.retrieve":
                item = self._conversation.get(event["item_id"], "item_retrieve_invalid_item_id")
                self._emit("conversation.item.retrieved", item=item)
            case "conversation.item.delete":
                item = self._conversation.get(event["item_id"], "item_delete_invalid_item_id")
                self.view.items.remove(item)
                self._emit("conversation.item.deleted", item_id=item["id"])
            case "conversation.item.truncate":
                self._truncate(event["item_id"], event["content_index"], event["audio_end_ms"])
            case "response.create":
                self._create_response(event.get("response") or {})
            case "response.cancel":
                self._cancel_by_client(event.get("response_id"))
            case unknown:
                what = f"'{unknown}' is not available on a WebSocket connection."
                raise Refused("invalid_value", what, param="type")

    def _update(self, change: Json) -> None:
        has_spoken = any(
            item["id"] in self._conversation.audio_ms and item["role"] == "assistant"
            for item in self.view.items
            if item["type"] == "message"
        )
        self.view.config = updated(self.view.config, change, has_spoken=has_spoken)
        self._ear.tune(self._format("input"), vad_of(self.view.config))
        self._emit("session.updated", session=self.view.config)

    def _create_item(self, item: Json, after: str | None) -> None:
        if item["type"] not in ("message", "function_call", "function_call_output"):
            what = f"The sandbox has no items of type '{item['type']}'."
            raise Refused("not_simulated", what, param="item.type")
        if item["type"] == "function_call_output" and not self._conversation.called(item["call_id"]):
            what = f"Tool call ID '{item['call_id']}' not found in conversation."
            raise Refused("invalid_tool_call_id", what, param="item.call_id")
        item = {**item, "id": item.get("id") or new_id("item"), "object": "realtime.item", "status": "completed"}
        previous = self._conversation.add(item, after)
        self._note("is told", kind=item.get("role", item["type"]), text="\n".join(texts(item)))
        self._announce(item, previous)

    def _truncate(self, item_id: str, content_index: int, audio_end_ms: int) -> None:
        of_ms = self._conversation.audio_ms.get(item_id)
        self._conversation.truncate(item_id, content_index, audio_end_ms)
        self.view.truncations.append((item_id, content_index, audio_end_ms))
        self._note("truncated", item_id=item_id, audio_end_ms=audio_end_ms, of_ms=of_ms)
        self._emit(
            "conversation.item.truncated",
            item_id=item_id,
            content_index=content_index,
            audio_end_ms=audio_end_ms,
        )

    def _announce(self, item: Json, previous: str | None) -> None:
        self._emit("conversation.item.added", previous_item_id=previous, item=item)
        self._emit("conversation.item.done", previous_item_id=previous, item=item)

    # --- hearing -------------------------------------------------------------------------------------

    def _format(self, end: Literal["input", "output"]) -> str:
        return self.view.config["audio"][end]["format"]["type"]

    def _hear(self, audio: str) -> None:
        turns = self.view.config["audio"]["input"]["turn_detection"]
        try:
            happened = self._ear.hear(audio)
        except ValueError as error:
            raise Refused("invalid_value", f"Invalid 'audio': {error}.", param="audio") from error
        self.view.audio_ms_received = self._ear.received_ms
        if self._ear.hum != self.view.hum:
            self.view.hum = self._ear.hum
            self._note("recognises the line", hum=self.view.hum)
        for event in happened:
            if isinstance(event, SpeechStarted):
                self._speech_started(event, interrupts=turns["interrupt_response"])
            else:
                self._speech_stopped(event, answer=turns["create_response"])

    def _speech_started(self, started: SpeechStarted, *, interrupts: bool) -> None:
        self._utterance, self._utterance_id = started, new_id("item")
        self._emit(
            "input_audio_buffer.speech_started",
            audio_start_ms=started.at_ms,
            item_id=self._utterance_id,
        )
        if interrupts:
            self._cancel("turn_detected")

    def _speech_stopped(self, stopped: SpeechStopped, *, answer: bool) -> None:
        self._emit(
            "input_audio_buffer.speech_stopped",
            audio_end_ms=stopped.at_ms,
            item_id=self._utterance_id,
        )
        self._commit(self._utterance_id, stopped.at_ms - self._utterance.at_ms)
        if answer:
            (modality,) = self.view.config["output_modalities"]
            self._respond("speech", modality=modality)

    def _commit_by_client(self) -> None:
        buffered_ms = self._ear.buffered_ms
        if buffered_ms < SHORTEST_COMMIT_MS:
            what = (
                "Error committing input audio buffer: buffer too small. Expected at least "
                f"{SHORTEST_COMMIT_MS}ms of audio, but buffer only has {buffered_ms:.2f}ms of audio."
            )
            raise Refused("input_audio_buffer_commit_empty", what)
        self._ear.clear()
        self._commit(new_id("item"), buffered_ms)

    def _commit(self, item_id: str, ms: float) -> None:
        """The audio that was heard becomes the caller's message."""
        self._ear.buffered_ms = 0.0
        previous = self._conversation.last_id
        self._emit("input_audio_buffer.committed", previous_item_id=previous, item_id=item_id)
        item: Json = {
            "id": item_id,
            "object": "realtime.item",
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": [{"type": "input_audio", "transcript": None}],
        }
        self._conversation.add(item)
        self._conversation.audio_ms[item_id] = ms
        self._announce(item, previous)
        transcript = self._brain.transcript()
        self._heard = transcript or ""
        self._note("hears", text=transcript)
        if self.view.config["audio"]["input"]["transcription"] is not None:
            delay = self._timing.transcription
            self._start(transcribe(item, transcript, self._emit, audio_ms=ms, delay=delay))

    # --- responses -----------------------------------------------------------------------------------

    @property
    def _brain(self) -> Brain:
        hum = self.view.hum
        return self._default_brain if hum is None else self._lines.get(hum, self._default_brain)

    @property
    def _active(self) -> Response | None:
        response = self._response
        return None if response is None or response.over else response

    def _create_response(self, params: Json) -> None:
        for name in NOT_SIMULATED:
            if params.get(name) not in (None, "auto"):
                what = f"The sandbox has no responses with '{name}'."
                raise Refused("not_simulated", what, param=f"response.{name}")
        modalities = params.get("output_modalities") or self.view.config["output_modalities"]
        if len(modalities) != 1:
            what = f"Invalid modalities: {modalities}. Supported: ['text'] and ['audio']."
            raise Refused("invalid_value", what, param="response.output_modalities")
        why, prompt = self._conversation.asks()
        if why != "speech" and not self._greeted:
            why = "greeting"
        self._respond(why, params.get("instructions") or prompt, modality=modalities[0])
        self._greeted = True

    def _respond(self, why: Why, prompt: str = "", *, modality: Literal["audio", "text"]) -> None:
        """Begin a response; it goes on beside whatever the client does."""
        if active := self._active:
            what = f"Conversation already has an active response in progress: {active.id}"
            raise Refused("conversation_already_has_active_response", what)
        manner = Manner(modality, self._format("output"), self.view.config["audio"]["output"], self._timing.pace)
        self.view.response_count += 1
        self._response = Response(
            self._emit,
            self._conversation,
            manner,
            why=why,
            instructions=self.view.instructions,
            note=self._note,
            fault=self._break,
        )
        turn = Turn(why, self._heard if why == "speech" else "", prompt, self.view)
        self._responding = self._start(self._perform(self._response, turn))

    async def _perform(self, response: Response, turn: Turn) -> None:
        await asyncio.sleep(self._timing.thinking)
        if self._lines:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ear.hum_known.wait(), HUM_PATIENCE_SECONDS)
        try:
            reply = await self._brain.reply(turn)
        except Exception as error:  # a story's mistake must not look like a silent model
            logger.exception("the brain failed in {}", turn.why)
            self._note("brain failed", error=repr(error))
            response.finish("failed", error=SERVER_ERROR)
        else:
            await response.perform(reply)

    def _cancel_by_client(self, response_id: str | None) -> None:
        active = self._active
        if active is None or response_id not in (None, active.id):
            what = "Cancellation failed: no active response found"
            raise Refused("response_cancel_not_active", what)
        self._cancel("client_cancelled")

    def _cancel(self, reason: Literal["turn_detected", "client_cancelled"]) -> None:
        active, task = self._active, self._responding
        if active is not None and task is not None:
            task.cancel()
            active.finish("cancelled", reason=reason)

    # --- faults --------------------------------------------------------------------------------------

    def break_now(self, kind: FaultKind) -> None:
        """Break, whatever is going on."""
        self._start(self._break(kind))

    async def _break(self, kind: FaultKind) -> None:
        """Do what a `Fault` says. Where the session has ended or hangs, nothing comes behind it."""
        self._note("breaks", kind=kind)
        match kind:
            case "error_event":
                what = "The server had an error while processing your request. Sorry about that!"
                self._error({"type": "server_error", "code": "server_error", "message": what})
                if active := self._active:
                    active.finish("failed", error=SERVER_ERROR)
                return
            case "unparsable":
                item = {"id": new_id("item"), "type": "mcp_list_tools", "server_label": "x", "tools": []}
                self._emit("conversation.item.added", previous_item_id=None, item=item)
                return
            case "close":
                self._outlet.close()
            case "close_1000":
                self._outlet.close(1000)
            case "close_1011":
                self._outlet.close(1011)
            case "expire":
                self._expire()
            case "fatal_error":
                what = "You exceeded your current quota, please check your plan and billing details."
                self._error({"type": "insufficient_quota", "code": "insufficient_quota", "message": what})
                self._outlet.mute = True
            case "stall":
                self._outlet.stall()
                return
            case "abort":
                self._outlet.abort()
            case "hang":
                self._outlet.mute = True
        await asyncio.Event().wait()

    def _expire(self) -> None:
        minutes = round(self._timing.session / 60)
        what = f"Your session hit the maximum duration of {minutes} minutes."
        self._error({"type": "invalid_request_error", "code": "session_expired", "message": what})
        self._outlet.close()
