"""The journal: an agent's memory of what it has started, kept in a file so that it outlives the process.

A line is `<attempt> <finish_by> <job id>`; the first says `osapi-journal-1 <since> <horizon>`. A line is written before
its attempt starts. It is not synced to the disk: it outlives the process that is killed, not the power that fails. A
last line that is cut short is passed over, since its attempt had not started. The file is rewritten, in a new one that
takes its place, once most of its lines are of jobs whose time is over.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from osapi.errors import KeyFileError
from osapi.rules.lifecycle import TERMINAL
from osapi.rules.replays import ENDED, Memory, Started

if TYPE_CHECKING:
    from osapi.rules.records import Definition, Record

_HEAD: Final = "osapi-journal-1"

_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC

# A file of fewer lines is not worth rewriting.
_FEW: Final = 1000


class Journal:
    """What one agent has started; without a path only as long as it lives.

    Raises:
        KeyFileError: the file cannot be read or written, or is none of ours.

    """

    def __init__(self, path: str | os.PathLike[str] | None, now: float) -> None:
        self._path = None if path is None else Path(path)
        self._lines = 0
        self._file: IO[str] | None = None
        self.memory = Memory(now)
        if self._path is not None:
            try:
                self._open(self._path, now)
            except OSError as error:
                raise KeyFileError(f"journal {path}: {error.strerror}") from None
            except ValueError as error:
                raise KeyFileError(f"journal {path}: it is damaged ({error}); give the agent a new one") from None

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def is_too_old(self, definition: Definition) -> bool:
        """Tell whether a job is older than this memory, and nothing is known of it here."""
        return self.memory.is_older(definition) and definition.id not in self.memory

    def start(self, definition: Definition, record: Record, now: float) -> str:
        """Take note of an attempt that starts, and return why it must not, empty if it may."""
        why = self.memory.objection(definition, record.attempt)
        if why:
            return f"replayed: {why}"
        try:
            self._note(Started(definition.id, definition.finish_by, record.attempt), now)
        except OSError as error:
            return f"the journal of what was started cannot be written: {error.strerror}"
        return ""

    def end(self, definition: Definition, record: Record, now: float) -> None:
        """Take note that a job has ended here, if it has.

        Raises:
            OSError: it cannot be written; it is remembered as long as the process lives.

        """
        if record.status in TERMINAL:
            self._note(Started(definition.id, definition.finish_by, ENDED), now)

    def _note(self, started: Started, now: float) -> None:
        self.memory.remember(started, now)
        if self._file is None or self._path is None:
            return
        self._file.write(_line(started))
        self._file.flush()
        self._lines += 1
        if self._lines > _FEW + 2 * len(self.memory):
            self._rewrite(self._path)

    def _open(self, path: Path, now: float) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.exists():
            self.memory = _read(path, now)
        self._rewrite(path)

    def _rewrite(self, path: Path) -> None:
        draft = path.with_name(f".{path.name}.new")
        with os.fdopen(os.open(draft, _NEW, 0o600), "w", encoding="ascii") as file:
            file.write(f"{_HEAD} {self.memory.since!r} {self.memory.horizon!r}\n")
            file.writelines(_line(started) for started in self.memory)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        self.close()
        self._file = path.open("a", encoding="ascii")
        self._lines = len(self.memory)


def _line(started: Started) -> str:
    return f"{started.attempt} {started.finish_by!r} {started.job_id}\n"


def _read(path: Path, now: float) -> Memory:
    with path.open(encoding="ascii", errors="replace") as file:
        head = file.readline().split()
        if len(head) != 3 or head[0] != _HEAD:
            raise KeyFileError(f"journal {path}: it is no journal of an agent; name another file")
        memory = Memory(float(head[1]), horizon=float(head[2]))
        for line in file:
            parts = line.split(" ")
            if len(parts) == 3 and line.endswith("\n"):
                memory.remember(Started(parts[2].rstrip("\n"), float(parts[1]), int(parts[0])), now)
    return memory
