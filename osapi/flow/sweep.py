"""Sweeping: settle every job whose time is over, whoever submitted it."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack
from functools import partial
from math import inf
from typing import TYPE_CHECKING, TypeVar

from osapi.errors import InvalidKeyError, LimitReachedError, RecordError, TransportError
from osapi.flow.due import Due
from osapi.flow.persist import insist
from osapi.flow.settle import record_keys, settle_slots
from osapi.nursery import background
from osapi.roster import Roster
from osapi.rules import gather
from osapi.rules.codec import DEFINITION
from osapi.rules.keys import job_key, parse_job_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractAsyncContextManager

    from osapi.flow.store import Store
    from osapi.rules.records import Definition
    from osapi.transport import Entry, Watch

T = TypeVar("T")

_log = logging.getLogger("osapi.sweeper")

# A client settles its own jobs; the sweeper comes after it.
_AFTER_CLIENTS = 1.0
# A job that cannot be settled now is tried again after so long.
_PAUSE = 5.0

# Definitions, and records of slots, that are read at once.
_JOBS = 100
_SLOTS = 256


async def sweep(store: Store) -> None:
    """Settle what is due, and what was due before, for as long as the task runs.

    Raises:
        ClosedError: the transport has ended.

    """
    async with AsyncExitStack() as stack:
        agents = await insist(partial(_entered, stack, store.registry.watch), inf)
        roster = Roster(agents)
        await roster.load()
        jobs = await insist(partial(_entered, stack, partial(store.jobs.watch, "jobs.*")), inf)
        swept = Sweep(store, roster)
        nursery = await stack.enter_async_context(background())
        nursery.start_soon(roster.follow)
        nursery.start_soon(swept.follow, jobs)
        await swept.settle_due()


async def _entered(stack: AsyncExitStack, block: Callable[[], AbstractAsyncContextManager[T]]) -> T:
    return await stack.enter_async_context(block())


class Sweep:
    """The jobs whose time is not over; of each an id and a moment are kept, and nothing else."""

    def __init__(self, store: Store, roster: Roster) -> None:
        self._store = store
        self._roster = roster
        self._open: set[str] = set()
        self._due = Due(self._open)

    @property
    def size(self) -> int:
        """Return how many jobs are kept in mind."""
        return len(self._open)

    async def follow(self, watch: Watch) -> None:
        """Take note of each job that is submitted or removed, for as long as the task runs."""
        while True:
            for entry in await watch.receive():
                try:
                    self._apply(entry)
                except (RecordError, InvalidKeyError) as error:
                    _log.warning("a job is left to others: %s", error)

    def _apply(self, entry: Entry) -> None:
        job_id = parse_job_key(entry.key)
        if entry.change != "put":
            self._open.discard(job_id)
        elif job_id not in self._open:
            due = gather.first_due(DEFINITION.decode(entry.value))
            self._open.add(job_id)
            self._due.set(job_id, due - self._store.now() + _AFTER_CLIENTS)

    async def settle_due(self) -> None:
        """Settle the jobs whose time is over, for as long as the task runs."""
        while True:
            due = await self._due.take()
            for start in range(0, len(due), _JOBS):
                await self._settle(due[start : start + _JOBS])

    async def _settle(self, job_ids: Sequence[str]) -> None:
        waits: dict[str, float | None] = dict.fromkeys(job_ids, _PAUSE)
        try:
            for batch in _batches(await self._over(job_ids, waits)):
                await self._settle_batch(batch, waits)
        except TransportError as error:
            _log.warning("jobs whose time is over cannot be settled yet: %s", error)
        for job_id, wait in waits.items():
            if wait is None:
                self._open.discard(job_id)
            elif job_id in self._open:
                self._due.set(job_id, wait)

    async def _over(self, job_ids: Sequence[str], waits: dict[str, float | None]) -> list[Definition]:
        """Read the definitions of those whose time is over indeed; of the others, say how long to wait."""
        keys = [job_key(job_id) for job_id in job_ids]
        entries = await insist(partial(self._store.jobs.get_many, keys), self._store.settings.persist)
        over: list[Definition] = []
        for job_id, entry in zip(job_ids, entries, strict=True):
            waits[job_id] = None
            try:
                definition = None if entry is None else DEFINITION.decode(entry.value)
            except RecordError as error:
                _log.warning("job %s is left to others: %s", job_id, error)
                continue
            if definition is not None:
                left = gather.first_due(definition) - self._store.now()
                waits[job_id] = max(left, _PAUSE)
                # The broker's clock, which counts, may have been set back since.
                if left <= 0.0:
                    over.append(definition)
        return over

    async def _settle_batch(self, batch: list[Definition], waits: dict[str, float | None]) -> None:
        keys = [key for definition in batch for key in record_keys(definition)]
        entries = iter(await insist(partial(self._store.responses.get_many, keys), self._store.settings.persist))
        for definition in batch:
            own = [next(entries) for _ in record_keys(definition)]
            try:
                waits[definition.id] = await settle_slots(self._store, definition, own, self._roster.agents)
            except RecordError as error:
                _log.warning("job %s cannot be settled: %s", definition.id, error)
                waits[definition.id] = None
            except LimitReachedError as error:
                _log.warning("job %s cannot be settled yet: %s", definition.id, error)


def _batches(definitions: list[Definition]) -> Iterator[list[Definition]]:
    """Divide jobs so that the slots of each part are few, or those of one job."""
    batch: list[Definition] = []
    slots = 0
    for definition in definitions:
        count = len(record_keys(definition))
        if batch and slots + count > _SLOTS:
            yield batch
            batch, slots = [], 0
        batch.append(definition)
        slots += count
    if batch:
        yield batch
