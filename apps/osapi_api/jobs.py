"""The endpoints under /job."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import trio

import osapi
from osapi.rules.keys import job_key
from osapi.rules.targets import parse_target
from osapi.settings import job_bucket
from osapi_api import shapes
from osapi_api.dispatch import authorise
from osapi_api.endpoints import Endpoint, Reply
from osapi_api.problems import Problem, ProblemError
from osapi_api.views import job_detail, timestamp

if TYPE_CHECKING:
    from osapi_api.endpoints import Api, Call

_MOMENT: Final = Annotated[datetime, msgspec.Meta(tz=True)]


async def list_jobs(call: Call) -> Reply:
    """Return a page of jobs, how many match, and how many there are of each status."""
    query: shapes.JobQuery = call.query
    index = await index_of(call.api)
    total, items = await index.list(
        status=query.status,
        operation=query.operation,
        target=None if query.target is None else str(parse_target(query.target)),
        since=_seconds("since", query.since),
        until=_seconds("until", query.until),
        limit=query.limit,
        offset=query.offset,
    )
    return Reply(
        shapes.JobList(
            total_items=total,
            status_counts={str(status): count for status, count in index.counts().items()},
            items=tuple(job_detail(job, call.api.operations) for job in items),
        )
    )


def _seconds(name: str, moment: str | None) -> float | None:
    try:
        return None if moment is None else msgspec.convert(moment, _MOMENT).timestamp()
    except msgspec.ValidationError as error:
        raise ProblemError(400, f"the query cannot be used: {error} - at `$.{name}`") from None


async def index_of(api: Api) -> osapi.JobIndex:
    """Return the index of jobs, which the first request opens.

    Raises:
        ProblemError: 503, it is still being read.

    """
    with trio.move_on_after(api.options.health_timeout):
        return await api.client.index()
    raise ProblemError(503, "the jobs are still being read, or the broker is away; try again", {"Retry-After": "1"})


async def get_job(call: Call) -> Reply:
    """Return one job."""
    return Reply(job_detail(await call.api.client.get(call.path["job_id"]), call.api.operations))


async def delete_job(call: Call) -> Reply:
    """Remove one job."""
    await call.api.client.delete(call.path["job_id"])
    return Reply(status=204)


async def retry_job(call: Call) -> Reply:
    """Submit a job once more, for who may submit such a job."""
    api, job_id = call.api, call.path["job_id"]
    operation = (await api.client.definition(job_id)).operation
    if call.identity is not None:
        authorise(api, call.identity, api.operations[operation].permission)
    body: shapes.RetryRequest = call.body or shapes.RetryRequest()
    return await created(call, await api.client.retry(job_id, target=body.target_hostname, key=call.key))


async def created(call: Call, handle: osapi.JobHandle) -> Reply:
    """Return the answer that tells of a job that was submitted."""
    body = shapes.JobCreated(
        job_id=handle.id,
        revision=await _revision(call.api, handle.id),
        timestamp=timestamp(handle.definition.created),
    )
    return Reply(body, 201, {"Location": call.url("get_job", job_id=handle.id)})


async def _revision(api: Api, job_id: str) -> int:
    # The job is submitted, whatever becomes of this question.
    try:
        bucket = await api.transport.bucket(job_bucket(api.settings))
        entry = await bucket.get(job_key(job_id))
    except osapi.TransportError:
        return 0
    return entry.revision if entry else 0


_READ = partial(Endpoint, permission="job:read")
_WRITE = partial(Endpoint, permission="job:write")

ENDPOINTS: Final = (
    _READ(
        name="list_jobs",
        method="GET",
        path="/job",
        summary="List jobs, newest first",
        handler=list_jobs,
        query=shapes.JobQuery,
        answers={200: shapes.JobList, 400: Problem},
    ),
    _READ(
        name="get_job",
        method="GET",
        path="/job/<job_id>",
        summary="Show one job with its answers and its timeline",
        handler=get_job,
        answers={200: shapes.JobDetail, 400: Problem, 404: Problem},
    ),
    _WRITE(
        name="delete_job",
        method="DELETE",
        path="/job/<job_id>",
        summary="Remove one job and its answers",
        handler=delete_job,
        answers={204: None, 400: Problem, 404: Problem},
    ),
    _WRITE(
        name="retry_job",
        method="POST",
        path="/job/<job_id>/retry",
        summary="Submit a job once more; needs the permission of its operation, too",
        handler=retry_job,
        body=shapes.RetryRequest,
        takes_key=True,
        answers={201: shapes.JobCreated, 400: Problem, 404: Problem, 422: Problem},
    ),
)
