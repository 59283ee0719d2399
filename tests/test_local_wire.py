"""The media stream of a local call: Twilio's messages, with this process at the other end."""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from bot.local.wire import InstantPlayer, LocalWire, Loudspeaker, Player

HUNDRED_MS = b"\x80" * 800
"""Of the loudest µ-law."""


def media(audio: bytes) -> str:
    return json.dumps({"event": "media", "streamSid": "MZ", "media": {"payload": b64encode(audio).decode()}})


def mark(name: str) -> str:
    return json.dumps({"event": "mark", "streamSid": "MZ", "mark": {"name": name}})


CLEAR = json.dumps({"event": "clear", "streamSid": "MZ"})


@asynccontextmanager
async def stream(player: Player) -> AsyncIterator[tuple[LocalWire, list[dict[str, Any]]]]:
    """A wire and what it brings."""
    wire = LocalWire(player)
    brought: list[dict[str, Any]] = []
    receiving = asyncio.create_task(wire.receive(lambda message: brought.append(json.loads(message))))
    await asyncio.sleep(0)
    try:
        yield wire, brought
    finally:
        await wire.close()
        await receiving


@asynccontextmanager
async def loudspeaker() -> AsyncIterator[tuple[Loudspeaker, bytearray]]:
    """One that plays, and what was heard of it."""
    heard = bytearray()
    player = Loudspeaker(heard.extend)
    playing = asyncio.create_task(player.run())
    try:
        yield player, heard
    finally:
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)


async def comes(brought: list[dict[str, Any]], name: str) -> None:
    while {"event": "mark", "mark": {"name": name}} not in brought:
        await asyncio.sleep(0.005)


async def test_a_mark_comes_back_when_what_stands_before_it_was_played():
    async with loudspeaker() as (player, heard), stream(player) as (wire, brought):
        wire.send(mark("before"))
        wire.send(media(HUNDRED_MS))
        wire.send(mark("behind"))
        await comes(brought, "before")
        assert len(heard) < 2 * len(HUNDRED_MS)
        await comes(brought, "behind")
        assert len(heard) == 2 * len(HUNDRED_MS)  # 16-bit samples
        assert set(heard) != {0}


async def test_clear_throws_away_what_was_not_played_and_lets_its_marks_go():
    async with loudspeaker() as (player, heard), stream(player) as (wire, brought):
        wire.send(media(HUNDRED_MS * 100))
        wire.send(mark("never heard"))
        wire.send(CLEAR)
        await comes(brought, "never heard")
        assert len(heard) < len(HUNDRED_MS * 100)
        wire.send(media(HUNDRED_MS))
        wire.send(mark("heard"))
        await comes(brought, "heard")


async def test_where_nobody_listens_everything_is_heard_at_once():
    async with stream(InstantPlayer()) as (wire, brought):
        wire.send(media(HUNDRED_MS * 600))
        wire.send(mark("a minute"))
        await asyncio.sleep(0)
        assert brought == [{"event": "mark", "mark": {"name": "a minute"}}]


async def test_what_the_caller_says_and_presses_arrives_as_twilio_sends_it():
    async with stream(InstantPlayer()) as (wire, brought):
        wire.speak(bytes(320))
        wire.press("5")
        assert [message["event"] for message in brought] == ["media", "dtmf"]
        assert brought[0]["media"]["payload"] == b64encode(b"\xff" * 160).decode()
        assert brought[1]["dtmf"] == {"digit": "5"}


async def test_a_stream_that_was_stopped_says_so_and_brings_nothing_more():
    async with stream(InstantPlayer()) as (wire, brought):
        wire.stop()
        wire.stop()
        wire.speak(bytes(320))
        wire.send(mark("late"))
        await asyncio.sleep(0)
        assert wire.stopped
    assert brought == [{"event": "stop"}]


async def test_a_stream_that_the_bot_closed_was_not_stopped():
    async with stream(InstantPlayer()) as (wire, brought):
        await wire.close()
        assert not wire.stopped
    assert brought == []
