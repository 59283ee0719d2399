"""The HandoffProcessor: frames become events of the call, and the call's orders become frames.

It stands between the model and the output. There the model's function calls are seen at once, and a mark pushed after
the end of a response lands behind its last sample.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from loguru import logger
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    Frame,
    FunctionCallFromLLM,
    FunctionCallResultFrame,
    FunctionCallsStartedFrame,
    InputDTMFFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    TTSStartedFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from bot.events import (
    CallerSpoke,
    ChangeAsked,
    Event,
    FarewellHeard,
    GoodbyeHeard,
    GoodbyeInterrupted,
    HandoffRequested,
    KeyPressed,
    StreamEnded,
    ToolEnded,
)
from bot.keypad import Keypad
from bot.listening import Listening
from bot.media import MarkFrame, StreamStoppedFrame
from bot.routing import BargeIn
from bot.session import Session
from bot.speech import mark_behind_audio
from bot.tools import CALL_TOOLS, requested
from pipelines.changes import Change
from pipelines.legs import Leg

DEAF_SECONDS = 20.0
"""How much longer than its goodbye may take a bot is deaf to its caller: the redirect, and Twilio's answer to it."""

ANSWER_BEGINS_SECONDS = 1.0
"""How soon after the caller's turn the model begins to answer it, if it does."""


@dataclass(slots=True)
class _LastWords:
    """A goodbye (before a hand-off) or a farewell (before a hang-up) that the caller shall hear to its end."""

    kind: str
    number: int
    line: str
    mark: str
    ask_for_line: bool
    """The model has said nothing that could count as these words: it is asked for the line."""

    marked: bool = False


