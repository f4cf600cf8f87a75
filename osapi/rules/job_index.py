"""The jobs that are kept, in an order and by what one asks for: a fold over the entries of two buckets.

Rules:
  1. Of each key the entry of the highest revision counts, a marker too. So neither the order of the entries nor their
     repetition matters, and those of the two buckets may be mixed in any way.
  2. A job is there from when its definition has been read until that is removed, or its lifetime is over; its records
     may come first. Nothing needs to announce the end of a lifetime.
  3. Whatever is not a job that is there (records without a definition, markers) is remembered for the longest lifetime
     of anything that is older, so that it still counts should something older come.
  4. A job lies in one ordered set for each combination of its status, operation and target that can be asked for, eight
     in all. So each question is about one set, and what it costs does not depend on how many jobs there are.
"""

from __future__ import annotations

from functools import lru_cache
from heapq import heappop, heappush
from sys import intern
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec import Struct

from osapi.rules.gather import fold
from osapi.rules.ranks import Ranks
from osapi.rules.records import ANY_SLOT, JobStatus, SlotStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from osapi.rules.outlines import JobOutline, RecordOutline
    from osapi.rules.ranks import Place

_Kind = tuple[JobStatus | None, str | None, str | None]

_ALONE: Final = {status: fold((status,)) for status in SlotStatus}

# Broadcasts to the same fleet share their list of hosts.
_FLEETS: Final = 256


class JobRow(Struct, frozen=True, kw_only=True):
    """What an index knows of a job; times in Unix seconds.

    `hosts` are those that it was frozen for, or the one that took it; `updated` is when one of them last wrote of it.
    """

    id: str
    status: JobStatus
    operation: str
    target: str
    created: float
    updated: float
    expires: float
    hosts: tuple[str, ...]


class Wanted(NamedTuple):
    """Which jobs are asked for; they were created from `since` on and before `until`."""

    status: JobStatus | None = None
    operation: str | None = None
    target: str | None = None
    since: float | None = None
    until: float | None = None


class _Slot(NamedTuple):
    """The newest entry of a slot; without a status where the record was removed."""

    name: str
    origin: str
    revision: int
    status: SlotStatus | None
    host: str
    updated: float


class _Fleet(NamedTuple):
    hosts: tuple[str, ...]
    slots: frozenset[str]


_ONE_OF_N: Final = _Fleet((), frozenset({ANY_SLOT}))


@lru_cache(_FLEETS)
def _fleet(expected: tuple[str, ...]) -> _Fleet:
    return _Fleet(expected, frozenset(expected))


class _Job:
    """What is known under one id; without a place it is no job that is there.

    Most jobs have one slot: the first one's record is `only`, those of several are `many`, and `tally` counts them.
    """

    __slots__ = (
        "fleet",
        "gone",
        "many",
        "moved",
        "only",
        "operation",
        "origin",
        "place",
        "revision",
        "status",
        "tally",
        "target",
    )

    def __init__(self) -> None:
        self.gone = 0.0
        self.revision = 0
        self.moved = 0  # the revision of the record that made the status
        self.place: Place | None = None
        self.operation = ""
        self.target = ""
        self.origin = ""
        self.fleet = _ONE_OF_N
        self.status = JobStatus.SUBMITTED
        self.only: _Slot | None = None
        self.many: dict[str, _Slot] | None = None
        self.tally: dict[SlotStatus, int] | None = None

    def known(self) -> Iterable[_Slot]:
        if self.many is not None:
            return self.many.values()
        return () if self.only is None else (self.only,)

    def counts(self, slot: _Slot) -> bool:
        return slot.status is not None and slot.origin == self.origin and slot.name in self.fleet.slots

    def find(self, name: str) -> _Slot | None:
        if self.many is not None:
            return self.many.get(name)
        return self.only if self.only is not None and self.only.name == name else None

    def put(self, slot: _Slot, before: _Slot | None) -> None:
        if self.many is None:
            if self.only is None or before is not None:
                self.only = slot
                return
            self.many = {self.only.name: self.only}
            self.only = None
            self.count()
        self.many[slot.name] = slot
        if before is not None:
            self._tell(before, -1)
        self._tell(slot, 1)

    def count(self) -> None:
        """Count the records anew."""
        if self.many is not None:
            self.tally = {}
            for slot in self.many.values():
                self._tell(slot, 1)

    def _tell(self, slot: _Slot, number: int) -> None:
        if self.tally is not None and slot.status is not None and self.counts(slot):
            self.tally[slot.status] = self.tally.get(slot.status, 0) + number

    def fold(self) -> JobStatus:
        """Return the status of the job as a whole, in a time that does not depend on its number of hosts."""
        slots = len(self.fleet.slots)
        if self.tally is not None:
            seen = [status for status, number in self.tally.items() if number]
            return fold(seen if sum(self.tally.values()) == slots else (*seen, SlotStatus.PENDING))
        if self.only is None or self.only.status is None or not self.counts(self.only):
            return JobStatus.SUBMITTED
        return _ALONE[self.only.status] if slots == 1 else fold((self.only.status, SlotStatus.PENDING))


