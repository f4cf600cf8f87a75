"""taskiq with its in-memory broker: a task is kicked, and its result waited for."""
# mypy: ignore-errors
# pyright: basic, reportMissingImports=false

from __future__ import annotations

import asyncio
import json
import sys
from time import perf_counter, process_time

from taskiq import InMemoryBroker

OUTSTANDING = 200

broker = InMemoryBroker(max_stored_results=10_000)


@broker.task(task_name="noop")
async def noop() -> dict[str, str]:
    return {"hostname": "x"}


async def measure(jobs: int, outstanding: int) -> tuple[float, list[float]]:
    """Keep so many calls going, and return jobs a second and the sorted times."""
    times: list[float] = []
    left = iter(range(jobs))

    async def loop() -> None:
        for _ in left:
            began = perf_counter()
            task = await noop.kiq()
            result = await task.wait_result(check_interval=0.0001)
            assert result.return_value == {"hostname": "x"}
            times.append(perf_counter() - began)

    began = perf_counter()
    await asyncio.gather(*(loop() for _ in range(outstanding)))
    return jobs / (perf_counter() - began), sorted(times)


async def main(jobs: int) -> None:
    await broker.startup()
    await measure(OUTSTANDING, OUTSTANDING)
    began = process_time()
    rate, times = await measure(jobs, OUTSTANDING)
    used = process_time() - began
    _, alone = await measure(max(jobs // 10, 300), 1)
    p99 = times[int(len(times) * 0.99)] * 1000
    row = {"jobs/s": rate, "p50 ms": alone[len(alone) // 2] * 1000, "p99 ms": p99, "client": used / jobs * 1e6}
    print(json.dumps(row))
    await broker.shutdown()


asyncio.run(main(int(sys.argv[1])))