class HandoffProcessor(FrameProcessor):
    """Intercepts the hand-off call, sees the goodbye through, and lets the session redirect the call."""

    def __init__(
        self,
        session: Session,
        leg: Leg,
        *,
        leg_number: int,
        goodbye_line: str,
        barge_in: BargeIn,
        goodbye_seconds: float = 15.0,
        listening: Listening | None = None,
        changes: Mapping[str, Change] | None = None,
        keypad: Keypad | None = None,
    ) -> None:
        """Serve one conversation.

        Args:
            session: The call's session; told of every fact, asked for nothing.
            leg: The model.
            leg_number: Which media stream of the call this is.
            goodbye_line: What the bot says when the model hands off without a word.
            barge_in: What happens when the caller speaks during the goodbye.
            goodbye_seconds: The longest time that a goodbye may take.
            listening: Told of the caller's turns.
            changes: What the model may change in mid-call, by name.
            keypad: Knows when the caller types a number.
        """
        super().__init__()
        self._session = session
        self._leg = leg
        self._leg_number = leg_number
        self._goodbye_line = goodbye_line
        self._barge_in = barge_in
        self._deaf_seconds = goodbye_seconds + DEAF_SECONDS
        self._deaf: asyncio.Task[None] | None = None
        """Ends a deafness that nothing else has ended."""

        self._listening = listening
        self._changes = changes or {}
        self._keypad = keypad
        self._at_pause: Callable[[], Coroutine[Any, Any, None]] | None = None
        self._words: _LastWords | None = None
        self._in_response = False
        self._spoke = False
        self._caller_speaks = False
        self._owed = 0
        """The goodbye that waits until the caller has finished speaking; 0 for none."""

        self._said = 0
        """How many last words were begun; makes their marks unique."""

        self._advice: list[str] = []
        """What the model shall be told when it has finished what it is saying."""

    async def cleanup(self) -> None:
        """The stream is over, and nobody is left who could not be heard."""
        if self._deaf is not None:
            self._deaf.cancel()
        await super().cleanup()

    # --- frames → events ---------------------------------------------------------------------------

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Watch the frames go by; every one of them goes on."""
        await super().process_frame(frame, direction)
        match frame:
            case FunctionCallsStartedFrame():
                if direction is FrameDirection.DOWNSTREAM:
                    self._calls_started(frame.function_calls)
            case LLMFullResponseStartFrame():
                self._response_began()
            case TTSStartedFrame():
                self._spoke = True
            case FunctionCallResultFrame() if direction is FrameDirection.DOWNSTREAM:
                line = f"{frame.function_name}({frame.arguments}) → {frame.result}"
                self._session.add_line("tool", line, self._session.now())
                if frame.function_name not in CALL_TOOLS:
                    failed = isinstance(frame.result, Mapping) and "error" in frame.result
                    self._post(ToolEnded(at=self._session.now(), name=frame.function_name, failed=failed))
            case InterruptionFrame() if direction is FrameDirection.DOWNSTREAM:
                self._interrupted()
            case UserStartedSpeakingFrame() if direction is FrameDirection.DOWNSTREAM:
                self._session.speaks("caller", True)
                self._post(CallerSpoke(at=self._session.now()))
                self._caller_speaks = True
                if self._listening is not None:
                    self._listening.caller_began()
            case UserStoppedSpeakingFrame() if direction is FrameDirection.DOWNSTREAM:
                self._session.speaks("caller", False)
                self._caller_speaks = False
                if self._listening is not None:
                    self._listening.caller_ended()
                if self._owed:
                    self.create_task(self._say_what_is_owed(), "goodbye")
            case BotStartedSpeakingFrame() | BotStoppedSpeakingFrame():
                self._session.speaks("bot", isinstance(frame, BotStartedSpeakingFrame))
            case InputDTMFFrame():
                now, key = self._session.now(), frame.button.value
                pressed = KeyPressed(at=now, digit=key) if self._keypad is None else self._keypad.press(key, now)
                if pressed is not None:
                    self._post(pressed)
            case MarkFrame():
                self._mark_came_back(frame)
            case StreamStoppedFrame():
                self._post(StreamEnded(at=self._session.now(), leg=self._leg_number, stopped=True))
            case _:
                pass
        await self.push_frame(frame, direction)
        if isinstance(frame, LLMFullResponseEndFrame) and self._in_response:
            if self._owed and not self._caller_speaks:
                self._begin_goodbye(self._owed, ask_for_line=True)
            self._in_response = False
            await self._see_words_through()
            self._pauses()
            await self._pass_on_advice()

    def _calls_started(self, calls: Sequence[FunctionCallFromLLM]) -> None:
        for call in calls:
            arguments = call.arguments if isinstance(call.arguments, Mapping) else {}
            event = requested(call.function_name, arguments, self._session.now())
            event = self._foreseen(event)
            if event is not None:
                # The call is part of a response whose end is still to come. It can overtake that response's audio.
                self._response_began()
                self._post(event)

    def _foreseen(self, event: Event | None) -> Event | None:
        """As the operator's changes have it: none that they do not know, and the person who fits what was changed."""
        if isinstance(event, ChangeAsked) and event.change not in self._changes:
            return None
        change = self._changes.get(self._session.call.change)
        if isinstance(event, HandoffRequested) and change is not None and event.target is not None:
            return replace(event, target=change.targets.get(event.target, event.target))
        return event

    def when_it_pauses(self, act: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do something when the model has finished what it is saying, or now if it is saying nothing."""
        self._at_pause = act
        if not self._in_response:
            self._pauses()

    def _pauses(self) -> None:
        act, self._at_pause = self._at_pause, None
        if act is not None:
            self.create_task(act(), "at a pause")

    def _response_began(self) -> None:
        if not self._in_response:
            self._in_response, self._spoke = True, False

    def _interrupted(self) -> None:
        self._spoke = False
        words, self._words = self._words, None
        if words is not None and words.kind == "goodbye":
            self._post(GoodbyeInterrupted(at=self._session.now(), handoff=words.number))

    def _mark_came_back(self, frame: MarkFrame) -> None:
        words = self._words
        if words is None or frame.mark != words.mark or not frame.heard:
            return
        self._words = None
        now = self._session.now()
        if words.kind == "goodbye":
            self._post(GoodbyeHeard(at=now, handoff=words.number))
        else:
            self._post(FarewellHeard(at=now, farewell=words.number))

    def _post(self, event: Event) -> None:
        self._session.post(event)

    def use(self, leg: Leg) -> None:
        """Another model has taken over, and begins an answer of its own."""
        self._leg = leg
        self._in_response = self._spoke = False

    # --- orders → frames ---------------------------------------------------------------------------

    def say_goodbye(self, handoff: int, *, by_model: bool) -> None:
        """See `bot.talk.Conversation`. The model's own words count for its own first request, uncut."""
        if self._caller_speaks and not (by_model and self._spoke):
            self._owed = handoff
            self._listen(True)  # a model that did not hear them out would wait for the end of their turn
        else:
            self._begin_goodbye(handoff, ask_for_line=not by_model)

    def _begin_goodbye(self, handoff: int, *, ask_for_line: bool) -> None:
        self._owed = 0
        if self._barge_in is BargeIn.FINISH:
            self._listen(False)
        self._begin("goodbye", handoff, self._goodbye_line, ask_for_line=ask_for_line)

    def _listen(self, on: bool) -> None:
        self._leg.listen(on)
        if self._deaf is not None:
            self._deaf.cancel()
        self._deaf = None if on else self.create_task(self._end_deafness(), "deafness")

    async def _end_deafness(self) -> None:
        """Whatever went wrong with goodbye and redirect: the caller is not left with a bot that says nothing."""
        await asyncio.sleep(self._deaf_seconds)
        logger.error("the bot has said goodbye and the caller is still on its line: the stream is closed")
        self._session.let_go()

    async def _say_what_is_owed(self) -> None:
        """The caller has finished speaking: their answer goes first, where there is one."""
        await asyncio.sleep(ANSWER_BEGINS_SECONDS)
        if self._owed and not (self._in_response or self._caller_speaks):
            self._begin_goodbye(self._owed, ask_for_line=True)

    def say_farewell(self, farewell: int, *, prompted: bool) -> None:
        """See `bot.talk.Conversation`."""
        self._begin("farewell", farewell, "Thank you for calling. Goodbye!", ask_for_line=prompted)

    def advise(self, text: str) -> None:
        """Tell the model something, now or when it has finished what it is saying: it refuses to be interrupted."""
        self._advice.append(text)
        if not self._in_response:
            self.create_task(self._pass_on_advice(), "advice")

    def listen_again(self, advice: str) -> None:
        """See `bot.talk.Conversation`."""
        self._words = None
        self._owed = 0
        self._listen(True)
        self.advise(advice)

    def tell(self, text: str) -> None:
        """See `bot.talk.Conversation`."""
        self.create_task(self._leg.note(text), "note")

    def _begin(self, kind: str, number: int, line: str, *, ask_for_line: bool) -> None:
        self._said += 1
        mark = f"{kind}:{number}:{self._said}"
        self._words = _LastWords(kind, number, line, mark, ask_for_line)
        if not self._in_response:
            self.create_task(self._see_words_through(), "last words")

    async def _pass_on_advice(self) -> None:
        advice, self._advice = self._advice, []
        if advice and self._words is None:  # a model that is saying its last words has nothing left to do with it
            await self._leg.prompt("\n".join(advice))

    async def _see_words_through(self) -> None:
        """No response is running: put the mark behind the words that were said, or ask for words."""
        words = self._words
        if words is None or words.marked:
            return
        if self._spoke and not words.ask_for_line:
            words.marked = True
            await self.push_frame(mark_behind_audio(words.mark))
            return
        words.ask_for_line = False
        self._spoke = False
        await self._leg.prompt(f'Say exactly this sentence and nothing else: "{words.line}"')
