"""The commands `osapi client health`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from osapi_cli.client import work
from osapi_cli.client.options import examples
from osapi_cli.group import Program, global_flags

if TYPE_CHECKING:
    from osapi_cli.group import Flags


@click.group(cls=Program)
@global_flags
def health() -> None:
    """Ask the server how it is."""


@health.command(epilog=examples("osapi client health liveness"))
@global_flags
@click.pass_obj
def liveness(flags: Flags) -> int:
    """Tell whether the server's process answers; needs no token."""
    return work.health.probe(flags, "/health")


@health.command(epilog=examples("osapi client health ready && osapi client node status -T _all"))
@global_flags
@click.pass_obj
def ready(flags: Flags) -> int:
    """Tell whether requests can be served, with status 1 if not; needs no token."""
    return work.health.probe(flags, "/health/ready")


@health.command(epilog=examples("osapi client health status", "osapi client health status --json | jq .jobs"))
@global_flags
@click.pass_obj
def status(flags: Flags) -> int:
    """Show components, streams, buckets, consumers, jobs and agents; status 1 if something is wrong."""
    return work.health.status(flags)
