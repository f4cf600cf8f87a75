"""Operations under the names of the contract whose answers are the same on every machine, one host differing."""

from __future__ import annotations

from typing import Any

import msgspec
import trio

import osapi
from osapi_agent import command, results

operations = osapi.Operations()

MIB = 2**20
GIB = 2**30


class Pinged(msgspec.Struct):
    packets_sent: int
    packets_received: int
    packet_loss: float
    min_rtt: float | None
    avg_rtt: float | None
    max_rtt: float | None


class Address(msgspec.Struct, forbid_unknown_fields=True):
    address: str


class Interface(msgspec.Struct, forbid_unknown_fields=True):
    interface_name: str


class DnsUpdate(Interface):
    servers: list[str] = []
    search_domains: list[str] = []
    override_dhcp: bool = False


class Dns(msgspec.Struct):
    servers: list[str]
    search_domains: list[str]


class DnsUpdated(Dns):
    changed: bool


class Name(msgspec.Struct, forbid_unknown_fields=True):
    hostname: str


class Named(msgspec.Struct):
    hostname: str
    changed: bool


class Process(msgspec.Struct):
    pid: int
    name: str
    user: str
    state: str
    cpu_percent: float
    memory_bytes: int
    started: float
    command: str


class ProcessList(msgspec.Struct):
    processes: list[Process]
    total: int
    truncated: bool


class Pid(msgspec.Struct):
    pid: int


class Signal(Pid):
    signal: str


class SignalSent(Signal):
    changed: bool


class UnknownProcessError(osapi.NotFoundError):
    pass


INIT = Process(1, "init", "root", "sleeping", 0.1, 12 * MIB, 1.7e9, "/sbin/init splash")
KERNEL = Process(2, "kthreadd", "root", "sleeping", 0.0, 0, 1.7e9, "")
SYSTEM = results.OsInfo(distribution="Debian GNU/Linux", version="12")
MEMORY = results.MemoryInfo(total=8 * GIB, free=GIB, used=2 * GIB)
LOAD = results.LoadAverage(one=0.25, five=1.5, fifteen=10.0)
DISKS = (
    results.Disk(name="/", total=100 * GIB, used=25 * GIB, free=75 * GIB),
    results.Disk(name="/srv", total=100 * GIB, used=90 * GIB, free=10 * GIB),
)
UNREADABLE = results.UnreadableDisk(name="/mnt/nas", error="it did not answer")


def fail(job: osapi.Job) -> None:
    """On one host, nothing works."""
    if job.host == "db-01":
        raise RuntimeError("the disk is on fire")


@operations.query("node.status.get")
async def status(job: osapi.Job) -> results.Status:
    fail(job)
    return results.Status(
        hostname=job.host, uptime=3725.0, os_info=SYSTEM, memory=MEMORY, disks=DISKS, load_average=LOAD
    )


@operations.query("node.disk.get")
async def disk(job: osapi.Job) -> results.Disks:
    return results.Disks(disks=DISKS, unreadable_disks=(UNREADABLE,))


@operations.query("node.memory.get")
async def memory(job: osapi.Job) -> results.Memory:
    return results.Memory(memory=MEMORY)


@operations.query("node.load.get")
async def load(job: osapi.Job) -> results.Load:
    if job.host == "db-01":
        raise osapi.Skip("there is no load here")
    return results.Load(load_average=LOAD)


@operations.query("node.os.get")
async def system(job: osapi.Job) -> results.OsRelease:
    return results.OsRelease(os_info=SYSTEM)


@operations.query("node.uptime.get")
async def uptime(job: osapi.Job) -> results.Uptime:
    fail(job)
    return results.Uptime(uptime=93_784.0)


@operations.query("node.hostname.get")
async def hostname(job: osapi.Job) -> results.Hostname:
    return results.Hostname(hostname=f"{job.host}.example.com")


@operations.modify("node.hostname.update")
async def update_hostname(job: osapi.Job, data: Name) -> Named:
    return Named(data.hostname, changed=True)


@operations.query("network.dns.get")
async def get_dns(job: osapi.Job, data: Interface) -> Dns:
    return Dns(["192.0.2.53", "192.0.2.54"], [f"{data.interface_name}.example"])


@operations.modify("network.dns.update")
async def update_dns(job: osapi.Job, data: DnsUpdate) -> DnsUpdated:
    return DnsUpdated(data.servers, data.search_domains, changed=data.override_dhcp)


@operations.modify("network.dns.delete")
async def delete_dns(job: osapi.Job, data: Interface) -> DnsUpdated:
    return DnsUpdated([], [], changed=True)


@operations.query("network.ping.run")
async def ping(job: osapi.Job, data: Address) -> Pinged:
    """Send three packets to an address."""
    if data.address == "192.0.2.9":
        return Pinged(3, 0, 100.0, None, None, None)
    return Pinged(3, 3, 0.0, 0.0005, 0.001, 0.0123)


@operations.query("process.list.get")
async def processes(job: osapi.Job) -> ProcessList:
    return ProcessList([KERNEL, INIT], 5, truncated=True)


@operations.query("process.get")
async def process(job: osapi.Job, data: Pid) -> Process:
    if data.pid != 1:
        raise UnknownProcessError(f"process {data.pid} is not on this host")
    return INIT


@operations.modify("process.signal.send", permission="process:execute")
async def send_signal(job: osapi.Job, data: Signal) -> SignalSent:
    return SignalSent(data.pid, data.signal, changed=True)


def written(job: osapi.Job, words: list[str]) -> command.CommandResult:
    """Each host ends with a status of its own, and writes what it was told to."""
    if words == ["fail"]:
        raise RuntimeError("no such program")
    return command.CommandResult(
        stdout="".join(f"{word}\n" for word in words),
        stderr=f"I am {job.host}\n",
        exit_code={"web-01": 0, "web-02": 3}.get(job.host, 1),
        duration_ms=12,
        truncated="long" in words,
        changed=True,
    )


@operations.modify("command.exec.run", permission="command:execute")
async def execute(job: osapi.Job, data: command.Exec) -> command.CommandResult:
    return written(job, [data.command, *data.args])


@operations.modify("command.shell.run", permission="command:execute")
async def shell(job: osapi.Job, data: command.Shell) -> command.CommandResult:
    return written(job, data.command.split())


@operations.query("test.echo")
async def echo(job: osapi.Job, data: Any) -> Any:
    """Return what it is given."""
    return data


@operations.query("test.sleep", policy=osapi.Policy(timeout=600.0))
async def sleep(job: osapi.Job, data: float) -> None:
    await trio.sleep(data)


@operations.query("test.busy", policy=osapi.Policy(attempts=2, backoff=0.02, jitter=0.0))
async def busy(job: osapi.Job) -> None:
    raise osapi.TransientError("busy")


@operations.modify("test.write")
async def write(job: osapi.Job, data: list[str]) -> None:
    for text in data:
        job.output(text)
