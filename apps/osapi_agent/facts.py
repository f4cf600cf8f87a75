"""The facts that an agent tells of its host without being told to.

    osapi.Agent(transport, operations, hostname="web-01", facts=osapi_agent.facts.collect)

They are what a selector asks for (`fact.arch:arm64`) and what jobs refer to (`@fact.interface.primary`). A fact that
cannot be found out is missing.
"""

from __future__ import annotations

import platform
import shutil
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psutil
import trio

from osapi_agent import host, routes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

# Each fact by its dotted name, and what it says.
DESCRIPTIONS: Final[Mapping[str, str]] = {
    "arch": "the processor's architecture as packages name it: amd64, arm64",
    "cpu_count": "the logical processors",
    "fqdn": "the fully qualified name of the host",
    "hostname": "the name that the operating system gives the host",
    "interface.primary": "the network interface of the default route",
    "interfaces.addresses": "every IP address",
    "interfaces.mac": "every hardware address",
    "interfaces.name": "every network interface",
    "kernel": "the kernel's release",
    "memory.total": "the physical memory in bytes",
    "os.distribution": "the distribution",
    "os.version": "the distribution's version",
    "package_mgr": "the program that installs packages: apt, dnf, yum, zypper, pacman, apk",
    "routes.destination": "where each route leads, as a network; the default routes are 0.0.0.0/0 and ::/0",
    "routes.gateway": "the next hop of each route that has one",
    "routes.interface": "the network interface of each route",
    "routes.metric": "the metric of each route: the least is taken",
    "service_mgr": "the program that runs services: systemd, openrc, runit",
}

_ARCHITECTURES: Final = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7l": "armhf",
    "i686": "i386",
    "ppc64le": "ppc64el",
}
_PACKAGE_MANAGERS: Final = {
    "apt-get": "apt",
    "dnf": "dnf",
    "yum": "yum",
    "zypper": "zypper",
    "pacman": "pacman",
    "apk": "apk",
}
_SERVICE_MANAGERS: Final = {"run/systemd/system": "systemd", "run/openrc": "openrc", "run/runit": "runit"}

_RTF_UP: Final = 0x1

# A resolver that takes longer is broken, and the host has its short name at least.
_RESOLVER_SECONDS: Final = 2.0


async def collect() -> dict[str, Any]:
    """Return the facts of this host."""
    found = await trio.to_thread.run_sync(_collect)
    return {**found, "fqdn": await _fqdn(found["hostname"])}


def _collect() -> dict[str, Any]:
    facts: dict[str, Any] = {
        "arch": architecture(platform.machine()),
        "cpu_count": psutil.cpu_count(),
        "hostname": host.hostname(),
        "interfaces": _interfaces(),
        "kernel": platform.release(),
        "memory": {"total": host.memory().total},
        "os": host.os_info(),
        "routes": routes.collect(),
        "package_mgr": package_manager(shutil.which),
        "service_mgr": service_manager(Path("/")),
    }
    primary = _default_route()
    if primary:
        facts["interface"] = {"primary": primary}
    return {name: value for name, value in facts.items() if value}


def architecture(machine: str) -> str:
    """Return the name that packages have for what the kernel calls a machine."""
    return _ARCHITECTURES.get(machine.lower(), machine.lower())


def package_manager(which: Callable[[str], object]) -> str:
    """Return the first package manager that `which` finds, or nothing."""
    return next((name for program, name in _PACKAGE_MANAGERS.items() if which(program)), "")


def service_manager(root: Path) -> str:
    """Return the service manager that runs, by the directory that it keeps while it does, or nothing."""
    return next((name for place, name in _SERVICE_MANAGERS.items() if (root / place).is_dir()), "")


def _interfaces() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name, addresses in sorted(psutil.net_if_addrs().items()):
        ip = [a.address.partition("%")[0] for a in addresses if a.family in (socket.AF_INET, socket.AF_INET6)]
        mac = next((a.address for a in addresses if a.family == psutil.AF_LINK), "")
        found.append({"name": name, "addresses": ip, "mac": mac})
    return found


def _default_route() -> str:
    return default_interface(routes.lines(routes.ROUTES)) or default_interface_6(routes.lines(routes.ROUTES_6))


def default_interface(lines: Iterable[str]) -> str:
    """Return the interface of the default route with the least metric, from the lines of /proc/net/route.

    A line holds the interface, then in hexadecimal destination, gateway and flags, and as its seventh and eighth
    field the metric in decimal and the mask: https://man7.org/linux/man-pages/man5/proc_net.5.html
    """
    routes = [line.split() for line in lines]
    usable = [
        (int(route[6]), route[0])
        for route in routes
        if len(route) >= 8 and route[1] == route[7] == "00000000" and int(route[3], 16) & _RTF_UP
    ]
    return min(usable, default=(0, ""))[1]


def default_interface_6(lines: Iterable[str]) -> str:
    """Return the interface of the default route with the least metric, from the lines of /proc/net/ipv6_route.

    All in hexadecimal but the last: destination and its prefix's length, source and its, next hop, metric, two
    counters, flags, interface. The kernel keeps a route that refuses on `lo`, which leads nowhere.
    """
    routes = [line.split() for line in lines]
    usable = [
        (int(route[5], 16), route[9])
        for route in routes
        if len(route) >= 10 and route[1] == "00" and route[9] != "lo" and int(route[8], 16) & _RTF_UP
    ]
    return min(usable, default=(0, ""))[1]


async def _fqdn(hostname: str) -> str:
    if "." in hostname:
        return hostname
    with trio.move_on_after(_RESOLVER_SECONDS):
        try:
            found = await trio.socket.getaddrinfo(hostname, None, flags=socket.AI_CANONNAME)
        except OSError:
            return hostname
        return next((name for *_, name, _ in found if "." in name), hostname)
    return hostname
