"""The bot on a person's own stream, before they take the call: its pipeline, and who may open it (mode `consult`).

transport in ▸ user turn ▸ MODEL ▸ Decisions ▸ transport out ▸ assistant turn

Smaller than a `bot.conversation.Conversation`: whatever breaks here, our socket is closed, and Twilio asks what the
person has decided. Who has decided nothing is asked for a key then, so this never has to be mended.
"""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fastapi import WebSocket
from loguru import logger
from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    FunctionCallsStartedFrame,
    InputDTMFFrame,
    LLMRunFrame,
    UserStartedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.utils.errors import ErrorCategory
from pipecat.workers.runner import WorkerRunner

from bot import briefing, twiml
from bot.anteroom import Anteroom
from bot.call import Call
from bot.consultation import CONSULT_SECONDS
from bot.consulting_tools import CONSULTING_TOOLS, decided, pressed
from bot.events import Event, ImpossibleEvent
from bot.media import SAMPLE_RATE, TwilioTransport
from bot.person_events import ConsultationStarted
from bot.reception import Receptions
from bot.routing import Mode, resolve
from bot.session import Session
from bot.start import Start
from bot.switchboard import Switchboard
from bot.tokens import StreamTokens
from bot.wire import Wire, wire_of
from pipelines.legs import Leg

IDLE_SECONDS = 20.0
"""How long nobody may say anything. A mailbox, and a person who has put the telephone down, are asked for a key."""

LAST_WORDS_SECONDS = 4.0
"""How long the bot's last sentence may be heard after the person has decided."""

MOVE_SECONDS = 5.0
"""How long an order for the person's own call may take, when something else than their word has decided."""

LOOK_SECONDS = 0.2
"""How often the conversation is looked at."""

_CALL_SID = re.compile(r"CA[0-9a-fA-F]{32}")


class Consulting:
    """Lets people talk with the bot about the caller for whom they are called."""

    def __init__(
        self, switchboard: Switchboard, receptions: Receptions, anteroom: Anteroom, tokens: StreamTokens
    ) -> None:
        """Prepare.

        Args:
            switchboard: Finds calls.
            receptions: The pipelines and rules of each of our numbers.
            anteroom: Opens a model's session while Twilio opens the stream.
            tokens: Makes and checks what opens a person's stream; none of these opens a caller's.
        """
        self._switchboard = switchboard
        self._receptions = receptions
        self._anteroom = anteroom
        self._tokens = tokens

    def document(self, call: Call, attempt: int, leg_sid: str) -> str | None:
        """What a person gets who has picked up; None where they are only asked for a key.

        Args:
            call: The caller's call.
            attempt: Whom, from 1.
            leg_sid: The CallSid of the person's call.
        """
        tried = call.attempts[attempt - 1]
        mode = resolve(self._receptions.of(call.called).policy, tried.target).mode
        if mode is not Mode.CONSULT or tried.consulted_at is not None or not _CALL_SID.fullmatch(leg_sid):
            return None
        self._anteroom.prepare(leg_sid, attempt, self._builder(call))
        token = self._tokens.make(f"{call.sid} {leg_sid}", attempt, self._switchboard.now())
        return twiml.consult(attempt, call.sid, token, self._switchboard.addresses(call))

    async def converse(self, websocket: WebSocket, start: Start) -> bool:
        """Let a person talk with the bot until their stream ends.

        Returns:
            False when the stream is refused: its token is not one of this person's, expired, or used.
        """
        caller, token = start.parameters.get("call", ""), start.parameters.get("consultation", "")
        now = self._switchboard.now()
        attempt = self._tokens.leg(token, f"{caller} {start.call_sid}", now)
        session = await self._switchboard.find(caller, start.parameters.get("state", "")) if attempt else None
        if attempt is None or session is None or not await _begins(session, attempt, now):
            logger.warning("a person's stream is refused")
            return False
        with logger.contextualize(call_sid=caller):
            call = session.call
            leg = self._anteroom.take(start.call_sid, attempt, self._builder(call))
            said = await self._switchboard.conversation(session)
            policy = self._receptions.of(call.called).policy
            target = resolve(policy, call.attempts[attempt - 1].target)
            opening = briefing.for_consulting_bot(call, target, said)
            await Consultation(wire_of(websocket), start, session, attempt, leg=leg, opening=opening).run()
        return True

    def _builder(self, call: Call) -> Callable[[], Leg]:
        reception = self._receptions.of(call.called)
        return lambda: reception.build_for_person(call.model, call.change)


async def _begins(session: Session, attempt: int, now: float) -> bool:
    """Whether this stream is the one of its attempt."""
    try:
        await session.apply(ConsultationStarted(at=now, attempt=attempt))
    except ImpossibleEvent as error:
        logger.warning("{}", error)
        return False
    return session.call.attempts[attempt - 1].consulted_at == now


