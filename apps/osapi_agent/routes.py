"""The host's routes, from the kernel's tables of the main kind: /proc/net/route and /proc/net/ipv6_route."""

from __future__ import annotations

import ipaddress
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ROUTES: Final = Path("/proc/net/route")
ROUTES_6: Final = Path("/proc/net/ipv6_route")

# A router may have a million; all facts of a host together must fit into 64 KiB.
MAX_ROUTES: Final = 100

# https://man7.org/linux/man-pages/man7/rtnetlink.7.html, include/uapi/linux/route.h, include/uapi/linux/ipv6_route.h
_RTF_UP: Final = 0x1
_RTF_LOCAL: Final = 0x80000000


def collect() -> list[dict[str, Any]]:
    """Return the routes, the first hundred of them, those of IPv4 first."""
    found = [*routes(lines(ROUTES)), *routes_6(lines(ROUTES_6))]
    return found[:MAX_ROUTES]


def lines(path: Path) -> Sequence[str]:
    """Return the lines of a table of the kernel, none where there is no such table."""
    try:
        return path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return ()


def routes(table: Iterable[str]) -> list[dict[str, Any]]:
    """Read /proc/net/route, whose addresses are hexadecimal numbers in the byte order of the host."""
    found: list[dict[str, Any]] = []
    for line in table:
        route = line.split()
        if len(route) < 8 or route[1] == "Destination" or not int(route[3], 16) & _RTF_UP:
            continue
        network = ipaddress.IPv4Network(f"{_address(route[1])}/{_address(route[7])}", strict=False)
        found.append(_route(network, ipaddress.IPv4Address(_address(route[2])), route[0], int(route[6])))
    return found


def routes_6(table: Iterable[str]) -> list[dict[str, Any]]:
    """Read /proc/net/ipv6_route; what leads to the host itself or to groups is left out."""
    found: list[dict[str, Any]] = []
    for line in table:
        route = line.split()
        if len(route) < 10 or route[9] == "lo":
            continue
        flags, network = int(route[8], 16), ipaddress.IPv6Network((bytes.fromhex(route[0]), int(route[1], 16)))
        if flags & _RTF_UP and not flags & _RTF_LOCAL and not network.is_multicast:
            hop = ipaddress.IPv6Address(bytes.fromhex(route[4]))
            found.append(_route(network, hop, route[9], int(route[5], 16)))
    return found


def _address(text: str) -> str:
    return str(ipaddress.IPv4Address(struct.pack("=I", int(text, 16))))


def _route(
    network: ipaddress.IPv4Network | ipaddress.IPv6Network,
    hop: ipaddress.IPv4Address | ipaddress.IPv6Address,
    interface: str,
    metric: int,
) -> dict[str, Any]:
    gateway = "" if hop.is_unspecified else str(hop)
    return {"destination": str(network), "gateway": gateway, "interface": interface, "metric": metric}
