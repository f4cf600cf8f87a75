"""The commands `osapi client agent`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from osapi_cli.client import work
from osapi_cli.client.options import WORDS, examples, hostname_option
from osapi_cli.group import Program, global_flags

if TYPE_CHECKING:
    from osapi_cli.group import Flags

_fingerprint = click.option(
    "--fingerprint",
    type=WORDS,
    metavar="F",
    help="That of the key which is meant, as the host itself shows it. Without it, it is the only one that waits.",
)


@click.group(cls=Program)
@global_flags
def agent() -> None:
    """List the agents, look at one, let one take no jobs, decide who may be one."""


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


@agent.command(epilog=examples("osapi client agent drain --hostname web-01"))
@hostname_option
@global_flags
@click.pass_obj
def drain(flags: Flags, hostname: str) -> int:
    """Let an agent finish what it does and take no more jobs, until it is undrained: Draining, then Cordoned."""
    return work.agent.order(flags, hostname, "drain")


@agent.command(epilog=examples("osapi client agent undrain --hostname web-01"))
@hostname_option
@global_flags
@click.pass_obj
def undrain(flags: Flags, hostname: str) -> int:
    """Let an agent take jobs again."""
    return work.agent.order(flags, hostname, "undrain")


@agent.command(epilog=examples("osapi client agent pending"))
@global_flags
@click.pass_obj
def pending(flags: Flags) -> int:
    """List the agents that wait to be accepted, with the fingerprints of their keys."""
    return work.agent.pending(flags)


@agent.command(
    epilog=examples(
        "osapi client agent accept --hostname web-01 "
        "--fingerprint 638c1e9af126e70c354e2be8009097f13222b4f836ab30eccf0e2fb5e5074164"
    )
)
@hostname_option
@_fingerprint
@global_flags
@click.pass_obj
def accept(flags: Flags, hostname: str, fingerprint: str | None) -> int:
    """Accept an agent that waits for it."""
    return work.agent.order(flags, hostname, "accept", fingerprint=fingerprint)


@agent.command(epilog=examples("osapi client agent reject --hostname web-01"))
@hostname_option
@_fingerprint
@global_flags
@click.pass_obj
def reject(flags: Flags, hostname: str, fingerprint: str | None) -> int:
    """Turn an agent away that waits to be accepted, or one that was accepted."""
    return work.agent.order(flags, hostname, "reject", fingerprint=fingerprint)
