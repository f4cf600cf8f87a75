"""How long a broadcast takes until every agent has answered, over a real nats-server.

Run it as `python -m benchmarks.broadcast [--agents 10 100 1000] [--processes 4] [--json]`. The agents, each on a
connection of its own, are spread over a few processes; the client is this process, the server another one. What all of
them use at rest is measured besides: they go on using it until all have answered, so a broadcast that takes longer,
because the machine is busy, seems to cost more.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

import trio

import osapi
from benchmarks.dispatch import Hostname, machine, operations
from benchmarks.nats_dispatch import cpu, settings
from osapi_nats.server import ServerSettings, run_server

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

SIZES = (10, 100, 1000)
BROADCASTS = 5
PROCESSES = 4
SIDES = ("client", "agents", "server")
# Agents of one process that open their connections at once.
_AT_ONCE = 20
# So long it is measured what they use at rest, in seconds: a heartbeat's time.
_REST = 10.0


async def serve(url: str, numbers: range) -> None:
    """Run the agents of these numbers in this process, for ever."""
    limit = trio.CapacityLimiter(_AT_ONCE)

    async def run(number: int, *, task_status: trio.TaskStatus[None]) -> None:
        async with (
            osapi.connect(f"{url}/?timeout=60") as transport,
            osapi.Agent(transport, operations, hostname=f"host-{number:04}", settings=settings("file")),
        ):
            task_status.started()
            await trio.sleep_forever()

    async with trio.open_nursery() as nursery:

        async def begin(number: int) -> None:
            async with limit:
                await nursery.start(run, number)

        async with trio.open_nursery() as beginning:
            for number in numbers:
                beginning.start_soon(begin, number)
        # Each of them in a process of its own would have a small heap to look through.
        gc.collect()
        gc.freeze()
        print("ready", flush=True)


@asynccontextmanager
async def some(url: str, numbers: range) -> AsyncGenerator[int]:
    """Run agents in a process of their own, and give its pid."""
    begin, end = str(numbers.start), str(numbers.stop)
    command = [sys.executable, "-m", "benchmarks.broadcast", "--serve", begin, end, "--url", url]
    process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        assert (await process.stdout.receive_some()).startswith(b"ready")
        yield process.pid
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


@asynccontextmanager
async def fleet(url: str, size: int, processes: int) -> AsyncGenerator[list[int]]:
    """Run all agents, and give the pids of their processes."""
    pids: list[int] = []
    bounds = [size * number // processes for number in range(processes + 1)]
    async with AsyncExitStack() as stack:

        async def begin(numbers: range) -> None:
            pids.append(await stack.enter_async_context(some(url, numbers)))

        async with trio.open_nursery() as nursery:
            for first, end in pairwise(bounds):
                nursery.start_soon(begin, range(first, end))
        yield pids


async def measure(size: int, processes: int = PROCESSES) -> dict[str, float]:
    """Return the figures of a broadcast, medians of a few.

    That is seconds until all have answered, the seconds of CPU that each side used until then, and under `... at rest`
    what it uses in a second anyway.
    """
    rows: list[dict[str, float]] = []
    async with (
        run_server(ServerSettings(port=0)) as server,
        fleet(server.url, size, processes) as agents,
        osapi.connect(server.url) as transport,
        osapi.Client(transport, operations, settings=settings("file")) as client,
    ):

        def used() -> list[float]:
            return [cpu(os.getpid()), sum(map(cpu, agents)), cpu(server.pid)]

        before = used()
        await trio.sleep(_REST)
        rest = [(now - was) / _REST for now, was in zip(used(), before, strict=True)]
        for _ in range(BROADCASTS):
            before = used()
            began = trio.current_time()
            handle = await client.submit("bench.noop", target="_all")
            answers = await handle.result()
            seconds = trio.current_time() - began
            spent = [now - was for now, was in zip(used(), before, strict=True)]
            assert len(answers) == size
            assert all(answer.unwrap() == Hostname("x") for answer in answers.values())
            rows.append({"seconds": seconds, **dict(zip(SIDES, spent, strict=True))})
    figures = {name: median(row[name] for row in rows) for name in rows[0]}
    return figures | {f"{side} at rest": idle for side, idle in zip(SIDES, rest, strict=True)}


async def measure_all(sizes: tuple[int, ...], processes: int = PROCESSES) -> dict[int, dict[str, float]]:
    return {size: await measure(size, processes) for size in sizes}


def print_report(rows: dict[int, dict[str, float]]) -> None:
    print(f"{'a broadcast to':16}{'all answered ms':>16}", end="")
    print(f"{'client':>10}{'agents':>8}{'server':>8}{'at rest, agents':>18}{'server':>8}")
    for size, row in rows.items():
        each = [row[side] / size * 1e6 for side in (*SIDES, "agents at rest", "server at rest")]
        print(f"{size:<16,}{row['seconds'] * 1000:16,.0f}", end="")
        print(f"{each[0]:10,.0f}{each[1]:8,.0f}{each[2]:8,.0f}{each[3]:18,.0f}{each[4]:8,.0f}")
    print("\nCPU of each side in us an agent; at rest, in us a second and agent, it goes on meanwhile.")


def main() -> None:
    parser = argparse.ArgumentParser(prog="broadcast", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--agents", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--processes", type=int, default=PROCESSES, help="that the agents are spread over")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--serve", type=int, nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        trio.run(serve, args.url, range(*args.serve))
        return
    rows = trio.run(measure_all, tuple(args.agents), args.processes)
    if args.json:
        print(json.dumps({"machine": machine(), "rows": rows}, indent=2))
    else:
        print(f"{machine()}; file storage, medians of {BROADCASTS}\n")
        print_report(rows)


if __name__ == "__main__":
    main()
