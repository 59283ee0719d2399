"""A supervisor on a call's media stream, in the bot's place: what they say goes to Twilio as it comes."""

import asyncio
import json
from base64 import b64encode
from dataclasses import replace

from bot.call import Phase
from bot.events import Event, FarewellHeard, GoodbyeHeard, StreamEnded
from bot.lending import LentWire
from bot.media import read_message
from bot.session import Session
from bot.talk import Conversation

BYTES_PER_SECOND = 8000
"""Of µ-law (Twilio: Media Streams)."""

WAITING_SECONDS = 0.4
"""So much of what they say may wait at Twilio to be heard. What comes beyond, after a standstill of their network, is
dropped: otherwise all that they say from then on would be heard late."""


AHEAD = b"\xff" * 640
"""Silence that goes before sound when nothing is waiting at Twilio, 80 ms of it: pieces that come unevenly, as over any
network, are heard without gaps."""


class SupervisorTalk(Conversation):
    """One stretch of a call. What only a bot can do, nobody does here: `Conversation`'s own methods do nothing."""

    def __init__(self, wire: LentWire, stream_sid: str, session: Session) -> None:
        """Take the bot's place; `run` begins.

        Args:
            wire: The call's media socket.
            stream_sid: The stream's SID.
            session: The call, which a supervisor has joined.
        """
        self._wire = wire
        self._stream_sid = stream_sid
        self._session = session
        self._leg_number = session.call.leg
        self._clock = asyncio.get_running_loop().time
        self._heard_at = 0.0
        """When Twilio has played all that was said."""

        self._behind: dict[str, Event] = {}
        """Facts that wait for the mark behind what was said last."""

        self._closing: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Until the stream ends, or somebody else has the caller."""
        call = self._session.call
        match call.phase:
            case Phase.JOINED:
                self._session.speaks("person", True)
            case Phase.LEAVING:  # this, as the next, was ordered while the bot was leaving
                self.say_goodbye(len(call.handoffs))
            case Phase.PARTING:
                self.say_farewell(call.farewells, prompted=False)
            case _:
                pass
        try:
            await self._wire.receive(self._take)
        finally:
            self._session.speaks("person", False)

    def relay(self, audio: bytes) -> None:
        """See the protocol."""
        now = self._clock()
        if not audio or self._heard_at - now > WAITING_SECONDS:
            return
        if self._heard_at < now:
            audio = AHEAD + audio
        self._heard_at = max(self._heard_at, now) + len(audio) / BYTES_PER_SECOND
        self._send({"event": "media", "media": {"payload": b64encode(audio).decode()}})

    def say_goodbye(self, handoff: int) -> None:
        """See the protocol. The supervisor has said theirs; it is heard to its end all the same."""
        self._when_heard(f"goodbye:{handoff}", GoodbyeHeard(at=0.0, handoff=handoff))

    def say_farewell(self, farewell: int, *, prompted: bool) -> None:
        """See the protocol, and `say_goodbye`."""
        self._when_heard(f"farewell:{farewell}", FarewellHeard(at=0.0, farewell=farewell))

    def give_way(self) -> None:
        """See the protocol. What was said last is heard to its end."""
        self._wire.give_back()

    def listen_again(self, advice: str) -> None:
        """See the protocol. The caller is to have the bot after all: whom they were to be put through to is gone."""
        self._wire.give_back()

    def close(self) -> None:
        """See the protocol."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._wire.close())

    def _when_heard(self, mark: str, event: Event) -> None:
        self._behind[mark] = event
        self._send({"event": "mark", "mark": {"name": mark}})

    def _send(self, message: dict[str, object]) -> None:
        self._wire.send(json.dumps({**message, "streamSid": self._stream_sid}))

    def _take(self, data: str | bytes) -> None:
        """A message of Twilio's. The caller's sound is heard by the supervisor at the call's tap."""
        message = read_message(data)
        match message:
            case {"event": "stop"}:
                self._post(StreamEnded(at=0.0, leg=self._leg_number, stopped=True))
            case {"event": "mark", "mark": {"name": str(name)}} if (event := self._behind.pop(name, None)) is not None:
                self._post(event)
            case _:
                pass

    def _post(self, event: Event) -> None:
        self._session.post(replace(event, at=self._session.now()))
