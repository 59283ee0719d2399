"""One conversation: the pipeline on one media stream, from the first word to the stream's end.

transport in ▸ user turn ▸ MODEL ▸ HandoffProcessor ▸ transport out ▸ assistant turn
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from loguru import logger
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import ErrorFrame, LLMRunFrame
from pipecat.observers.base_observer import BaseObserver
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    AssistantTurnStoppedMessage,
    LLMContextAggregatorPair,
    UserTurnMessageAddedMessage,
)
from pipecat.workers.runner import WorkerRunner

from bot import briefing
from bot.call import By, waiting_person
from bot.events import ModelRenewed
from bot.handoff import HandoffProcessor
from bot.listening import Listening
from bot.media import SAMPLE_RATE, TwilioTransport
from bot.routing import Policy
from bot.session import Session
from bot.watch import ModelWatch
from bot.wire import Wire
from pipelines import Leg, PipelineConfig

RENEW_AGAIN_SECONDS = 0.5
"""How long after a new session of the model could not be had it is tried once more."""


class Conversation:
    """The bot on one leg of a call."""

    def __init__(
        self,
        wire: Wire,
        stream_sid: str,
        session: Session,
        *,
        policy: Policy,
        pipeline: PipelineConfig,
        leg: Leg,
        tools: ToolsSchema,
        observers: Sequence[BaseObserver] = (),
    ) -> None:
        """Build the pipeline; `run` starts it.

        Args:
            wire: The accepted socket, whose `start` has been read.
            stream_sid: The stream's SID.
            session: The call's session, in which this leg's stream has started.
            policy: The operator's rules.
            pipeline: The model leg's settings.
            leg: The model.
            tools: What it may call.
            observers: Pipecat's, who see every frame that is pushed.
        """
        self._wire = wire
        self._session = session
        self._leg_number = session.call.leg
        self._goodbyes: set[int] = set()
        self._closing: asyncio.Task[None] | None = None
        self._leg = leg
        self._filler = pipeline.filler_audio
        self._transport = TwilioTransport(
            wire, stream_sid, session.sid, hear=None if leg.takes_frames else leg.hear, on_end=self._stream_ended
        )
        leg.speak_to(self._transport.output())
        self._listening = Listening(
            session,
            silence_seconds=policy.triggers.silence_seconds,
            playing=lambda: self._transport.output().playing,
        )
        self._handoff = HandoffProcessor(
            session,
            self._leg,
            leg_number=self._leg_number,
            goodbye_line=policy.goodbye_line,
            barge_in=policy.goodbye_barge_in,
            listening=self._listening,
        )
        self._context = LLMContext(_opening(session, policy, pipeline), tools)
        user_turn, assistant_turn = LLMContextAggregatorPair(
            self._context,
            user_params=leg.user_turns,
        )
        self._worker = PipelineWorker(
            Pipeline(
                [
                    self._transport.input(),
                    *self._leg.ears,
                    user_turn,
                    *self._leg.stages,
                    self._handoff,
                    self._transport.output(),
                    assistant_turn,
                ]
            ),
            params=PipelineParams(
                audio_in_sample_rate=SAMPLE_RATE,
                audio_out_sample_rate=SAMPLE_RATE,
                enable_usage_metrics=leg.takes_frames,  # the others count their tokens themselves
            ),
            cancel_on_idle_timeout=False,  # a silent caller is not hung up on
            idle_timeout_secs=None,
            enable_rtvi=False,
            enable_turn_tracking=False,
            observers=list(observers),
        )
        self._watch = ModelWatch(
            session,
            leg,
            fill=self._fill,
            silent=lambda: not self._transport.output().playing,
            most_tokens=policy.bot_tokens,
        )
        self._listen_to(user_turn, assistant_turn)

    async def run(self) -> None:
        """Talk until the stream ends, from whichever side."""
        self._session.attach(self)
        runner = WorkerRunner(handle_sigint=False)
        watching = [asyncio.create_task(each.run()) for each in (self._watch, self._listening)]
        try:
            await runner.add_workers(self._worker)
            await self._worker.queue_frame(LLMRunFrame())
            await runner.run()
        finally:
            for task in watching:
                task.cancel()
            self._session.detach(self)
            self._keep()
            await self._leg.close()

    async def write(self, text: str) -> None:
        """Take what the caller types instead of saying it."""
        self._session.add_line("caller", text, self._session.now())
        await self._leg.write(text)
        self._keep()

    # --- bot.session.Conversation -------------------------------------------------------------------

    def say_goodbye(self, handoff: int) -> None:
        """The model's own words count for the first request of its own; otherwise it is asked for the line."""
        first = handoff not in self._goodbyes
        self._goodbyes.add(handoff)
        asked = self._session.call.handoffs[handoff - 1]
        stayed = waiting_person(self._session.call) > 0  # what it said when it asked was no goodbye
        by_model = first and asked.by is By.MODEL and not stayed
        self._handoff.say_goodbye(handoff, by_model=by_model)

    def say_farewell(self, farewell: int) -> None:
        """See the protocol."""
        self._handoff.say_farewell(farewell)

    def listen_again(self, advice: str) -> None:
        """See the protocol."""
        self._handoff.listen_again(advice)

    def tell(self, text: str) -> None:
        """See the protocol."""
        self._handoff.tell(text)

    def renew_model(self, renewal: int) -> None:
        """See the protocol. The caller hears a word meanwhile."""
        self._renewing = asyncio.create_task(self._renew(renewal))

    def _fill(self) -> None:
        """A word from a recording, which is no part of what the model says before and after it."""
        line = self._transport.output()
        line.finish()
        line.play(self._filler)
        line.finish()

    async def _renew(self, renewal: int) -> None:
        line = self._transport.output()
        being_said = f"{line.being_said} {self._leg.unspoken.strip()}".strip()
        instruction = briefing.for_renewed_bot(being_said)
        self._fill()
        has_spoken = any(isinstance(m, dict) and m.get("role") == "assistant" for m in self._context.get_messages())
        failure: Exception | None = None
        for pause in (0.0, RENEW_AGAIN_SECONDS):
            await asyncio.sleep(pause)
            try:
                await self._leg.renew(instruction if has_spoken or being_said else "")
            except Exception as error:
                failure = error
            else:
                self._watch.renewed()
                self._session.post(ModelRenewed(at=self._session.now(), renewal=renewal))
                return
        if failure is not None:
            self._watch.failed(failure)

    def close(self) -> None:
        """Straight at the socket: the pipeline may be what does not answer any more."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._wire.close())

    def _stream_ended(self) -> None:
        self._ending = asyncio.create_task(self._worker.cancel(reason="the stream is over"))

    # --- what is heard and said ---------------------------------------------------------------------

    def _listen_to(self, user_turn: Any, assistant_turn: Any) -> None:
        """Subscribe to the pipeline's own events."""

        @self._worker.event_handler("on_pipeline_error")
        async def on_pipeline_error(_: Any, frame: ErrorFrame) -> None:
            self._watch.error(frame)

        @user_turn.event_handler("on_user_turn_message_added")
        async def on_user_turn_message_added(_: Any, message: UserTurnMessageAddedMessage) -> None:
            self._session.add_line("caller", message.content, _moment(message.timestamp))
            self._listening.understood(message.content)
            self._keep()

        @assistant_turn.event_handler("on_assistant_turn_stopped")
        async def on_assistant_turn_stopped(_: Any, message: AssistantTurnStoppedMessage) -> None:
            if message.content:
                self._session.add_line("bot", message.content, _moment(message.timestamp))
                self._keep()

    def _keep(self) -> None:
        """Whichever process goes on with the call shall know what was said: this one may vanish at any moment."""
        self._session.keep_conversation(self._context.get_messages(), self._leg_number)


def _opening(session: Session, policy: Policy, pipeline: PipelineConfig) -> list[Any]:
    """The messages with which the model starts: the greeting, or the conversation so far and why the caller is back."""
    note = briefing.for_returning_bot(session.call, policy)
    if note is not None:
        return [*session.messages, {"role": "developer", "content": note}]
    if pipeline.greeting:
        words = f'A call has come in. Begin by saying exactly: "{pipeline.greeting}"'
        return [{"role": "developer", "content": words}]
    logger.debug("no greeting is configured; the model opens the conversation")
    return []


def _moment(timestamp: str) -> float:
    """Pipecat's ISO 8601 time as Unix seconds."""
    return datetime.fromisoformat(timestamp).timestamp()
