"""The demo: a client, three agents and a broker in one process, and what became of each job."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final

from msgspec import Struct

import osapi
from osapi.rules.targets import Target, parse_target
from osapi_agent import node

AGENTS: Final = {
    "web-01": {"group": "web.dev.us-east"},
    "web-02": {"group": "web.prod.eu-west"},
    "db-01": {"group": "db.dev.us-east"},
}

# No operation takes longer, a dead network mount included, and nobody watches a demo for minutes.
WITHIN: Final = 20.0

_WELL: Final = frozenset({osapi.SlotStatus.COMPLETED, osapi.SlotStatus.SKIPPED})


class Ask(Struct, frozen=True):
    """A job to be submitted."""

    target: Target
    operation: str


class Asked(Struct, frozen=True, kw_only=True):
    """A job that has ended: its answers by host, its events oldest first."""

    id: str
    target: Target
    operation: str
    status: osapi.JobStatus
    created: float
    expected: tuple[str, ...] | None
    answers: dict[str, osapi.Response]
    timeline: list[osapi.Event]


class Played(Struct, frozen=True):
    """Who was there, and every job in the order in which they were submitted."""

    agents: Sequence[osapi.Registration]
    jobs: list[Asked]

    @property
    def answers(self) -> list[osapi.Response]:
        """Return all answers to all jobs."""
        return [answer for job in self.jobs for answer in job.answers.values()]

    @property
    def failed(self) -> bool:
        """Tell whether some host failed, or did not answer."""
        return any(answer.status not in _WELL for answer in self.answers)


_SCRIPT: Final = {
    "_any": "node.hostname.get",
    "_all": "node.status.get",
    "db-01": "node.memory.get",
    "group:web": "node.load.get",
    "group:web.dev": "node.disk.get",
}


def script(targets: Sequence[str]) -> list[Ask]:
    """Return what to ask: these targets for their status, or one job for each kind of target.

    Raises:
        InvalidTargetError

    """
    if targets:
        return [Ask(parse_target(target), "node.status.get") for target in targets]
    return [Ask(parse_target(target), operation) for target, operation in _SCRIPT.items()]


async def play(asks: Sequence[Ask]) -> Played:
    """Start the agents, submit one job after the other, and return once all have ended.

    Raises:
        UnknownHostError, NoAgentsError: a target that nobody answers to.

    """
    async with AsyncExitStack() as stack:
        transport = await stack.enter_async_context(osapi.connect("memory://"))
        for hostname, labels in AGENTS.items():
            agent = osapi.Agent(transport, node.operations, hostname=hostname, labels=labels)
            await stack.enter_async_context(agent)
        client = await stack.enter_async_context(osapi.Client(transport, node.operations))
        return Played(client.fleet.registered(), [await _ask(client, ask) for ask in asks])


async def _ask(client: osapi.Client, ask: Ask) -> Asked:
    handle = await client.submit(ask.operation, target=str(ask.target), within=WITHIN)
    answers = await handle.result()
    return Asked(
        id=handle.id,
        target=ask.target,
        operation=ask.operation,
        status=handle.status(),
        created=handle.definition.created,
        expected=handle.expected,
        answers=answers,
        timeline=handle.timeline(),
    )
