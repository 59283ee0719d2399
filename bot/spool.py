"""The spool: what the record could not take yet, in local files, until it can.

What it guarantees:

- What `append` has taken with `sync` survives the end of the process and of the machine; without, of the process.
- Writings come out (`first`) in the order in which they went in, also after a new start, those of earlier processes
  first. One stays until `shipped` or `refused` says so. Whoever dies in between gets it once more: the record tells a
  second writing from a first by its id.
- A file belongs to one living process, by a lock on it. A process that starts takes over those whose owner has died.
- A line that was cut off by a crash had not been acknowledged, and is dropped. Whatever else cannot be read, and what
  the database refuses for good, goes to `refused.jsonl` beside the files: nothing is thrown away.

One JSON object a line. When everything is shipped there is no file. All methods are for one thread, except `holds` and
`len`.
"""

import fcntl
import os
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from loguru import logger

from bot.record import LedgerError, Stored
from bot.writings import Begin, Outcome, Step, Talked, Writing, dump, read

_REFUSED = "refused.jsonl"
_FILES = "[0-9]*.jsonl"


@dataclass(frozen=True, slots=True)
class _Head:
    """A call as it is after the last of its steps in the spool."""

    uid: str
    stored: Stored


class _File:
    """One file of the spool, locked by this process."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self._at = 0
        """Bytes before the first line that is not shipped yet."""

        self._end = os.fstat(descriptor).st_size
        self._next: bytes | None = None

    @classmethod
    def create(cls, folder: Path) -> "_File":
        """A new one, after all others."""
        folder.mkdir(parents=True, exist_ok=True)
        number = max((int(path.stem) for path in folder.glob(_FILES)), default=0)
        while True:
            number += 1
            path = folder / f"{number:08d}.jsonl"
            with suppress(FileExistsError):
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
                if _lock(path, descriptor):
                    _sync_folder(folder)
                    return cls(path, descriptor)
                os.close(descriptor)

    @classmethod
    def take_over(cls, path: Path) -> "_File | None":
        """Somebody else's; None while its owner lives."""
        with suppress(FileNotFoundError):
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND)
            if _lock(path, descriptor):
                return cls(path, descriptor)
            os.close(descriptor)
        return None

    def append(self, line: bytes, sync: bool) -> None:
        """Write a line, whole or not at all."""
        try:
            written = 0
            while written < len(line):
                written += os.write(self._descriptor, line[written:])
        except OSError:
            os.ftruncate(self._descriptor, self._end)
            raise
        self._end += len(line)
        if sync:
            os.fsync(self._descriptor)

    def first(self) -> bytes | None:
        """The first line that is not shipped; None when there is none."""
        if self._next is None:
            gathered = bytearray()
            while not gathered.endswith(b"\n") and (
                more := os.pread(self._descriptor, 64 * 1024, self._at + len(gathered))
            ):
                end = more.find(b"\n")
                gathered += more if end < 0 else more[: end + 1]
            self._next = bytes(gathered) or None
        return self._next

    def drop_first(self) -> None:
        """It is shipped."""
        self._at += len(self.first() or b"")
        self._next = None

    def rewind(self) -> None:
        """Nothing is shipped yet."""
        self._at, self._next = 0, None

    def sync(self) -> None:
        """Have everything on the disk."""
        os.fsync(self._descriptor)

    def close(self, *, remove: bool) -> None:
        """Give it back, to nobody or to the next process."""
        if remove:
            self.path.unlink(missing_ok=True)
        os.close(self._descriptor)


