"""What the caller hears while a phone rings."""

import asyncio
import audioop
import math
from array import array
from functools import cache

from bot.local.wire import Player

TONE_SECONDS, PERIOD_SECONDS = 2.0, 6.0
"""The ringing tone of North America: two seconds in six, of 440 and 480 Hz."""


async def ring_back(player: Player) -> None:
    """Play it until cancelled."""
    while True:
        player.play(_tone())
        await asyncio.sleep(PERIOD_SECONDS)


@cache
def _tone() -> bytes:
    """µ-law of 8 kHz."""
    turns = (2 * math.pi * n / 8000 for n in range(round(8000 * TONE_SECONDS)))
    samples = array("h", (round(4000 * (math.sin(440 * turn) + math.sin(480 * turn)) / 2) for turn in turns))
    return audioop.lin2ulaw(samples.tobytes(), 2)
