"""The commands `osapi client audit`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from osapi_cli.client import work
from osapi_cli.client.options import EXAMPLE_ID, WORDS, examples, limit_option
from osapi_cli.group import Program, global_flags

if TYPE_CHECKING:
    from osapi_cli.group import Flags


@click.group(cls=Program)
@global_flags
def audit() -> None:
    """See who asked the server for what, and how it ended."""


@audit.command("list", epilog=examples("osapi client audit list", "osapi client audit list --limit 100 --offset 100"))
@limit_option(20)
@click.option(
    "--offset",
    type=click.IntRange(0, 2**53),
    default=0,
    show_default=True,
    metavar="N",
    help="Leave out so many of the newest.",
)
@global_flags
@click.pass_obj
def list_entries(flags: Flags, limit: int, offset: int) -> int:
    """List the audit log, newest first."""
    return work.audit.list_entries(flags, limit, offset)


@audit.command(epilog=examples(f"osapi client audit get --audit-id {EXAMPLE_ID}"))
@click.option(
    "--audit-id",
    type=WORDS,
    required=True,
    metavar="ID",
    help="The id of the entry, as `osapi client audit list` shows it.",
)
@global_flags
@click.pass_obj
def get(flags: Flags, audit_id: str) -> int:
    """Show one entry."""
    return work.audit.get(flags, audit_id)


@audit.command(
    epilog=examples(
        "osapi client audit export > audit.jsonl",
        "osapi client audit export --output audit.jsonl",
    )
)
@click.option(
    "--output",
    "into",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Write it there, readable for you alone, not to stdout. A file that is there is replaced when all is written.",
)
@global_flags
@click.pass_obj
def export(flags: Flags, into: str | None) -> int:
    """Print the whole audit log as JSON, one entry a line."""
    return work.audit.export(flags, into)
