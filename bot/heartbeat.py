"""Is the event loop still turning? When it stands, so does every call of this process, and nobody else can tell.

A thread looks. A process whose loop has stood for long ends itself: its sockets break, and Twilio goes on with the
person who stands behind each stream.
"""

import asyncio
import os
import threading
import time

from loguru import logger

LOOK_SECONDS = 2.0
LOOKS = 3
"""So many looks in a row without a beat mean that it will not come back."""

EXIT_FROZEN = 70
"""`EX_SOFTWARE` of sysexits.h."""


class Heartbeat:
    """Beats on the running loop; its thread ends the process when the beats stop."""

    def __init__(self, look_seconds: float = LOOK_SECONDS) -> None:
        """Args: look_seconds: how often the thread looks."""
        self._look_seconds = look_seconds
        self._loop = asyncio.get_running_loop()
        self._beats = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="heartbeat", daemon=True)

    def __enter__(self) -> "Heartbeat":
        """Begin."""
        self._beat()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._stopped.set()
        self._timer.cancel()
        self._thread.join()

    def _beat(self) -> None:
        self._beats += 1
        self._timer = self._loop.call_later(self._look_seconds / 4, self._beat)

    def _watch(self) -> None:
        seen, missed = 0, 0
        while not self._stopped.wait(self._look_seconds):
            missed = missed + 1 if self._beats == seen else 0
            seen = self._beats
            if missed:
                logger.critical("the event loop has stood still for {:.0f} s", missed * self._look_seconds)
            if missed == LOOKS:
                time.sleep(0.1)  # the log's last line
                os._exit(EXIT_FROZEN)
