"""Random scripts on the in-memory broker and on a real server, for as long as they are let: do they agree?"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import osapi
from osapi.transport import StreamConfig
from osapi_memory import Broker
from tests.nats.differential import KINDS
from tests.nats.differential.run import compare_many
from tests.soak.world import Report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from osapi_nats.server import Server

# So many scripts of a kind are drawn for one round, and so many of them run at once: with waits they cost little.
_ROUND = {False: (200, 6), True: (40, 20)}


async def differential(server: Server, seed: int, *, driver: str, cycles: Iterator[int]) -> Report:
    """Compare until time is up, or the first script of a kind that differs; each seed is used for one round."""
    report = Report(f"differential ({driver}, from seed {seed})")
    async with (
        Broker() as broker,
        broker.connect() as memory,
        osapi.connect(f"{server.url}/?driver={driver}") as real,
    ):
        await real.stream(StreamConfig(name="stays", subjects=("stays",)))
        for cycle in cycles:
            for kind in KINDS:
                for timed, (count, at_once) in _ROUND.items():
                    random = Random(f"{seed + cycle}")
                    scripts = [kind.draw(random, timed) for _ in range(count)]
                    tally = await compare_many(kind, scripts, memory, real, at_once=at_once)
                    what = f"{kind.name}s{' with waits' * timed}"
                    report.counts[what] = report.counts.get(what, 0) + tally.compared
                    report.counts["held up"] = report.counts.get("held up", 0) + tally.held_up
                    report.problems += map(str, tally.differences)
            if report.problems:
                break
    return report
