"""The endpoints under /schedule: jobs that come again, and those that lie far ahead."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final

from msgspec import Meta, Struct

import osapi
from osapi.rules.schedule_records import Outcome, Overlap
from osapi.rules.schedules import CATCH_UP, MAX_CATCH_UP, MAX_SECONDS, MIN_EVERY
from osapi.rules.secrets import HIDDEN
from osapi_api import shapes
from osapi_api.dispatch import authorise
from osapi_api.endpoints import Endpoint, Reply
from osapi_api.orders import by_whom
from osapi_api.problems import Problem
from osapi_api.views import timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from osapi_api.endpoints import Call


class ScheduleRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to submit to whom, and when: one of `at`, `every` and `cron`; durations in seconds."""

    operation: str
    data: Any = None
    target: str = "_any"
    at: Annotated[datetime, Meta(tz=True)] | None = None
    every: Annotated[float, Meta(ge=MIN_EVERY, le=MAX_SECONDS)] | None = None
    cron: str | None = None
    time_zone: str = "UTC"
    catch_up: Annotated[float, Meta(ge=1.0, le=MAX_CATCH_UP)] = CATCH_UP
    overlap: Overlap = "skip"
    within: float | None = None
    start_within: float | None = None
    timeout: float | None = None


class FiringLine(Struct, frozen=True, kw_only=True):
    """What became of a due time, or, if it is `missed`, of `count` from `due` on; `before` is the next that is not."""

    due: str
    decided: str
    outcome: Outcome
    job_id: str
    reason: str
    before: str | None
    count: int


class ScheduleDetail(Struct, frozen=True, kw_only=True):
    """A schedule: what it does, when it is due next, and what became of the newest due times, newest first.

    The counts are of all due times there ever were. `job_id` is its newest job; `job_status` is null if that is gone.
    """

    name: str
    operation: shapes.JobOperation
    target: str
    at: str | None
    every: float | None
    cron: str | None
    time_zone: str
    catch_up: float
    overlap: Overlap
    within: float | None
    start_within: float | None
    timeout: float | None
    paused: bool
    created: str
    updated: str
    by: str
    next_times: tuple[str, ...]
    job_id: str
    job_status: osapi.JobStatus | None
    submitted: int
    skipped: int
    missed: int
    refused: int
    firings: tuple[FiringLine, ...]


class ScheduleList(Struct, frozen=True, kw_only=True):
    """All schedules, by name."""

    items: tuple[ScheduleDetail, ...]
    total: int


async def list_schedules(call: Call) -> Reply:
    """Return all schedules."""
    items = tuple(_shown(call, detail) for detail in await call.api.client.schedules.all())
    return Reply(ScheduleList(items=items, total=len(items)))


async def get_schedule(call: Call) -> Reply:
    """Return one schedule."""
    return Reply(_shown(call, await call.api.client.schedules.get(call.path["name"])))


async def set_schedule(call: Call) -> Reply:
    """Make a schedule, or replace it, for who may submit such a job."""
    body: ScheduleRequest = call.body
    _authorise(call, body.operation)
    detail = await call.api.client.schedules.set(
        call.path["name"],
        body.operation,
        body.data,
        target=body.target,
        at=None if body.at is None else body.at.timestamp(),
        every=body.every,
        cron=body.cron,
        time_zone=body.time_zone,
        catch_up=body.catch_up,
        overlap=body.overlap,
        within=body.within,
        start_within=body.start_within,
        timeout=body.timeout,
        by=by_whom(call.identity),
    )
    is_new = detail.schedule.changed == detail.schedule.created
    headers = {"Location": call.url("get_schedule", name=detail.name)}
    return Reply(_shown(call, detail), 201 if is_new else 200, headers)


async def pause_schedule(call: Call) -> Reply:
    """Let a schedule be due no more."""
    return Reply(_shown(call, await call.api.client.schedules.pause(call.path["name"])))


