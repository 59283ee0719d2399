"""A real PostgreSQL for tests: a cluster of its own on a free port of this machine, for as long as the tests run."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
"""Where the programs of each version are that is installed; the newest last."""


class Cluster:
    """One PostgreSQL server, with as many databases as tests want."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs = programs
        self._folder = folder
        self._numbers = count(1)
        # PostgreSQL refuses to run as root, and whoever it runs as has to own its files.
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            self._user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            os.chown(folder, user.pw_uid, user.pw_gid)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._run("initdb", "-D", str(folder / "data"), "-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8")

    def start(self) -> None:
        """Start it and wait until it takes connections. What it has acknowledged outlives `stop`, not the machine."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._folder} -c fsync=off"
        data, log = str(self._folder / "data"), str(self._folder / "log")
        self._run("pg_ctl", "start", "-w", "-D", data, "-l", log, "-o", options)

    def stop(self) -> None:
        """Stop it as a power cut would: nothing is finished, every connection breaks."""
        self._run("pg_ctl", "stop", "-m", "immediate", "-D", str(self._folder / "data"))

    def freeze(self) -> None:
        """Let it stand still: its connections stay, and nothing is answered."""
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._send(signal.SIGCONT)

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Run a statement as the superuser. Returns what it printed, one row a line."""
        return self._run("psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-qAt", "-v",
                         "ON_ERROR_STOP=1", "-d", database, "-c", statement)  # fmt: skip

    def create_database(self) -> str:
        """Returns the address of a new, empty database."""
        name = f"calls{next(self._numbers)}"
        self.sql(f"CREATE DATABASE {name}")
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def _send(self, signal_: signal.Signals) -> None:
        """A signal to the server and to each of its processes."""
        server = (self._folder / "data" / "postmaster.pid").read_text().split()[0]
        children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
        for process in (server, *children):
            with suppress(ProcessLookupError):
                os.kill(int(process), signal_)

    def _run(self, program: str, *arguments: str) -> str:
        with tempfile.TemporaryFile() as output:  # a server that is started keeps a pipe open for ever
            command = [str(self._programs / program), *arguments]
            done = subprocess.run(command, stdout=output, stderr=output, cwd=self._folder, **self._user)  # noqa: S603 - its own
            output.seek(0)
            printed = output.read().decode()
        assert done.returncode == 0, f"{program}: {printed}"
        return printed.strip()


@contextmanager
def a_cluster() -> Iterator[Cluster]:
    """A server of one's own, which runs."""
    folder = Path(tempfile.mkdtemp(prefix="putthrough-postgres-"))
    try:
        made = Cluster(PROGRAMS[-1], folder)
        made.start()
        yield made
        made.stop()
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """One for all tests of a worker."""
    if not PROGRAMS:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    with a_cluster() as made:
        yield made


@pytest.fixture
def postgresql(cluster: Cluster) -> str:
    """The address of an empty database."""
    return cluster.create_database()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database, of each kind."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/calls.db"
    return request.getfixturevalue("postgresql")


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """The folder of a spool, not there yet."""
    return tmp_path / "spool"
