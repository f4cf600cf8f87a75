"""What `osapi client node process` does."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from msgspec import Struct, field

from osapi_cli.client.tables import Row, View
from osapi_cli.client.work.node import change, look, yes_or_no
from osapi_cli.human import size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from osapi_cli.group import Flags


class Process(Struct, frozen=True, kw_only=True):
    """A process: `started` in Unix seconds, memory in bytes."""

    pid: int = 0
    name: str = ""
    user: str = ""
    state: str = ""
    cpu_percent: float = 0.0
    memory_bytes: int = 0
    started: float = 0.0
    command: str = ""


class ProcessesRow(Row, frozen=True, kw_only=True):
    """The processes of one host."""

    processes: list[Process] = field(default_factory=list[Process])
    total: int = 0
    truncated: bool = False


class ProcessRow(Row, frozen=True, kw_only=True):
    """One process of one host."""

    pid: int = 0
    name: str = ""
    user: str = ""
    state: str = ""
    cpu_percent: float = 0.0
    memory_bytes: int = 0
    started: float = 0.0
    command: str = ""


class SignalRow(Row, frozen=True, kw_only=True):
    """A signal that was sent."""

    pid: int = 0
    signal: str = ""


def list_processes(flags: Flags, target: str) -> int:
    """Show the processes of hosts."""
    return look(flags, target, "/process", _PROCESSES)


def get(flags: Flags, target: str, pid: int) -> int:
    """Show one process."""
    return look(flags, target, f"/process/{pid}", _PROCESS)


def send_signal(flags: Flags, target: str, pid: int, signal: str) -> int:
    """Signal one process."""
    return change(flags, target, "POST", f"/process/{pid}/signal", {"signal": signal}, _SIGNAL)


def _processes(row: ProcessesRow) -> Iterator[Sequence[str]]:
    for process in sorted(row.processes, key=lambda process: process.memory_bytes, reverse=True):
        yield _line(process)
    if row.truncated:
        yield "", "", "", "", "", f"and {row.total - len(row.processes)} more, which use less memory"


def _line(process: Process | ProcessRow) -> Sequence[str]:
    return (
        str(process.pid),
        process.user,
        process.state,
        f"{process.cpu_percent:.1f}",
        size(process.memory_bytes),
        process.command or f"[{process.name}]",
    )


def _process(row: ProcessRow) -> Iterator[Sequence[str]]:
    started = datetime.fromtimestamp(row.started, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    *most, command = _line(row)
    yield *most, started, command


def _signal(row: SignalRow) -> Iterator[Sequence[str]]:
    yield yes_or_no(row.changed), str(row.pid), row.signal


_NUMBERS: Final = ("PID", "CPU %", "MEMORY")
_PROCESSES: Final = View(
    ProcessesRow, ("PID", "USER", "STATE", "CPU %", "MEMORY", "COMMAND"), _processes, right=_NUMBERS
)
_PROCESS: Final = View(
    ProcessRow, ("PID", "USER", "STATE", "CPU %", "MEMORY", "STARTED", "COMMAND"), _process, right=_NUMBERS
)
_SIGNAL: Final = View(SignalRow, ("CHANGED", "PID", "SIGNAL"), _signal, right=("PID",))
