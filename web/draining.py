"""The server's end: live calls go on, new ones go elsewhere.

uvicorn closes every WebSocket within a tenth of a second of the first SIGTERM, which for a call is the failsafe person
in mid-sentence. Here the first signal only shuts the door (`/ready` says 503), and the process ends when its calls
have, or when they have had the time that the operator gives them. The second signal ends it now.
"""

import time
from types import FrameType

import uvicorn
from loguru import logger

from bot.switchboard import Switchboard

LINGER_SECONDS = 2.0
"""How long after its last call the process stays, so that what Twilio still has to tell of that call is heard."""


class DrainingServer(uvicorn.Server):
    """uvicorn's server, which lets live calls end."""

    def __init__(self, config: uvicorn.Config, switchboard: Switchboard, *, drain_seconds: float) -> None:
        """Serve.

        Args:
            config: uvicorn's configuration.
            switchboard: The live calls.
            drain_seconds: How long they may go on.
        """
        super().__init__(config)
        self._switchboard = switchboard
        self._drain_seconds = drain_seconds
        self._deadline: float | None = None
        self._busy_at = 0.0
        """When it last had a call. Seconds, monotonic."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal to end. It is not raised again afterwards: the process has done as it was told, and exits with 0."""
        if self._deadline is None:
            self._switchboard.draining = True
            self._deadline = time.monotonic() + self._drain_seconds
        else:
            self.should_exit = self.force_exit = True

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: is it time to end?"""
        if self._deadline is not None and not self.should_exit:
            live, now = self._switchboard.live, time.monotonic()
            if live:
                self._busy_at = now
            if counter % 100 == 0:
                logger.info("{} calls are still on; the process ends when they do", live)
            if now >= min(self._busy_at + LINGER_SECONDS, self._deadline):
                self._switchboard.let_go()
                self.should_exit = True
        return await super().on_tick(counter)
