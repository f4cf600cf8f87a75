"""Jobs per second and latency over a real nats-server, beside the least that the same flow could cost.

Run it as `python -m benchmarks.nats_dispatch [--quick] [--json] [--driver native]`. Client, agent and server are three
processes on one machine. Each round measures file and memory storage, osapi and the floor (`benchmarks.nats_floor`)
in turn, so that a busy machine slows all of them; the figures are the medians of the rounds. The server writes files
with its default fsync interval (2 minutes). CPU is user and system time of each process, per job.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import msgspec
import trio

import osapi
from benchmarks import nats_floor
from benchmarks.dispatch import Figures, Hostname, machine, measure, operations
from osapi_nats.server import ServerSettings, run_server

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from osapi.transport import Storage
    from osapi_nats.server import Server

JOBS, QUICK_JOBS = 20_000, 3_000
OUTSTANDING = 200
ROUNDS = 3


class Measured(msgspec.Struct, frozen=True):
    """One run: figures, and the CPU of each process in microseconds a job."""

    figures: Figures
    client: float
    agent: float
    server: float


def settings(storage: Storage) -> osapi.Settings:
    return osapi.Settings(storage=storage, max_bytes=2 * 1024**3)


def cpu(pid: int) -> float:
    """Return the seconds of CPU that a process has used, all threads that still run together.

    From the scheduler's own count, in nanoseconds: the ticks of `/proc/<pid>/stat` are as long as a hundred jobs.
    """
    seconds = 0.0
    for schedule in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with suppress(OSError):
            seconds += int(schedule.read_text(encoding="utf-8").split()[0]) / 1e9
    return seconds


# --- The agent's process -----------------------------------------------------------------------------------


async def serve(url: str, storage: Storage) -> None:
    async with (
        osapi.connect(url) as transport,
        osapi.Agent(transport, operations, hostname="x", max_jobs=OUTSTANDING, settings=settings(storage)),
    ):
        print("ready", flush=True)
        await trio.sleep_forever()


@asynccontextmanager
async def worker(role: str, url: str, storage: Storage) -> AsyncGenerator[int]:
    """Run the other end in a process of its own, and give its pid."""
    command = [sys.executable, "-m", "benchmarks.nats_dispatch", "--role", role, "--url", url, "--storage", storage]
    process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        assert (await process.stdout.receive_some()).startswith(b"ready")
        yield process.pid
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


# --- What is measured --------------------------------------------------------------------------------------


async def watched(
    work: Callable[[], Awaitable[object]], jobs: int, outstanding: int, agent: int, server: int
) -> Measured:
    await measure(work, OUTSTANDING, outstanding)  # to warm up
    before = [cpu(pid) for pid in (os.getpid(), agent, server)]
    figures = await measure(work, jobs, outstanding)
    client, agent_, server_ = (
        (cpu(pid) - was) / jobs * 1e6 for pid, was in zip((os.getpid(), agent, server), before, strict=True)
    )
    return Measured(figures, client, agent_, server_)


async def measure_osapi(server: Server, url: str, storage: Storage, jobs: int, outstanding: int) -> Measured:
    async with (
        worker("osapi", url, storage) as agent,
        osapi.connect(url) as transport,
        osapi.Client(transport, operations, settings=settings(storage)) as client,
    ):

        async def work() -> None:
            handle = await client.submit("bench.noop")
            answers = await handle.result()
            assert answers["x"].unwrap() == Hostname("x")

        return await watched(work, jobs, outstanding, agent, server.pid)


async def measure_floor(server: Server, url: str, storage: Storage, jobs: int, outstanding: int) -> Measured:
    async with nats_floor.client(url, storage) as client, worker("floor", url, storage) as agent:

        async def work() -> None:
            assert await client.run() == b'{"hostname":"x"}'

        return await watched(work, jobs, outstanding, agent, server.pid)


async def measure_all(jobs: int, driver: str) -> dict[str, list[Measured]]:
    rounds: dict[str, list[Measured]] = {}
    storages: tuple[Storage, ...] = ("file", "memory")
    for _ in range(ROUNDS):
        for storage in storages:
            for outstanding in (OUTSTANDING, 1):
                # One at a time the spread is small, and a tenth of the jobs shows it.
                count = jobs if outstanding > 1 else max(jobs // 10, 500)
                for name, work in (("osapi", measure_osapi), ("floor", measure_floor)):
                    async with run_server(ServerSettings(port=0)) as server:
                        url = f"{server.url}/?driver={driver}" if name == "osapi" else server.url
                        row = f"{name}, {storage}, {outstanding} outstanding"
                        rounds.setdefault(row, []).append(await work(server, url, storage, count, outstanding))
    return rounds


def medians(rounds: list[Measured]) -> dict[str, float]:
    return {
        "per_second": median(run.figures.per_second for run in rounds),
        "p50": median(run.figures.p50 for run in rounds),
        "p99": median(run.figures.p99 for run in rounds),
        "client": median(run.client for run in rounds),
        "agent": median(run.agent for run in rounds),
        "server": median(run.server for run in rounds),
    }


def report(rows: dict[str, dict[str, float]], driver: str) -> None:
    print(f"driver {driver}; {machine()}\n")
    print(f"{'':32}{'jobs/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'CPU us/job: client':>20}{'agent':>8}{'server':>8}")
    for name, row in rows.items():
        print(
            f"{name:32}{row['per_second']:9,.0f}{row['p50']:9.2f}{row['p99']:9.2f}"
            f"{row['client']:20.0f}{row['agent']:8.0f}{row['server']:8.0f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer jobs, to try it out")
    parser.add_argument("--json", action="store_true", help="print the medians as JSON")
    parser.add_argument("--driver", default="native", choices=["native", "nats-py"])
    parser.add_argument("--role", choices=["osapi", "floor"], help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--storage", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.role:
        trio.run(serve if args.role == "osapi" else nats_floor.serve, args.url, args.storage)
        return
    found = trio.run(measure_all, QUICK_JOBS if args.quick else JOBS, args.driver)
    rows = {name: medians(rounds) for name, rounds in found.items()}
    if args.json:
        print(json.dumps({"driver": args.driver, "machine": machine(), "rows": rows}, indent=2))
    else:
        report(rows, args.driver)


if __name__ == "__main__":
    main()
