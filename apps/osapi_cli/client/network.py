"""The commands `osapi client node network`."""

from __future__ import annotations

import click

from osapi_cli.client import work
from osapi_cli.client.options import ITEMS, WORDS, examples, flags_of, target_of, target_option
from osapi_cli.group import Program, global_flags

_interface = click.option(
    "--interface-name", "interface", type=WORDS, required=True, metavar="I", help="The network interface, as eth0."
)


@click.group(cls=Program)
@target_option
@global_flags
def network() -> None:
    """See or change the DNS settings of hosts, and what they reach."""


@network.group(cls=Program)
@target_option
@global_flags
def dns() -> None:
    """Show or change which DNS servers an interface asks."""


@dns.command(epilog=examples("osapi client node network dns get -T web-01 --interface-name eth0"))
@_interface
@target_option
@global_flags
@click.pass_context
def get(ctx: click.Context, interface: str) -> int:
    """Show an interface's DNS servers and search domains."""
    return work.network.get_dns(flags_of(ctx), target_of(ctx), interface)


@dns.command(
    epilog=examples(
        "osapi client node network dns update -T web-01 --interface-name eth0 --servers 192.0.2.53,192.0.2.54",
        "osapi client node network dns update --interface-name eth0 --search-domains a.example --override-dhcp",
    )
)
@_interface
@click.option("--servers", type=ITEMS, metavar="A,B", help="Addresses of DNS servers, first used first.")
@click.option("--search-domains", type=ITEMS, metavar="X,Y", help="Domains to look names up in.")
@click.option("--override-dhcp", is_flag=True, help="In the place of what the interface has, not before it.")
@target_option
@global_flags
@click.pass_context
def update(
    ctx: click.Context,
    interface: str,
    servers: list[str] | None,
    search_domains: list[str] | None,
    *,
    override_dhcp: bool,
) -> int:
    """Set an interface's DNS servers or search domains, until it is started again."""
    if not servers and not search_domains:
        raise click.UsageError("give --servers or --search-domains, or both", ctx)
    return work.network.update_dns(
        flags_of(ctx), target_of(ctx), interface, servers or [], search_domains or [], override_dhcp=override_dhcp
    )


@dns.command(epilog=examples("osapi client node network dns delete -T web-01 --interface-name eth0"))
@_interface
@target_option
@global_flags
@click.pass_context
def delete(ctx: click.Context, interface: str) -> int:
    """Undo all updates of an interface: it uses what its own configuration or DHCP says."""
    return work.network.delete_dns(flags_of(ctx), target_of(ctx), interface)


@network.command(epilog=examples("osapi client node network ping -T _all --address 192.0.2.1"))
@click.option("--address", type=WORDS, required=True, metavar="A", help="An IP address or a hostname.")
@target_option
@global_flags
@click.pass_context
def ping(ctx: click.Context, address: str) -> int:
    """Let hosts send three packets to an address; no answer is a loss of 100 %, and no failure."""
    return work.network.ping(flags_of(ctx), target_of(ctx), address)