class Spool:
    """The spool of one process, with what earlier ones left."""

    def __init__(self, folder: Path) -> None:
        """Open it.

        Args:
            folder: Where its files are; it is created. Several processes may share it.

        Raises:
            LedgerError: The folder cannot be written to.
        """
        self.folder = folder
        self._left: list[_File] = []
        """Those of earlier processes, oldest first."""

        self._own: _File | None = None
        self._waiting: Counter[str] = Counter()
        self._size = 0
        self._heads: dict[str, _Head] = {}
        self._conversations: dict[str, list[dict[str, Any]]] = {}
        self._outrun: set[str] = set()
        try:
            self._made = not folder.exists()
            folder.mkdir(parents=True, exist_ok=True)
            paths = sorted(folder.glob(_FILES))
            if not os.access(folder, os.W_OK | os.X_OK):
                raise PermissionError("it may not be written to")
            for path in paths:
                if (file := _File.take_over(path)) is not None:
                    self._take_stock(file)
        except OSError as error:
            raise LedgerError(f"the spool's folder {folder} cannot be used: {error.strerror or error}") from error
        if self._size:
            logger.warning("an earlier process left {} writings in the spool", self._size)

    def __len__(self) -> int:
        """How many writings wait."""
        return self._size

    def holds(self, sid: str) -> bool:
        """Whether something about this call waits."""
        return sid in self._waiting

    def append(self, writing: Writing, *, sync: bool) -> Outcome:
        """Take a writing.

        Args:
            writing: A step is compared with what the spool has of its call, as the record would do.
            sync: Return only when it is on the disk.

        Raises:
            OSError: It could not be written; nothing is left of it.
            TypeError, ValueError: It is not JSON.
        """
        head = self._heads.get(writing.sid)
        if isinstance(writing, Begin) and head is not None:
            return Outcome.OUTRUN
        if isinstance(writing, Step) and head is not None:
            if head.stored.version != writing.version:
                return Outcome.OUTRUN
            writing = replace(writing, after=head.uid)
        line = dump(writing)
        if self._own is None:
            self._own = _File.create(self.folder)
        self._own.append(line, sync)
        self._count(writing)
        return Outcome.WRITTEN

    def first(self) -> Writing | None:
        """The writing that is to be shipped next; None when there is none."""
        while (file := self._file()) is not None:
            line = file.first()
            if line is None:
                self._remove(file)
                continue
            writing = _parsed(line)
            if writing is not None:
                return writing
            self._set_aside(line)
            file.drop_first()
        return None

    def shipped(self, writing: Writing) -> None:
        """The first is in the record."""
        self._drop(writing)

    def refused(self, writing: Writing) -> None:
        """The database will never take the first: set it aside."""
        self._set_aside(dump(writing))
        self._drop(writing)

    def outrun(self, sid: str) -> None:
        """Another process went on with this call: what is here is no longer how the call stands."""
        self._heads.pop(sid, None)
        self._outrun.add(sid)

    def is_outrun(self, sid: str) -> bool:
        """Whether `outrun` was told and nobody has gone on with the call here since."""
        return sid in self._outrun

    def was_outrun(self, sid: str) -> bool:
        """Whether `outrun` was told since this was last asked: whoever goes on with the call has to load it first."""
        if sid in self._outrun:
            self._outrun.discard(sid)
            return True
        return False

    def load(self, sid: str) -> Stored | None:
        """The call as it is after its last step here; None where there is none. Its conversation may be missing."""
        head = self._heads.get(sid)
        return replace(head.stored, conversation=self._conversations.get(sid)) if head else None

    def close(self) -> None:
        """Leave what is not shipped to the next process."""
        for file in (*self._left, *([self._own] if self._own else [])):
            with suppress(OSError):
                file.sync()
            file.close(remove=file.first() is None)
        self._left, self._own = [], None
        if self._made:
            with suppress(OSError):  # there is something in it, or another process was quicker
                self.folder.rmdir()

    # --- files -------------------------------------------------------------------------------------

    def _file(self) -> _File | None:
        return self._left[0] if self._left else self._own

    def _remove(self, file: _File) -> None:
        file.close(remove=True)
        if file is self._own:
            self._own = None
        else:
            self._left.remove(file)

    def _drop(self, writing: Writing) -> None:
        file = self._file()
        if file is not None:
            file.drop_first()
            if file.first() is None:
                self._remove(file)
        self._size -= 1
        self._waiting[writing.sid] -= 1
        if self._waiting[writing.sid] <= 0:
            for kept in (self._waiting, self._heads, self._conversations):
                kept.pop(writing.sid, None)

    def _take_stock(self, file: _File) -> None:
        while (line := file.first()) is not None:
            writing = _parsed(line)
            if writing is not None:
                self._count(writing)
            file.drop_first()
        file.rewind()
        self._left.append(file)

    def _count(self, writing: Writing) -> None:
        self._waiting[writing.sid] += 1
        self._size += 1
        match writing:
            case Begin(call, _, uid):
                self._heads[call.sid] = _Head(uid, Stored(call, 1))
            case Step(call, version, _, _, uid):
                self._heads[call.sid] = _Head(uid, Stored(call, version + 1))
            case Talked(sid, _, messages):
                self._conversations[sid] = messages
            case _:
                pass

    def _set_aside(self, line: bytes) -> None:
        if not line.endswith(b"\n"):
            logger.warning("the spool ends in a line that was cut off")
            return
        logger.error("a writing is set aside in {}", self.folder / _REFUSED)
        with suppress(OSError), (self.folder / _REFUSED).open("ab") as refused:
            refused.write(line)
            refused.flush()
            os.fsync(refused.fileno())


def _parsed(line: bytes) -> Writing | None:
    try:
        return read(line) if line.endswith(b"\n") else None
    except ValueError:
        return None


def _lock(path: Path, descriptor: int) -> bool:
    """Make the file this process's, if it is nobody's and still has its name."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except (BlockingIOError, FileNotFoundError):
        return False


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
