"""What handlers did, one line each in a file that all processes append to: what the broker says is checked by it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

    import osapi


class Line(NamedTuple):
    """A handler began ("start") or came to its end ("end")."""

    what: str
    job: str
    host: str
    attempt: int


class Log:
    """Appends lines; each is one write, so that those of several processes never mix."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def note(self, what: str, job: osapi.Job) -> None:
        """Write down what a handler has just done."""
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, f"{what} {job.id} {job.host} {job.attempt}\n".encode())
        finally:
            os.close(file)

    def lines(self) -> list[Line]:
        """Return all lines so far."""
        if not self.path.exists():
            return []
        told = [line.split() for line in self.path.read_text(encoding="utf-8").splitlines()]
        return [Line(what, job, host, int(attempt)) for what, job, host, attempt in told]