async def resume_schedule(call: Call) -> Reply:
    """Let a paused schedule be due again, for who may submit such a job."""
    schedules, name = call.api.client.schedules, call.path["name"]
    _authorise(call, (await schedules.get(name)).schedule.work.operation)
    return Reply(_shown(call, await schedules.resume(name)))


async def delete_schedule(call: Call) -> Reply:
    """Remove a schedule."""
    await call.api.client.schedules.remove(call.path["name"])
    return Reply(status=204)


def _authorise(call: Call, operation: str) -> None:
    # Looked up in any case: what this API does not offer, it does not schedule.
    permission = call.api.operations[operation].permission
    if call.identity is not None:
        authorise(call.api, call.identity, permission)


def _shown(call: Call, detail: osapi.ScheduleDetail) -> ScheduleDetail:
    schedule = detail.schedule
    work, timing = schedule.work, schedule.timing
    operation = call.api.operations.get(work.operation)
    # Of an operation that is not known here, all data may be a secret.
    data = HIDDEN if operation is None else operation.shown(work.data)
    return ScheduleDetail(
        name=schedule.name,
        operation=shapes.JobOperation(type=work.operation, data=data),
        target=work.target,
        at=None if timing.at is None else timestamp(timing.at),
        every=timing.every,
        cron=timing.cron,
        time_zone=timing.time_zone,
        catch_up=schedule.catch_up,
        overlap=schedule.overlap,
        within=work.within,
        start_within=work.start_within,
        timeout=work.timeout,
        paused=schedule.paused,
        created=timestamp(schedule.created),
        updated=timestamp(schedule.changed),
        by=schedule.by,
        next_times=tuple(timestamp(due) for due in detail.coming),
        job_id=schedule.job,
        job_status=detail.job_status,
        submitted=schedule.submitted,
        skipped=schedule.skipped,
        missed=schedule.missed,
        refused=schedule.refused,
        firings=tuple(_line(fired) for fired in reversed(schedule.firings)),
    )


def _line(fired: osapi.Fired) -> FiringLine:
    return FiringLine(
        due=timestamp(fired.due),
        decided=timestamp(fired.at),
        outcome=fired.outcome,
        job_id=fired.job,
        reason=fired.reason,
        before=None if fired.before is None else timestamp(fired.before),
        count=fired.count,
    )


_READ = partial(Endpoint, method="GET", permission="job:read")
_WRITE = partial(Endpoint, permission="job:write")
_ONE: Final[Mapping[int, Any]] = {200: ScheduleDetail, 400: Problem, 404: Problem}

ENDPOINTS: Final = (
    _READ(
        name="list_schedules",
        path="/schedule",
        summary="List all schedules",
        handler=list_schedules,
        answers={200: ScheduleList},
    ),
    _READ(
        name="get_schedule",
        path="/schedule/<name>",
        summary="Show one schedule, when it is due next, and what became of it",
        handler=get_schedule,
        answers=_ONE,
    ),
    _WRITE(
        name="set_schedule",
        method="PUT",
        path="/schedule/<name>",
        summary="Make a schedule, or replace the one of that name; needs the permission of its operation, too",
        handler=set_schedule,
        body=ScheduleRequest,
        answers={**_ONE, 201: ScheduleDetail, 413: Problem},
    ),
    _WRITE(
        name="pause_schedule",
        method="POST",
        path="/schedule/<name>/pause",
        summary="Let a schedule be due no more until it is resumed",
        handler=pause_schedule,
        answers=_ONE,
    ),
    _WRITE(
        name="resume_schedule",
        method="POST",
        path="/schedule/<name>/resume",
        summary="Let a paused schedule be due again; needs the permission of its operation, too",
        handler=resume_schedule,
        answers=_ONE,
    ),
    _WRITE(
        name="delete_schedule",
        method="DELETE",
        path="/schedule/<name>",
        summary="Remove a schedule; its jobs stay",
        handler=delete_schedule,
        answers={204: None, 400: Problem, 404: Problem},
    ),
)
