"""The endpoints that give orders: end a job, let an agent take no jobs, let it take some again."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final

from msgspec import Meta, Struct

import osapi
from osapi.rules.cancellation import MAX_TEXT
from osapi.rules.names import normalise_hostname
from osapi_api import shapes
from osapi_api.dispatch import authorise, one_line
from osapi_api.endpoints import Endpoint, Reply
from osapi_api.problems import Problem, ProblemError
from osapi_api.views import job_detail

if TYPE_CHECKING:
    from collections.abc import Mapping

    from osapi_api.endpoints import Call
    from osapi_api.security import Identity


class CancelRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a job shall end, and on which of its hosts: on all by default."""

    hosts: tuple[str, ...] | None = None
    reason: Annotated[str, Meta(max_length=MAX_TEXT)] = ""


class Message(Struct, frozen=True, kw_only=True):
    """What was done, in one sentence."""

    message: str


async def cancel_job(call: Call) -> Reply:
    """Order the end of a job, for who may submit such a job."""
    api, job_id = call.api, call.path["job_id"]
    operation = (await api.client.definition(job_id)).operation
    if call.identity is not None:
        authorise(api, call.identity, api.operations[operation].permission)
    body: CancelRequest = call.body or CancelRequest()
    job = await api.client.cancel(job_id, hosts=body.hosts, by=by_whom(call.identity), reason=body.reason)
    return Reply(job_detail(job, api.operations))


async def drain_agent(call: Call) -> Reply:
    """Tell an agent to take no jobs."""
    hostname = normalise_hostname(call.path["hostname"])
    try:
        is_new = await call.api.client.fleet.drain(hostname, by=by_whom(call.identity))
    except osapi.UnknownHostError as error:
        raise ProblemError(404, str(error)) from None
    if not is_new:
        raise ProblemError(409, f"{hostname} is told to take no jobs already")
    return Reply(Message(message=f"{hostname} takes no jobs from its next heartbeat on, until it is undrained"))


async def undrain_agent(call: Call) -> Reply:
    """Let an agent take jobs again."""
    hostname = normalise_hostname(call.path["hostname"])
    try:
        was_drained = await call.api.client.fleet.undrain(hostname)
    except osapi.UnknownHostError as error:
        raise ProblemError(404, str(error)) from None
    if not was_drained:
        raise ProblemError(409, f"{hostname} is not drained, it may take jobs")
    return Reply(Message(message=f"{hostname} takes jobs again from its next heartbeat on"))


def by_whom(identity: Identity | None) -> str:
    """Return who gives an order, as it is stored."""
    # Whoever issues the tokens may call its people anything; what is stored is one line.
    return "" if identity is None else one_line(identity.subject)


_ON_AN_AGENT: Final[Mapping[int, Any]] = {200: Message, 400: Problem, 404: Problem, 409: Problem}
_AGENT = partial(Endpoint, method="POST", permission="agent:write", answers=_ON_AN_AGENT)

JOB_ENDPOINTS: Final = (
    Endpoint(
        name="cancel_job",
        method="POST",
        path="/job/<job_id>/cancel",
        summary="Cancel a job, or what it is for some of its hosts; needs the permission of its operation, too",
        handler=cancel_job,
        permission="job:write",
        body=CancelRequest,
        answers={200: shapes.JobDetail, 400: Problem, 404: Problem},
    ),
)

AGENT_ENDPOINTS: Final = (
    _AGENT(
        name="drain_agent",
        path="/agent/<hostname>/drain",
        summary="Tell an agent to take no jobs until it is undrained",
        handler=drain_agent,
    ),
    _AGENT(
        name="undrain_agent",
        path="/agent/<hostname>/undrain",
        summary="Let an agent take jobs again",
        handler=undrain_agent,
    ),
)
