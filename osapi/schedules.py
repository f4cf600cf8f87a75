"""Schedules: named jobs that come again, at a time, at intervals, or by the calendar."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import trio
from msgspec import Struct

from osapi.detail import read_details
from osapi.errors import InvalidSettingError
from osapi.flow.fire import Firing
from osapi.flow.listen import listen
from osapi.flow.ticks import Ticks
from osapi.flow.zones import load_zone
from osapi.rules.cancellation import check_text
from osapi.rules.codec import SCHEDULE
from osapi.rules.keys import job_key
from osapi.rules.records import VERSION, JobStatus
from osapi.rules.requests import Request, check_request
from osapi.rules.schedule_records import Overlap, Schedule, Timing, Work
from osapi.rules.schedules import CATCH_UP, begin, check_name, check_options, check_timing, coming, pause, resume
from osapi.rules.targets import parse_target

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from osapi.flow.store import Store
    from osapi.rules.records import Policy
    from osapi.rules.schedule_records import Fired
    from osapi.submitter import Submitter

# The due times that are told of the future.
_COMING = 5


class ScheduleDetail(Struct, frozen=True, kw_only=True):
    """A schedule as it is stored; `coming` are its next due times, `job_status` is that of its newest job.

    That is None if there was no job, or it has outlived its lifetime.
    """

    schedule: Schedule
    coming: tuple[float, ...]
    job_status: JobStatus | None = None

    @property
    def name(self) -> str:
        """Return its name."""
        return self.schedule.name

    @property
    def paused(self) -> bool:
        """Tell whether it is paused."""
        return self.schedule.paused

    @property
    def last(self) -> Fired | None:
        """Return what became of the newest due time, None before the first."""
        return self.schedule.firings[-1] if self.schedule.firings else None


class Schedules:
    """The schedules of a fleet, reached as `Client.schedules`; a `Scheduler` makes their jobs."""

    def __init__(self, store: Store, submitter: Submitter) -> None:
        self._store = store
        self._submitter = submitter
        self._ticks = Ticks(store)

    async def set(
        self,
        name: str,
        operation: str,
        data: Any = None,
        *,
        target: str = "_any",
        at: float | None = None,
        every: float | None = None,
        cron: str | None = None,
        time_zone: str = "UTC",
        catch_up: float = CATCH_UP,
        overlap: Overlap = "skip",
        within: float | None = None,
        start_within: float | None = None,
        timeout: float | None = None,
        policy: Policy | None = None,
        by: str = "",
    ) -> ScheduleDetail:
        """Make a schedule, or replace the one of that name, and return it.

        It is due once `at` Unix seconds; `every` so many seconds, at least 1, for the first time that long from now; or
        by `cron`, five fields in a time zone. What is replaced keeps its past, and stays paused if it is; due at the
        same times as before, nothing is put off.

        Each time a job is submitted, for the hosts that match then, `within` and the others as in `submit`. A time for
        which no scheduler was there is made up for once, if the newest that was missed is not older than `catch_up`
        seconds; else it is told of as missed. With `overlap="skip"` a time is skipped while the job of the one before
        has not ended. Cancelled, or failing, the schedule is as it was, or as it shall be.

        Raises:
            UnknownOperationError, InvalidPayloadError, InvalidTargetError, InvalidSettingError, InvalidNameError
            PayloadTooLargeError, RecordError, LimitReachedError, DisconnectedError, UncertainError

        """
        timing = check_timing(Timing(at=at, every=every, cron=cron, time_zone=time_zone))
        zone = load_zone(time_zone)
        kind, raw = await self._submitter.encode(operation, data, parse_target(target))
        request = Request(
            operation=operation,
            kind=kind,
            data=raw,
            target=target,
            within=within,
            start_within=start_within,
            timeout=timeout,
            policy=policy,
        )
        settings, now = self._store.settings, self._store.now()
        check_request(request, usual=settings.within, kept=settings.job_ttl)
        schedule = Schedule(
            v=VERSION,
            name=check_name(name),
            work=_work(request),
            timing=timing,
            catch_up=catch_up,
            overlap=overlap,
            by=check_text("by", by),
            series=self._ticks.token(),
            created=now,
            changed=now,
            anchor=now,
        )
        made = partial(begin, check_options(schedule), zone, now)
        return (await self._told([await self._ticks.put(name, made)]))[0]

    async def all(self) -> Sequence[ScheduleDetail]:
        """Return all schedules, by name; three requests for a hundred of them.

        Raises:
            RecordError, DisconnectedError

        """
        return await self._told(await self._ticks.read(await self._ticks.names()))

    async def get(self, name: str) -> ScheduleDetail:
        """Return one schedule.

        Raises:
            UnknownScheduleError, InvalidNameError, RecordError, DisconnectedError

        """
        found = await self._ticks.entry(check_name(name))
        if found is None:
            raise await self._ticks.unknown(name)
        return (await self._told([SCHEDULE.decode(found.value)]))[0]

    async def pause(self, name: str) -> ScheduleDetail:
        """Let a schedule be due no more until it is resumed, and return it. A job that it has submitted goes on.

        Raises:
            UnknownScheduleError, InvalidNameError, RecordError, DisconnectedError, UncertainError

        """
        return await self._change(name, lambda schedule, now: schedule if schedule.paused else pause(schedule, now))

    async def resume(self, name: str) -> ScheduleDetail:
        """Let a paused schedule be due again from now on, and return it; what passed meanwhile is not made up for.

        Raises:
            UnknownScheduleError, InvalidNameError, RecordError, DisconnectedError, UncertainError

        """

        def resumed(schedule: Schedule, now: float) -> Schedule:
            zone = load_zone(schedule.timing.time_zone)
            return resume(schedule, zone, now) if schedule.paused else schedule

        return await self._change(name, resumed)

    async def remove(self, name: str) -> None:
        """Remove a schedule and its past, also one that cannot be read; the jobs that it has submitted stay.

        Raises:
            UnknownScheduleError, InvalidNameError, DisconnectedError, UncertainError

        """
        await self._ticks.remove(check_name(name))

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Make the jobs of schedules when they are due, for as long as the task runs; a `Scheduler` does.

        Raises:
            MismatchError, DisconnectedError, UncertainError: before it has begun.
            ClosedError: the transport has ended.

        """
        await self._ticks.open()
        task_status.started()
        await listen(self._ticks, Firing(self._ticks, self._submitter))

    async def _change(self, name: str, make: Callable[[Schedule, float], Schedule]) -> ScheduleDetail:
        schedule = await self._ticks.change(check_name(name), lambda before: make(before, self._store.now()))
        return (await self._told([schedule]))[0]

    async def _told(self, schedules: Sequence[Schedule]) -> list[ScheduleDetail]:
        jobs = await read_details(self._store, [job_key(schedule.job) for schedule in schedules if schedule.job])
        statuses = {job.id: job.status for job in jobs}
        return [
            ScheduleDetail(schedule=schedule, coming=_coming(schedule), job_status=statuses.get(schedule.job))
            for schedule in schedules
        ]


def _work(request: Request) -> Work:
    return Work(
        operation=request.operation,
        kind=request.kind,
        data=request.data,
        target=str(parse_target(request.target)),
        within=request.within,
        start_within=request.start_within,
        timeout=request.timeout,
        policy=request.policy,
    )


def _coming(schedule: Schedule) -> tuple[float, ...]:
    try:
        return coming(schedule, load_zone(schedule.timing.time_zone), _COMING)
    except InvalidSettingError:
        # A time zone that another host knows: what is stored is still true.
        return () if schedule.next is None else (schedule.next,)
