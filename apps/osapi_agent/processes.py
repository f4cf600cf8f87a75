"""The processes of a host, as psutil sees them; everything here blocks, for as long as /proc does."""

from __future__ import annotations

import os
import pwd
import time
from typing import TYPE_CHECKING, Final

import msgspec
import psutil
import trio
from msgspec import Struct

from osapi.errors import shown
from osapi_agent.disks import readable
from osapi_agent.errors import NotPermittedError, ProtectedProcessError, UnknownProcessError
from osapi_agent.redact import redact

if TYPE_CHECKING:
    import signal
    from collections.abc import Iterable

# Characters of a command line, in the list and of a single process.
SHORT: Final = 200
LONG: Final = 2000

# What a list may take as JSON: a few thousand processes.
_LIST_BYTES: Final = 512 * 1024

# Some programs are given whole documents; past this, nobody would see them anyway.
_READ: Final = 8000


class ProcessInfo(Struct, frozen=True, kw_only=True):
    """One process: `started` in Unix seconds, `memory_bytes` of physical memory.

    `cpu_percent` is the mean since it was started, 100 being one processor. `command` is its command line, cut, with
    `***` for what looks like a secret; empty for a thread of the kernel.
    """

    pid: int
    name: str
    user: str
    state: str
    cpu_percent: float
    memory_bytes: int
    started: float
    command: str


class ProcessList(Struct, frozen=True, kw_only=True):
    """The processes by number; `total` counts those that had no room too, which used the least memory."""

    processes: tuple[ProcessInfo, ...]
    total: int
    truncated: bool


def list_processes() -> ProcessList:
    """Return all processes, for which there is about half a megabyte; to be called in a thread of Trio's."""
    found: list[ProcessInfo] = []
    users: dict[int, str] = {}
    for process in psutil.process_iter():
        trio.from_thread.check_cancelled()
        try:
            found.append(_look(process, users, SHORT))
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    kept = _fitting(sorted(found, key=lambda process: process.memory_bytes, reverse=True))
    return ProcessList(
        processes=tuple(sorted(kept, key=lambda process: process.pid)),
        total=len(found),
        truncated=len(kept) < len(found),
    )


def find_process(pid: int) -> ProcessInfo:
    """Return one process.

    Raises:
        UnknownProcessError, NotPermittedError

    """
    try:
        return _look(_existing(pid), {}, LONG)
    except psutil.NoSuchProcess as error:
        raise _unknown(pid) from error
    except psutil.AccessDenied as error:
        raise NotPermittedError(f"the agent may not see process {pid}; run it as root") from error


def send_signal(pid: int, number: signal.Signals) -> None:
    """Send a signal to one process: never to a group of them, to init, or to the agent itself.

    Raises:
        ProtectedProcessError, UnknownProcessError, NotPermittedError

    """
    check_number(pid)
    if pid == os.getpid():
        raise ProtectedProcessError(pid, "is the agent itself", "stop the agent by its own means")
    try:
        # It compares the time of the process's start: a number that was given to another is not signalled.
        _existing(pid).send_signal(number)
    except psutil.NoSuchProcess as error:
        raise _unknown(pid) from error
    except psutil.AccessDenied as error:
        raise NotPermittedError(f"the agent may not signal process {pid}; run it as root") from error


def check_number(pid: int) -> None:
    """Refuse to signal what is no single process, or is init.

    Raises:
        ProtectedProcessError

    """
    remedy = "name a single process by its number, from 2 up"
    if pid < 1:
        raise ProtectedProcessError(pid, "means a group of processes", remedy)
    if pid == 1:
        raise ProtectedProcessError(pid, "is init, which the host depends on", remedy)


def _existing(pid: int) -> psutil.Process:
    # The kernel knows threads by numbers too, and a signal to one reaches its whole process: that of the agent, say.
    if not psutil.pid_exists(pid):
        raise psutil.NoSuchProcess(pid)
    return psutil.Process(pid)


def _unknown(pid: int) -> UnknownProcessError:
    return UnknownProcessError(f"process {shown(pid)} is not on this host; list them with process.list.get")


def _look(process: psutil.Process, users: dict[int, str], length: int) -> ProcessInfo:
    with process.oneshot():
        times = process.cpu_times()
        started = process.create_time()
        # What is younger than a second has no mean worth the name.
        age = max(1.0, time.time() - started)
        return ProcessInfo(
            pid=process.pid,
            name=_printable(process.name()),
            user=_user(process.uids().real, users),
            state=str(process.status()),
            cpu_percent=round(100 * (times.user + times.system) / age, 1),
            memory_bytes=process.memory_info().rss,
            started=started,
            command=_command(process, length),
        )


def _command(process: psutil.Process, length: int) -> str:
    try:
        arguments = process.cmdline()
    except (psutil.ZombieProcess, psutil.AccessDenied):
        return ""
    text = _printable(" ".join(redact(_start_of(arguments))))
    return text if len(text) <= length else f"{text[:length]}..."


def _start_of(arguments: Iterable[str]) -> list[str]:
    kept: list[str] = []
    room = _READ
    for argument in arguments:
        if room <= 0:
            break
        kept.append(argument[:room])
        room -= len(argument) + 1
    return kept


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in readable(text))


def _user(uid: int, users: dict[int, str]) -> str:
    if uid not in users:
        try:
            users[uid] = pwd.getpwuid(uid).pw_name
        except KeyError:
            users[uid] = str(uid)
    return users[uid]


def _fitting(processes: list[ProcessInfo]) -> list[ProcessInfo]:
    room = _LIST_BYTES
    for count, process in enumerate(processes):
        room -= len(msgspec.json.encode(process)) + 1
        if room < 0:
            return processes[:count]
    return processes
