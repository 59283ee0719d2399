"""The servers under test, each in a process of its own on a core of its own, and what the system says of them."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from bench.rig.caller import ACCOUNT_SID, AUTH_TOKEN

ROOT = Path(__file__).parent.parent
POLICY = ROOT / "handoff.yaml"
COMMANDS = {
    "bare": ["-m", "bench.bare"],
    "relay": ["-m", "bench.relay"],
    "stock": ["-m", "bench.stock"],
    "putthrough": ["server.py"],
}
"""In the order in which they take turns."""

START_SECONDS = 90.0
STOP_SECONDS = 10.0


_ALLOWED = sorted(os.sched_getaffinity(0))
RIG_CORE = _ALLOWED[0]
SERVERS_CORE = _ALLOWED[-1]
"""The same as the rig's where there is only one core; delays say little then."""


@dataclass(frozen=True, slots=True)
class Size:
    """What a process holds."""

    rss: int
    """Bytes."""

    fds: int
    threads: int


class Server:
    """One server. `start`, `wait_ready`, `stop`."""

    def __init__(self, name: str, folder: Path, policy: Path = POLICY) -> None:
        """Prepare.

        Args:
            name: One of `COMMANDS`.
            folder: Where its log and its record go.
            policy: Its hand-off policy, where it has one.
        """
        self.name = name
        self.url = f"http://127.0.0.1:{(port := _free_port())}"
        self._port = port
        self._folder = folder
        self._policy = policy
        self._log = folder / f"{name}.log"

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def start(self, model_url: str, rest_url: str) -> None:
        """Start it; it is not ready yet.

        Args:
            model_url: Where the model is.
            rest_url: Where Twilio's REST is.
        """
        environment = {
            **os.environ,
            "HOST": "127.0.0.1",
            "PORT": str(self._port),
            "PUBLIC_URL": self.url,
            "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
            "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
            "TWILIO_API_URL": rest_url,
            "OPENAI_API_KEY": "sk-bench",
            "OPENAI_REALTIME_URL": model_url,
            "DATABASE_URL": f"sqlite+aiosqlite:///{self._folder / 'calls.db'}",
            "LOG_LEVEL": "INFO",
            "MAX_CALLS": "1000",
            "PIPELINE": "openai_realtime",
            "HANDOFF_POLICY": str(self._policy),
            "PYTHONUNBUFFERED": "",
        }
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, *COMMANDS[self.name]],
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=log,
                preexec_fn=lambda: os.sched_setaffinity(0, {SERVERS_CORE}),
            )

    def wait_ready(self) -> None:
        """Wait until it answers.

        Raises:
            RuntimeError: It ended, or was not ready in time; its log is in the message.
        """
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise RuntimeError(f"{self.name} ended with {self._process.returncode}:\n{self.log()}")
            try:
                with urllib.request.urlopen(f"{self.url}/health", timeout=1):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        raise RuntimeError(f"{self.name} was not ready in {START_SECONDS:.0f} s:\n{self.log()}")

    def log(self) -> str:
        """The end of its log."""
        return self._log.read_text()[-4000:]

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    # --- what the system says ---

    def cpu_seconds(self) -> float:
        """The processor time that it and the processes it has begun have used, in user and kernel mode."""
        return cpu_seconds(self.pid) + sum(cpu_seconds(pid) for pid in self._children())

    def size(self) -> Size:
        """What it holds now."""
        proc = Path(f"/proc/{self.pid}")
        status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
        rss = int(status["VmRSS"].split()[0]) * 1024
        return Size(rss, len(os.listdir(proc / "fd")), int(status["Threads"]))

    def _children(self) -> list[int]:
        """The console's pages are made in one."""
        tasks = Path(f"/proc/{self.pid}/task").iterdir()
        return [int(pid) for task in tasks for pid in (task / "children").read_text().split()]


def cpu_seconds(pid: int) -> float:
    """The processor time a process has used: its threads' to the nanosecond, where the kernel tells; else in ticks."""
    try:
        tasks = [Path(task.path) / "schedstat" for task in os.scandir(f"/proc/{pid}/task")]
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9
    except FileNotFoundError:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
