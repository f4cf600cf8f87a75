"""What a host says of itself: its name, memory, load, operating system and uptime."""

from __future__ import annotations

import os
import platform
import re
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

import osapi
from osapi_agent.results import LoadAverage, MemoryInfo, OsInfo

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# In this order: https://www.freedesktop.org/software/systemd/man/latest/os-release.html
OS_RELEASE: Final = (Path("/etc/os-release"), Path("/usr/lib/os-release"))

# The second is from before the first had its place: https://www.freedesktop.org/software/systemd/man/latest/machine-id.html
_MACHINE_ID: Final = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))

_ASSIGNMENT = re.compile(r"([A-Za-z0-9_]+)=([\"']?)(.*)\2")
_MACHINE = re.compile(r"[0-9a-f]{32}")
_ESCAPED = re.compile(r"\\([\\$\"'`])")


def hostname() -> str:
    """Return the name that the operating system gives this host."""
    return socket.gethostname()


def machine_id(files: Sequence[Path] = _MACHINE_ID) -> str:
    """Return the id that the installation was given, 32 hexadecimal digits; empty if it has none, or none yet."""
    for path in files:
        try:
            text = path.read_text(encoding="ascii", errors="replace").strip()
        except OSError:
            continue
        if _MACHINE.fullmatch(text):
            return text
    return ""


def uptime() -> float:
    """Return the seconds since the host was started; never less than 0, whatever was done to its clock."""
    return max(0.0, time.time() - psutil.boot_time())


def memory() -> MemoryInfo:
    """Return the physical memory."""
    now = psutil.virtual_memory()
    return MemoryInfo(total=now.total, free=now.free, used=now.used)


def load_average() -> LoadAverage:
    """Return the load.

    Raises:
        Skip: the platform has none. (psutil would emulate it, with a thread that never ends.)

    """
    try:
        one, five, fifteen = os.getloadavg()
    except (AttributeError, OSError) as error:
        raise osapi.Skip(f"{platform.system()} tells no load average here ({error})") from error
    return LoadAverage(one=one, five=five, fifteen=fifteen)


def os_info(files: Sequence[Path] = OS_RELEASE) -> OsInfo:
    """Return the distribution from the first file that can be read, else what the kernel calls itself.

    It is read anew each time: `platform.freedesktop_os_release` keeps its first answer, and an agent may outlive an
    upgrade of the system under it.
    """
    for path in files:
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        return _distribution(parse_os_release(text))
    return OsInfo(distribution=platform.system(), version=platform.release())


def parse_os_release(text: str) -> dict[str, str]:
    """Read the assignments of an os-release file; lines that are none are passed over, as the format asks for."""
    found = (_ASSIGNMENT.fullmatch(line.strip()) for line in text.split("\n"))
    return {match[1]: _ESCAPED.sub(r"\1", match[3]) for match in found if match}


def _distribution(fields: Mapping[str, str]) -> OsInfo:
    return OsInfo(
        distribution=fields.get("NAME") or fields.get("ID") or "Linux",
        # A rolling distribution has no version, at most the mark of a build.
        version=fields.get("VERSION_ID") or fields.get("BUILD_ID") or "",
    )
