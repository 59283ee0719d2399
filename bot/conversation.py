"""One conversation: the pipeline on one media stream, from the first word to the stream's end.

transport in ▸ user turn ▸ MODEL ▸ HandoffProcessor ▸ transport out ▸ assistant turn
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from loguru import logger
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
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.workers.runner import WorkerRunner

from bot import briefing
from bot.call import By, Direction, waiting_person
from bot.events import ModelRenewed
from bot.handoff import HandoffProcessor
from bot.keypad import Keypad
from bot.lending import LentWire
from bot.listening import Listening
from bot.media import SAMPLE_RATE, TwilioTransport
from bot.reception import Reception
from bot.routing import Policy
from bot.session import Session
from bot.watch import ModelWatch
from pipelines.config import PipelineConfig
from pipelines.legs import Leg
from pipelines.slot import Slot
from pipelines.usage import Usage

RENEW_AGAIN_SECONDS = 0.5
"""How long after a new session of the model could not be had it is tried once more."""

LEAVE_SECONDS = 0.3
"""How long a bot that gives way may take to end its pipeline before who comes next has the caller all the same."""


class Conversation:
    """The bot on one leg of a call."""

    def __init__(
        self,
        wire: LentWire,
        stream_sid: str,
        session: Session,
        *,
        reception: Reception,
        leg: Leg,
        observers: Sequence[BaseObserver] = (),
    ) -> None:
        """Build the pipeline; `run` starts it.

        Args:
            wire: The call's media socket.
            stream_sid: The stream's SID.
            session: The call's session, in which this leg's stream has started.
            reception: The pipelines of the number that was called, and the operator's rules.
            leg: The model, of the pipeline that the call is at.
            observers: Pipecat's, who see every frame that is pushed.
        """
        policy, model = reception.policy, reception.known(session.call.model)
        pipeline = reception.pipelines[model]
        self._wire = wire
        self._session = session
        self._leg_number = session.call.leg
        self._goodbyes: set[int] = set()
        self._closing: asyncio.Task[None] | None = None
        self._unwinding: asyncio.Task[None] | None = None
        self._left = False
        """The call goes on without this bot: what it still says to itself is not kept."""

        self._renewing: asyncio.Task[None] | None = None
        self._reception = reception
        self._leg = leg
        self._usage = Usage()
        """Of the legs that another one has replaced."""

        self._filler = pipeline.filler_audio
        self._transport = TwilioTransport(
            wire,
            stream_sid,
            session.sid,
            hear=None if leg.takes_frames else leg.hear,
            on_words=session.words_heard,
            on_end=self._stream_ended,
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
            goodbye_seconds=policy.goodbye_seconds,
            listening=self._listening,
            changes=pipeline.named_changes,
            keypad=Keypad(session.call, policy.callback) if policy.callback is not None else None,
        )
        self._context = LLMContext(_opening(session, policy, pipeline), reception.tools[model])
        front, back = self._around(leg)
        self._places: tuple[Slot, Slot] | None = None
        if len(reception.pipelines) > 1:  # others may take the leg's place
            self._places = Slot(front), Slot(back)
            front, back = [self._places[0]], [self._places[1]]
        self._worker = PipelineWorker(
            Pipeline([self._transport.input(), *front, self._handoff, self._transport.output(), *back]),
            params=PipelineParams(
                audio_in_sample_rate=SAMPLE_RATE,
                audio_out_sample_rate=SAMPLE_RATE,
                # A leg without frames counts its tokens itself.
                enable_usage_metrics=leg.takes_frames or self._places is not None,
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
        self._listen_to_errors()

    def _around(self, leg: Leg) -> tuple[list[FrameProcessor], list[FrameProcessor]]:
        """The processors of a leg with the turns of caller and bot, before and behind the output."""
        pair = LLMContextAggregatorPair(self._context, user_params=leg.user_turns)
        self._user_turn, self._assistant_turn = pair
        self._listen_to(self._user_turn, self._assistant_turn)
        return [*leg.ears, self._user_turn, *leg.stages], [self._assistant_turn]

    async def run(self) -> None:
        """Talk until the stream ends, from whichever side, or is left to somebody else.

        Who comes next waits neither for a pipeline that stands still nor for a model that does not let go.
        """
        pipeline = asyncio.create_task(self._run_pipeline())
        watching = [asyncio.create_task(each.run()) for each in (self._watch, self._listening)]
        try:
            await self._wire.until_left(pipeline, LEAVE_SECONDS)
            if pipeline.done():
                pipeline.result()
            else:
                await self._end_turns()
        finally:
            for task in watching:
                task.cancel()
            if self._renewing is not None:
                self._renewing.cancel()
            if not self._wire.given_back:
                self._session.detach(self)
            self._usage.add(self._leg.usage)
            self._session.stream_over(self._usage)
            self._keep()
            self._left = True
            self._unwinding = asyncio.create_task(self._unwind(pipeline))
            if not self._wire.given_back:
                pipeline.cancel()
                await self._unwinding

    async def _run_pipeline(self) -> None:
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(self._worker)
        await self._worker.queue_frame(LLMRunFrame())
        await runner.run()

    async def _unwind(self, pipeline: asyncio.Task[None]) -> None:
        await asyncio.gather(pipeline, return_exceptions=True)
        await self._leg.close()

    async def write(self, text: str) -> None:
        """Take what the caller types instead of saying it."""
        self._session.add_line("caller", text, self._session.now())
        await self._leg.write(text)
        self._keep()

    # --- bot.talk.Conversation -------------------------------------------------------------------

    def say_goodbye(self, handoff: int) -> None:
        """The model's own words count for the first request of its own; otherwise it is asked for the line."""
        if self._wire.given_back:
            return  # who comes next sees to it
        first = handoff not in self._goodbyes
        self._goodbyes.add(handoff)
        asked = self._session.call.handoffs[handoff - 1]
        stayed = waiting_person(self._session.call) > 0  # what it said when it asked was no goodbye
        by_model = first and asked.by is By.MODEL and not stayed
        self._handoff.say_goodbye(handoff, by_model=by_model)

    def say_farewell(self, farewell: int, *, prompted: bool) -> None:
        """See the protocol."""
        self._handoff.say_farewell(farewell, prompted=prompted)

    def advise(self, text: str) -> None:
        """See the protocol."""
        self._handoff.advise(briefing.hint(text))

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
        instruction = self._how_to_go_on()
        self._fill()
        failure: Exception | None = None
        again = () if self._places else (RENEW_AGAIN_SECONDS,)  # where another model can come, it comes at once
        for pause in (0.0, *again):
            await asyncio.sleep(pause)
            try:
                await self._leg.renew(instruction)
            except Exception as error:
                failure = error
            else:
                self._watch.renewed()
                self._session.post(ModelRenewed(at=self._session.now(), renewal=renewal))
                return
        if failure is not None:
            self._watch.failed(failure)

    def _how_to_go_on(self) -> str:
        """The instruction for whoever takes over from the model; empty where the bot has said nothing yet."""
        being_said = f"{self._transport.output().being_said} {self._leg.unspoken.strip()}".strip()
        has_spoken = any(isinstance(m, dict) and m.get("role") == "assistant" for m in self._context.get_messages())
        return briefing.for_renewed_bot(being_said) if has_spoken or being_said else ""

    def adjust(self, change: str) -> None:
        """See the protocol. What the model is saying now it says to its end."""
        self._handoff.when_it_pauses(lambda: self._adjust(change))

    async def _adjust(self, change: str) -> None:
        model = self._reception.known(self._session.call.model)
        config = self._reception.pipelines[model].changed(change)
        try:
            await self._leg.adjust(config, briefing.for_changed_bot(config.language))
        except Exception as error:
            self._watch.failed(error)

    def change_model(self, model: int, renewal: int) -> None:
        """See the protocol. The caller hears a word meanwhile."""
        if self._renewing is not None:
            self._renewing.cancel()  # what it finds out is of no interest any more
        self._renewing = asyncio.create_task(self._change(model, renewal))

    async def _change(self, model: int, renewal: int) -> None:
        instruction = self._how_to_go_on()
        self._fill()
        before, leg = self._leg, self._reception.build(model, self._session.call.change)
        try:
            await leg.open()
            await self._put_in_place(model, leg, instruction)
        except Exception as error:
            self._watch.failed(error)
            return
        finally:
            if self._leg is not leg:
                await leg.close()
        logger.warning("another model has taken over: pipeline {} of {}", model + 1, len(self._reception.pipelines))
        self._session.post(ModelRenewed(at=self._session.now(), renewal=renewal))
        await before.close()

    async def _put_in_place(self, model: int, leg: Leg, instruction: str) -> None:
        """Let a leg and turns of its own take the place of those before, on the same conversation."""
        if self._places is None:
            raise OSError("no other pipeline is named in `fallback`")
        front, back = self._places
        await self._end_turns()
        if instruction:
            self._context.add_message({"role": "developer", "content": instruction})
        self._context.set_tools(self._reception.tools[self._reception.known(model)])
        leg.speak_to(self._transport.output())
        before, behind = self._around(leg)
        replaced, self._leg = self._leg, leg
        self._transport.input().hear_with(None if leg.takes_frames else leg.hear)
        await back.refill(behind)
        await front.refill(before)
        self._usage.add(replaced.usage)
        self._handoff.use(leg)
        self._watch.renewed(leg)
        await front.queue_frame(LLMRunFrame())

    async def _end_turns(self) -> None:
        """What was said last joins the conversation and the record, finished or not."""
        now = self._session.now()
        if text := self._user_turn.aggregation_string().strip():
            await self._user_turn.reset()
            self._context.add_message({"role": "user", "content": text})
            self._session.add_line("caller", text, now)
        if text := self._assistant_turn.aggregation_string().strip():
            await self._assistant_turn.reset()
            self._context.add_message({"role": "assistant", "content": text})
            self._session.add_line("bot", text, now)

    def relay(self, audio: bytes) -> None:
        """See the protocol. The bot has this place."""

    def give_way(self) -> None:
        """See the protocol. What the caller has not heard of the bot's last sentence was not said."""
        self._watch.leave()
        if self._renewing is not None:
            self._renewing.cancel()
        self._transport.output().clear()
        self._wire.give_back()

    def close(self) -> None:
        """Straight at the socket: the pipeline may be what does not answer any more."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._wire.close())

    def _stream_ended(self) -> None:
        self._ending = asyncio.create_task(self._worker.cancel(reason="the stream is over"))

    # --- what is heard and said ---------------------------------------------------------------------

    def _listen_to_errors(self) -> None:
        @self._worker.event_handler("on_pipeline_error")
        async def on_pipeline_error(_: Any, frame: ErrorFrame) -> None:
            self._watch.error(frame)

    def _listen_to(self, user_turn: Any, assistant_turn: Any) -> None:
        """Subscribe to the events of both sides' turns."""

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
        if self._left:
            return
        self._session.keep_conversation(self._context.get_messages(), self._leg_number)


def _opening(session: Session, policy: Policy, pipeline: PipelineConfig) -> list[Any]:
    """The messages with which the model starts: the greeting, or the conversation so far and why the caller is back."""
    note = briefing.for_returning_bot(session.call, policy)
    if note is not None:
        return [*session.messages, {"role": "developer", "content": note}]
    if session.call.direction is Direction.OUTBOUND:
        return [{"role": "developer", "content": briefing.for_calling_bot(session.call, pipeline.greeting or "")}]
    if pipeline.greeting:
        words = f'A call has come in. Begin by saying exactly: "{pipeline.greeting}"'
        return [{"role": "developer", "content": words}]
    logger.debug("no greeting is configured; the model opens the conversation")
    return []


def _moment(timestamp: str) -> float:
    """Pipecat's ISO 8601 time as Unix seconds."""
    return datetime.fromisoformat(timestamp).timestamp()
