"""The output of a slot: how it is cut into chunks, and in which order those are read again.

Rules:
  1. Output is stored in chunks, each under a key of its own, numbered from 0 within its attempt.
  2. A chunk counts once the record of the slot admits it, by its number of chunks. The record is written by
     compare-and-set after the chunks, so what a holder stores that has lost its lease never counts.
  3. The chunks of a slot, attempt after attempt, form one sequence that only grows at its end. A position is a
     number of items of it. An attempt that dropped some of its output ends with one more item, which says so.
  4. A chunk of text ends between two characters, unless it is the last of its attempt.
  5. Secrets are hidden before anything is cut: no chunk holds any, nor do two that follow each other.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from osapi.errors import RecordError
from osapi.rules.lifecycle import TERMINAL
from osapi.rules.reports import STREAMS, Stream
from osapi.rules.scrubbing import Scrubber

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from osapi.rules.records import Output, Record

# What was reported is stored after so many seconds, or once there is a chunk of it.
PAUSE = 0.2
MAX_CHUNK = 32 * 1024

# After so many times the pause has doubled: what trickles for an hour is stored 3,800 times and not 18,000.
_TIMES = 500

# The longest character of UTF-8 has four bytes, so at most three of an unfinished one.
_UNFINISHED = 3


class Chunk(Struct, frozen=True, kw_only=True):
    """A piece of a job's output, by the host that wrote it in one attempt; `number` counts from 0 in the attempt.

    `position` is where reading goes on after it: give `{slot: position}` to `output`. At the end of an attempt that
    wrote more than `Settings.max_output`, a chunk without data says in `dropped` how many bytes are missing.
    """

    host: str
    slot: str
    attempt: int
    number: int
    position: int
    stream: Stream = "stdout"
    data: bytes = b""
    dropped: int = 0

    @property
    def text(self) -> str:
        """Return the data as text; bytes that are no UTF-8 are replaced."""
        return self.data.decode("utf-8", "replace")


def pause(times: int) -> float:
    """Return how many seconds to gather reports before they are stored, after they have been so many times."""
    return PAUSE * (1.0 + times / _TIMES)


# --- Writing -----------------------------------------------------------------------------------------------


class Gathered:
    """What an attempt wrote and nobody stored yet, without `secrets`; at most `room` bytes are taken, others dropped.

    The order of the two streams is kept from one storing to the next: pipes have none that is finer.
    """

    def __init__(self, room: int, size: int, secrets: Collection[str] | None = ()) -> None:
        self.chunks: deque[bytes] = deque()
        self.dropped = 0
        self._room = max(0, room)
        self._size = size
        self._written: dict[Stream, bytearray] = {stream: bytearray() for stream in STREAMS}
        self._scrubbers = {stream: Scrubber(secrets) for stream in STREAMS}

    @property
    def is_full(self) -> bool:
        """Tell whether there is enough for a chunk."""
        return any(len(written) >= self._size for written in self._written.values())

    def write(self, data: bytes, stream: Stream) -> bool:
        """Take output, and tell whether some of it can be stored."""
        # What is dropped need not be looked at.
        return self._keep(self._scrubbers[stream].take(data) if self._room else data, stream)

    def _keep(self, data: bytes, stream: Stream) -> bool:
        kept = data[: self._room]
        self._room -= len(kept)
        self.dropped += len(data) - len(kept)
        self._written[stream] += kept
        return bool(kept)

    def cut(self, *, last: bool) -> None:
        """Move what was written to `chunks`; unless it is the last, a character that is unfinished stays."""
        for stream, written in self._written.items():
            if last:
                self._keep(self._scrubbers[stream].end(), stream)
            while len(written) > self._size:
                self._move(stream, _boundary(written, self._size))
            self._move(stream, len(written) if last else _boundary(written, len(written)))

    def give_up(self) -> None:
        """Drop what is there, and whatever comes."""
        self._room = 0
        self.dropped += sum(len(data_of(chunk)[1]) for chunk in self.chunks)
        self.dropped += sum(len(written) for written in self._written.values())
        self.chunks.clear()
        for written in self._written.values():
            written.clear()

    def _move(self, stream: Stream, length: int) -> None:
        if length:
            written = self._written[stream]
            self.chunks.append(b"%d" % (STREAMS.index(stream) + 1) + written[:length])
            del written[:length]


def _boundary(data: bytearray, length: int) -> int:
    """Return where to cut, at most `length` bytes in, without dividing a character of UTF-8."""
    for back in range(1, min(_UNFINISHED, length) + 1):
        byte = data[length - back]
        if byte >= 0xC0:
            needed = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return length - back if needed > back else length
        if byte < 0x80:
            break
    return length


def data_of(value: bytes) -> tuple[Stream, bytes]:
    """Return the stream and the data of a stored chunk: the number that the stream has as a file comes first.

    Raises:
        RecordError: it is none.

    """
    stream = value[:1]
    if stream not in {b"1", b"2"}:
        raise RecordError("a stored chunk of output cannot be read: it does not begin with 1 or 2")
    return STREAMS[int(stream) - 1], value[1:]


# --- Reading -----------------------------------------------------------------------------------------------


class Place(NamedTuple):
    """One item of a slot's sequence, `position` being what is read with it; with `dropped`, there is no chunk."""

    host: str
    attempt: int
    number: int
    position: int
    dropped: int = 0


class _Part(NamedTuple):
    host: str
    attempt: int
    output: Output
    has_ended: bool


def places(record: Record, position: int, most: int) -> list[Place]:
    """Return what the record of a slot admits after a position, at most so many items, in order."""
    return list(islice(_places(record, position), most))


def _places(record: Record, position: int) -> Iterator[Place]:
    start = 0
    for part in _parts(record):
        for number in range(max(0, position - start), part.output.chunks):
            yield Place(part.host, part.attempt, number, start + number + 1)
        start += part.output.chunks
        if part.has_ended and part.output.dropped:
            start += 1
            if position < start:
                yield Place(part.host, part.attempt, part.output.chunks, start, part.output.dropped)


def _parts(record: Record) -> Iterator[_Part]:
    for attempt in record.earlier:
        if attempt.output is not None:
            yield _Part(attempt.host, attempt.number, attempt.output, has_ended=True)
    if record.output is not None:
        yield _Part(record.host, record.attempt, record.output, has_ended=record.status in TERMINAL)


def written(record: Record) -> int:
    """Return how many bytes of output are stored of a slot, in all attempts."""
    return sum(part.output.bytes for part in _parts(record))
