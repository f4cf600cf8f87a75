"""The only server is killed and started again on its store, over and over."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import trio

from tests.soak.load import muster, probe
from tests.soak.world import Report, open_world, report

if TYPE_CHECKING:
    from collections.abc import Iterable
    from random import Random

    import osapi
    from osapi_nats.server import Server
    from tests.soak.log import Log
    from tests.soak.world import World

# So long a probe may take before it counts as unanswered: far longer than any agent should be deaf.
_PATIENCE = 30.0


async def outages(
    server: Server,
    settings: osapi.Settings,
    random: Random,
    log: Log,
    *,
    driver: str,
    cycles: Iterable[int],
    up: float = 0.5,
    down: float = 0.5,
) -> Report:
    """Kill the server once each cycle under load; `up` and `down` are mean seconds between."""
    url = f"{server.url}/?driver={driver}"
    async with open_world(url, settings, random, log, longest=1.0) as world:
        for _ in cycles:
            await trio.sleep(random.uniform(0.0, 2 * up))
            await server.kill()
            await trio.sleep(random.uniform(0.0, 2 * down))
            await server.start()
            world.kills += 1
            await listen(world)
    return await report(f"outages ({driver})", world)


async def listen(world: World) -> None:
    """Note how long it takes until each agent answers again, by its name and among the others."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_muster, world)
        for host in world.hosts:
            nursery.start_soon(partial(_probe, world, host))


async def _muster(world: World) -> None:
    world.took("deaf on _any", await muster(world.client, set(world.hosts), _PATIENCE))


async def _probe(world: World, host: str) -> None:
    world.took("deaf by name", await probe(world.client, host, _PATIENCE))
