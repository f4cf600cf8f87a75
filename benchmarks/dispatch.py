"""Jobs per second and latency of one agent over the memory broker, beside what Trio alone costs.

Run it as `python -m benchmarks.dispatch [--quick] [--json]`. Everything is in one process: client, broker and agent
share one thread and one CPU. The floor is the least that a job could be on Trio: a task is started for it, takes it
from one memory channel and answers on another. Both are measured in turn, round by round, so that a busy machine
slows both; the figures are the medians of the rounds.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

import msgspec
import trio

import osapi
from osapi_memory import Broker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

JOBS, QUICK_JOBS = 20_000, 3_000
OUTSTANDING = 200
ROUNDS = 3
SETTINGS = osapi.Settings(max_bytes=2 * 1024**3)

operations = osapi.Operations()


class Hostname(msgspec.Struct):
    """What the operation returns."""

    hostname: str


@operations.query("bench.noop")
async def noop(job: osapi.Job) -> Hostname:
    return Hostname("x")


class Figures(msgspec.Struct, frozen=True):
    """Of one run, or the medians of several; times in milliseconds."""

    per_second: float
    p50: float
    p99: float


# --- What is measured --------------------------------------------------------------------------------------


async def measure(work: Callable[[], Awaitable[object]], jobs: int, outstanding: int) -> Figures:
    """Keep so many calls of `work` going until there were so many in all."""
    times: list[float] = []
    left = iter(range(jobs))

    async def loop() -> None:
        for _ in left:
            began = perf_counter()
            await work()
            times.append(perf_counter() - began)

    gc.collect()
    began = perf_counter()
    async with trio.open_nursery() as nursery:
        for _ in range(outstanding):
            nursery.start_soon(loop)
    seconds = perf_counter() - began
    times.sort()
    assert len(times) == jobs
    return Figures(jobs / seconds, percentile(times, 0.50) * 1000, percentile(times, 0.99) * 1000)


def percentile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


async def measure_osapi(jobs: int, outstanding: int) -> Figures:
    """Measure submit and result, with a broker, an agent and a client made for this round."""
    async with Broker() as broker, broker.connect() as one, broker.connect() as other:
        agent = osapi.Agent(one, operations, hostname="x", max_jobs=OUTSTANDING, settings=SETTINGS)
        async with agent, osapi.Client(other, operations, settings=SETTINGS) as client:

            async def work() -> None:
                handle = await client.submit("bench.noop")
                answers = await handle.result()
                assert answers["x"].unwrap() == Hostname("x")

            await measure(work, OUTSTANDING, outstanding)  # to warm up
            return await measure(work, jobs, outstanding)


async def measure_floor(jobs: int, outstanding: int) -> Figures:
    """Measure a task started for each job that makes a round trip over memory channels."""
    async with trio.open_nursery() as nursery:

        async def work() -> None:
            put, take = trio.open_memory_channel[int](0)
            answer, answers = trio.open_memory_channel[int](0)
            nursery.start_soon(serve, take, answer)
            await put.send(1)
            assert await answers.receive() == 1

        await measure(work, OUTSTANDING, outstanding)
        return await measure(work, jobs, outstanding)


async def serve(take: trio.MemoryReceiveChannel[int], answer: trio.MemorySendChannel[int]) -> None:
    await answer.send(await take.receive())


def medians(rounds: list[Figures]) -> Figures:
    return Figures(
        median(figures.per_second for figures in rounds),
        median(figures.p50 for figures in rounds),
        median(figures.p99 for figures in rounds),
    )


async def measure_all(jobs: int) -> dict[str, list[Figures]]:
    """Measure everything once in each round, one after the other."""
    rounds: dict[str, list[Figures]] = {}
    for _ in range(ROUNDS):
        for outstanding in (OUTSTANDING, 1):
            # One at a time the spread is small, and a tenth of the jobs shows it.
            count = jobs if outstanding > 1 else max(jobs // 10, 1000)
            for name, work in (("osapi", measure_osapi), ("floor", measure_floor)):
                rounds.setdefault(f"{name}, {outstanding} outstanding", []).append(await work(count, outstanding))
    return rounds


# --- The report --------------------------------------------------------------------------------------------


def machine() -> str:
    return f"Python {platform.python_version()}, Trio {trio.__version__}, {os.cpu_count()} CPUs"


def report(rounds: dict[str, list[Figures]], jobs: int) -> dict[str, Any]:
    rows = {name: medians(figures) for name, figures in rounds.items()}
    # Of each round by itself, since its two sides ran one right after the other.
    ratios = {
        outstanding: median(
            floor.per_second / ours.per_second
            for ours, floor in zip(
                rounds[f"osapi, {outstanding} outstanding"], rounds[f"floor, {outstanding} outstanding"], strict=True
            )
        )
        for outstanding in (OUTSTANDING, 1)
    }
    return {
        "machine": machine(),
        "jobs": jobs,
        "rows": {name: msgspec.to_builtins(row) for name, row in rows.items()},
        "rounds": msgspec.to_builtins(rounds),
        "ratios": {str(outstanding): ratio for outstanding, ratio in ratios.items()},
    }


def print_report(found: dict[str, Any]) -> None:
    print(f"{found['machine']}; {found['jobs']:,} jobs a round, medians of {ROUNDS} rounds\n")
    print(f"{'':26}{'jobs/s':>10}{'p50 ms':>10}{'p99 ms':>10}")
    for name, row in found["rows"].items():
        print(f"{name:26}{row['per_second']:>10,.0f}{row['p50']:>10.3f}{row['p99']:>10.3f}")
    for outstanding, ratio in found["ratios"].items():
        print(f"\nWith {outstanding} outstanding a job costs {ratio:.1f} times the floor.", end="")
    print("\nThe floor: a task started for each job and a round trip over memory channels, on bare Trio.")


def main() -> None:
    options = argparse.ArgumentParser(prog="dispatch", description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--quick", action="store_true", help=f"{QUICK_JOBS:,} jobs a round instead of {JOBS:,}")
    options.add_argument("--json", action="store_true", help="print JSON instead of a table")
    chosen = options.parse_args()
    jobs = QUICK_JOBS if chosen.quick else JOBS
    found = report(trio.run(measure_all, jobs), jobs)
    if chosen.json:
        print(json.dumps(found, indent=2))
    else:
        print_report(found)


if __name__ == "__main__":
    main()
