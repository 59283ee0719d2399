"""What comes from Twilio: audio goes where it is heard, marks to the output, and nonsense nowhere."""

import json
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from pipecat.frames.frames import InputAudioRawFrame, InputDTMFFrame, StartFrame, TTSStoppedFrame
from streams import CALL_SID, STREAM_SID, Recorder, Tape, payload, running, settled, until

from bot.media import LONGEST_MESSAGE, MarkFrame, StreamStoppedFrame, TwilioTransport
from bot.speech import mark_behind_audio


@dataclass
class Line:
    """A transport in a running pipeline."""

    tape: Tape
    transport: TwilioTransport
    heard: list[str]
    inside: Recorder
    ends: list[None]

    def media(self, payload: Any) -> None:
        """Audio arrives."""
        self.tape.bring({"event": "media", "streamSid": STREAM_SID, "media": {"track": "inbound", "payload": payload}})

    def mark(self, name: str) -> None:
        """A mark comes back."""
        self.tape.bring({"event": "mark", "streamSid": STREAM_SID, "mark": {"name": name}})

    async def stopped(self) -> None:
        """All that has arrived has gone through."""
        before = len(self.inside.of(StreamStoppedFrame))
        self.tape.bring({"event": "stop"})
        await until(lambda: len(self.inside.of(StreamStoppedFrame)) > before)


@asynccontextmanager
async def line(*, hears: bool = True) -> AsyncIterator[Line]:
    tape, inside, heard, ends = Tape(), Recorder(), [], []
    transport = TwilioTransport(
        tape, STREAM_SID, CALL_SID, hear=heard.append if hears else None, on_end=lambda: ends.append(None)
    )
    async with running([transport.input(), inside, transport.output()], Recorder()):
        await settled()
        yield Line(tape, transport, heard, inside, ends)


SOUND = b64encode(bytes(range(160))).decode()

HOSTILE: list[str | bytes] = [
    "",
    "{",
    "null",
    "[]",
    "7",
    '"media"',
    "{}",
    '{"event": null}',
    '{"event": {}}',
    '{"event": []}',
    '{"event": "media"}',
    '{"event": "media", "media": null}',
    '{"event": "media", "media": []}',
    '{"event": "media", "media": "AAAA"}',
    '{"event": "media", "media": {}}',
    '{"event": "media", "media": {"payload": null}}',
    '{"event": "media", "media": {"payload": 7}}',
    '{"event": "media", "media": {"payload": {}}}',
    '{"event": "media", "media": {"payload": ["AAAA"]}}',
    '{"event": "media", "media": {"payload": ""}}',
    '{"event": "media", "media": {"payload": "A"}}',
    '{"event": "media", "media": {"payload": "AAA"}}',
    '{"event": "media", "media": {"payload": "%%%%"}}',
    '{"event": "media", "media": {"payload": "AAAA\\"}, \\"x\\": \\""}}',
    '{"event": "media", "media": {"payload": "AA AA"}}',
    '{"event": "media", "media": {"payload": "äöü"}}',
    '{"event": "media", "media": {"payload": "\\ud800"}}',
    '{"event": "dtmf"}',
    '{"event": "dtmf", "dtmf": null}',
    '{"event": "dtmf", "dtmf": {}}',
    '{"event": "dtmf", "dtmf": {"digit": null}}',
    '{"event": "dtmf", "dtmf": {"digit": "12"}}',
    '{"event": "dtmf", "dtmf": {"digit": []}}',
    '{"event": "dtmf", "dtmf": {"digit": {"a": 1}}}',
    '{"event": "mark"}',
    '{"event": "mark", "mark": null}',
    '{"event": "mark", "mark": {"name": null}}',
    '{"event": "mark", "mark": {"name": ["goodbye"]}}',
    '{"event": "connected", "protocol": "Call"}',
    '{"event": "start", "start": {}}',
    '{"event": "whatever", "whatever": {"deep": ' + "[" * 900 + "]" * 900 + "}}",
    "[" * 30_000,
    '{"event": "dtmf", "dtmf": {"digit": ' + "9" * 5000 + "}}",
    '{"event": "media", "media": {"payload": "' + "A" * LONGEST_MESSAGE + '"}}',
    b"",
    b"\xff\xfe",
    json.dumps({"event": "media", "media": {"payload": SOUND}}).encode(),
    b"x" * 1_000_000,
]


