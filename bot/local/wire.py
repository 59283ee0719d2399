"""A media stream without Twilio: it takes and gives the same messages, and plays in this process.

So the transport, the marks, the account of what was heard and everything behind them are those of a real call.
"""

import asyncio
import audioop
import contextlib
import json
import secrets
from base64 import b64decode, b64encode
from collections import deque
from collections.abc import Callable
from typing import Protocol

FRAME_BYTES = 160
"""20 ms of µ-law at 8 kHz."""

FRAME_SECONDS = 0.02

STANDSTILL_SECONDS = 0.5
"""A process that stood still for longer plays on from now, and does not make up for it."""


class Player(Protocol):
    """Plays what the caller hears, and says of marks when everything before them was played."""

    def play(self, audio: bytes) -> None:
        """Play µ-law of 8 kHz behind what is there."""

    def mark(self, echo: Callable[[], None]) -> None:
        """Call back when everything that is there was played, or thrown away."""

    def clear(self) -> None:
        """Throw away what was not played."""


class InstantPlayer:
    """Nobody listens: everything is heard in the moment in which it comes."""

    def play(self, audio: bytes) -> None:
        """See `Player`."""

    def mark(self, echo: Callable[[], None]) -> None:
        """See `Player`."""
        asyncio.get_running_loop().call_soon(echo)

    def clear(self) -> None:
        """See `Player`."""


class Loudspeaker:
    """Plays in real time, 20 ms after 20 ms."""

    def __init__(self, hears: Callable[[bytes], None]) -> None:
        """Args: hears: takes 20 ms of 16-bit samples of 8 kHz, and does not wait."""
        self._hears = hears
        self._audio = bytearray()
        self._played = 0
        self._marks: deque[tuple[int, Callable[[], None]]] = deque()

    def play(self, audio: bytes) -> None:
        """See `Player`."""
        self._audio += audio

    def mark(self, echo: Callable[[], None]) -> None:
        """See `Player`."""
        self._marks.append((self._played + len(self._audio), echo))

    def clear(self) -> None:
        """See `Player`."""
        self._played += len(self._audio)
        self._audio.clear()

    async def run(self) -> None:
        """Play until cancelled."""
        clock = asyncio.get_running_loop().time
        due = clock()
        while True:
            if self._audio:
                frame = bytes(self._audio[:FRAME_BYTES])
                del self._audio[:FRAME_BYTES]
                self._played += len(frame)
                self._hears(audioop.ulaw2lin(frame.ljust(FRAME_BYTES, b"\xff"), 2))
            while self._marks and self._marks[0][0] <= self._played:
                self._marks.popleft()[1]()
            due = max(due + FRAME_SECONDS, clock() - STANDSTILL_SECONDS)
            await asyncio.sleep(due - clock())


class LocalWire:
    """A `bot.wire.Wire`, with this process at its other end."""

    def __init__(self, player: Player) -> None:
        """A stream that has started."""
        self.stream_sid = f"MZ{secrets.token_hex(16)}"
        self._player = player
        self._take: Callable[[str | bytes], None] | None = None
        self._over = asyncio.Event()
        self.stopped = False
        """We ended it, as Twilio does when the caller hangs up or a redirect takes effect; not the bot."""

    # --- the bot's end: `Wire` -----------------------------------------------------------------------

    async def receive(self, take: Callable[[str | bytes], None]) -> None:
        """See `Wire`."""
        self._take = take
        await self._over.wait()

    def send(self, message: str) -> None:
        """See `Wire`. The messages are our own, so they are what Twilio takes."""
        if self._over.is_set():
            return
        told = json.loads(message)
        match told["event"]:
            case "media":
                self._player.play(b64decode(told["media"]["payload"]))
            case "mark":
                self._player.mark(lambda: self._tell({"event": "mark", "mark": told["mark"]}))
            case "clear":
                self._player.clear()

    async def close(self) -> None:
        """See `Wire`."""
        self._over.set()

    # --- the caller's end ----------------------------------------------------------------------------

    def speak(self, pcm: bytes) -> None:
        """The caller's sound: 16-bit samples of 8 kHz."""
        payload = b64encode(audioop.lin2ulaw(pcm, 2)).decode()
        self._tell({"event": "media", "media": {"payload": payload}})

    def press(self, digit: str) -> None:
        """The caller presses a key."""
        self._tell({"event": "dtmf", "dtmf": {"digit": digit}})

    def stop(self) -> None:
        """End the stream, as Twilio does. Idempotent."""
        if not self._over.is_set():
            self.stopped = True
            self._player.clear()
            self._tell({"event": "stop"})
            self._over.set()

    def _tell(self, message: object) -> None:
        if self._take is not None and not self._over.is_set():
            with contextlib.suppress(RuntimeError):  # the loop is closing
                self._take(json.dumps(message))
