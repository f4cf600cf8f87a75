"""Operations that tests ask for; what they do is told by their data."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import trio

import osapi

operations = osapi.Operations()


class Hostname(msgspec.Struct):
    hostname: str


class Sleep(msgspec.Struct):
    seconds: float


class Flaky(msgspec.Struct):
    failures: int
    after: float = 0.0
    error: str = "transient"


class Change(msgspec.Struct):
    changed: bool


# How often each job was started, and how often its handler came to its end, by job and host.
started: Counter[tuple[str, str]] = Counter()
finished: Counter[tuple[str, str]] = Counter()


@operations.query("test.hostname.get")
async def hostname(job: osapi.Job) -> Hostname:
    started[job.id, job.host] += 1
    await trio.lowlevel.checkpoint()
    finished[job.id, job.host] += 1
    return Hostname(job.host)


@operations.query("test.echo")
async def echo(job: osapi.Job, data: Any) -> Any:
    return data


@operations.query("test.length")
async def length(job: osapi.Job, data: str) -> int:
    return len(data)


@operations.query("test.sleep", policy=osapi.Policy(timeout=1000.0))
async def sleep(job: osapi.Job, data: Sleep) -> Hostname:
    started[job.id, job.host] += 1
    await trio.sleep(data.seconds)
    finished[job.id, job.host] += 1
    return Hostname(job.host)


@operations.query("test.sleep-in-a-nursery", policy=osapi.Policy(timeout=1000.0))
async def sleep_in_a_nursery(job: osapi.Job, data: Sleep) -> Hostname:
    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(trio.sleep, data.seconds)
    return Hostname(job.host)


@operations.query(
    "test.flaky", policy=osapi.Policy(attempts=5, backoff=60.0, factor=2.0, jitter=0.0), transient=(OSError,)
)
async def flaky(job: osapi.Job, data: Flaky) -> int:
    if job.attempt > data.failures:
        return job.attempt
    match data.error:
        case "transient":
            raise osapi.TransientError("busy")
        case "retry":
            raise osapi.Retry("wait", after=data.after)
        case "os":
            raise OSError("no route")
        case "group":
            raise ExceptionGroup("several", [OSError("no route"), osapi.TransientError("busy")])
        case "mixed":
            raise ExceptionGroup("several", [OSError("no route"), ValueError("bad")])
        case _:
            raise ValueError(data.error)


@operations.query("test.skip")
async def skip(job: osapi.Job) -> None:
    raise osapi.Skip("no such device here")


@operations.query("test.liar")
async def liar(job: osapi.Job) -> Hostname:
    return Hostname(hostname=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@operations.query("test.big")
async def big(job: osapi.Job, data: int) -> str:
    return "x" * data


@operations.query("test.slow-to-answer", policy=osapi.Policy(timeout=5.0))
async def slow(job: osapi.Job) -> None:
    await trio.sleep(1000)


@operations.query(
    "test.patient", policy=osapi.Policy(timeout=5.0, attempts=2, jitter=0), transient=(trio.TooSlowError,)
)
async def patient(job: osapi.Job) -> int:
    if job.attempt == 1:
        await trio.sleep(1000)
    return job.attempt


@operations.modify("test.change")
async def change(job: osapi.Job, data: bool) -> Change:
    return Change(changed=data)


@operations.modify("test.touch")
async def touch(job: osapi.Job) -> None:
    pass
