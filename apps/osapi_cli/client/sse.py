"""Server-sent events, taken apart: bytes in, events out, no I/O.

See https://html.spec.whatwg.org/multipage/server-sent-events.html, "Interpreting an event stream". As there, an event
without data is none, its id counts all the same, and a last event without an empty line after it was cut off.
"""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Final

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator

# Characters of one event; a server of ours sends none that is larger than its broker's largest message.
MAX_EVENT: Final = 16 * 1024 * 1024


class Event(Struct, frozen=True, kw_only=True):
    """One event: its name, its data, and the id of it or of the last one that had any."""

    event: str
    data: str
    id: str


class TooLargeError(ValueError):
    """An event has more characters than any that a server of ours sends."""


class Parser:
    """Takes a stream apart, in whatever pieces it comes.

    `last_id` is to be sent as Last-Event-ID to go on where a stream has ended; `retry` is how many seconds to wait
    before that, None if the server has not said so.
    """

    def __init__(self, last_id: str = "", retry: float | None = None) -> None:
        self.last_id = last_id
        self.retry = retry
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._beginning = True
        self._rest: list[str] = []
        self._pending = 0
        self._held = False
        self._event = ""
        self._data: list[str] = []
        self._id = last_id
        self._size = 0

    def feed(self, piece: bytes) -> Iterator[Event]:
        """Yield the events that are complete with this piece.

        Raises:
            TooLargeError

        """
        for line in self._lines(self._decoder.decode(piece)):
            if line:
                self._take(line)
                continue
            event = self._dispatch()
            if event is not None:
                yield event

    def _lines(self, text: str) -> Iterator[str]:
        if self._beginning and text:
            self._beginning = False
            text = text.removeprefix("\ufeff")
        if self._held:
            text = f"\r{text}"
        # A CR at the end may be the half of a CR LF.
        self._held = text.endswith("\r")
        first, *others = text.removesuffix("\r").replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._rest.append(first)
        self._pending += len(first)
        self._count(self._pending)
        for line in others:
            # What came in many pieces is put together once.
            yield "".join(self._rest)
            self._rest, self._pending = [line], len(line)

    def _take(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "event":
                self._event = value
            case "data":
                self._data.append(value)
                self._count(len(value))
                self._size += len(value) + 1
            case "id" if "\0" not in value:
                self._id = value
            case "retry" if value.isascii() and value.isdigit() and len(value) < 10:
                self.retry = int(value) / 1000
            case _:
                pass

    def _count(self, more: int) -> None:
        if self._size + more > MAX_EVENT:
            raise TooLargeError(f"an event has more than {MAX_EVENT} characters")

    def _dispatch(self) -> Event | None:
        self.last_id = self._id
        name, data = self._event, self._data
        self._event, self._data, self._size = "", [], 0
        return Event(event=name or "message", data="\n".join(data), id=self.last_id) if data else None
