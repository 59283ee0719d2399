"""The bot's speech: sent at once, and nothing behind it goes on before the caller has heard it."""

import asyncio
import audioop
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np
import pytest
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    Frame,
    FunctionCallResultFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    OutputAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.utils.text.base_text_aggregator import TextType
from streams import STREAM_SID, Recorder, Tape, payload, running, settled, until

from bot.speech import TwilioOutput, mark_behind_audio

STORY = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"


@dataclass
class Line:
    """The output in a running pipeline, with what went out of it on every side."""

    tape: Tape
    before: Recorder
    output: TwilioOutput
    after: Recorder
    worker: PipelineWorker

    async def push(self, *frames: Frame) -> None:
        """Frames from the model, in order; returns when the output has them."""
        for frame in frames:
            await self.worker.queue_frame(frame)
        await until(lambda: frames[-1] in self.before.down)
        await settled()

    def speak(self, text: str, *, ms: int, pieces: int = 20) -> None:
        """The model speaks: words first, then their sound, as it is with OpenAI."""
        self.output.words(text)
        for _ in range(pieces):
            self.output.play(payload(ms / pieces))

    async def echo(self, *names: str) -> None:
        """Twilio sends marks back."""
        for name in names:
            self.output.mark_came_back(name)
        await settled()

    @property
    def told(self) -> str:
        """The words that went on."""
        return "".join(frame.text for frame in self.after.of(TTSTextFrame))


@asynccontextmanager
async def line() -> AsyncIterator[Line]:
    tape, before, after = Tape(), Recorder(), Recorder()
    output = TwilioOutput(tape, STREAM_SID)
    async with running([before, output], after) as worker:
        yield Line(tape, before, output, after, worker)


def function_result() -> FunctionCallResultFrame:
    return FunctionCallResultFrame(function_name="f", tool_call_id="c", arguments={}, result={"ok": True})


# --- sent at once, gone on when heard -------------------------------------------------------------------


async def test_audio_is_sent_at_once_however_long_it_takes_to_be_heard():
    async with line() as on:
        for _ in range(100):
            on.output.play(payload(200))
        assert on.tape.payloads == [payload(200)] * 100
        assert on.output.sent_ms == 20_000
        assert {message["streamSid"] for message in on.tape.sent} == {STREAM_SID}


