"""Operations under the names of the contract; what they do is simple, or told by their data."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import trio

import osapi

operations = osapi.Operations()


class Hostname(msgspec.Struct):
    hostname: str


class Uptime(msgspec.Struct):
    uptime: float


class Interface(msgspec.Struct, forbid_unknown_fields=True):
    interface_name: str


class Dns(msgspec.Struct):
    servers: list[str]
    search_domains: list[str]


class DnsUpdate(msgspec.Struct, forbid_unknown_fields=True):
    interface_name: str
    servers: list[str] = []
    search_domains: list[str] = []
    override_dhcp: bool = False


class Changed(msgspec.Struct):
    changed: bool


class Pid(msgspec.Struct):
    pid: Annotated[int, msgspec.Meta(ge=1, le=4_194_304)]


class UnknownProcessError(osapi.NotFoundError):
    pass


class Process(msgspec.Struct):
    pid: int
    name: str


class Signal(msgspec.Struct):
    pid: Annotated[int, msgspec.Meta(ge=1)]
    signal: str


class Exec(msgspec.Struct, forbid_unknown_fields=True):
    command: str
    args: list[str] = []
    timeout: Annotated[int, msgspec.Meta(ge=1, le=300)] = 30


class CommandResult(msgspec.Struct):
    stdout: str
    exit_code: int
    changed: bool = True


@operations.query("node.hostname.get")
async def hostname(job: osapi.Job) -> Hostname:
    """Return the host's own name."""
    return Hostname(f"{job.host}.example.com")


@operations.query("node.uptime.get")
async def uptime(job: osapi.Job) -> Uptime:
    if job.host == "db-01":
        raise osapi.Skip("no clock here")
    return Uptime(12.5)


@operations.query("network.dns.get")
async def dns(job: osapi.Job, data: Interface) -> Dns:
    return Dns(["192.0.2.1"], [data.interface_name])


@operations.modify("network.dns.update")
async def update_dns(job: osapi.Job, data: DnsUpdate) -> Changed:
    return Changed(changed=bool(data.servers))


@operations.modify("network.dns.delete")
async def delete_dns(job: osapi.Job, data: Interface) -> Changed:
    return Changed(changed=True)


@operations.modify("command.exec.run", permission="command:execute")
async def execute(job: osapi.Job, data: Exec) -> CommandResult:
    if data.command == "fail":
        raise ValueError("no such command")
    return CommandResult(" ".join([data.command, *data.args]), 0)


@operations.query("process.get")
async def process(job: osapi.Job, data: Pid) -> Process:
    if data.pid > 100 or (data.pid > 50 and job.host == "db-01"):
        raise UnknownProcessError(f"process {data.pid} is not on this host")
    return Process(data.pid, "init")


@operations.modify("process.signal.send", permission="process:execute")
async def signal(job: osapi.Job, data: Signal) -> Changed:
    return Changed(changed=data.signal != "0")


@operations.query("test.echo")
async def echo(job: osapi.Job, data: Any) -> Any:
    return data


@operations.query("test.sleep", policy=osapi.Policy(timeout=1000.0))
async def sleep(job: osapi.Job, data: float) -> str:
    await trio.sleep(data)
    return "awake"


@operations.query("test.large", policy=osapi.Policy(timeout=1000.0))
async def large(job: osapi.Job, data: float) -> str:
    await trio.sleep(0.0 if job.host == "web-01" else data)
    return "x" * 1_500_000


@operations.modify("test.touch")
async def touch(job: osapi.Job) -> None:
    pass


@operations.modify("test.busy", policy=osapi.Policy(attempts=2, backoff=0.02, jitter=0.0))
async def busy(job: osapi.Job) -> None:
    raise osapi.TransientError("busy")


@operations.query("test.lines")
async def lines(job: osapi.Job, data: int) -> None:
    for number in range(data):
        job.output(f"line {number} of {job.host}\n")
        await trio.sleep(0.01)


@operations.query("test.progress")
async def progress(job: osapi.Job, data: int) -> None:
    for number in range(data):
        job.progress((number + 1) / data, f"step {number}")
        await trio.sleep(0.25)


@operations.query("test.flood")
async def flood(job: osapi.Job, data: int) -> None:
    job.output("x" * data)


class Login(msgspec.Struct):
    user: str
    password: str


class Session(msgspec.Struct):
    user: str
    token: str


@operations.modify("test.login", secrets=("password", "token"))
async def login(job: osapi.Job, data: Login) -> Session:
    if data.user == "nobody":
        raise ValueError(f"{data.password!r} is not the password of {data.user}")
    if data.user == "guest":
        raise osapi.Skip(f"guests have no {data.password}")
    return Session(data.user, f"{data.password}-token")
