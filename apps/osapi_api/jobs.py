"""The endpoints under /job."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Final

import osapi
from osapi.rules.keys import job_key
from osapi.settings import job_bucket
from osapi_api import shapes
from osapi_api.dispatch import authorise
from osapi_api.endpoints import Endpoint, Reply
from osapi_api.problems import Problem
from osapi_api.views import job_detail, timestamp

if TYPE_CHECKING:
    from osapi_api.endpoints import Api, Call

_STEP: Final = 500


async def list_jobs(call: Call) -> Reply:
    """Return a page of jobs, and how many there are of each status."""
    query: shapes.JobQuery = call.query
    counts, items = await survey(call.api.client, query)
    total = counts.total() if query.status is None else counts[query.status]
    return Reply(
        shapes.JobList(
            total_items=total,
            status_counts={str(status): counts[status] for status in osapi.JobStatus},
            items=tuple(job_detail(job) for job in items),
        )
    )


async def survey(
    client: osapi.Client, query: shapes.JobQuery
) -> tuple[Counter[osapi.JobStatus], list[osapi.JobDetail]]:
    """Walk all jobs, newest first; return how many there are of each status, and those that were asked for."""
    counts: Counter[osapi.JobStatus] = Counter()
    items: list[osapi.JobDetail] = []
    seen: set[str] = set()
    start = 0
    while page := await client.list(limit=_STEP, offset=start):
        start += _STEP
        for job in page:
            # A job that was submitted meanwhile moves all others down by one.
            if job.id in seen:
                continue
            seen.add(job.id)
            status = job.status
            place = counts.total() if query.status is None else counts[status]
            if query.status in {None, status} and query.offset <= place < query.offset + query.limit:
                items.append(job)
            counts[status] += 1
    return counts, items


async def get_job(call: Call) -> Reply:
    """Return one job."""
    return Reply(job_detail(await call.api.client.get(call.path["job_id"])))


async def delete_job(call: Call) -> Reply:
    """Remove one job."""
    await call.api.client.delete(call.path["job_id"])
    return Reply(status=204)


async def retry_job(call: Call) -> Reply:
    """Submit a job once more, for who may submit such a job."""
    api, job_id = call.api, call.path["job_id"]
    operation = (await api.client.get(job_id)).definition.operation
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
