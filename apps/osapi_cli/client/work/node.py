"""What `osapi client node` does for status, disk, memory, load, os, uptime and hostname."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from msgspec import Struct, field

from osapi_cli import output
from osapi_cli.client.http import part
from osapi_cli.client.shapes import LoadAverage, MemoryInfo, OsInfo  # noqa: TC001 - msgspec reads the rows' types
from osapi_cli.client.tables import Results, Row, View, status_of
from osapi_cli.client.waiting import ask_hosts
from osapi_cli.human import duration, share, size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from osapi_cli.group import Flags

R = TypeVar("R", bound=Row)


class Disk(Struct, frozen=True, kw_only=True):
    """A filesystem, in bytes."""

    name: str = ""
    total: int = 0
    used: int = 0
    free: int = 0


class Unreadable(Struct, frozen=True, kw_only=True):
    """A filesystem that did not tell how full it is."""

    name: str = ""
    error: str = ""


class NodeRow(Row, frozen=True, kw_only=True):
    """What one host tells of itself; each operation gives some of it."""

    own_hostname: str = ""
    uptime: float | None = None
    os_info: OsInfo | None = None
    memory: MemoryInfo | None = None
    load_average: LoadAverage | None = None
    disks: list[Disk] = field(default_factory=list[Disk])
    unreadable_disks: list[Unreadable] = field(default_factory=list[Unreadable])


def look(flags: Flags, target: str, path: str, view: View[R]) -> int:
    """Ask hosts for what can be read, and show it."""
    return change(flags, target, "GET", path, None, view)


def change(flags: Flags, target: str, method: str, path: str, body: Any, view: View[R]) -> int:
    """Ask hosts, and show what they answered."""
    answer = ask_hosts(flags, method, f"/node/{part(target)}{path}", body=body, of=target)
    results = answer.read(Results)
    output.present(answer.body, view.document(results), as_json=flags.json)
    return status_of(results)


def yes_or_no(value: bool) -> str:  # noqa: FBT001 - it is the value
    """Return what people say."""
    return "yes" if value else "no"


def _status(row: NodeRow) -> Iterator[Sequence[str]]:
    fullest = max(row.disks, key=_fill, default=None)
    yield (
        "" if row.uptime is None else duration(row.uptime),
        "" if row.load_average is None else f"{row.load_average.one:.2f}",
        "" if row.memory is None else f"{share(row.memory.used, row.memory.total)} of {size(row.memory.total)}",
        "" if fullest is None else f"{_share(fullest)} of {fullest.name}",
        "" if row.os_info is None else f"{row.os_info.distribution} {row.os_info.version}".strip(),
    )


def _disk(row: NodeRow) -> Iterator[Sequence[str]]:
    for disk in row.disks:
        yield disk.name, size(disk.total), size(disk.used), size(disk.free), _share(disk)
    for unreadable in row.unreadable_disks:
        yield f"{unreadable.name}: {unreadable.error}", "", "", "", ""


def _fill(disk: Disk) -> float:
    # As `df` has it: of what people may fill, without what is kept for the superuser.
    whole = disk.used + disk.free
    return disk.used / whole if whole else 0.0


def _share(disk: Disk) -> str:
    return share(disk.used, disk.used + disk.free)


def _memory(row: NodeRow) -> Iterator[Sequence[str]]:
    if memory := row.memory:
        yield size(memory.total), size(memory.used), size(memory.free), share(memory.used, memory.total)


def _load(row: NodeRow) -> Iterator[Sequence[str]]:
    if load := row.load_average:
        yield f"{load.one:.2f}", f"{load.five:.2f}", f"{load.fifteen:.2f}"


def _os(row: NodeRow) -> Iterator[Sequence[str]]:
    if system := row.os_info:
        yield system.distribution, system.version


def _uptime(row: NodeRow) -> Iterator[Sequence[str]]:
    if row.uptime is not None:
        yield (duration(row.uptime),)


def _hostname(row: NodeRow) -> Iterator[Sequence[str]]:
    yield (row.own_hostname,)


def _renamed(row: NodeRow) -> Iterator[Sequence[str]]:
    yield yes_or_no(row.changed), row.own_hostname


STATUS: Final = View(NodeRow, ("UPTIME", "LOAD", "MEMORY", "DISK", "SYSTEM"), _status, right=("LOAD",))
DISK: Final = View(NodeRow, ("MOUNT", "SIZE", "USED", "FREE", "USE"), _disk, right=("SIZE", "USED", "FREE", "USE"))
MEMORY: Final = View(NodeRow, ("TOTAL", "USED", "FREE", "USE"), _memory, right=("TOTAL", "USED", "FREE", "USE"))
LOAD: Final = View(NodeRow, ("1 MIN", "5 MIN", "15 MIN"), _load, right=("1 MIN", "5 MIN", "15 MIN"))
OS: Final = View(NodeRow, ("DISTRIBUTION", "VERSION"), _os)
UPTIME: Final = View(NodeRow, ("UPTIME",), _uptime)
HOSTNAME: Final = View(NodeRow, ("NAME",), _hostname)
RENAMED: Final = View(NodeRow, ("CHANGED", "NAME"), _renamed)
