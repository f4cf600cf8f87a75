"""The operations on processes: `process.list.get`, `process.get`, and `process.signal.send` on its own."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Annotated, Final

import trio
from msgspec import Meta, Struct

import osapi
from osapi_agent import processes
from osapi_agent.errors import InvalidSignalError

if TYPE_CHECKING:
    from osapi_agent.system import System

READ: Final = "process:read"
EXECUTE: Final = "process:execute"

# Those that people send on purpose; the others report faults, or belong to the terminal.
SIGNALS: Final = ("HUP", "INT", "QUIT", "KILL", "USR1", "USR2", "TERM", "CONT", "STOP")

# The kernel's numbers are smaller; the type of a process's number has this bound.
_MAX_PID: Final = 2**31 - 1


class Pid(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The number of a process."""

    pid: Annotated[int, Meta(ge=1, le=_MAX_PID)]


class Signal(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A signal, by its name or number, and the process that is to get it."""

    pid: Annotated[int, Meta(le=_MAX_PID)]
    signal: str | int

    def __post_init__(self) -> None:
        """Refuse other signals, and processes that must not get one."""
        parse_signal(self.signal)
        processes.check_number(self.pid)


class SignalSent(Struct, frozen=True, kw_only=True):
    """The process that got the signal, and the signal's name."""

    pid: int
    signal: str
    changed: bool


def offer(system: System) -> osapi.Operations:
    """Return the operations on a host that only read."""
    operations = osapi.Operations()

    @operations.query("process.list.get", permission=READ)
    async def list_processes(job: osapi.Job) -> processes.ProcessList:
        """Return the processes, without the secrets that their command lines show."""
        return await trio.to_thread.run_sync(processes.list_processes, limiter=system.threads)

    @operations.query("process.get", permission=READ)
    async def get_process(job: osapi.Job, data: Pid) -> processes.ProcessInfo:
        """Return one process; one that is not there is a failure that says so."""
        return await trio.to_thread.run_sync(processes.find_process, data.pid, limiter=system.threads)

    return operations


def offer_signals(system: System) -> osapi.Operations:
    """Return the operation that signals a process of a host."""
    operations = osapi.Operations()

    # A second signal is not the first one over again: nobody takes the job over.
    @operations.modify("process.signal.send", permission=EXECUTE, policy=osapi.Policy(takeovers=0))
    async def send_signal(job: osapi.Job, data: Signal) -> SignalSent:
        """Send a signal to one process; init and the agent itself are refused."""
        number = parse_signal(data.signal)
        await trio.to_thread.run_sync(processes.send_signal, data.pid, number, limiter=system.threads)
        return SignalSent(pid=data.pid, signal=number.name, changed=True)

    return operations


def parse_signal(told: str | int) -> signal.Signals:
    """Return the signal of a name such as TERM, SIGTERM or term, or of a number.

    Raises:
        InvalidSignalError

    """
    known = {name: signal.Signals[f"SIG{name}"] for name in SIGNALS}
    text = str(told).upper().removeprefix("SIG")
    for name, number in known.items():
        if text in {name, str(int(number))}:
            return number
    raise InvalidSignalError(told, "cannot be sent", f"use one of {', '.join(SIGNALS)}, or its number")
