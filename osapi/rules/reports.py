"""What a handler may report of itself while it runs, and where that goes: to its run, or to a test's recorder."""

from __future__ import annotations

from typing import Final, Literal, Protocol

from osapi.errors import InvalidReportError

Stream = Literal["stdout", "stderr"]

STREAMS: Final[tuple[Stream, ...]] = ("stdout", "stderr")

# A message travels in every record that is written after it: a line has room, a log has not.
MAX_MESSAGE = 200


class Reporter(Protocol):
    """Takes what a handler reports, checked already; never waits."""

    def take_progress(self, fraction: float | None, message: str) -> None:
        """Take how far the handler has come."""
        ...

    def take_output(self, data: bytes, stream: Stream) -> None:
        """Take what the handler wrote."""
        ...


class Recorder:
    """Keeps what a handler reports: give one to a `Job` in a handler's own test, and look at it afterwards."""

    def __init__(self) -> None:
        self.progress: list[tuple[float | None, str]] = []
        self.output: list[tuple[Stream, bytes]] = []

    def take_progress(self, fraction: float | None, message: str) -> None:
        """Keep a progress."""
        self.progress.append((fraction, message))

    def take_output(self, data: bytes, stream: Stream) -> None:
        """Keep a piece of output."""
        self.output.append((stream, data))


def checked_progress(fraction: object, message: object) -> tuple[float | None, str]:
    """Return a progress as it may be stored; of a long message the first 200 characters.

    Raises:
        InvalidReportError: no number from 0 to 1 and not None, or a message that is no text.

    """
    if fraction is not None and not (isinstance(fraction, int | float) and 0.0 <= fraction <= 1.0):
        raise InvalidReportError(fraction, "is no progress", "report a number from 0 to 1, or None if nobody knows")
    if not isinstance(message, str):
        raise InvalidReportError(message, "is no message of progress", "report text")
    return None if fraction is None else float(fraction), _storable(message[:MAX_MESSAGE]).decode()


def checked_output(data: object, stream: object) -> tuple[bytes, Stream]:
    """Return output as the bytes that it is; text is written as UTF-8, what that does not have as `?`.

    Raises:
        InvalidReportError: neither text nor bytes, or a stream that there is not.

    """
    if stream not in STREAMS:
        raise InvalidReportError(stream, "is no stream of output", "use stdout or stderr")
    if isinstance(data, str):
        return _storable(data), stream
    if isinstance(data, bytes | bytearray):
        return bytes(data), stream
    raise InvalidReportError(data, f"is of type {type(data).__name__} and no output", "report text or bytes")


def _storable(text: str) -> bytes:
    # A lone surrogate, as in the name of a file that is no UTF-8, cannot be stored.
    return text.encode("utf-8", "replace")
