"""The commands `osapi client node process`."""

from __future__ import annotations

import click

from osapi_cli.client import work
from osapi_cli.client.options import WORDS, examples, flags_of, target_of, target_option
from osapi_cli.group import Program, global_flags

_pid = click.option(
    "--pid", type=click.IntRange(1, 2**31 - 1), required=True, metavar="N", help="The number of the process."
)


@click.group(cls=Program)
@target_option
@global_flags
def process() -> None:
    """Show the processes of hosts, or signal one."""


@process.command("list", epilog=examples("osapi client node process list -T web-01"))
@target_option
@global_flags
@click.pass_context
def list_processes(ctx: click.Context) -> int:
    """Show the processes, those that use the most memory first."""
    return work.process.list_processes(flags_of(ctx), target_of(ctx))


@process.command(epilog=examples("osapi client node process get -T web-01 --pid 4711"))
@_pid
@target_option
@global_flags
@click.pass_context
def get(ctx: click.Context, pid: int) -> int:
    """Show one process."""
    return work.process.get(flags_of(ctx), target_of(ctx), pid)


@process.command(epilog=examples("osapi client node process signal -T web-01 --pid 4711 --signal HUP"))
@_pid
@click.option("--signal", type=WORDS, default="TERM", show_default=True, metavar="S", help="Its name or number.")
@target_option
@global_flags
@click.pass_context
def signal(ctx: click.Context, pid: int, signal: str) -> int:
    """Send a signal to one process of a host."""
    return work.process.send_signal(flags_of(ctx), target_of(ctx), pid, signal)
