"""FastStream on JetStream: a request is stored on a stream, a worker of its own answers it; no result is stored."""
# mypy: ignore-errors
# pyright: basic, reportMissingImports=false

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from time import perf_counter

from faststream import FastStream
from faststream.nats import JStream, NatsBroker, PullSub

OUTSTANDING = 200


def cpu(pid: int) -> float:
    """Return the seconds of CPU that a process has used."""
    files = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(file.read_text(encoding="utf-8").split()[0]) for file in files) / 1e9


async def serve(url: str) -> None:
    """Answer requests, for ever."""
    broker = NatsBroker(url, logger=None)
    stream = JStream("bench", subjects=["bench.*"])

    @broker.subscriber("bench.noop", stream=stream, durable="worker", pull_sub=PullSub(batch_size=OUTSTANDING))
    async def noop(_: str) -> dict[str, str]:
        return {"hostname": "x"}

    app = FastStream(broker, logger=None)

    @app.after_startup
    async def tell() -> None:
        print("ready", flush=True)

    await app.run()


async def measure(broker: NatsBroker, jobs: int, outstanding: int) -> tuple[float, list[float]]:
    """Keep so many calls going, and return jobs a second and the sorted times."""
    times: list[float] = []
    left = iter(range(jobs))

    async def loop() -> None:
        for _ in left:
            began = perf_counter()
            answer = await broker.request("x", "bench.noop", stream="bench", timeout=30)
            assert await answer.decode() == {"hostname": "x"}
            times.append(perf_counter() - began)

    began = perf_counter()
    await asyncio.gather(*(loop() for _ in range(outstanding)))
    return jobs / (perf_counter() - began), sorted(times)


async def main(jobs: int, url: str, server: int) -> None:
    """Start the worker, measure, and print the row."""
    worker = subprocess.Popen([sys.executable, __file__, "serve", url], stdout=subprocess.PIPE)  # noqa: ASYNC220
    try:
        assert worker.stdout is not None
        assert worker.stdout.readline().startswith(b"ready")
        async with NatsBroker(url, logger=None) as broker:
            await broker.start()
            await measure(broker, OUTSTANDING, OUTSTANDING)
            pids = (os.getpid(), worker.pid, server)
            before = [cpu(pid) for pid in pids]
            rate, times = await measure(broker, jobs, OUTSTANDING)
            used = [(cpu(pid) - was) / jobs * 1e6 for pid, was in zip(pids, before, strict=True)]
            _, alone = await measure(broker, max(jobs // 10, 300), 1)
    finally:
        worker.kill()
        worker.wait()
    p99 = times[int(len(times) * 0.99)] * 1000
    row = {"jobs/s": rate, "p50 ms": alone[len(alone) // 2] * 1000, "p99 ms": p99}
    print(json.dumps({**row, **dict(zip(("client", "agent", "server"), used, strict=True))}))


logging.disable(logging.CRITICAL)
if sys.argv[1] == "serve":
    asyncio.run(serve(sys.argv[2]))
else:
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