class Consultation:
    """One such talk."""

    def __init__(self, wire: Wire, start: Start, session: Session, attempt: int, *, leg: Leg, opening: str) -> None:
        """Build the pipeline; `run` starts it.

        Args:
            wire: The accepted socket, whose `start` has been read.
            start: What it says.
            session: The caller's call.
            attempt: Whose stream it is.
            leg: The model.
            opening: What it is told first.
        """
        self._wire = wire
        self._session = session
        self._attempt = attempt
        self._leg = leg
        self._clock = asyncio.get_running_loop().time
        self._began = self._last_sign = self._clock()
        self._deciding: asyncio.Task[None] | None = None
        self._decided_at: float | None = None
        self._moved_at: float | None = None
        self._closing = False
        self._ending: asyncio.Task[Any] | None = None
        self._transport = TwilioTransport(
            wire,
            start.stream_sid,
            start.call_sid,
            hear=None if leg.takes_frames else leg.hear,
            on_end=self._stream_ended,
        )
        leg.speak_to(self._transport.output())
        context = LLMContext([{"role": "developer", "content": opening}], CONSULTING_TOOLS)
        user, assistant = LLMContextAggregatorPair(context, user_params=leg.user_turns)
        stages = [*leg.ears, user, *leg.stages, Decisions(self._function_called, self._key_pressed, self._sign_of_life)]
        self._worker = PipelineWorker(
            Pipeline([self._transport.input(), *stages, self._transport.output(), assistant]),
            params=PipelineParams(
                audio_in_sample_rate=SAMPLE_RATE,
                audio_out_sample_rate=SAMPLE_RATE,
                enable_usage_metrics=leg.takes_frames,
            ),
            cancel_on_idle_timeout=False,
            idle_timeout_secs=None,
            enable_rtvi=False,
            enable_turn_tracking=False,
        )
        self._listen_to_errors()

    async def run(self) -> None:
        """Talk until the stream ends, from whichever side."""
        runner = WorkerRunner(handle_sigint=False)
        watching = asyncio.create_task(self._watch())
        try:
            await runner.add_workers(self._worker)
            await self._worker.queue_frame(LLMRunFrame())
            await runner.run()
        finally:
            watching.cancel()
            if self._deciding is not None:
                await asyncio.wait({self._deciding}, timeout=LAST_WORDS_SECONDS)
            await self._leg.close()
            usage = self._leg.usage
            facts = {"tokens": usage.total, "usage": usage.facts(), "attempt": self._attempt}
            await self._session.note(self._session.now(), "ConsultationMeasured", facts)

    # --- what the person decides ---------------------------------------------------------------------

    def _function_called(self, name: str, arguments: Mapping[str, Any]) -> None:
        self._decide(decided(name, arguments, self._attempt, self._session.now()))

    def _key_pressed(self, key: str) -> None:
        self._last_sign = self._clock()
        self._decide(pressed(key, self._attempt, self._session.now()))

    def _decide(self, event: Event | None) -> None:
        """They decide once. The stream ends when it is known everywhere, and the last sentence has been heard."""
        if event is not None and self._deciding is None:
            self._deciding = asyncio.create_task(self._carry_out(event))

    async def _carry_out(self, event: Event) -> None:
        try:
            await self._session.apply(event)
        except ImpossibleEvent as error:
            logger.warning("{}", error)
        self._decided_at = self._clock()

    # --- its end ---------------------------------------------------------------------------------------

    def _sign_of_life(self) -> None:
        self._last_sign = self._clock()

    async def _watch(self) -> None:
        """End it when nothing more can come of it."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if (why := self._over()) is not None:
                logger.info("a person's talk with the bot ends: {}", why)
                await self._close()
                return

    async def _close(self) -> None:
        """Twilio goes on with what stands behind the stream."""
        if not self._closing:
            self._closing = True
            await self._wire.close()

    def _over(self) -> str | None:
        now = self._clock()
        if self._transport.output().playing:
            self._last_sign = now
        self._leg.want_sign()
        attempt = self._session.call.attempts[self._attempt - 1]
        if self._decided_at is not None:
            # A function call can overtake the sound of the sentence that comes with it.
            since = now - self._decided_at
            heard = since > LOOK_SECONDS and not self._transport.output().playing
            return "the person has decided" if heard or since > LAST_WORDS_SECONDS else None
        if self._deciding is None and (attempt.outcome is not None or attempt.accepted_at is not None):
            # Decided elsewhere, and an order moves them on: twice would lead them out of the conference again.
            self._moved_at = self._moved_at or now
            return "no order has moved the person on" if now - self._moved_at > MOVE_SECONDS else None
        if now - self._began > CONSULT_SECONDS:
            return "it has taken long enough"
        if self._deciding is None and now - self._last_sign > IDLE_SECONDS:
            return "nobody says anything"
        return self._leg.overdue

    def _listen_to_errors(self) -> None:
        mine: Sequence[FrameProcessor] = (*self._leg.ears, *self._leg.stages)

        @self._worker.event_handler("on_pipeline_error")
        async def on_pipeline_error(_: Any, frame: ErrorFrame) -> None:
            if frame.processor in mine and frame.category is not ErrorCategory.APPLICATION:
                logger.error("the model of a person's talk: {}", frame.error)
                await self._close()

    def _stream_ended(self) -> None:
        self._ending = asyncio.create_task(self._worker.cancel(reason="the stream is over"))


class Decisions(FrameProcessor):
    """Sees the model's function calls at once, and the person's keys. Every frame goes on."""

    def __init__(
        self,
        function_called: Callable[[str, Mapping[str, Any]], None],
        key_pressed: Callable[[str], None],
        sign_of_life: Callable[[], None],
    ) -> None:
        """Args: what is told of each: a function of the model's, a key, speech of the person's."""
        super().__init__()
        self._function_called = function_called
        self._key_pressed = key_pressed
        self._sign_of_life = sign_of_life

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """See the class."""
        await super().process_frame(frame, direction)
        match frame:
            case FunctionCallsStartedFrame() if direction is FrameDirection.DOWNSTREAM:
                for call in frame.function_calls:
                    self._function_called(
                        call.function_name, call.arguments if isinstance(call.arguments, Mapping) else {}
                    )
            case InputDTMFFrame():
                self._key_pressed(frame.button.value)
            case UserStartedSpeakingFrame():
                self._sign_of_life()
            case _:
                pass
        await self.push_frame(frame, direction)
