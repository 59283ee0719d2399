"""The goodbye and a caller who begins to speak in the very same moment."""

from asyncio import get_running_loop
from dataclasses import dataclass, field

import pytest
from pipecat.frames.frames import (
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    TTSStartedFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.tests.utils import SleepFrame, run_test

from bot.events import CallerSpoke, Event, GoodbyeInterrupted
from bot.handoff import ANSWER_BEGINS_SECONDS, HandoffProcessor
from bot.routing import BargeIn


@dataclass
class Ears:
    """A leg as far as a goodbye knows it."""

    listens: list[bool] = field(default_factory=list)
    prompts: list[str] = field(default_factory=list)

    def listen(self, on: bool) -> None:
        self.listens.append(on)

    async def prompt(self, instruction: str) -> None:
        self.prompts.append(instruction)


class Call:
    """A session that orders a goodbye as the caller draws breath, and again when that was interrupted."""

    processor: HandoffProcessor
    closed = False

    def __init__(self, *, late_by_model: bool = False) -> None:
        self._late_by_model = late_by_model
        """Its order is for the model's own words, and comes when the caller has cut them off."""

    def now(self) -> float:
        return 1000.0

    def speaks(self, who: str, on: bool) -> None:
        if on and not self._late_by_model:
            self.processor.say_goodbye(1, by_model=False)

    def post(self, event: Event) -> None:
        if self._late_by_model and isinstance(event, CallerSpoke):
            get_running_loop().call_later(0.05, lambda: self.processor.say_goodbye(1, by_model=True))
        if isinstance(event, GoodbyeInterrupted):
            self.processor.say_goodbye(1, by_model=False)

    def let_go(self) -> None:
        self.closed = True


def handing_over(call: Call, ears: Ears, *, goodbye_seconds: float = 15.0) -> HandoffProcessor:
    return HandoffProcessor(
        call,  # type: ignore[arg-type] - what it uses of a session
        ears,  # type: ignore[arg-type] - and of a leg
        leg_number=1,
        goodbye_line="One moment.",
        barge_in=BargeIn.FINISH,
        goodbye_seconds=goodbye_seconds,
    )


async def test_a_caller_who_is_heard_a_moment_after_the_goodbye_was_ordered_is_heard_out_and_then_told_goodbye():
    call, ears = Call(), Ears()
    call.processor = handing_over(call, ears)
    began = [UserStartedSpeakingFrame(), InterruptionFrame(), SleepFrame(0.2)]
    await run_test(
        call.processor,
        frames_to_send=[*began, UserStoppedSpeakingFrame(), SleepFrame(ANSWER_BEGINS_SECONDS + 0.5)],
    )
    assert ears.listens[:2] == [False, True], "the model has to hear the end of their turn"
    assert len(ears.prompts) == 2
    assert "One moment." in ears.prompts[-1]


async def test_words_that_were_cut_off_before_the_goodbye_was_ordered_are_said_when_the_caller_has_spoken():
    call, ears = Call(late_by_model=True), Ears()
    call.processor = handing_over(call, ears)
    began = [LLMFullResponseStartFrame(), TTSStartedFrame(), SleepFrame(0.1)]
    cut = [InterruptionFrame(), UserStartedSpeakingFrame(), SleepFrame(0.2)]
    ended = [LLMFullResponseEndFrame(), SleepFrame(0.2), UserStoppedSpeakingFrame()]
    await run_test(
        call.processor,
        frames_to_send=[*began, *cut, *ended, SleepFrame(ANSWER_BEGINS_SECONDS + 0.5)],
    )
    assert ears.listens == [True, False], "the model hears the end of their turn, and is deaf for the goodbye"
    assert len(ears.prompts) == 1
    assert "One moment." in ears.prompts[0]


async def test_a_bot_that_has_said_goodbye_lets_go_of_a_caller_whom_nobody_fetches(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("bot.handoff.DEAF_SECONDS", 0.1)
    call, ears = Call(), Ears()
    call.processor = handing_over(call, ears, goodbye_seconds=0.1)
    await run_test(call.processor, frames_to_send=[UserStartedSpeakingFrame(), SleepFrame(0.5)])
    assert (ears.listens, call.closed) == ([False], True)
