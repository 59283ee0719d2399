"""One of two servers on one record: what befalls it, and how a supervisor starts it again."""

import signal
from pathlib import Path

from sandbox.process import ServerProcess, free_port, start_server
from sandbox.stage import Stage

DRAIN_SECONDS = 5
"""How long its live calls may go on when it is told to end."""

PROGRAM = str(Path(__file__).with_name("server_that_blocks.py"))
BLOCKS = signal.SIGUSR1
"""Makes its event loop stand still until it ends itself."""


class Replica:
    """A server on a port of its own, whatever becomes of its process."""

    def __init__(self, stage: Stage, folder: Path, **settings: str) -> None:
        """Args: stage: what it lives with. folder: for its log and its spool. **settings: more of its environment."""
        self.port = free_port()
        self._stage = stage
        self._folder = folder
        self._settings = {
            "SPOOL": str(folder / "spool"),
            "DRAIN_SECONDS": str(DRAIN_SECONDS),
            "MAX_CALLS": "1000",
            "LOG_LEVEL": "INFO",
            **settings,
        }
        self._server: ServerProcess | None = None
        folder.mkdir()

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """Where it answers, not through the proxy."""
        return f"http://{self.address}"

    async def is_up(self) -> None:
        """Start it, unless it runs, and wait until it takes calls."""
        if self._server is not None and self._server.process.returncode is None:
            return
        self._server = await start_server(self._stage, self._folder, self._settings, port=self.port, program=PROGRAM)
        await self._server.ready()

    def befalls(self, signal_: signal.Signals) -> None:
        """Send its process a signal."""
        if self._server is not None and self._server.process.returncode is None:
            self._server.process.send_signal(signal_)

    async def ended(self) -> int:
        """Wait until its process has ended. Returns the exit status."""
        assert self._server is not None
        return await self._server.process.wait()

    async def stop(self) -> None:
        """End it, whatever state it is in."""
        if self._server is not None:
            self.befalls(signal.SIGCONT)
            await self._server.stop()
