"""What `osapi client node network` does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import field

from osapi_cli.client.http import part
from osapi_cli.client.tables import Row, View
from osapi_cli.client.work.node import change, look, yes_or_no

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from osapi_cli.group import Flags


class DnsRow(Row, frozen=True, kw_only=True):
    """What one host says of an interface."""

    servers: list[str] = field(default_factory=list[str])
    search_domains: list[str] = field(default_factory=list[str])


class PingRow(Row, frozen=True, kw_only=True):
    """What came back to one host; times in seconds, the loss in per cent."""

    packets_sent: int = 0
    packets_received: int = 0
    packet_loss: float = 0.0
    min_rtt: float | None = None
    avg_rtt: float | None = None
    max_rtt: float | None = None


def get_dns(flags: Flags, target: str, interface: str) -> int:
    """Show an interface's settings."""
    return look(flags, target, f"/network/dns/{part(interface)}", _DNS)


def update_dns(
    flags: Flags, target: str, interface: str, servers: list[str], domains: list[str], *, override_dhcp: bool
) -> int:
    """Change an interface's settings."""
    body = {
        "interface_name": interface,
        "servers": servers,
        "search_domains": domains,
        "override_dhcp": override_dhcp,
    }
    return change(flags, target, "PUT", "/network/dns", body, _CHANGED)


def delete_dns(flags: Flags, target: str, interface: str) -> int:
    """Undo what was changed."""
    return change(flags, target, "DELETE", "/network/dns", {"interface_name": interface}, _CHANGED)


def ping(flags: Flags, target: str, address: str) -> int:
    """Ping an address from hosts."""
    return change(flags, target, "POST", "/network/ping", {"address": address}, _PING)


def _dns(row: DnsRow) -> Iterator[Sequence[str]]:
    yield ", ".join(row.servers), ", ".join(row.search_domains)


def _changed(row: DnsRow) -> Iterator[Sequence[str]]:
    yield yes_or_no(row.changed), ", ".join(row.servers), ", ".join(row.search_domains)


def _ping(row: PingRow) -> Iterator[Sequence[str]]:
    times = (row.min_rtt, row.avg_rtt, row.max_rtt)
    yield (
        str(row.packets_sent),
        str(row.packets_received),
        f"{row.packet_loss:g} %",
        *("" if time is None else f"{1000 * time:.3f} ms" for time in times),
    )


_PINGED: Final = ("SENT", "RECEIVED", "LOSS", "MIN", "AVG", "MAX")
_DNS: Final = View(DnsRow, ("SERVERS", "SEARCH DOMAINS"), _dns)
_CHANGED: Final = View(DnsRow, ("CHANGED", "SERVERS", "SEARCH DOMAINS"), _changed)
_PING: Final = View(PingRow, _PINGED, _ping, right=_PINGED)
