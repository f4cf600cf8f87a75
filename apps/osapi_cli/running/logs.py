"""What a program says on stderr: lines for people on a terminal, JSON objects otherwise.

    {"time": "2026-01-31T12:00:00.123Z", "level": "info", "logger": "osapi.agent", "message": "..."}

An object has `error` with the traceback besides, where there is one, and the record of a request has its fields:
`request_id`, `trace_id`, `subject`, `method`, `path`, `status` and `duration_ms`. Of what others may attach to a record
nothing is shown: it may be anything, and a secret.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from osapi_cli import exits

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_STYLES: Final = {logging.WARNING: "\x1b[33m", logging.ERROR: "\x1b[31m", logging.CRITICAL: "\x1b[31m"}
_MAX_MESSAGE: Final = 8192
_MAX_FIELD: Final = 1024
_MAX_NUMBER: Final = 2**53
_FIELDS: Final = ("request_id", "trace_id", "subject", "method", "path", "status", "duration_ms")


def begin(*, debug: bool) -> None:
    """Send the log to stderr: what osapi does and what others warn of, or with `debug` everything.

    Where it is JSON, `exits.tell` speaks so too from here on.
    """
    handler = logging.StreamHandler()
    if sys.stderr is not None and sys.stderr.isatty():
        handler.setFormatter(ForPeople(colour=_likes_colour(os.environ)))
    else:
        handler.setFormatter(ForPrograms())
        exits.speak_by(_speak)
    logging.raiseExceptions = False  # who reads this has left, and cannot be told so either
    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("osapi").setLevel(logging.DEBUG if debug else logging.INFO)
    for server in ("osapi.api.server", "osapi.health"):  # which says where it runs, in words of its own
        logging.getLogger(server).setLevel(logging.DEBUG if debug else logging.WARNING)


def _speak(line: str, fatal: bool) -> None:  # noqa: FBT001 - what `speak_by` takes
    logging.getLogger("osapi.program").log(logging.ERROR if fatal else logging.WARNING, "%s", line)


def _likes_colour(environ: Mapping[str, str]) -> bool:
    return not environ.get("NO_COLOR") and environ.get("TERM", "") not in {"", "dumb", "unknown"}


class ForPrograms(logging.Formatter):
    """One JSON object on a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        said: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
            **dict(_fields(record)),
        }
        if record.exc_info:
            said["error"] = self.formatException(record.exc_info)
        return msgspec.json.encode(said).decode()


class ForPeople(logging.Formatter):
    """The time of day, the level if it is a warning or worse, who speaks, and what is said; then the traceback."""

    def __init__(self, *, colour: bool) -> None:
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines."""
        at = time.strftime("%H:%M:%S", time.localtime(record.created))
        level = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        said = f"{at} {record.name}: {level}{exits.printable(' '.join(_message(record).split()))}"
        style = _STYLES.get(record.levelno, "") if self._colour else ""
        said = f"{style}{said}\x1b[0m" if style else said
        return f"{said}\n{self.formatException(record.exc_info)}" if record.exc_info else said


def _fields(record: logging.LogRecord) -> Iterator[tuple[str, str | float]]:
    for name in _FIELDS:
        value = getattr(record, name, None)
        if isinstance(value, str):
            yield name, value[:_MAX_FIELD]
        elif isinstance(value, int | float) and abs(value) < _MAX_NUMBER:
            yield name, value


def _message(record: logging.LogRecord) -> str:
    message = record.getMessage()
    return message if len(message) <= _MAX_MESSAGE else f"{message[:_MAX_MESSAGE]}..."
