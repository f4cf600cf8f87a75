"""Agents are killed in the middle of their jobs, as processes, and others started in their place."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import trio

from osapi.rules.records import ANY_SLOT, SlotStatus
from tests.soak.agent import agents, kill
from tests.soak.keys import UNSIGNED, Keys
from tests.soak.world import open_world, report

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from random import Random

    import osapi
    from osapi_nats.server import Server
    from tests.soak.log import Log
    from tests.soak.world import Report, World

_MORTALS = ("x", "y")


async def killed_agents(
    server: Server,
    settings: osapi.Settings,
    random: Random,
    log: Log,
    *,
    driver: str,
    cycles: Iterable[int],
    within: float = 15.0,
    signed: Path | None = None,
) -> Report:
    """Kill a process of two agents once each cycle under load; other agents of this process live on.

    Jobs to `_any` are taken over; those to the dead by name end by their time, `within` seconds. All of them sign and
    check if there is a folder for their keys.
    """
    url = f"{server.url}/?driver={driver}"
    targets = ("_any", "_any", *_MORTALS, "_all")
    hosts = {"a": "web.dev", "b": "db"}
    keys = UNSIGNED if signed is None else Keys.make(signed, [*hosts, *_MORTALS])
    async with open_world(
        url, settings, random, log, longest=0.5, within=within, hosts=hosts, targets=targets, keys=keys
    ) as world:
        for _ in cycles:
            async with AsyncExitStack() as stack:
                mortal = await stack.enter_async_context(agents(url, log, settings, _MORTALS, keys))
                await trio.sleep(random.uniform(1.0, 2.0))
                await kill(mortal)
                world.kills += 1
    found = await report(f"killed agents ({driver}{', signed' if signed else ''})", world)
    found.problems += _lost(world)
    return found


def _lost(world: World) -> list[str]:
    """Say which jobs to one of N did not complete, and how long the takeovers took, from the claim that was lost."""
    problems: list[str] = []
    for handle in world.load.handles:
        record = handle.records.get(ANY_SLOT)
        if record is None:
            continue
        if record.status is not SlotStatus.COMPLETED:
            problems.append(f"job {handle.id} to one of N ended as {record.status}: {record.error}")
        for attempt in record.earlier:
            if attempt.host in _MORTALS:
                world.took("taken over, after the claim", attempt.ended - attempt.claimed)
    return problems
