"""The operations of a run: work that takes a while, and a probe that does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio
from msgspec import Struct

import osapi

if TYPE_CHECKING:
    from tests.soak.log import Log

# A run may take a lease away as often as it likes: it is lost jobs that it looks for.
_POLICY = osapi.Policy(timeout=300.0, takeovers=100)


class Work(Struct):
    """How long to work, in seconds."""

    seconds: float


def operations(log: Log) -> osapi.Operations:
    """Return operations whose handlers write into a log."""
    registry = osapi.Operations()

    @registry.query("soak.work", policy=_POLICY)
    async def work(job: osapi.Job, data: Work) -> int:
        log.note("start", job)
        await trio.sleep(data.seconds)
        log.note("end", job)
        return job.attempt

    @registry.query("soak.probe", policy=_POLICY)
    async def probe(job: osapi.Job) -> str:
        await trio.lowlevel.checkpoint()
        return job.host

    return registry
