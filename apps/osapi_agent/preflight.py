"""What the operations need of a host, and this process lacks: known at the start, before a job finds out.

network.ping.run                 the program ping
network.dns.*                    resolvectl, and systemd-resolved that runs
network.dns.update, .delete      root or CAP_NET_ADMIN, or polkit's leave
node.hostname.update             root or CAP_SYS_ADMIN, or polkit's leave where systemd is asked
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from osapi_agent.system import System

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

# https://man7.org/linux/man-pages/man7/capabilities.7.html, include/uapi/linux/capability.h
_NET_ADMIN: Final = 12
_SYS_ADMIN: Final = 21

_EFFECTIVE = re.compile(r"^CapEff:\s*([0-9a-fA-F]+)$", re.MULTILINE)
_PROGRAMS: Final = ("ping", "resolvectl", "hostnamectl")
_RESOLVED: Final = Path("run/systemd/resolve")
_DNS_READ: Final = "network.dns.get"
_DNS_WRITE: Final = ("network.dns.update", "network.dns.delete")


class Means(NamedTuple):
    """What this process may use: its effective capabilities as a mask, and which programs and services there are."""

    root: bool
    capabilities: int
    programs: frozenset[str]
    resolved: bool

    def may(self, capability: int) -> bool:
        """Tell whether it has a capability."""
        return self.root or bool(self.capabilities >> capability & 1)


def look(system: System | None = None, root: Path = Path("/")) -> Means:
    """Return what there is on this host; blocking."""
    path = (system or System()).environment.get("PATH", os.defpath)
    try:
        status = (root / "proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        status = ""
    effective = _EFFECTIVE.search(status)
    return Means(
        root=os.geteuid() == 0,
        capabilities=int(effective[1], 16) if effective else 0,
        programs=frozenset(name for name in _PROGRAMS if shutil.which(name, path=path)),
        resolved=(root / _RESOLVED).is_dir(),
    )


def lacking(operations: Collection[str], means: Means) -> Iterator[str]:
    """Yield a line for each thing that is lacking, with the operations it is for and what becomes of them."""
    if "network.ping.run" in operations and "ping" not in means.programs:
        yield "network.ping.run will be skipped: ping is not installed; install iputils-ping"
    yield from _dns([name for name in (_DNS_READ, *_DNS_WRITE) if name in operations], means)
    if "node.hostname.update" in operations and not means.may(_SYS_ADMIN):
        unless = " unless polkit allows it" if "hostnamectl" in means.programs else ""
        yield f"node.hostname.update will be skipped{unless}: the agent is neither root nor has CAP_SYS_ADMIN"


def _dns(offered: list[str], means: Means) -> Iterator[str]:
    writing = [name for name in offered if name in _DNS_WRITE]
    if not offered:
        return
    if "resolvectl" not in means.programs:
        yield f"{', '.join(offered)} will be skipped: resolvectl is not installed; install systemd-resolved"
    elif not means.resolved:
        yield f"{', '.join(offered)} will be skipped: systemd-resolved does not run; start it"
    elif writing and not means.may(_NET_ADMIN):
        unless = " unless polkit allows it"
        yield f"{', '.join(writing)} will be skipped{unless}: the agent is neither root nor has CAP_NET_ADMIN"
