"""The vitals of this host, for `osapi.Agent(..., status=osapi_agent.Vitals(thresholds))`.

What changes slowly is among the facts; this is what each heartbeat carries.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import psutil
import trio

import osapi
from osapi_agent import disks, host
from osapi_agent.conditions import Figures, Thresholds, evaluate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from osapi_agent.results import Disk, LoadAverage

# Of a disk that hangs, the others must not suffer: what is not there by then stays as it was.
_DISK_SECONDS: Final = 1.0


class Vitals:
    """Take the vitals of this host and process each time it is called."""

    def __init__(self, thresholds: Thresholds | None = None) -> None:
        self._thresholds = thresholds or Thresholds()
        self._process = psutil.Process()
        self._process.cpu_percent()  # the first answer says nothing, and begins to count
        self._conditions: tuple[osapi.Condition, ...] = ()

    async def __call__(self) -> osapi.Vitals:
        """Return them."""
        memory, load, uptime = host.memory(), _load(), host.uptime()
        with self._process.oneshot():
            cpu_percent, mem_bytes = self._process.cpu_percent(), self._process.memory_info().rss
        figures = Figures(
            memory_percent=100 * memory.used / memory.total if memory.total else None,
            load=None if load is None else load.one,
            cpus=psutil.cpu_count() or 1,
            disks=await _disks(),
            process_bytes=mem_bytes,
            process_cpu_percent=cpu_percent,
        )
        self._conditions = evaluate(self._conditions, figures, self._thresholds, time.time())
        return osapi.Vitals(
            uptime=uptime,
            load=None if load is None else (load.one, load.five, load.fifteen),
            memory=osapi.HostMemory(total=memory.total, free=memory.free, used=memory.used),
            cpu_percent=cpu_percent,
            mem_bytes=mem_bytes,
            conditions=self._conditions,
        )


def _load() -> LoadAverage | None:
    try:
        return host.load_average()
    except osapi.Skip:
        return None


async def _disks() -> Mapping[str, float]:
    with trio.move_on_after(_DISK_SECONDS):
        return usage((await disks.collect()).disks)
    return {}


def usage(found: Iterable[Disk]) -> dict[str, float]:
    """Return how full each disk is, in percent of what anybody may fill, as `df` tells it."""
    return {disk.name: 100 * disk.used / (disk.used + disk.free) for disk in found if disk.used + disk.free > 0}
