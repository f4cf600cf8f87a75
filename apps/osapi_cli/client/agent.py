"""The commands `osapi client agent`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from osapi_cli.client import work
from osapi_cli.client.options import examples, hostname_option
from osapi_cli.group import Program, global_flags

if TYPE_CHECKING:
    from osapi_cli.group import Flags


@click.group(cls=Program)
@global_flags
def agent() -> None:
    """List the agents, or look at one."""


@agent.command("list", epilog=examples("osapi client agent list"))
@global_flags
@click.pass_obj
def list_agents(flags: Flags) -> int:
    """List the registered agents."""
    return work.agent.list_agents(flags)


@agent.command(epilog=examples("osapi client agent get --hostname web-01"))
@hostname_option
@global_flags
@click.pass_obj
def get(flags: Flags, hostname: str) -> int:
    """Show one agent."""
    return work.agent.get(flags, hostname)
