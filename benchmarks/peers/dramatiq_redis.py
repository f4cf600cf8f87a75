"""Dramatiq on Redis, in two processes of eight threads: a message is sent, its stored result waited for."""
# mypy: ignore-errors
# pyright: basic, reportMissingImports=false

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

OUTSTANDING = 200
PATIENCE = 30_000  # milliseconds

url = os.environ.setdefault("BENCH_REDIS", "redis://127.0.0.1:6399/0")
broker = RedisBroker(url=url)
broker.add_middleware(Results(backend=RedisBackend(url=url)))
dramatiq.set_broker(broker)


@dramatiq.actor(store_results=True)
def noop() -> dict[str, str]:
    return {"hostname": "x"}


def cpu(pids: list[int]) -> float:
    """Return the seconds of CPU that processes have used."""
    files = [file for pid in pids for file in Path(f"/proc/{pid}/task").glob("*/schedstat")]
    return sum(int(file.read_text(encoding="utf-8").split()[0]) for file in files) / 1e9


def with_children(pid: int) -> list[int]:
    """Return a process and all that it started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
    return [pid, *(process for child in children for process in with_children(int(child)))]


def measure(jobs: int, outstanding: int) -> tuple[float, list[float]]:
    """Keep so many messages going, and return jobs a second and the sorted times."""
    times: list[float] = []
    waiting: deque = deque()
    began = perf_counter()
    for number in range(jobs + outstanding):
        if number < jobs:
            waiting.append((perf_counter(), noop.send()))
        if waiting and (number >= outstanding or len(waiting) >= outstanding):
            sent, message = waiting.popleft()
            assert message.get_result(block=True, timeout=PATIENCE) == {"hostname": "x"}
            times.append(perf_counter() - sent)
    while waiting:
        sent, message = waiting.popleft()
        assert message.get_result(block=True, timeout=PATIENCE) == {"hostname": "x"}
        times.append(perf_counter() - sent)
    return jobs / (perf_counter() - began), sorted(times)


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


def main(jobs: int) -> None:
    """Start Redis and the workers as this process's children, measure, and print the row."""
    here = Path(__file__)
    environment = {**os.environ, "PYTHONPATH": str(here.parent)}
    worker = ["-m", "dramatiq", here.stem, "--processes", "2", "--threads", "8", "--skip-logging"]
    port = url.rpartition(":")[2].partition("/")[0]
    with TemporaryDirectory() as folder:
        redis = subprocess.Popen(
            [
                shutil.which("redis-server") or "redis-server",
                "--port",
                port,
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--dir",
                folder,
            ],
            stdout=subprocess.DEVNULL,
        )
        workers = None
        try:
            time.sleep(0.5)
            workers = subprocess.Popen([sys.executable, *worker], env=environment, stdout=subprocess.DEVNULL)
            measure(OUTSTANDING, OUTSTANDING)
            groups = [[os.getpid()], with_children(workers.pid), [redis.pid]]
            before = [cpu(pids) for pids in groups]
            rate, times = measure(jobs, OUTSTANDING)
            used = [(cpu(pids) - was) / jobs * 1e6 for pids, was in zip(groups, before, strict=True)]
            _, alone = measure(max(jobs // 10, 300), 1)
        finally:
            for process in (workers, redis):
                if process is not None:
                    process.terminate()
                    process.wait()
    p99 = times[int(len(times) * 0.99)] * 1000
    row = {"jobs/s": rate, "p50 ms": alone[len(alone) // 2] * 1000, "p99 ms": p99}
    print(json.dumps({**row, **dict(zip(("client", "agent", "server"), used, strict=True))}))


if __name__ == "__main__":
    if "BENCH_STARTED" not in os.environ:
        # The port has to be known before the broker is made, here and in the workers.
        fresh = {**os.environ, "BENCH_STARTED": "1", "BENCH_REDIS": f"redis://127.0.0.1:{free_port()}/0"}
        raise SystemExit(subprocess.run([sys.executable, __file__, sys.argv[1]], env=fresh, check=False).returncode)
    main(int(sys.argv[1]))
