"""The endpoints under /agent."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import osapi
from osapi_api import agent_shapes as shapes
from osapi_api.agent_views import agent_info
from osapi_api.endpoints import Endpoint, Reply
from osapi_api.problems import Problem, ProblemError

if TYPE_CHECKING:
    from osapi_api.endpoints import Call


async def list_agents(call: Call) -> Reply:
    """Return all agents, those that are away included."""
    agents = tuple(agent_info(agent) for agent in await call.api.client.fleet.list())
    return Reply(shapes.AgentList(agents=agents, total=len(agents)))


async def get_agent(call: Call) -> Reply:
    """Return one agent, also one that is away."""
    try:
        return Reply(agent_info(await call.api.client.fleet.get(call.path["hostname"])))
    except osapi.UnknownHostError as error:
        raise ProblemError(404, str(error)) from None


_READ = partial(Endpoint, permission="agent:read")

ENDPOINTS: Final = (
    _READ(
        name="list_agents",
        method="GET",
        path="/agent",
        summary="List the agents, those that are away included",
        handler=list_agents,
        answers={200: shapes.AgentList},
    ),
    _READ(
        name="get_agent",
        method="GET",
        path="/agent/<hostname>",
        summary="Show one agent",
        handler=get_agent,
        answers={200: shapes.AgentInfo, 400: Problem, 404: Problem},
    ),
)
