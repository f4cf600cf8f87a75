"""The commands `osapi client node`."""

from __future__ import annotations

import click

from osapi_cli.client import work
from osapi_cli.client.options import WORDS, examples, flags_of, target_of, target_option
from osapi_cli.group import Program, global_flags

_HERE = "osapi_cli.client"


@click.group(
    cls=Program,
    lazy={
        "command": f"{_HERE}.command:command",
        "network": f"{_HERE}.network:network",
        "process": f"{_HERE}.process:process",
    },
)
@target_option
@global_flags
def node() -> None:
    """Ask hosts: how they are, their names, networks, commands and processes."""


@node.command(epilog=examples("osapi client node status", "osapi client node status -T group:web.dev"))
@target_option
@global_flags
@click.pass_context
def status(ctx: click.Context) -> int:
    """Show uptime, load, memory, fullest disk and system of hosts."""
    return work.node.look(flags_of(ctx), target_of(ctx), "", work.node.STATUS)


@node.command(epilog=examples("osapi client node disk -T db-01", "osapi client node disk -T _all --json"))
@target_option
@global_flags
@click.pass_context
def disk(ctx: click.Context) -> int:
    """Show the filesystems of hosts, and how full they are."""
    return work.node.look(flags_of(ctx), target_of(ctx), "/disk", work.node.DISK)


@node.command(epilog=examples("osapi client node memory -T group:web"))
@target_option
@global_flags
@click.pass_context
def memory(ctx: click.Context) -> int:
    """Show the memory of hosts."""
    return work.node.look(flags_of(ctx), target_of(ctx), "/memory", work.node.MEMORY)


@node.command(epilog=examples("osapi client node load -T _all"))
@target_option
@global_flags
@click.pass_context
def load(ctx: click.Context) -> int:
    """Show the load of hosts over 1, 5 and 15 minutes."""
    return work.node.look(flags_of(ctx), target_of(ctx), "/load", work.node.LOAD)


@node.command("os", epilog=examples("osapi client node os -T _all"))
@target_option
@global_flags
@click.pass_context
def system(ctx: click.Context) -> int:
    """Show the operating systems of hosts."""
    return work.node.look(flags_of(ctx), target_of(ctx), "/os", work.node.OS)


@node.command(epilog=examples("osapi client node uptime -T _any@group:web"))
@target_option
@global_flags
@click.pass_context
def uptime(ctx: click.Context) -> int:
    """Show how long hosts have been up."""
    return work.node.look(flags_of(ctx), target_of(ctx), "/uptime", work.node.UPTIME)


@node.group(
    cls=Program,
    invoke_without_command=True,
    epilog=examples("osapi client node hostname -T _all", "osapi client node hostname update -T web-01 --name web-02"),
)
@target_option
@global_flags
@click.pass_context
def hostname(ctx: click.Context) -> int | None:
    """Show the names that hosts give themselves, or change one."""
    if ctx.invoked_subcommand is not None:
        return None
    return work.node.look(flags_of(ctx), target_of(ctx), "/hostname", work.node.HOSTNAME)


@hostname.command("get", epilog=examples("osapi client node hostname get -T _all"))
@target_option
@global_flags
@click.pass_context
def get_hostname(ctx: click.Context) -> int:
    """Show the names that hosts give themselves."""
    return work.node.look(flags_of(ctx), target_of(ctx), "/hostname", work.node.HOSTNAME)


@hostname.command("update", epilog=examples("osapi client node hostname update -T web-01 --name web-02"))
@click.option("--name", type=WORDS, required=True, metavar="N", help="The name that the host is to have.")
@target_option
@global_flags
@click.pass_context
def update_hostname(ctx: click.Context, name: str) -> int:
    """Give a host another name; its agent keeps the name it was started under."""
    return work.node.change(flags_of(ctx), target_of(ctx), "PUT", "/hostname", {"hostname": name}, work.node.RENAMED)
