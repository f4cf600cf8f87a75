"""Settling: give a terminal record to the slots of a job whose time is over and that nobody will fill."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from osapi.errors import ConflictError
from osapi.flow.persist import insist, write
from osapi.rules import gather, lifecycle
from osapi.rules.codec import RECORD
from osapi.rules.keys import response_key
from osapi.rules.records import ANY_SLOT, SlotStatus

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from osapi.flow.store import Store
    from osapi.rules.records import Definition, Record
    from osapi.transport import Entry


async def settle(store: Store, definition: Definition, reachable: Container[str]) -> float | None:
    """Expire what is still open of a job when it is due, and say when to look again.

    What has not started is due at `start_by`, if there is one, all else at `finish_by`.

    Any process may do this at any time: records are written by compare-and-set, so one of them wins, and an
    agent that still holds its lease keeps it. Returns the seconds until the last slot that is left may be due,
    None when every slot has its terminal record. Cancelled, it has settled some slots and not others.

    Raises:
        RecordError, DisconnectedError, UncertainError

    """
    entries = await insist(partial(store.responses.get_many, record_keys(definition)), store.settings.persist)
    return await settle_slots(store, definition, entries, reachable)


def record_keys(definition: Definition) -> list[str]:
    """Name the keys that hold the records of a job's slots, in their order."""
    return [response_key(definition.origin, definition.id, slot) for slot in gather.slots(definition)]


async def settle_slots(
    store: Store, definition: Definition, entries: Sequence[Entry | None], reachable: Container[str]
) -> float | None:
    """Do what `settle` does, `entries` being what is stored under `record_keys`."""
    wait: float | None = None
    for slot, key, entry in zip(gather.slots(definition), record_keys(definition), entries, strict=True):
        left = await _settle_slot(store, definition, slot, key, entry, reachable)
        if left is not None:
            wait = left if wait is None else max(wait, left)
    return wait


async def _settle_slot(
    store: Store, definition: Definition, slot: str, key: str, entry: Entry | None, reachable: Container[str]
) -> float | None:
    now = store.now()
    before = None if entry is None else RECORD.decode(entry.value)
    if before is not None and before.status in lifecycle.TERMINAL:
        return None
    if before is not None and before.status is SlotStatus.RUNNING and before.lease_until > now:
        return before.lease_until - now
    left = gather.slot_due(definition, before) - now
    if left > 0.0:
        return left
    record = _settled(definition, slot, before, reachable, now)
    try:
        await write(
            store.responses,
            key,
            RECORD.encode(record),
            0 if entry is None else entry.revision,
            ttl=store.ttl(definition),
            patience=store.settings.persist,
        )
    except ConflictError:
        return 0.0
    return None


def _settled(definition: Definition, slot: str, before: Record | None, reachable: Container[str], now: float) -> Record:
    if before is None:
        return lifecycle.settle(definition, slot, reachable=slot == ANY_SLOT or slot in reachable, now=now)
    return lifecycle.expire(before, "its time was over, and nobody was running it any more", now=now)
