"""The Realtime leg against a server that says what OpenAI does not: the session goes on, and its end is told."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import ErrorFrame, ProposedUserStoppedSpeakingFrame
from streams import Recorder, running, settled, until
from websockets.asyncio.server import ServerConnection, serve

from pipelines.load import load
from pipelines.realtime import RealtimeLeg


@dataclass
class Model:
    """The other side of the leg's socket."""

    connection: ServerConnection
    got: list[dict[str, Any]]
    before: Recorder
    after: Recorder

    async def says(self, kind: str, **content: Any) -> None:
        """An event."""
        await self.connection.send(json.dumps({"type": kind, "event_id": "e", **content}))

    async def goes_on(self) -> None:
        """The leg still reads."""
        before = len(self.after.of(ProposedUserStoppedSpeakingFrame))
        await self.says("input_audio_buffer.speech_stopped", audio_end_ms=1, item_id="i")
        await until(lambda: len(self.after.of(ProposedUserStoppedSpeakingFrame)) > before)

    @property
    def errors(self) -> list[ErrorFrame]:
        return [frame for frame in self.before.up if isinstance(frame, ErrorFrame)]


@asynccontextmanager
async def talking() -> AsyncIterator[Model]:
    connections: list[ServerConnection] = []
    got: list[dict[str, Any]] = []

    async def serving(connection: ServerConnection) -> None:
        connections.append(connection)
        async for message in connection:
            got.append(json.loads(message))

    async with serve(serving, "127.0.0.1", 0, compression=None) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/realtime"
        leg = RealtimeLeg(load("openai_realtime", {"OPENAI_API_KEY": "k"}), api_key="k", url=url, tools=ToolsSchema([]))
        before, after = Recorder(), Recorder()
        async with running([before, *leg.stages], after):
            await until(lambda: got)
            yield Model(connections[0], got, before, after)


@pytest.mark.parametrize(
    "kind",
    [
        "session.created",
        "response.created",
        "response.done",
        "response.output_audio.delta",
        "conversation.item.added",
        "conversation.item.input_audio_transcription.completed",
        "input_audio_buffer.speech_started",
        "response.function_call_arguments.done",
        "error",
    ],
)
async def test_an_event_of_another_shape_than_is_known_is_passed_over(kind: str):
    async with talking() as model:
        await model.says(kind)
        await model.says(kind, response=7, item=[], error=None, delta={})
        await model.goes_on()
        assert model.errors == []


async def test_a_refused_request_goes_on_and_a_session_that_is_over_is_told():
    async with talking() as model:
        refused = {"type": "invalid_request_error", "code": "invalid_value", "message": "no", "param": "x"}
        await model.says("error", error=refused)
        await model.goes_on()
        assert model.errors == []
        await model.says("error", error={**refused, "code": "session_expired"})
        await until(lambda: model.errors)


async def test_a_socket_that_the_model_closes_is_told():
    async with talking() as model:
        await model.connection.close(1011, "internal error")
        await until(lambda: model.errors)
        assert "1011 internal error" in model.errors[0].error


def audio(got: Sequence[dict[str, Any]]) -> list[str]:
    """The caller's audio among what the model got, in order."""
    return [event["audio"] for event in got if event["type"] == "input_audio_buffer.append"]


async def test_the_callers_audio_waits_for_the_session_and_comes_in_order():
    async with talking() as model:
        leg = model.after.previous
        assert isinstance(leg, RealtimeLeg)
        for n in range(300):
            leg.hear("AAA" + "ABCDEFGHIJ"[n % 10])
        await settled()
        assert [event["type"] for event in model.got] == ["session.update"]
        session = {"type": "realtime", "object": "realtime.session", "id": "s"}
        await model.says("session.updated", session=session)
        await until(lambda: len(audio(model.got)) == 250)
        leg.hear("LAST")
        await until(lambda: len(audio(model.got)) == 251)
        heard = audio(model.got)
        assert heard == ["AAA" + "ABCDEFGHIJ"[n % 10] for n in range(50, 300)] + ["LAST"]


async def test_a_leg_that_is_closed_before_it_was_used_leaves_no_connection():
    over = asyncio.Event()

    async def serving(connection: ServerConnection) -> None:
        await connection.wait_closed()
        over.set()

    async with serve(serving, "127.0.0.1", 0, compression=None) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/realtime"
        leg = RealtimeLeg(load("openai_realtime", {"OPENAI_API_KEY": "k"}), api_key="k", url=url, tools=ToolsSchema([]))
        await leg.close()
        await leg.open()
        await leg.close()
        await leg.close()
        await over.wait()
