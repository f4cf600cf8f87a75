"""The commands `osapi client job dlq`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from osapi_cli.client import work
from osapi_cli.client.options import WORDS, AnyCommand, examples, limit_option
from osapi_cli.group import Program, global_flags

if TYPE_CHECKING:
    from osapi_cli.group import Flags

_sequence = click.option(
    "--sequence", type=click.IntRange(1, 2**63 - 1), required=True, metavar="N", help="The number of the dead letter."
)


def _filters(command: AnyCommand) -> AnyCommand:
    for name, told in (
        ("reason", "Only those whose reason contains this."),
        ("target", "Only those that were sent to exactly this target."),
        ("operation", "Only those of this operation."),
    ):
        command = click.option(f"--{name}", type=WORDS, metavar="TEXT", help=told)(command)
    return command


@click.group(cls=Program)
@global_flags
def dlq() -> None:
    """See the dead letters: jobs that were given up, with their stories. Replay or remove them."""


@dlq.command(
    "list", epilog=examples("osapi client job dlq list", "osapi client job dlq list --operation node.disk.get")
)
@limit_option(10)
@_filters
@global_flags
@click.pass_obj
def list_letters(flags: Flags, limit: int, operation: str | None, target: str | None, reason: str | None) -> int:
    """List dead letters, newest first."""
    return work.dlq.list_letters(flags, {"operation": operation, "target": target, "reason": reason}, limit)


@dlq.command(epilog=examples("osapi client job dlq show --sequence 17"))
@_sequence
@global_flags
@click.pass_obj
def show(flags: Flags, sequence: int) -> int:
    """Show one dead letter, and what is left of its job."""
    return work.dlq.show(flags, sequence)


@dlq.command(epilog=examples("osapi client job dlq replay --sequence 17"))
@_sequence
@global_flags
@click.pass_obj
def replay(flags: Flags, sequence: int) -> int:
    """Submit the job of a dead letter once more, as a new one, and print its id; the letter is gone then."""
    return work.dlq.replay(flags, sequence)


@dlq.command(
    epilog=examples(
        "osapi client job dlq purge --sequence 17",
        "osapi client job dlq purge --operation node.disk.get --reason 'no agent'",
        "osapi client job dlq purge --all",
    )
)
@click.option("--sequence", type=click.IntRange(1, 2**63 - 1), metavar="N", help="Only this one.")
@click.option("--all", "everything", is_flag=True, help="All of them.")
@_filters
@global_flags
@click.pass_context
def purge(
    ctx: click.Context,
    sequence: int | None,
    operation: str | None,
    target: str | None,
    reason: str | None,
    *,
    everything: bool,
) -> int:
    """Remove dead letters: one, those that are named, or all; their jobs stay as they are."""
    which = {"operation": operation, "target": target, "reason": reason}
    ways = (sequence is not None, everything, any(value is not None for value in which.values()))
    if sum(ways) != 1:
        told = "say which: --sequence, or some of --operation, --target and --reason, or --all"
        raise click.UsageError(told, ctx)
    flags: Flags = ctx.obj
    if sequence is not None:
        return work.dlq.purge_one(flags, sequence)
    return work.dlq.purge(flags, {**which, "all": "true" if everything else None})