@pytest.mark.parametrize("frame", [LLMFullResponseEndFrame, TTSStoppedFrame, function_result])
@pytest.mark.parametrize("ms", [40, 2000])
async def test_a_frame_behind_speech_goes_on_when_the_mark_behind_that_speech_has_come_back(frame, ms):
    async with line() as on:
        on.speak(STORY, ms=ms, pieces=ms // 40)
        behind = frame()
        await on.push(behind)
        *inside, last = on.tape.marks
        assert on.tape.events[-1] == "mark"
        await asyncio.sleep(ms / 1000 if ms < 100 else 0)  # a short piece is over by the clock, before its echo
        await on.echo(*inside)
        assert behind not in on.after.down
        await on.echo("a mark that we never sent")
        assert behind not in on.after.down
        await on.echo(last)
        assert behind in on.after.down


async def test_frames_behind_several_utterances_keep_their_places():
    async with line() as on:
        on.speak("First.", ms=400)
        first = LLMFullResponseEndFrame()
        await on.push(first)
        marks = on.tape.marks
        on.output.finish()
        on.speak("Second.", ms=400)
        second = LLMFullResponseEndFrame()
        await on.push(second)
        await on.echo(*marks)
        assert first in on.after.down
        assert second not in on.after.down
        await on.echo(*on.tape.marks[len(marks) :])
        assert second in on.after.down


async def test_without_speech_nothing_is_held_back():
    async with line() as on:
        frames = [LLMFullResponseStartFrame(), function_result(), LLMFullResponseEndFrame()]
        await on.push(*frames)
        assert [frame for frame in on.after.down if frame in frames] == frames
        assert on.tape.sent == []


# --- words ----------------------------------------------------------------------------------------------


async def test_words_go_on_as_they_are_heard_whole_none_twice_and_all_of_them_at_the_end():
    async with line() as on:
        on.speak(STORY, ms=8000, pieces=40)
        on.output.finish()
        marks, positions = on.tape.marks, [200 * n for n in range(1, 41)]
        assert len(marks) == 40
        for mark, heard in zip(marks[:-1], positions, strict=False):
            await on.echo(mark)
            assert STORY.startswith(on.told)
            assert on.told == "" or STORY[len(on.told)] == " "  # a word is never cut
            assert len(on.told) <= len(STORY) * (heard + 200) / 8000
            assert len(on.told) >= len(STORY) * (heard - 1200) / 8000 - len(" thirteen")
        assert 1 < len(on.after.of(TTSTextFrame)) < 12
        await on.echo(marks[-1])
        assert on.told == STORY


async def test_all_words_are_told_before_the_frame_that_ends_their_response():
    async with line() as on:
        on.speak(STORY, ms=3000)
        on.output.finish()
        end = LLMFullResponseEndFrame()
        await on.push(end)
        await on.echo(*on.tape.marks)
        told = [frame for frame in on.after.down if isinstance(frame, TTSTextFrame) or frame is end]
        assert told[-1] is end
        assert on.told == STORY


async def test_words_of_a_response_come_behind_its_start_also_when_all_of_it_arrived_before_the_frames():
    async with line() as on:
        on.speak(STORY, ms=3000)
        on.output.finish()  # the socket is ahead of the pipeline
        start, began, end = LLMFullResponseStartFrame(), TTSStartedFrame(), LLMFullResponseEndFrame()
        await on.push(start, began, end)
        assert start in on.after.down
        await on.echo(*on.tape.marks)
        told = [frame for frame in on.after.down if isinstance(frame, TTSTextFrame) or frame in (start, began, end)]
        assert told[0] is start
        assert told[1] is began
        assert told[-1] is end
        assert on.told == STORY


async def test_the_start_of_a_response_waits_for_the_end_of_the_one_before():
    async with line() as on:
        on.speak("First.", ms=400)
        on.output.finish()
        end, start = LLMFullResponseEndFrame(), LLMFullResponseStartFrame()
        await on.push(end, start)
        assert start not in on.after.down
        await on.echo(*on.tape.marks)
        assert on.after.down.index(end) < on.after.down.index(start)


async def test_words_that_come_as_frames_are_told_as_they_are_heard_too():
    async with line() as on:
        sound = OutputAudioRawFrame(bytes(2 * 8 * 1000), 8000, 1)
        words = [TTSTextFrame("Hello", TextType.WORD), TTSTextFrame("there.", TextType.WORD)]
        await on.push(TTSStartedFrame(), sound, *words, TTSStoppedFrame())
        assert on.told == ""
        await on.echo(*on.tape.marks)
        assert on.told.split() == ["Hello", "there."]


# --- interruption ---------------------------------------------------------------------------------------


async def test_an_interruption_clears_the_line_once():
    async with line() as on:
        on.speak(STORY, ms=4000)
        await on.push(InterruptionFrame())
        assert on.tape.events.count("clear") == 1
        assert on.tape.events[-1] == "clear"


async def test_a_leg_that_has_cleared_the_line_and_the_frame_that_tells_it_clear_it_once():
    async with line() as on:
        on.speak(STORY, ms=4000)
        on.output.clear()
        await on.push(InterruptionFrame())
        assert on.tape.events.count("clear") == 1


async def test_an_answer_that_has_begun_before_the_frame_that_tells_of_the_interruption_is_not_cleared():
    async with line() as on:
        on.speak(STORY, ms=4000)
        on.output.clear()
        on.speak("Yes?", ms=400)
        await on.push(InterruptionFrame())
        assert on.tape.events.count("clear") == 1
        assert on.output.sent_ms > on.output.heard_ms


async def test_nothing_is_cleared_when_nothing_is_playing():
    async with line() as on:
        await on.push(InterruptionFrame())
        on.output.clear()
        on.speak(STORY, ms=400)
        on.output.finish()
        await on.push(TTSStoppedFrame())
        await on.echo(*on.tape.marks)
        await on.push(InterruptionFrame())
        await on.push(InterruptionFrame())
        assert "clear" not in on.tape.events


async def test_frames_behind_what_nobody_will_hear_are_dropped_unless_they_must_not_be():
    async with line() as on:
        on.speak(STORY, ms=4000)
        dropped, kept = LLMFullResponseEndFrame(), function_result()
        await on.push(dropped, kept)
        await on.echo(*on.tape.marks[:5])
        assert kept not in on.after.down
        on.output.clear()
        await settled()
        assert kept in on.after.down
        await on.echo(*on.tape.marks[5:])
        assert dropped not in on.after.down


@pytest.mark.parametrize("cleared_by", ["the leg", "the frame"])
async def test_an_interruption_keeps_the_words_heard_so_far_and_no_others(cleared_by):
    async with line() as on:
        on.speak(STORY, ms=4000)
        await on.echo(*on.tape.marks[:10])  # every 200 ms: half of it
        for mark in on.tape.marks[10:14]:  # and too little to be told by itself
            on.output.mark_came_back(mark)
        if cleared_by == "the leg":
            on.output.clear()
            await settled()
        interruption = InterruptionFrame()
        await on.push(interruption)
        assert STORY.startswith(on.told)
        assert STORY[len(on.told)] == " "
        assert len(STORY) * 2800 / 4000 - len(" fourteen") <= len(on.told) <= len(STORY) * 3000 / 4000
        last = on.after.of(TTSTextFrame)[-1]
        if cleared_by == "the leg":  # which clears in the socket's callback, well before the frame comes by
            assert on.after.down.index(last) < on.after.down.index(interruption)
        await on.echo(*on.tape.marks)
        on.speak("Yes?", ms=400)
        on.output.finish()
        told = on.told
        await on.echo(*on.tape.marks)
        assert on.told == told + "Yes?"


async def test_what_was_heard_of_an_utterance_is_told_before_its_end_that_was_heard_as_well():
    async with line() as on:
        on.speak("A first sentence.", ms=400)
        on.output.finish()
        end = LLMFullResponseEndFrame()
        await on.push(end)
        first = on.tape.marks
        on.speak(STORY, ms=4000)
        for mark in first:
            on.output.mark_came_back(mark)
        on.output.clear()
        await settled()
        told = [frame for frame in on.after.down if isinstance(frame, TTSTextFrame) or frame is end]
        assert "".join(frame.text for frame in told[: told.index(end)]) == "A first sentence."


async def test_an_interruption_before_anything_was_heard_tells_no_word():
    async with line() as on:
        on.speak(STORY, ms=4000)
        on.output.finish()
        on.output.clear()
        await on.push(InterruptionFrame())
        await on.echo(*on.tape.marks)
        assert on.told == ""


# --- the bot speaks -------------------------------------------------------------------------------------


async def test_the_bot_speaks_from_the_first_sound_until_its_last_was_heard():
    async with line() as on:
        on.output.words(STORY)
        await settled()
        assert not on.after.of(BotStartedSpeakingFrame)
        on.speak("", ms=2000)
        await settled()
        on.output.finish()
        await on.push(TTSStoppedFrame())
        await on.echo(*on.tape.marks[:-1])
        assert len(on.after.of(BotStartedSpeakingFrame)) == 1
        assert not on.after.of(BotStoppedSpeakingFrame)
        await on.echo(on.tape.marks[-1])
        assert len(on.after.of(BotStoppedSpeakingFrame)) == 1
        assert sum(isinstance(frame, BotStartedSpeakingFrame) for frame in on.before.up) == 1
        assert sum(isinstance(frame, BotStoppedSpeakingFrame) for frame in on.before.up) == 1


async def test_the_bot_speaks_on_between_two_utterances_that_follow_at_once():
    async with line() as on:
        on.speak("First.", ms=400)
        await on.push(TTSStoppedFrame())
        on.output.finish()
        first = on.tape.marks
        on.speak("Second.", ms=400)
        await on.echo(*first)
        assert not on.after.of(BotStoppedSpeakingFrame)


async def test_a_bot_that_is_interrupted_speaks_no_more_and_speaks_again_with_its_next_sound():
    async with line() as on:
        on.speak(STORY, ms=2000)
        await settled()
        await on.push(InterruptionFrame())
        assert len(on.after.of(BotStoppedSpeakingFrame)) == 1
        on.speak("Yes?", ms=400)
        await settled()
        assert len(on.after.of(BotStartedSpeakingFrame)) == 2


# --- audio as frames ------------------------------------------------------------------------------------


def tone(rate: int, seconds: float, hz: float = 1000) -> bytes:
    t = np.arange(round(rate * seconds)) / rate
    return (8000 * np.sin(2 * np.pi * hz * t)).astype("<i2").tobytes()


@pytest.mark.parametrize("rate", [8000, 16_000, 24_000])
async def test_audio_frames_of_any_rate_reach_the_caller_and_nothing_of_them_is_lost(rate):
    async with line() as on:
        sound = tone(rate, 1.01)
        step = rate // 50 * 2
        frames = [OutputAudioRawFrame(sound[i : i + step], rate, 1) for i in range(0, len(sound), step)]
        await on.push(TTSStartedFrame(), *frames, TTSStoppedFrame())
        ulaw = b"".join(b64decode(part) for part in on.tape.payloads)
        assert len(ulaw) == pytest.approx(8080, abs=1)
        assert on.output.sent_ms == pytest.approx(1010, abs=0.2)
        pcm = np.frombuffer(audioop.ulaw2lin(ulaw, 2), dtype=np.int16)[400:-400].astype(float)
        assert np.sqrt(np.mean(pcm**2)) == pytest.approx(8000 / np.sqrt(2), rel=0.03)
        spectrum = np.abs(np.fft.rfft(pcm * np.hanning(len(pcm))))
        assert np.argmax(spectrum) * 8000 / len(pcm) == pytest.approx(1000, abs=5)


async def test_what_a_filter_holds_of_speech_that_was_interrupted_is_not_played_with_the_next():
    async with line() as on:
        await on.push(OutputAudioRawFrame(tone(24_000, 0.5), 24_000, 1))
        await on.push(InterruptionFrame())
        before = len(on.tape.payloads)
        silence = OutputAudioRawFrame(bytes(2 * 12_000), 24_000, 1)
        await on.push(silence, TTSStoppedFrame())
        ulaw = b"".join(b64decode(part) for part in on.tape.payloads[before:])
        assert len(ulaw) == pytest.approx(4000, abs=1)
        assert max(abs(np.frombuffer(audioop.ulaw2lin(ulaw, 2), dtype=np.int16).astype(int))) < 50


# --- marks of others ------------------------------------------------------------------------------------


async def test_a_mark_behind_the_audio_is_sent_behind_all_audio():
    async with line() as on:
        on.speak(STORY, ms=2000)
        await on.push(mark_behind_audio("goodbye:1:1"))
        assert on.tape.events[-1] == "mark"
        assert on.tape.marks[-1] == "goodbye:1:1"
        assert on.output.mark_came_back("goodbye:1:1")


async def test_a_mark_behind_the_audio_survives_an_interruption_and_proves_nothing_then():
    async with line() as on:
        on.speak(STORY, ms=2000)
        await on.push(mark_behind_audio("goodbye:1:1"))
        await on.push(InterruptionFrame())
        assert not on.output.mark_came_back("goodbye:1:1")


class Busy(FrameProcessor):
    """Has something to do when a response ends, until an interruption."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMFullResponseEndFrame):
            await asyncio.Event().wait()
        await self.push_frame(frame, direction)


async def test_a_mark_behind_the_audio_that_is_still_on_its_way_survives_an_interruption():
    tape, before, after = Tape(), Recorder(), Recorder()
    async with running([before, Busy(), TwilioOutput(tape, STREAM_SID)], after) as worker:
        mark = mark_behind_audio("goodbye:1:1")
        await worker.queue_frames([LLMFullResponseEndFrame(), mark, TTSStoppedFrame()])
        await until(lambda: before.of(TTSStoppedFrame))
        await settled()
        assert tape.marks == []
        await worker.queue_frame(InterruptionFrame())
        await until(lambda: tape.marks == ["goodbye:1:1"])
        await settled()
        assert not after.of(TTSStoppedFrame)


# --- the end --------------------------------------------------------------------------------------------


async def test_the_socket_is_closed_when_the_pipeline_is_over():
    async with line() as on:
        assert not on.tape.closed
    assert on.tape.closed


async def test_the_socket_is_closed_also_when_the_pipeline_never_started():
    tape = Tape()
    output = TwilioOutput(tape, STREAM_SID)
    await output.cleanup()
    assert tape.closed
