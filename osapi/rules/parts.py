"""Large results: what does not fit into one message is stored in parts beside the record of its slot.

The parts come first and the record after them, by compare-and-set, and only the record says that there are any: of an
agent that dies between them nothing is ever read.
"""

from __future__ import annotations

import hashlib

from msgspec import Raw
from msgspec.structs import replace

from osapi.errors import RecordError, UntrustedError
from osapi.rules.records import NO_RESULT, Parts, Record

# Room for the rest of a record, whose story of earlier attempts may be long, and for the headers of a message.
_ROOM = 64 * 1024


def part_size(max_payload: int) -> int:
    """Return how many bytes of a result fit into one message beside everything else."""
    return max(1, max_payload - min(_ROOM, max_payload // 2))


def split(result: Raw, size: int) -> list[bytes]:
    """Divide a result into parts of so many bytes, the last one smaller."""
    data = bytes(result)
    return [data[start : start + size] for start in range(0, len(data), size)]


def parted(record: Record, count: int) -> Record:
    """Return the record of a result that lies in so many parts."""
    result = bytes(record.result)
    return replace(record, result=NO_RESULT, parts=Parts(count=count, size=len(result), digest=_digest(result)))


def joined(record: Record, parts: list[bytes]) -> Record:
    """Return the record with its result whole.

    Raises:
        RecordError: they are not as large as the record says.
        UntrustedError: they are not what its writer stored.

    """
    data = b"".join(parts)
    wanted = record.parts
    if wanted is None or len(data) != wanted.size:
        raise RecordError(f"the parts of a stored result are {len(data)} bytes, which is not what its record says")
    if wanted.digest not in {"", _digest(data)}:
        raise UntrustedError("the parts of a stored result are not those that its record was written for")
    return replace(record, result=Raw(data), parts=None)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
