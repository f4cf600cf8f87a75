"""What an index reads of a job's definition and of its slots' records: the payloads are passed over."""

from __future__ import annotations

from msgspec import Struct

from osapi.rules.records import SlotStatus


class JobOutline(Struct, frozen=True, kw_only=True, gc=False):
    """What an index keeps of a `Definition`."""

    v: int
    id: str
    operation: str
    target: str
    origin: str
    created: float
    expires: float
    expected: tuple[str, ...] | None = None


class RecordOutline(Struct, frozen=True, kw_only=True, gc=False):
    """What an index keeps of a `Record`."""

    v: int
    status: SlotStatus
    host: str
    updated: float
