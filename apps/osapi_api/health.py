"""The endpoints under /health: liveness, readiness, and what there is to see."""

from __future__ import annotations

import time
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

import trio

import osapi
from osapi.settings import job_bucket, registry_bucket, response_bucket, stream_config
from osapi_api import shapes
from osapi_api.agent_views import conditions
from osapi_api.endpoints import Endpoint, Reply
from osapi_api.problems import ProblemError
from osapi_api.views import age

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from osapi.rules.records import Registration
    from osapi_api.endpoints import Api, Call

_STARTED: Final = time.monotonic()
_S = osapi.JobStatus
_PROCESSING: Final = (_S.PROCESSING, _S.RETRYABLE)
_COMPLETED: Final = (_S.COMPLETED, _S.SKIPPED)


async def alive(call: Call) -> Reply:
    """Say that the process answers; the broker is not asked."""
    return Reply(shapes.Alive())


async def ready(call: Call) -> Reply:
    """Say whether requests can be served."""
    api = call.api
    if api.draining:
        return _not_ready("the server is stopping")
    try:
        await _bounded(api, partial(_buckets, api))
    except ProblemError as error:
        return _not_ready(str(error))
    return Reply(shapes.Ready(status="ready"))


def _not_ready(error: str) -> Reply:
    return Reply(shapes.Ready(status="not_ready", error=error), 503, {"Retry-After": "1"})


async def status(call: Call) -> Reply:
    """Say what there is: components, streams, buckets, consumers, jobs, agents."""
    found: dict[str, Any] = {}
    components: dict[str, shapes.Component] = {}
    parts = {"nats": _stream, "kv": _buckets, "jobs": _jobs, "registry": _registry}
    async with trio.open_nursery() as nursery:
        for name, part in parts.items():
            nursery.start_soon(_look, call.api, name, part, found, components)
    agents = call.api.client.fleet.registered()
    now, broker = call.api.transport.now(), call.api.transport.broker
    well = all(component.status == "ok" for component in components.values())
    body = shapes.Status(
        status="ok" if well else "degraded",
        version=version("osapi"),
        uptime=age(time.monotonic() - _STARTED),
        components={name: components[name] for name in parts},
        nats=shapes.Broker(url=broker.url, version=broker.version),
        object_stores=(),
        agents=shapes.AgentFigures(
            total=len(agents),
            ready=sum(agent.state == "Ready" for agent in agents),
            agents=tuple(_agent_line(agent, now) for agent in agents),
        ),
        **found,
    )
    return Reply(body, 200 if well else 503)


async def _look(
    api: Api,
    name: str,
    part: Callable[[Api], Awaitable[dict[str, Any]]],
    found: dict[str, Any],
    components: dict[str, shapes.Component],
) -> None:
    try:
        found.update(await _bounded(api, partial(part, api)))
    except ProblemError as error:
        components[name] = shapes.Component(status="error", error=str(error))
    else:
        components[name] = shapes.Component(status="ok")


async def _bounded(api: Api, ask: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    seconds = api.options.health_timeout
    with trio.move_on_after(seconds):
        try:
            return await ask()
        except osapi.OsapiError as error:
            # Its sentence may name addresses, and a probe needs no token.
            raise ProblemError(503, f"the broker cannot be asked ({type(error).__name__})") from error
    raise ProblemError(503, f"the broker did not answer within {seconds:g} s")


async def _stream(api: Api) -> dict[str, Any]:
    stream = await api.transport.stream(stream_config(api.settings))
    info = await stream.info()
    figures = shapes.StreamFigures(
        name=info.config.name, messages=info.messages, bytes=info.bytes, consumers=info.consumers
    )
    consumers = tuple(
        shapes.ConsumerFigures(
            name=consumer.config.name,
            pending=consumer.pending,
            ack_pending=consumer.ack_pending,
            redelivered=consumer.redelivered,
        )
        for consumer in await stream.consumers()
    )
    return {"streams": (figures,), "consumers": shapes.Consumers(total=len(consumers), consumers=consumers)}


async def _buckets(api: Api) -> dict[str, Any]:
    figures: list[shapes.BucketFigures] = []
    for config in (job_bucket(api.settings), response_bucket(api.settings), registry_bucket(api.settings)):
        info = await (await api.transport.bucket(config)).info()
        figures.append(shapes.BucketFigures(name=info.config.name, keys=info.keys, bytes=info.bytes))
    return {"kv_buckets": tuple(figures)}


async def _jobs(api: Api) -> dict[str, Any]:
    counts = (await api.client.index()).counts()
    processing = sum(counts[state] for state in _PROCESSING)
    completed = sum(counts[state] for state in _COMPLETED)
    total = sum(counts.values())
    figures = shapes.JobFigures(
        total=total,
        unprocessed=counts[_S.SUBMITTED],
        processing=processing,
        completed=completed,
        failed=total - counts[_S.SUBMITTED] - processing - completed,
        dlq=await api.client.dead_letters.count(),
    )
    return {"jobs": figures}


def _agent_line(agent: Registration, now: float) -> shapes.AgentLine:
    return shapes.AgentLine(hostname=agent.hostname, labels=agent.labels, registered=age(now - agent.started))


async def _registry(api: Api) -> dict[str, Any]:
    present, now = {agent.hostname: agent for agent in api.client.fleet.registered()}, api.transport.now()
    known = {agent.hostname: agent.seen for agent in await api.client.fleet.known()}
    seen = known | {host: agent.started for host, agent in present.items()}
    return {"registry": tuple(_registry_line(host, present.get(host), now - seen[host]) for host in sorted(seen))}


def _registry_line(host: str, agent: Registration | None, seconds: float) -> shapes.RegistryLine:
    vitals = None if agent is None else agent.vitals
    return shapes.RegistryLine(
        hostname=host,
        status="NotReady" if agent is None else agent.state,
        conditions=tuple(condition.type for condition in conditions(agent) if condition.status),
        age=age(seconds),
        cpu_percent=None if vitals is None else vitals.cpu_percent,
        mem_bytes=None if vitals is None else vitals.mem_bytes,
    )


ENDPOINTS: Final = (
    Endpoint(
        name="alive",
        method="GET",
        path="/health",
        summary="Tell that the process answers",
        handler=alive,
        unlimited=True,
        answers={200: shapes.Alive},
    ),
    Endpoint(
        name="ready",
        method="GET",
        path="/health/ready",
        summary="Tell whether requests can be served",
        handler=ready,
        unlimited=True,
        answers={200: shapes.Ready, 503: shapes.Ready},
    ),
    Endpoint(
        name="status",
        method="GET",
        path="/health/status",
        summary="Tell what there is: components, streams, buckets, consumers, jobs and agents",
        handler=status,
        permission="health:read",
        answers={200: shapes.Status, 503: shapes.Status},
    ),
)
