"""How long a broadcast takes until every agent has answered, over a real nats-server.

Run it as `python -m benchmarks.broadcast [--agents 10 100 1000] [--json]`. The agents share one process and are each
on a connection of their own; the client is this process, the server a third one.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
from contextlib import asynccontextmanager
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
# Agents that open their connections at once.
_AT_ONCE = 20


async def serve(url: str, size: int) -> None:
    """Run so many agents in this process, for ever."""
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
            for number in range(size):
                beginning.start_soon(begin, number)
        # Each of them in a process of its own would have a small heap to look through.
        gc.collect()
        gc.freeze()
        print("ready", flush=True)


@asynccontextmanager
async def fleet(url: str, size: int) -> AsyncGenerator[int]:
    """Run the agents in a process of their own, and give its pid."""
    command = [sys.executable, "-m", "benchmarks.broadcast", "--serve", str(size), "--url", url]
    process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        assert (await process.stdout.receive_some()).startswith(b"ready")
        yield process.pid
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


async def measure(size: int) -> dict[str, float]:
    """Return seconds until all have answered, and milliseconds of CPU of each side, at the median of a few."""
    rows: list[dict[str, float]] = []
    async with (
        run_server(ServerSettings(port=0)) as server,
        fleet(server.url, size) as agents,
        osapi.connect(server.url) as transport,
        osapi.Client(transport, operations, settings=settings("file")) as client,
    ):
        for _ in range(BROADCASTS):
            before = [cpu(pid) for pid in (os.getpid(), agents, server.pid)]
            began = trio.current_time()
            handle = await client.submit("bench.noop", target="_all")
            answers = await handle.result()
            seconds = trio.current_time() - began
            used = [cpu(pid) - was for pid, was in zip((os.getpid(), agents, server.pid), before, strict=True)]
            assert len(answers) == size
            assert all(answer.unwrap() == Hostname("x") for answer in answers.values())
            rows.append({"seconds": seconds, **dict(zip(("client", "agents", "server"), used, strict=True))})
    return {name: median(row[name] for row in rows) for name in rows[0]}


async def measure_all(sizes: tuple[int, ...]) -> dict[int, dict[str, float]]:
    return {size: await measure(size) for size in sizes}


def print_report(rows: dict[int, dict[str, float]]) -> None:
    print(f"{'a broadcast to':20}{'all answered ms':>16}{'CPU us/agent: client':>22}{'agent':>8}{'server':>8}")
    for size, row in rows.items():
        each = [row[side] / size * 1e6 for side in ("client", "agents", "server")]
        print(f"{size:<20,}{row['seconds'] * 1000:16,.0f}{each[0]:22,.0f}{each[1]:8,.0f}{each[2]:8,.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="broadcast", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--agents", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        trio.run(serve, args.url, args.serve)
        return
    rows = trio.run(measure_all, tuple(args.agents))
    if args.json:
        print(json.dumps({"machine": machine(), "rows": rows}, indent=2))
    else:
        print(f"{machine()}; file storage, medians of {BROADCASTS}\n")
        print_report(rows)


if __name__ == "__main__":
    main()
