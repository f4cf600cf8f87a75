"""The operations on a node as a whole: `node.*.get`, which only read.

    async with osapi.Agent(transport, osapi_agent.node.operations, hostname="web-01"):
        ...

What can wait for a disk is done in a worker thread. The rest asks the kernel for figures that lie in memory, in
less time than the way to a thread and back.
"""

from __future__ import annotations

import trio

import osapi
from osapi_agent import disks, host
from osapi_agent.results import Disks, Hostname, Load, LoadAverage, Memory, OsInfo, OsRelease, Status, Uptime

READ = "node:read"

operations = osapi.Operations()


@operations.query("node.hostname.get", permission=READ)
async def get_hostname(job: osapi.Job) -> Hostname:
    """Return the name that the operating system gives this host."""
    return Hostname(hostname=host.hostname())


@operations.query("node.uptime.get", permission=READ)
async def get_uptime(job: osapi.Job) -> Uptime:
    """Return the seconds since the host was started."""
    return Uptime(uptime=host.uptime())


@operations.query("node.os.get", permission=READ)
async def get_os(job: osapi.Job) -> OsRelease:
    """Return the distribution and its version."""
    return OsRelease(os_info=await _os_info())


@operations.query("node.memory.get", permission=READ)
async def get_memory(job: osapi.Job) -> Memory:
    """Return the physical memory in bytes."""
    return Memory(memory=host.memory())


@operations.query("node.load.get", permission=READ)
async def get_load(job: osapi.Job) -> Load:
    """Return the load averages; skipped on a platform that has none."""
    return Load(load_average=host.load_average())


@operations.query("node.disk.get", permission=READ)
async def get_disks(job: osapi.Job) -> Disks:
    """Return how full each filesystem is, in bytes; one that cannot be read is named and fails nothing."""
    return await disks.collect()


@operations.query("node.status.get", permission=READ)
async def get_status(job: osapi.Job) -> Status:
    """Return all that the other operations return, as far as the platform has it."""
    found = await disks.collect()
    return Status(
        hostname=host.hostname(),
        uptime=host.uptime(),
        os_info=await _os_info(),
        memory=host.memory(),
        disks=found.disks,
        unreadable_disks=found.unreadable_disks,
        load_average=_load_average_if_any(),
    )


async def _os_info() -> OsInfo:
    return await trio.to_thread.run_sync(host.os_info)


def _load_average_if_any() -> LoadAverage | None:
    try:
        return host.load_average()
    except osapi.Skip:
        return None
