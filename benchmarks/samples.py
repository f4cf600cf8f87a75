"""One measurement of dispatch by name, as a row of figures: what `python -m benchmarks` and its `compare` repeat.

`python -m benchmarks.samples NAME [--jobs N]` prints the row as JSON.
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from time import process_time
from typing import TYPE_CHECKING

import trio

import osapi
from benchmarks import dispatch, nats_dispatch
from osapi_memory import Broker
from osapi_nats.server import ServerSettings, run_server

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from osapi.transport import Storage

OUTSTANDING = 200

# One at a time the spread is small, and a tenth of the jobs shows it.
SHARE_ALONE = 10


async def nats(storage: Storage, jobs: int, *, floor: bool) -> dict[str, float]:
    """Measure client, agent and server as three processes; CPU in microseconds a job."""
    work = nats_dispatch.measure_floor if floor else nats_dispatch.measure_osapi
    async with run_server(ServerSettings(port=0)) as server:
        busy = await work(server, server.url, storage, jobs, OUTSTANDING)
    async with run_server(ServerSettings(port=0)) as server:
        alone = await work(server, server.url, storage, max(jobs // SHARE_ALONE, 300), 1)
    return {
        "jobs/s": busy.figures.per_second,
        "p50 ms": alone.figures.p50,
        "p99 ms": alone.figures.p99,
        "client": busy.client,
        "agent": busy.agent,
        "server": busy.server,
    }


async def memory(jobs: int) -> dict[str, float]:
    """Measure client, broker and agent in one thread: their CPU is one figure, under `client`."""
    async with Broker() as broker, broker.connect() as one, broker.connect() as other:
        settings = dispatch.SETTINGS
        agent = osapi.Agent(one, dispatch.operations, hostname="x", max_jobs=OUTSTANDING, settings=settings)
        async with agent, osapi.Client(other, dispatch.operations, settings=settings) as client:

            async def work() -> None:
                handle = await client.submit("bench.noop")
                answers = await handle.result()
                assert answers["x"].unwrap() == dispatch.Hostname("x")

            await dispatch.measure(work, OUTSTANDING, OUTSTANDING)  # to warm up
            began = process_time()
            busy = await dispatch.measure(work, jobs, OUTSTANDING)
            used = process_time() - began
            alone = await dispatch.measure(work, max(jobs // SHARE_ALONE, 300), 1)
    return {"jobs/s": busy.per_second, "p50 ms": alone.p50, "p99 ms": alone.p99, "client": used / jobs * 1e6}


async def trio_floor(jobs: int) -> dict[str, float]:
    """Measure the least that a job could be on Trio alone (see `benchmarks.dispatch`)."""
    began = process_time()
    busy = await dispatch.measure_floor(jobs, OUTSTANDING)
    used = process_time() - began
    alone = await dispatch.measure_floor(max(jobs // SHARE_ALONE, 300), 1)
    return {"jobs/s": busy.per_second, "p50 ms": alone.p50, "p99 ms": alone.p99, "client": used / jobs * 1e6}


# By name, with the one that it is compared to in the same round.
SAMPLES: dict[str, Callable[[int], Awaitable[dict[str, float]]]] = {
    "floor, NATS file": partial(nats, "file", floor=True),
    "osapi, NATS file": partial(nats, "file", floor=False),
    "floor, NATS memory": partial(nats, "memory", floor=True),
    "osapi, NATS memory": partial(nats, "memory", floor=False),
    "floor, Trio alone": trio_floor,
    "osapi, in memory": memory,
}
FLOORS = {
    "osapi, NATS file": "floor, NATS file",
    "osapi, NATS memory": "floor, NATS memory",
    "osapi, in memory": "floor, Trio alone",
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="samples", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("name", choices=list(SAMPLES))
    parser.add_argument("--jobs", type=int, default=3000)
    args = parser.parse_args()
    print(json.dumps(trio.run(SAMPLES[args.name], args.jobs)))


if __name__ == "__main__":
    main()
