"""Broker, controller and agent in one process."""

from __future__ import annotations

from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import msgspec

import osapi
from osapi_cli.nats_server import running_server
from osapi_cli.running import agent, controller
from osapi_cli.running.broker import open_broker
from osapi_cli.running.health import Reached, probes
from osapi_cli.running.keys import told_url
from osapi_cli.running.pki import agent_keys, controller_keys

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from osapi.transport import Transport
    from osapi_cli.running.lifetime import Lifetime
    from osapi_cli.wiring import AgentPlan, ControllerPlan
    from osapi_nats import Options
    from osapi_nats.server import ServerSettings

_MEMORY: Final = "memory://osapi"


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """All that the program is started with.

    Without a `server` the broker is in memory. `state` is the user's state folder, where what this program left for
    the others lies, None if it left nothing.
    """

    controller: ControllerPlan
    agent: AgentPlan
    server: ServerSettings | None = None
    state: Path | None = None


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """What is there now: where the API is, which agent, where the broker is, where a token lies."""

    url: str
    hostname: str
    broker: str
    state: str | None


async def run(lifetime: Lifetime, plan: Plan, *, announce: Callable[[Ready], None], debug: bool) -> None:
    """Run it all until it is told to stop; first the API stops, then the agent, then the rest.

    Raises:
        UnavailableError: an address that cannot be listened on, or a server that does not start.
        KeyFileError, ProblemError: a hostname, a state folder or a key that cannot be used.
        MismatchError: the server's store has other settings.

    """
    keys = controller_keys(plan.controller.pki)
    agents_keys = agent_keys(plan.agent.pki)
    reached = Reached(lifetime)
    async with (
        probes(reached, plan.controller.metrics, "controller.metrics"),
        _brokers(lifetime, plan, debug=debug) as (broker, first, second),
        controller.blocks(first, plan.controller, keys, reached.metrics) as client,
        agent.blocks(second, plan.agent, agents_keys, reached.metrics) as our_agent,
        controller.api(lifetime, plan.controller, first, client) as url,
    ):
        reached.place(first, plan.controller.settings)
        with told_url(plan.state, reachable(url)) if plan.state else nullcontext():
            lifetime.is_ready(f"the API is at {url}, with agent {our_agent.hostname} and {broker}")
            state = str(plan.state) if plan.state else None
            announce(Ready(url=reachable(url), hostname=our_agent.hostname, broker=broker, state=state))
            await lifetime.stopping.wait()


@asynccontextmanager
async def _brokers(lifetime: Lifetime, plan: Plan, *, debug: bool) -> AsyncGenerator[tuple[str, Transport, Transport]]:
    if plan.server is None:
        async with osapi.connect(_MEMORY) as first, osapi.connect(_MEMORY) as second:
            yield "a broker in memory", first, second
    else:
        async with running_server(plan.server, debug=debug) as server:
            there = urlsplit(server.url).netloc
            async with (
                open_broker(_at(plan.controller.broker, there, plan.server), lifetime) as first,
                open_broker(_at(plan.agent.broker, there, plan.server), lifetime) as second,
            ):
                yield f"nats-server at {server.url}, pid {server.pid}", first, second


def _at(broker: Options, there: str, server: ServerSettings) -> Options:
    """Return how our own server is reached: with its token, if it asks for one and no other credentials are given."""
    given = broker.user or broker.token or broker.nkey or broker.creds
    token = broker.token if given else server.auth.token
    return msgspec.structs.replace(broker, servers=(there,), token=token)


def reachable(url: str) -> str:
    """Return a URL that this host can ask, where one listens on all addresses."""
    return url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")


def of_one_process(plan: AgentPlan) -> AgentPlan:
    """Return the same agent without a port of its own for health: one process has one."""
    return replace(plan, metrics=None)
