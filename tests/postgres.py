"""A real PostgreSQL for tests: a cluster of its own on a free port of this machine, for as long as the tests run."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

_HOMES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))


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

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Run a statement as the superuser. Returns what it printed, one row a line."""
        return self._run("psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-qAt", "-v",
                         "ON_ERROR_STOP=1", "-d", database, "-c", statement)  # fmt: skip

    def create_database(self) -> str:
        """Returns the address of a new, empty database."""
        name = f"calls{next(self._numbers)}"
        self.sql(f"CREATE DATABASE {name}")
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def _run(self, program: str, *arguments: str) -> str:
        with tempfile.TemporaryFile() as output:  # a server that is started keeps a pipe open for ever
            command = [str(self._programs / program), *arguments]
            done = subprocess.run(command, stdout=output, stderr=output, cwd=self._folder, **self._user)  # noqa: S603 - its own
            output.seek(0)
            printed = output.read().decode()
        assert done.returncode == 0, f"{program}: {printed}"
        return printed.strip()


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """One for all tests of a worker."""
    if not _HOMES:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="putthrough-postgres-"))
    try:
        made = Cluster(_HOMES[-1], folder)
        made.start()
        yield made
        made.stop()
    finally:
        shutil.rmtree(folder)


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