@pytest.mark.parametrize("hears", [True, False])
async def test_no_hostile_message_raises_reaches_the_model_or_keeps_the_next_one_from_it(hears):
    async with line(hears=hears) as on:
        for message in HOSTILE:
            on.tape.bring(message)  # raises what the transport raises
        await on.stopped()
        assert on.heard == []
        assert {type(frame) for frame in on.inside.down if type(frame).__module__ == "bot.media"} == {
            StreamStoppedFrame
        }
        assert not on.inside.of(InputAudioRawFrame)
        assert not on.inside.of(InputDTMFFrame)
        on.media(SOUND)
        await on.stopped()
        assert on.heard == ([SOUND] if hears else [])
        assert len(on.inside.of(InputAudioRawFrame)) == (not hears)
        assert on.ends == []


async def test_audio_goes_to_whoever_hears_it_untouched_at_once_and_in_order():
    async with line() as on:
        sounds = [b64encode(bytes([n] * 160)).decode() for n in range(250)]
        for sound in sounds:
            on.media(sound)
        assert on.heard == sounds
        await on.stopped()
        assert not on.inside.of(InputAudioRawFrame)


async def test_audio_that_nobody_takes_as_it_comes_becomes_frames():
    async with line(hears=False) as on:
        for _ in range(50):
            on.media(payload(20))
        await on.stopped()
        frames = on.inside.of(InputAudioRawFrame)
        assert {frame.sample_rate for frame in frames} == {8000}
        assert b"".join(frame.audio for frame in frames) == bytes(2 * 8000)


async def test_a_mark_inside_the_audio_tells_the_output_what_was_heard_and_makes_no_frame():
    async with line() as on:
        output = on.transport.output()
        output.play(payload(200))
        behind = TTSStoppedFrame()
        await on.inside.push_frame(behind)
        await settled()
        for name in on.tape.marks:
            on.mark(name)
        await on.stopped()
        assert output.heard_ms == 200
        assert not on.inside.of(MarkFrame)


@pytest.mark.parametrize("cleared", [False, True])
async def test_a_mark_of_somebody_else_becomes_one_frame_that_says_whether_it_was_heard(cleared):
    async with line() as on:
        output = on.transport.output()
        output.play(payload(200))
        await on.inside.push_frame(mark_behind_audio("goodbye:1:1"))
        await until(lambda: "goodbye:1:1" in on.tape.marks)
        if cleared:
            output.clear()
        on.mark("goodbye:1:1")
        on.mark("goodbye:1:1")  # Twilio does not, but an echo that is told twice proves nothing new
        on.mark("unknown")
        await on.stopped()
        marks = [(frame.mark, frame.heard) for frame in on.inside.of(MarkFrame)]
        assert marks == [("goodbye:1:1", not cleared), ("goodbye:1:1", False), ("unknown", False)]


@pytest.mark.parametrize("digit", list("0123456789*#"))
async def test_a_key_becomes_a_frame(digit):
    async with line() as on:
        on.tape.bring({"event": "dtmf", "streamSid": STREAM_SID, "dtmf": {"track": "inbound_track", "digit": digit}})
        await on.stopped()
        assert [frame.button.value for frame in on.inside.of(InputDTMFFrame)] == [digit]


async def test_the_end_of_the_stream_is_told_behind_the_stop_that_came_before_it():
    async with line() as on:
        told: list[int] = []
        on.transport.input()._on_end = lambda: told.append(len(on.inside.of(StreamStoppedFrame)))
        on.tape.bring({"event": "stop", "stop": {"callSid": CALL_SID}})
        on.tape.end()
        await until(lambda: told)
        await until(lambda: on.inside.of(StreamStoppedFrame))
        assert len(told) == 1


async def test_a_socket_that_breaks_is_told_too():
    class Broken(Tape):
        async def receive(self, take: Any) -> None:
            raise RuntimeError("the server's own mistake")

    ends: list[None] = []
    transport = TwilioTransport(Broken(), STREAM_SID, CALL_SID, on_end=lambda: ends.append(None))
    after = Recorder()
    async with running([transport.input(), transport.output()], after):
        await until(lambda: ends)


async def test_a_transport_whose_pipeline_never_started_can_be_put_away():
    tape = Tape()
    transport = TwilioTransport(tape, STREAM_SID, CALL_SID, on_end=lambda: None)
    await transport.input().cleanup()
    await transport.output().cleanup()
    assert tape.closed


async def test_nothing_is_read_before_the_pipeline_has_started_and_nothing_is_lost_then():
    async with line() as on:
        assert on.inside.of(StartFrame)
        on.media(SOUND)
        assert on.heard == [SOUND]
