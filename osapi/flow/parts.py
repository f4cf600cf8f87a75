"""Large results: stored in parts before the record that names them, and read back whole."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from osapi.errors import LimitReachedError, PayloadTooLargeError, UnknownJobError
from osapi.flow.persist import insist
from osapi.rules.keys import part_key, response_key
from osapi.rules.parts import joined, part_size, parted, split

if TYPE_CHECKING:
    from osapi.flow.claim import Claimed
    from osapi.flow.store import Store
    from osapi.rules.records import Definition, Record

# Parts that are read at once: they are large.
_AT_ONCE = 4


async def store_parts(store: Store, claimed: Claimed, record: Record) -> Record:
    """Return the record that ends an attempt as it can be written; a large result is stored in parts before.

    Raises:
        PayloadTooLargeError: the result is larger than `settings.max_result`.
        LimitReachedError, DisconnectedError, UncertainError

    """
    size = len(record.result)
    if size > store.settings.max_result:
        raise PayloadTooLargeError(f"result of {claimed.definition.operation}", size, store.settings.max_result)
    most = part_size(store.transport.max_payload)
    if size <= most:
        return record
    parts = split(record.result, most)
    keys = [part_key(claimed.key, record.attempt, number) for number in range(len(parts))]
    bucket, patience = store.responses, store.settings.persist
    try:
        for key, part in zip(keys, parts, strict=True):
            await insist(partial(bucket.put, key, part, ttl=store.ttl(claimed.definition)), patience)
    except LimitReachedError:
        # What found room would take it from others until the job's lifetime is over.
        for key in keys:
            await insist(partial(bucket.purge, key), patience)
        raise
    return parted(record, len(parts))


async def read_whole(store: Store, definition: Definition, record: Record) -> Record:
    """Return a record with its result, also if that is stored in parts.

    Raises:
        UnknownJobError: parts are gone, and so is the job: it was deleted, or has outlived its lifetime.
        RecordError, DisconnectedError

    """
    if record.parts is None:
        return record
    key = response_key(definition.origin, definition.id, record.slot)
    keys = [part_key(key, record.attempt, number) for number in range(record.parts.count)]
    parts: list[bytes] = []
    for start in range(0, len(keys), _AT_ONCE):
        read = partial(store.responses.get_many, keys[start : start + _AT_ONCE])
        found = [entry.value for entry in await insist(read, store.settings.persist) if entry is not None]
        parts.extend(found)
    if len(parts) < len(keys):
        raise UnknownJobError(f"job {definition.id} was deleted, or has outlived its lifetime: its result is gone")
    return joined(record, parts)
