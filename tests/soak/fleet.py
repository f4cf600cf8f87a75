"""A fleet on one server: how long it takes to register, to answer a broadcast, and what it costs the server."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import trio

import osapi
from osapi.rules.records import SlotStatus
from osapi.settings import stream_config
from tests.soak.agent import agents
from tests.soak.operations import operations
from tests.soak.world import Report

if TYPE_CHECKING:
    from osapi_nats.server import Server
    from tests.soak.log import Log

# A broadcast may take so long before those who have not answered count as silent.
_WITHIN = 60.0


async def fleet(
    server: Server, settings: osapi.Settings, log: Log, *, driver: str, size: int, processes: int, broadcasts: int = 5
) -> Report:
    """Start `size` agents in a few processes, each on its own connection, and ask all of them at once."""
    url = f"{server.url}/?driver={driver}"
    hosts = [f"host-{number:04}" for number in range(size)]
    report = Report(f"fleet ({driver}, {size} agents in {processes} processes)")
    async with (
        osapi.connect(url) as transport,
        osapi.Client(transport, operations(log), settings=settings) as client,
        AsyncExitStack() as stack,
    ):
        before = resident(server.pid)
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            for number in range(processes):
                # Entered at the same time, left one after the other.
                nursery.start_soon(stack.enter_async_context, agents(url, log, settings, hosts[number::processes]))
        report.times["until all were registered"] = [trio.current_time() - began]
        report.counts["KiB of the server's memory an agent"] = (resident(server.pid) - before) // size
        for _ in range(broadcasts):
            report.times.setdefault("a broadcast to all", []).append(await _broadcast(client, hosts, report))
        report.counts["KiB an agent after the broadcasts"] = (resident(server.pid) - before) // size
        stream = await transport.stream(stream_config(settings))
        report.counts["consumers"] = (await stream.info()).consumers
        if report.counts["consumers"] != size + 1:
            report.problems.append("there is not one consumer for each agent and one for all")
    return report


async def _broadcast(client: osapi.Client, hosts: list[str], report: Report) -> float:
    began = trio.current_time()
    handle = await client.submit("soak.probe", target="_all", within=_WITHIN)
    answers = await handle.result()
    silent = [host for host in hosts if host not in answers or answers[host].status is not SlotStatus.COMPLETED]
    if silent or len(answers) != len(hosts):
        report.problems.append(f"{len(silent)} agents did not answer a broadcast, {silent[:3]} among them")
    return trio.current_time() - began


def resident(pid: int) -> int:
    """Return the KiB of memory that a process has now."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
