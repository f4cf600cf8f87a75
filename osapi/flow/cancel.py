"""Cancelling: an order that lies beside the definition, and an end for each slot that it is for.

A slot that nobody runs is ended by whoever gives the order, by compare-and-set: a claim that comes at the same time
either wins, and then the slot runs, or finds it cancelled. A slot that runs is ended by its holder, who looks for
orders twice a second. If the holder is gone, the order still lies there when somebody would take the slot over.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

import trio

from osapi.errors import ConflictError, RecordError, TransportError
from osapi.flow.persist import insist, write
from osapi.flow.settle import record_keys
from osapi.rules import gather, lifecycle
from osapi.rules.cancellation import added, covered, order_for
from osapi.rules.codec import ORDERS, RECORD
from osapi.rules.keys import cancellation_key, response_key
from osapi.rules.records import VERSION, Orders, SlotStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from osapi.flow.lease import Run
    from osapi.flow.store import Store
    from osapi.rules.records import Definition, Order, Record
    from osapi.transport import Entry

_log = logging.getLogger("osapi.agent")

# Holders look for orders so often, in seconds, and not before an attempt is that old: most jobs have ended by then.
LOOK_SECONDS = 0.5

# Slots of one job that are ended at once.
_AT_ONCE = 64


async def cancel(store: Store, definition: Definition, order: Order) -> None:
    """Give an order, and end the slots that it is for and nobody runs.

    Given twice, it is the first that counts. Cancelled, or failing, it is given or not, and some of the slots have
    ended; if it is given, what starts nevertheless ends as what runs does.

    Raises:
        RecordError, LimitReachedError, DisconnectedError, UncertainError

    """
    orders = await _give(store, definition, order)
    entries = await insist(partial(store.responses.get_many, record_keys(definition)), store.settings.persist)
    stored = dict(zip(gather.slots(definition), entries, strict=True))
    left = iter(covered(gather.slots(definition), order))
    failed: list[TransportError | RecordError] = []

    async def end_on() -> None:
        try:
            for slot in left:
                given = order_for(orders, slot) or order
                await _end(store, definition, slot, stored[slot], given)
        except (TransportError, RecordError) as error:
            failed.append(error)
            nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        for _ in range(min(_AT_ONCE, len(entries))):
            nursery.start_soon(end_on)
    if failed:
        raise failed[0]


async def read_orders(store: Store, job_id: str) -> tuple[Order, ...]:
    """Return the orders to cancel a job, oldest first.

    Raises:
        RecordError, DisconnectedError

    """
    return _orders(await insist(partial(store.jobs.get, cancellation_key(job_id)), store.settings.persist))


async def heed(store: Store, runs: Iterable[Run]) -> None:
    """Look for orders to cancel what has been running for a while, and obey them.

    What cannot be read now is read the next time.
    """
    old = [run for run in runs if run.started_at + LOOK_SECONDS <= trio.current_time()]
    if not old:
        return
    keys = [cancellation_key(run.claimed.definition.id) for run in old]
    try:
        entries = await store.jobs.get_many(keys)
    except TransportError as error:
        _log.warning("orders to cancel cannot be read now: %s", error)
        return
    for run, entry in zip(old, entries, strict=True):
        try:
            order = order_for(_orders(entry), run.claimed.record.slot)
        except RecordError:
            _log.exception("an order to cancel job %s cannot be read", run.claimed.definition.id)
            continue
        if order is not None:
            run.cancel(order)


def _orders(entry: Entry | None) -> tuple[Order, ...]:
    return () if entry is None else ORDERS.decode(entry.value).orders


async def _give(store: Store, definition: Definition, order: Order) -> Sequence[Order]:
    key, patience = cancellation_key(definition.id), store.settings.persist
    while True:
        entry = await insist(partial(store.jobs.get, key), patience)
        orders = _orders(entry)
        more = added(orders, order)
        if more is None:
            return orders
        told = ORDERS.encode(Orders(v=VERSION, orders=more))
        revision = 0 if entry is None else entry.revision
        try:
            await write(store.jobs, key, told, revision, ttl=store.ttl(definition), patience=patience)
        except ConflictError:
            continue
        return more


async def _end(store: Store, definition: Definition, slot: str, entry: Entry | None, order: Order) -> None:
    key, patience = response_key(definition.origin, definition.id, slot), store.settings.persist
    while True:
        before = None if entry is None else RECORD.decode(entry.value)
        record = _cancelled(definition, slot, before, order, store.now())
        if record is None:
            return
        revision = 0 if entry is None else entry.revision
        try:
            await write(
                store.responses,
                key,
                RECORD.encode(record),
                revision,
                ttl=store.ttl(definition),
                patience=patience,
            )
        except ConflictError:
            entry = await insist(partial(store.responses.get, key), patience)
            continue
        return


def _cancelled(definition: Definition, slot: str, before: Record | None, order: Order, now: float) -> Record | None:
    """Return the record that ends a slot, None if it has ended or is its holder's to end."""
    if before is None:
        return lifecycle.cancel_unstarted(definition, slot, order, now=now)
    if before.status in lifecycle.TERMINAL or (before.status is SlotStatus.RUNNING and before.lease_until > now):
        return None
    return lifecycle.cancel(before, order, now=now)
