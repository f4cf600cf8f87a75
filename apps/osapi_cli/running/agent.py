"""The agent: the operations of this host, offered until the program is told to stop."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final

import trio

import osapi
from osapi.errors import InvalidNameError
from osapi_agent import Vitals, facts, host, operations, preflight
from osapi_cli.problems import ProblemError
from osapi_cli.running.broker import open_broker
from osapi_cli.running.health import Reached, probes
from osapi_cli.running.pki import agent_keys, succeed
from osapi_cli.running.tracing import tracer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from osapi.transport import Transport
    from osapi_cli.running.lifetime import Lifetime
    from osapi_cli.running.pki import Keys
    from osapi_cli.wiring import AgentPlan
    from osapi_telemetry import Metrics

_log: Final = logging.getLogger("osapi.program")


async def run(lifetime: Lifetime, plan: AgentPlan, *, patience: float) -> None:
    """Run the agent until it is told to stop.

    Raises:
        ProblemError: the operating system's hostname is none for an agent.
        KeyFileError, ProblemError: the keys, as in `pki.agent_keys`.
        UnavailableError: no broker, or an address that cannot be listened on.
        HostnameTakenError: another agent has the name.
        MismatchError, AccessRefusedError: the broker has other settings, or refuses us.

    """
    keys = agent_keys(plan.pki)
    reached = Reached(lifetime)
    async with (
        probes(reached, plan.metrics, "agent.metrics"),
        open_broker(plan.broker, lifetime, patience=patience) as transport,
        blocks(transport, plan, keys, reached.metrics) as agent,
    ):
        reached.place(transport, plan.settings, lambda: _waits(agent, keys))
        lifetime.is_ready(
            f"agent {agent.hostname} offers {len(operations)} operations"
            + (f", once {_waits(agent, keys)}" if agent.state == "Pending" else "")
        )
        await lifetime.stopping.wait()


def _waits(agent: osapi.Agent, keys: Keys) -> str:
    """Return what it waits for, nothing if it takes jobs."""
    if keys.signer is None or agent.state != "Pending":
        return ""
    return f"its key {keys.signer.fingerprint} is accepted"


@asynccontextmanager
async def blocks(transport: Transport, plan: AgentPlan, keys: Keys, metrics: Metrics) -> AsyncGenerator[osapi.Agent]:
    """Open the agent and what works beside it, for the length of a block.

    What else an agent shall do is one more line here: a block that works while it is open. The end of the agent's own
    waits for the jobs that run.
    """
    async with _observer(plan, metrics) as observer:
        agent = _agent(transport, plan, keys, observer)
        for line in preflight.lacking(operations, await trio.to_thread.run_sync(preflight.look)):
            _log.warning("%s", line)
        async with agent:
            await succeed(agent, keys, plan.pki)
            metrics.watch_agent(agent)
            yield agent


@asynccontextmanager
async def _observer(plan: AgentPlan, metrics: Metrics) -> AsyncGenerator[osapi.Observer]:
    """Return what is told of every attempt: the figures, and the spans if there are any."""
    async with tracer(plan.tracing, service=plan.broker.name) as made:
        if made is None:
            yield metrics.observe
            return
        from osapi_telemetry.spans import trace_attempt_with  # noqa: PLC0415 - most do without

        @contextmanager
        def both(attempt: osapi.Attempt) -> Generator[None]:
            with metrics.observe(attempt), trace_attempt_with(made, attempt):
                yield

        yield both


def _agent(transport: Transport, plan: AgentPlan, keys: Keys, observer: osapi.Observer) -> osapi.Agent:
    try:
        return osapi.Agent(
            transport,
            operations,
            hostname=plan.hostname or host.hostname(),
            labels=plan.labels,
            facts=facts.collect,
            status=Vitals(plan.thresholds),
            max_jobs=plan.max_jobs,
            settings=plan.settings,
            observer=observer,
            machine_id=host.machine_id(),
            signer=keys.first,
            trust=keys.trust,
            journal=keys.journal,
        )
    except InvalidNameError as error:
        remedy = "give the agent another name as agent.hostname"
        raise ProblemError("hostname", "", f"{error.value!r} {error.problem}", remedy) from error
