"""What happens, as it happens: to a job, to a rollout, to all jobs and agents; and what a job writes."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from msgspec import UNSET

import osapi
from osapi.rules.gather import slots
from osapi.rules.marks import read_mark, write_mark
from osapi.rules.telling import Telling
from osapi_api import shapes
from osapi_api.dispatch import authorise
from osapi_api.endpoints import Endpoint, Reply, ServerSentEvent
from osapi_api.jobs import index_of
from osapi_api.problems import Problem, ProblemError
from osapi_api.rollouts import RolloutDetail, rollout_detail
from osapi_api.views import timestamp

if TYPE_CHECKING:
    from osapi_api.endpoints import Call, Write


async def job_events(call: Call) -> Reply:
    """Tell what happens to a job, from its beginning or from the last event on, until it has ended."""
    _admit(call)
    client, job_id = call.api.client, call.path["job_id"]
    # What is wrong is told before the answer begins.
    telling = Telling(await client.definition(job_id), call.last_event)

    async def tell(write: Write) -> None:
        async with client.following(job_id) as handle:
            try:
                while True:
                    version = handle.version
                    for event in telling.news(handle.records):
                        await write(_job_event(handle, event, telling.mark))
                    if handle.done and version == handle.version:
                        break
                    await handle.changed(version)
                # Says so if the job is gone, and has not ended.
                await handle.changed(-1)
            except osapi.UnknownJobError:
                await write(_end(handle, "it was deleted, or has outlived its lifetime"))
                return
            await write(_end(handle, handle.summary()))

    return Reply(events=tell)


def _job_event(handle: osapi.JobHandle, event: osapi.Event, mark: str) -> ServerSentEvent:
    data = shapes.JobEvent(
        job_id=handle.id,
        timestamp=timestamp(event.at),
        event=event.event,
        hostname=event.host,
        message=event.message,
        error=event.error,
        progress=event.progress if event.progress is not None else UNSET,
    )
    return ServerSentEvent(event.event, data, mark)


def _end(handle: osapi.JobHandle, summary: str) -> ServerSentEvent:
    return ServerSentEvent("end", shapes.JobEnd(job_id=handle.id, status=handle.status(), summary=summary))


async def job_output(call: Call) -> Reply:
    """Tell what a job writes, for who may submit such a job."""
    _admit(call)
    api, job_id = call.api, call.path["job_id"]
    definition = await api.client.definition(job_id)
    if call.identity is not None:
        authorise(api, call.identity, api.operations[definition.operation].permission)
    names = slots(definition)
    told = read_mark(call.last_event, len(names)) if call.last_event else [0] * len(names)
    after = dict(zip(names, told, strict=True))

    async def tell(write: Write) -> None:
        async with api.client.following(job_id) as handle:
            try:
                async with aclosing(handle.output(after=after)) as chunks:
                    async for chunk in chunks:
                        after[chunk.slot] = chunk.position
                        await write(_output(handle, chunk, write_mark(list(after.values()))))
            except osapi.UnknownJobError:
                await write(_end(handle, "it was deleted, or has outlived its lifetime"))
                return
            await write(_end(handle, handle.summary()))

    return Reply(events=tell)


def _output(handle: osapi.JobHandle, chunk: osapi.Chunk, mark: str) -> ServerSentEvent:
    data = shapes.JobOutput(
        job_id=handle.id,
        hostname=chunk.host,
        attempt=chunk.attempt,
        stream=chunk.stream,
        text=chunk.text,
        dropped=chunk.dropped,
    )
    return ServerSentEvent("output", data, mark)


async def rollout_events(call: Call) -> Reply:
    """Tell a rollout as it is, and again each time that it has changed, until it is over."""
    _admit(call)
    rollouts, rollout_id = call.api.client.rollouts, call.path["rollout_id"]
    # What is wrong is told before the answer begins.
    await rollouts.get(rollout_id)

    async def tell(write: Write) -> None:
        async with aclosing(rollouts.follow(rollout_id)) as states:
            async for rollout in states:
                detail = rollout_detail(rollout)
                await write(ServerSentEvent("rollout", detail, detail.updated))

    return Reply(events=tell)


async def events(call: Call) -> Reply:
    """Tell the changes of all jobs, and of the agents to who may see those, from now or from the last event on."""
    _admit(call)
    api = call.api
    await index_of(api)
    changes = await api.client.changes(call.last_event)
    sees_agents = call.identity is not None and api.security.allows(call.identity, "agent:read")

    async def tell(write: Write) -> None:
        # So that who leaves before the first event goes on from here.
        await write(ServerSentEvent(id=changes.position))
        async for change in changes:
            if isinstance(change, osapi.JobChange):
                await write(ServerSentEvent("job", _job_change(change), changes.position))
            elif sees_agents:
                data = shapes.AgentChanged(hostname=change.hostname, state=change.state, status=change.status)
                await write(ServerSentEvent("agent", data, changes.position))

    return Reply(events=tell)


def _job_change(change: osapi.JobChange) -> shapes.JobChanged:
    return shapes.JobChanged(
        job_id=change.job_id,
        status=change.status,
        operation=change.operation,
        target=change.target,
        timestamp=timestamp(change.at),
    )


def _admit(call: Call) -> None:
    """Refuse one reader more than there may be.

    Raises:
        ProblemError: 429

    """
    if call.api.readers >= call.api.options.max_readers:
        raise ProblemError(429, "too many streams of events are being read; try again later", {"Retry-After": "5"})


ENDPOINTS: Final = (
    Endpoint(
        name="job_events",
        method="GET",
        path="/job/<job_id>/events",
        summary="Follow what happens to one job, until it has ended",
        handler=job_events,
        permission="job:read",
        events={"*": shapes.JobEvent, "end": shapes.JobEnd},
        answers={200: str, 400: Problem, 404: Problem, 429: Problem},
    ),
    Endpoint(
        name="job_output",
        method="GET",
        path="/job/<job_id>/output",
        summary="Follow what one job writes, until it has ended; needs the permission of its operation, too",
        handler=job_output,
        permission="job:read",
        events={"output": shapes.JobOutput, "end": shapes.JobEnd},
        answers={200: str, 400: Problem, 404: Problem, 429: Problem},
    ),
    Endpoint(
        name="rollout_events",
        method="GET",
        path="/rollout/<rollout_id>/events",
        summary="Follow one rollout, until it is over",
        handler=rollout_events,
        permission="job:read",
        events={"rollout": RolloutDetail},
        answers={200: str, 400: Problem, 404: Problem, 429: Problem},
    ),
    Endpoint(
        name="events",
        method="GET",
        path="/events",
        summary="Follow all jobs, and with agent:read all agents",
        handler=events,
        permission="job:read",
        events={"job": shapes.JobChanged, "agent": shapes.AgentChanged},
        answers={200: str, 400: Problem, 429: Problem},
    ),
)
