"""In a cluster with three replicas of everything, whoever leads is killed, and comes back later."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from tests.soak.outages import listen
from tests.soak.world import open_world, report

if TYPE_CHECKING:
    from collections.abc import Iterable
    from random import Random

    import osapi
    from tests.soak.cluster import Nodes
    from tests.soak.log import Log
    from tests.soak.world import Report


async def lost_leaders(
    nodes: Nodes,
    settings: osapi.Settings,
    random: Random,
    log: Log,
    *,
    driver: str,
    cycles: Iterable[int],
    up: float = 0.5,
) -> Report:
    """Kill a leader each cycle under load, of the jobs' streams and of the cluster in turn.

    `settings` ask for replicas. The next leader is killed once the last has come back and caught up.
    """
    url = f"{nodes.url}/?driver={driver}"
    led = (settings.stream, "", f"KV_{settings.response_bucket}", f"KV_{settings.job_bucket}")
    async with open_world(url, settings, random, log, longest=1.0) as world:
        for cycle in cycles:
            await trio.sleep(random.uniform(0.0, 2 * up))
            leader = nodes.servers[await nodes.leader(led[cycle % len(led)])]
            await leader.kill()
            world.kills += 1
            began = trio.current_time()
            await nodes.elect()
            world.took("without a leader", trio.current_time() - began)
            await listen(world)
            await leader.start()
            await nodes.settle()
    return await report(f"lost leaders ({driver})", world)
