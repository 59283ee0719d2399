"""The real server, with a signal (SIGUSR1) that makes its event loop stand still, as a tool that blocks would."""

import signal
import sys
import time
from pathlib import Path
from types import FrameType

sys.path.insert(0, str(Path(__file__).parents[2]))

from server import main

LONG = 30.0
"""Longer than a server's heartbeat takes to end it. Seconds."""


def _block(signal_: int, frame: FrameType | None) -> None:
    time.sleep(LONG)


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, _block)
    sys.exit(main([]))