class JobTable:
    """The fold itself: takes entries in, answers questions. `lifetime` is the longest that anything is kept."""

    def __init__(self, lifetime: float) -> None:
        self._lifetime = lifetime
        self._jobs: dict[str, _Job] = {}
        self._sets: dict[_Kind, Ranks] = {}
        self._ends: list[tuple[float, str]] = []

    # --- What comes ----------------------------------------------------------------------------------------

    def take_job(self, job_id: str, outline: JobOutline | None, revision: int, written: float, now: float) -> bool:
        """Take in an entry of a definition, None for a marker; `written` is when it was. Say if a job has a new status.

        A job that appears has one, one that goes has not.
        """
        job = self._find(job_id)
        if revision <= job.revision:
            return False
        job.revision = revision
        self._unfile(job)
        if outline is None or outline.expires <= now:
            self._keep(job_id, job, written + self._lifetime)
            return False
        job.operation = intern(outline.operation)
        job.target = intern(outline.target)
        job.origin = intern(outline.origin)
        job.fleet = _ONE_OF_N if outline.expected is None else _fleet(outline.expected)
        job.place = (outline.created, job_id)
        self._keep(job_id, job, outline.expires)
        job.count()
        job.status = job.fold()
        job.moved = max((slot.revision for slot in job.known() if job.counts(slot)), default=0)
        self._file(job, job.place)
        return True

    def take_record(
        self, job_id: str, origin: str, slot: str, outline: RecordOutline | None, revision: int, written: float
    ) -> bool:
        """Take in an entry of a slot's record, None for a marker, and say if its job has a new status by it."""
        job = self._find(job_id)
        before = job.find(slot)
        if before is not None and revision <= before.revision:
            return False
        if outline is None:
            job.put(_Slot(intern(slot), intern(origin), revision, None, "", 0.0), before)
        else:
            host = intern(outline.host)
            job.put(_Slot(intern(slot), intern(origin), revision, outline.status, host, outline.updated), before)
        if job.place is None:
            self._keep(job_id, job, max(job.gone, written + self._lifetime))
            return False
        status = job.fold()
        if status is job.status:
            return False
        job.moved = revision
        self._move(job, job.place, status)
        return True

    def advance(self, now: float, most: int) -> int:
        """Drop what has outlived its lifetime, at most so many, and return how many there were."""
        dropped = 0
        while dropped < most and self._ends and self._ends[0][0] <= now:
            _, job_id = heappop(self._ends)
            job = self._jobs.get(job_id)
            if job is None:
                continue
            if job.gone > now:
                heappush(self._ends, (job.gone, job_id))
                continue
            self._unfile(job)
            del self._jobs[job_id]
            dropped += 1
        return dropped

    # --- What is asked -------------------------------------------------------------------------------------

    def counts(self) -> dict[JobStatus, int]:
        """Return how many jobs there are of each status."""
        return {status: len(self._sets.get((status, None, None), ())) for status in JobStatus}

    def page(self, wanted: Wanted, offset: int, limit: int) -> tuple[int, list[JobRow]]:
        """Return how many jobs match, and a page of them, newest first."""
        found = self._sets.get((wanted.status, wanted.operation, wanted.target))
        if found is None:
            return 0, []
        total, places = found.page(offset, limit, wanted.since, wanted.until)
        return total, [self._row(job_id) for _, job_id in places]

    def row(self, job_id: str) -> JobRow | None:
        """Return one job, None if there is none."""
        job = self._jobs.get(job_id)
        return None if job is None or job.place is None else self._row(job_id)

    def newer(self, jobs: int, records: int) -> list[JobRow]:
        """Return the jobs whose status came of a definition or a record after these revisions, last changed last."""
        found = (id_ for id_, job in self._jobs.items() if job.place and (job.revision > jobs or job.moved > records))
        return sorted((self._row(job_id) for job_id in found), key=lambda row: row.updated)

    @property
    def size(self) -> int:
        """Return how many ids take up memory, those included that are no jobs."""
        return len(self._jobs)

    @property
    def sets(self) -> int:
        """Return how many ordered sets there are; none is empty."""
        return len(self._sets)

    # --- Steps ---------------------------------------------------------------------------------------------

    def _find(self, job_id: str) -> _Job:
        job = self._jobs.get(job_id)
        if job is None:
            job = self._jobs[job_id] = _Job()
        return job

    def _keep(self, job_id: str, job: _Job, gone: float) -> None:
        # What ends later than was said before is found at the earlier time, and put back.
        if not job.gone or gone < job.gone:
            heappush(self._ends, (gone, job_id))
        job.gone = gone

    def _row(self, job_id: str) -> JobRow:
        job = self._jobs[job_id]
        created = job.place[0] if job.place else 0.0
        slots = [slot for slot in job.known() if job.counts(slot)]
        return JobRow(
            id=job_id,
            status=job.status,
            operation=job.operation,
            target=job.target,
            created=created,
            updated=max([created, *(slot.updated for slot in slots)]),
            expires=job.gone,
            hosts=job.fleet.hosts or tuple(slot.host for slot in slots if slot.host),
        )

    def _file(self, job: _Job, place: Place) -> None:
        for kind in (*_of_any_status(job), *_of_status(job)):
            self._add(kind, place)

    def _unfile(self, job: _Job) -> None:
        if job.place is not None:
            for kind in (*_of_any_status(job), *_of_status(job)):
                self._remove(kind, job.place)
            job.place = None

    def _move(self, job: _Job, place: Place, status: JobStatus) -> None:
        for kind in _of_status(job):
            self._remove(kind, place)
        job.status = status
        for kind in _of_status(job):
            self._add(kind, place)

    def _add(self, kind: _Kind, place: Place) -> None:
        found = self._sets.get(kind)
        if found is None:
            found = self._sets[kind] = Ranks()
        found.add(place)

    def _remove(self, kind: _Kind, place: Place) -> None:
        found = self._sets[kind]
        found.remove(place)
        if not found:
            del self._sets[kind]


def _of_any_status(job: _Job) -> Sequence[_Kind]:
    operation, target = job.operation, job.target
    return (None, None, None), (None, operation, None), (None, None, target), (None, operation, target)


def _of_status(job: _Job) -> Sequence[_Kind]:
    status, operation, target = job.status, job.operation, job.target
    return (status, None, None), (status, operation, None), (status, None, target), (status, operation, target)
