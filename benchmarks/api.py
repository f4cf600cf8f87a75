"""Measure `GET /api/node/_any/hostname` end to end: HTTP, the API, a real nats-server, an agent, and back.

    python -m benchmarks.api [--requests 3000] [--rounds 3]

Load, API, agent and server are four processes on one machine. Beside it, in the same rounds and in turn, is
`GET /api/health`, which no job is behind: what HTTP alone costs here. Figures are the medians of the rounds.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from contextlib import asynccontextmanager
from statistics import median, quantiles
from time import perf_counter
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import trio

import osapi
import osapi_api
from osapi_agent.node import operations
from osapi_nats.server import ServerSettings, run_server

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

KEY = "0123456789abcdef0123456789abcdef"
JOB, HEALTH = "/api/node/_any/hostname", "/api/health"
OUTSTANDING = (1, 32)


# --- The processes -----------------------------------------------------------------------------------------


async def serve_agent(url: str) -> None:
    async with osapi.connect(url) as transport, osapi.Agent(transport, operations, hostname="bench", max_jobs=100):
        print("ready", flush=True)
        await trio.sleep_forever()


async def serve_api(url: str) -> None:
    options = osapi_api.Options(rate=0.0)
    async with osapi.connect(url) as transport, osapi.Client(transport, operations) as client, trio.open_nursery() as n:
        app = osapi_api.create_app(
            client,
            transport=transport,
            operations=operations,
            security=osapi_api.Security(KEY),
            options=options,
        )

        async def serve(*, task_status: trio.TaskStatus[list[str]]) -> None:
            await osapi_api.serve(app, port=0, task_status=task_status)

        (told,) = await n.start(serve)
        print(told, flush=True)


@asynccontextmanager
async def process(role: str, url: str) -> AsyncGenerator[str]:
    """Run one of the programs, and give the block what it says once it is ready."""
    command = [sys.executable, "-m", "benchmarks.api", "--role", role, "--url", url]
    child = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE, env=os.environ)
    assert child.stdout is not None
    try:
        yield (await child.stdout.receive_some()).decode().strip()
    finally:
        child.kill()
        await child.wait()


# --- The load ----------------------------------------------------------------------------------------------


async def ask(stream: trio.SocketStream, request: bytes, waiting: bytes) -> bytes:
    """Send a request and read its answer, which must be 200; return what came after it."""
    await stream.send_all(request)
    while b"\r\n\r\n" not in waiting:
        waiting += await stream.receive_some()
    head, _, body = waiting.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), waiting
    length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    while len(body) < length:
        body += await stream.receive_some()
    return body[length:]


async def load(url: str, path: str, token: str, requests: int, outstanding: int) -> tuple[float, list[float]]:
    """Ask over and over, on so many connections at once; return requests a second and the time of each."""
    place = urlsplit(url)
    request = f"GET {path} HTTP/1.1\r\nHost: {place.netloc}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    times: list[float] = []
    left = iter(range(requests))

    async def ask_on() -> None:
        async with await trio.open_tcp_stream(str(place.hostname), int(place.port or 0)) as stream:
            waiting = b""
            for _ in left:
                begun = perf_counter()
                waiting = await ask(stream, request, waiting)
                times.append(perf_counter() - begun)

    begun = perf_counter()
    async with trio.open_nursery() as nursery:
        for _ in range(outstanding):
            nursery.start_soon(ask_on)
    return requests / (perf_counter() - begun), times


async def measure(requests: int, rounds: int) -> None:
    token = osapi_api.Security(KEY).generate("bench", roles=["admin"])
    found: dict[tuple[str, int], list[tuple[float, float, float]]] = {}
    async with (
        run_server(ServerSettings(port=0)) as server,
        process("agent", server.url),
        process("api", server.url) as url,
    ):
        for path in (JOB, HEALTH):
            await load(url, path, token, max(requests // 10, 10), 8)
        for _ in range(rounds):
            for outstanding in OUTSTANDING:
                for path in (JOB, HEALTH):
                    asked = requests if outstanding > 1 else max(requests // 5, 10)
                    rate, times = await load(url, path, token, asked, outstanding)
                    cuts = quantiles(times, n=100)
                    found.setdefault((path, outstanding), []).append((rate, cuts[49] * 1e3, cuts[98] * 1e3))
    print(f"{'GET':28}{'at once':>9}{'requests/s':>12}{'p50 ms':>9}{'p99 ms':>9}")
    for (path, outstanding), runs in found.items():
        rate, p50, p99 = (median(column) for column in zip(*runs, strict=True))
        print(f"{path:28}{outstanding:9}{rate:12,.0f}{p50:9.2f}{p99:9.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--role", choices=("agent", "api"), help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.role == "agent":
        trio.run(serve_agent, given.url)
    elif given.role == "api":
        trio.run(serve_api, given.url)
    else:
        trio.run(measure, given.requests, given.rounds)


if __name__ == "__main__":
    main()
