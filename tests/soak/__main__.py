"""Long runs against real servers that are killed on the way, and a fleet; each is judged, and reported with figures.

outages: the only server is killed and started again, over and over. agents: processes of agents are killed. cluster:
the leaders of three servers are killed. fleet: many agents register and answer broadcasts. differential: random scripts
get the same answers from the in-memory broker. All servers run here, on 127.0.0.1, with stores of their own. The exit
status is 1 if a job was lost, ran twice under one lease, an agent was deaf for too long, or the brokers differ.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final

import trio

import osapi
from osapi_nats.options import DRIVERS
from osapi_nats.server import ServerSettings, run_server
from tests.soak.cluster import run_cluster
from tests.soak.differential import differential
from tests.soak.fleet import fleet
from tests.soak.killed_agents import killed_agents
from tests.soak.log import Log
from tests.soak.lost_leaders import lost_leaders
from tests.soak.outages import outages

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from tests.soak.world import Report

SCENARIOS: Final = ("outages", "agents", "cluster", "fleet", "differential")

# No agent may be deaf for longer once its server, or its leader, is back; in seconds.
_DEAF: Final = 5.0

_SETTINGS: Final = osapi.Settings(ack_wait=2.0, heartbeat=1.0, registry_ttl=30.0, max_bytes=1 << 30)
# Jobs to the dead end by their time only once they have gone from the registry.
_MORTAL: Final = osapi.Settings(ack_wait=1.5, heartbeat=0.5, registry_ttl=5.0, max_bytes=1 << 30)
_REPLICATED: Final = osapi.Settings(ack_wait=2.0, heartbeat=1.0, registry_ttl=30.0, max_bytes=1 << 28, replicas=3)


def lasting(seconds: float) -> Iterator[int]:
    """Count until so many seconds have passed."""
    until = trio.current_time() + seconds
    cycle = 0
    while trio.current_time() < until:
        yield cycle
        cycle += 1


async def run(scenario: str, driver: str, arguments: Namespace, log: Log) -> Report:
    """Run one scenario with one driver."""
    random = Random(arguments.seed)
    cycles = lasting(arguments.seconds)
    if scenario == "cluster":
        async with run_cluster() as nodes:
            return await lost_leaders(nodes, _REPLICATED, random, log, driver=driver, cycles=cycles)
    async with run_server(ServerSettings(port=0, max_memory=1 << 32, max_file=1 << 33)) as server:
        if scenario == "outages":
            return await outages(server, _SETTINGS, random, log, driver=driver, cycles=cycles, up=1.0, down=1.0)
        if scenario == "agents":
            signed = log.path.parent / "keys" if arguments.signed else None
            return await killed_agents(server, _MORTAL, random, log, driver=driver, cycles=cycles, signed=signed)
        if scenario == "differential":
            return await differential(server, arguments.seed, driver=driver, cycles=cycles)
        size, processes = arguments.agents, arguments.processes
        return await fleet(server, osapi.Settings(), log, driver=driver, size=size, processes=processes)


async def main(arguments: Namespace) -> bool:
    """Run what was asked for, print each report, and tell whether all went well."""
    well = True
    for scenario in arguments.scenarios or SCENARIOS:
        for driver in arguments.driver or DRIVERS:
            with tempfile.TemporaryDirectory(prefix="osapi-soak-") as folder:
                report = await run(scenario, driver, arguments, Log(Path(folder) / "log"))
            deaf = max((max(times) for what, times in report.times.items() if what.startswith("deaf")), default=0.0)
            if deaf > _DEAF:
                report.problems.append(f"an agent was deaf for {deaf:.1f} s")
            sys.stdout.write(f"{report}\n")
            sys.stdout.flush()
            well = well and not report.problems
    return well


def parse(arguments: list[str]) -> Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument(
        "scenarios", nargs="*", metavar="SCENARIO", help=f"{', '.join(SCENARIOS)}; all if none is given"
    )
    parser.add_argument("--seconds", type=float, default=120.0, help="how long each of them goes on killing (120)")
    parser.add_argument("--driver", action="append", choices=DRIVERS, help="a client to test; all if none is given")
    parser.add_argument("--seed", type=int, default=1, help="draws pauses, targets and work (1)")
    parser.add_argument("--signed", action="store_true", help="with keys, where agents are killed")
    parser.add_argument("--agents", type=int, default=1000, help="the size of the fleet (1000)")
    parser.add_argument("--processes", type=int, default=4, help="that run the fleet (4)")
    found = parser.parse_args(arguments)
    for scenario in found.scenarios:
        if scenario not in SCENARIOS:
            parser.error(f"{scenario} is no scenario: use {', '.join(SCENARIOS)}")
    return found


if __name__ == "__main__":
    sys.exit(0 if trio.run(main, parse(sys.argv[1:])) else 1)
