"""A job as it is stored: its definition, the records of its slots, and which job retried it."""

from __future__ import annotations

from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from osapi.flow.newest import newest, trusted
from osapi.flow.parts import read_whole
from osapi.flow.persist import insist
from osapi.rules import gather
from osapi.rules.codec import DEFINITION, RECORD
from osapi.rules.keys import response_key, retried_key
from osapi.rules.records import Definition, Event, JobStatus, Record
from osapi.rules.seals import without_seal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from osapi.flow.store import Store

# Jobs whose records are read at once.
_AT_ONCE = 100


class JobDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A job as it is stored; `records` by slot, of those slots that have one.

    In a list, the records of large results have `parts` in the place of a `result`.
    """

    definition: Definition
    records: dict[str, Record]
    retried_as: str | None = None

    @property
    def id(self) -> str:
        """Return the job's id."""
        return self.definition.id

    @property
    def status(self) -> JobStatus:
        """Return the fold over its slots."""
        return gather.job_status(self.definition, self.records)

    @property
    def summary(self) -> str:
        """Return its status in a few words, as `retryable (2/5, next 14:03:10 UTC)`."""
        return gather.summary(self.definition, self.records)

    @property
    def timeline(self) -> list[Event]:
        """Return what is known to have happened, oldest first."""
        return gather.timeline(self.definition, self.records.values())


async def read_details(store: Store, keys: Sequence[str], *, trusted_only: bool = False) -> list[JobDetail]:
    """Read the jobs under these keys, in their order, without those that are gone; three requests for all of them.

    With `trusted_only` also without those that cannot be trusted.

    Raises:
        RecordError, DisconnectedError

    """
    entries = await insist(partial(store.jobs.get_many, keys), store.settings.persist)
    values = [entry.value for entry in entries if entry is not None]
    return await complete(store, list(trusted(values) if trusted_only else map(DEFINITION.decode, values)))


async def complete(store: Store, definitions: Sequence[Definition]) -> list[JobDetail]:
    """Read what became of these jobs; two requests for all of them.

    Raises:
        RecordError, DisconnectedError

    """
    patience = store.settings.persist
    slots = [(job, slot) for job in definitions for slot in gather.slots(job)]
    names = [response_key(job.origin, job.id, slot) for job, slot in slots]
    records = await insist(partial(store.responses.get_many, names), patience)
    links = await insist(partial(store.jobs.get_many, [retried_key(job.id) for job in definitions]), patience)
    found: dict[str, dict[str, Record]] = {job.id: {} for job in definitions}
    for (job, slot), entry in zip(slots, records, strict=True):
        if entry is not None:
            found[job.id][slot] = RECORD.decode(entry.value)
    again = [None if link is None else without_seal(link.value).decode() for link in links]
    return [
        JobDetail(definition=job, records=found[job.id], retried_as=job_id)
        for job, job_id in zip(definitions, again, strict=True)
    ]


async def newest_details(store: Store, status: JobStatus | None, limit: int, offset: int) -> list[JobDetail]:
    """Read a page of the newest jobs, newest first, those of one status if it is given.

    Raises:
        RecordError, DisconnectedError

    """
    async with aclosing(newest(store, offset + limit)) as parts:
        if status is None:
            definitions: list[Definition] = []
            async for part in parts:
                definitions += part
                if len(definitions) >= offset + limit:
                    break
            return await complete(store, definitions[offset : offset + limit])
        found: list[JobDetail] = []
        async for part in parts:
            for start in range(0, len(part), _AT_ONCE):
                jobs = await complete(store, part[start : start + _AT_ONCE])
                found += [job for job in jobs if job.status is status]
                if len(found) >= offset + limit:
                    return found[offset : offset + limit]
        return found[offset:]


async def with_results(store: Store, job: JobDetail) -> JobDetail:
    """Return a job with the results that are stored in parts.

    Raises:
        UnknownJobError: such a result is gone, and the job with it.
        RecordError, DisconnectedError

    """
    records = {slot: await read_whole(store, job.definition, record) for slot, record in job.records.items()}
    return msgspec.structs.replace(job, records=records)
