"""The endpoints under /rollout: broadcasts in batches."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final

from msgspec import Meta, Struct

import osapi
from osapi.rules.cancellation import MAX_TEXT
from osapi_api.dispatch import authorise
from osapi_api.endpoints import Endpoint, Reply
from osapi_api.orders import by_whom
from osapi_api.problems import Problem
from osapi_api.views import timestamp

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from osapi_api.endpoints import Call

# A number of hosts, or a percentage of them.
# Checked by the library, in better words than those of a pattern.
Count = int | Annotated[str, Meta(extra_json_schema={"pattern": "^(100|[1-9][0-9]?)%$"})]


class RolloutQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many rollouts to list."""

    limit: Annotated[int, Meta(ge=1, le=100)] = 10


class RolloutRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to roll out to whom, and how; durations in seconds, numbers of hosts also as percentages."""

    operation: str
    data: Any = None
    target: str = "_all"
    batch: Count = 1
    canary: Count = 0
    pause: float = 0.0
    max_failures: Annotated[int, Meta(ge=0)] = 0
    within: float | None = None
    timeout: float | None = None


class OrderRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why."""

    reason: Annotated[str, Meta(max_length=MAX_TEXT)] = ""


class BatchDetail(Struct, frozen=True, kw_only=True):
    """A batch that has begun; `outcomes` counts its hosts by the way in which they ended."""

    job_id: str
    hosts: tuple[str, ...]
    started: str
    ended: str | None
    outcomes: dict[str, int]


class HostFailure(Struct, frozen=True, kw_only=True):
    """A host that failed, in which batch (from 0), and how."""

    hostname: str
    batch: int
    status: str
    error: str


class RolloutDetail(Struct, frozen=True, kw_only=True):
    """A rollout: what it does, how far it has come, and which hosts are `waiting` for their batch."""

    id: str
    status: osapi.RolloutStatus
    operation: str
    target: str
    created: str
    updated: str
    by: str
    reason: str
    hosts: int
    batch: int
    canary: int
    pause: float
    max_failures: int
    batches: tuple[BatchDetail, ...]
    failed: int
    failures: tuple[HostFailure, ...]
    waiting: tuple[str, ...]


class RolloutList(Struct, frozen=True, kw_only=True):
    """The newest rollouts, newest first."""

    items: tuple[RolloutDetail, ...]


async def list_rollouts(call: Call) -> Reply:
    """Return the newest rollouts."""
    query: RolloutQuery = call.query
    found = await call.api.client.rollouts.list(limit=query.limit)
    return Reply(RolloutList(items=tuple(rollout_detail(rollout) for rollout in found)))


async def get_rollout(call: Call) -> Reply:
    """Return one rollout."""
    return Reply(rollout_detail(await call.api.client.rollouts.get(call.path["rollout_id"])))


async def start_rollout(call: Call) -> Reply:
    """Start a rollout, for who may submit such a job."""
    body: RolloutRequest = call.body
    _authorise(call, body.operation)
    rollout = await call.api.client.rollouts.start(
        body.operation,
        body.data,
        target=body.target,
        batch=body.batch,
        canary=body.canary,
        pause=body.pause,
        max_failures=body.max_failures,
        within=body.within,
        timeout=body.timeout,
        by=by_whom(call.identity),
    )
    return Reply(rollout_detail(rollout), 201, {"Location": call.url("get_rollout", rollout_id=rollout.id)})


def _ordering(name: str) -> Callable[[Call], Awaitable[Reply]]:
    async def order(call: Call) -> Reply:
        rollouts, rollout_id = call.api.client.rollouts, call.path["rollout_id"]
        _authorise(call, (await rollouts.get(rollout_id)).plan.operation)
        body: OrderRequest = call.body or OrderRequest()
        give = getattr(rollouts, name)
        return Reply(rollout_detail(await give(rollout_id, by=by_whom(call.identity), reason=body.reason)))

    return order


def _authorise(call: Call, operation: str) -> None:
    # Looked up in any case: what this API does not offer, it does not roll out.
    permission = call.api.operations[operation].permission
    if call.identity is not None:
        authorise(call.api, call.identity, permission)


def rollout_detail(rollout: osapi.Rollout) -> RolloutDetail:
    """Return a rollout in the words of the API."""
    plan = rollout.plan
    return RolloutDetail(
        id=rollout.id,
        status=rollout.status,
        operation=plan.operation,
        target=plan.target,
        created=timestamp(plan.created),
        updated=timestamp(rollout.updated),
        by=rollout.by,
        reason=rollout.reason,
        hosts=len(plan.hosts),
        batch=plan.batch,
        canary=plan.canary,
        pause=plan.pause,
        max_failures=plan.max_failures,
        batches=tuple(
            BatchDetail(
                job_id=batch.job,
                hosts=rollout.hosts(number),
                started=timestamp(batch.started),
                ended=None if batch.ended is None else timestamp(batch.ended),
                outcomes=batch.outcomes,
            )
            for number, batch in enumerate(rollout.batches)
        ),
        failed=rollout.failed,
        failures=tuple(
            HostFailure(hostname=end.host, batch=end.batch, status=end.status, error=end.error)
            for end in rollout.failures
        ),
        waiting=rollout.waiting,
    )


_READ = partial(Endpoint, method="GET", permission="job:read")
_WRITE = partial(Endpoint, method="POST", permission="job:write")
_ORDERED: Final[Mapping[int, Any]] = {200: RolloutDetail, 400: Problem, 404: Problem, 409: Problem}

ENDPOINTS: Final = (
    _READ(
        name="list_rollouts",
        path="/rollout",
        summary="List rollouts, newest first",
        handler=list_rollouts,
        query=RolloutQuery,
        answers={200: RolloutList, 400: Problem},
    ),
    _WRITE(
        name="start_rollout",
        path="/rollout",
        summary="Start a rollout: a broadcast in batches; needs the permission of its operation, too",
        handler=start_rollout,
        body=RolloutRequest,
        answers={201: RolloutDetail, 400: Problem, 404: Problem},
    ),
    _READ(
        name="get_rollout",
        path="/rollout/<rollout_id>",
        summary="Show one rollout and its batches",
        handler=get_rollout,
        answers={200: RolloutDetail, 400: Problem, 404: Problem},
    ),
    *(
        _WRITE(
            name=f"{name}_rollout",
            path=f"/rollout/<rollout_id>/{name}",
            summary=f"{summary}; needs the permission of its operation, too",
            handler=_ordering(name),
            body=OrderRequest,
            answers=_ORDERED,
        )
        for name, summary in (
            ("pause", "Let no batch of a rollout begin until it is resumed"),
            ("resume", "Go on with a rollout that is paused or halted"),
            ("abort", "End a rollout and cancel the job that is running"),
        )
    ),
)
