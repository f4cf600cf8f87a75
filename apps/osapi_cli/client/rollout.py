"""The commands `osapi client rollout`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from osapi_cli.client import work
from osapi_cli.client.options import (
    EXAMPLE_ID,
    OPERATION,
    TARGET,
    WORDS,
    AnyCommand,
    data_option,
    examples,
    limit_option,
)
from osapi_cli.group import Program, global_flags

if TYPE_CHECKING:
    from osapi_cli.group import Flags


def _rollout_id(command: AnyCommand) -> AnyCommand:
    return click.option("--rollout-id", type=WORDS, required=True, metavar="ID", help="The id of the rollout.")(command)


def _reason(command: AnyCommand) -> AnyCommand:
    return click.option("--reason", type=WORDS, metavar="TEXT", help="Why, for whoever looks at it.")(command)


@click.group(cls=Program)
@global_flags
def rollout() -> None:
    """Send a job out in batches, a few hosts first, and halt when too many fail."""


@rollout.command(
    epilog=examples(
        'osapi client rollout start command.exec.run -T group:web --data \'{"command": "/opt/update"}\' --canary 1',
        "osapi client rollout start service.restart -T _all --batch 10% --pause 2m --max-failures 3 --watch",
    )
)
@click.argument("operation", type=OPERATION)
@data_option
@click.option(
    "-T", "--target", type=TARGET, default="_all", show_default=True, metavar="TARGET", help="All hosts that it is for."
)
@click.option("--batch", type=WORDS, default="1", show_default=True, metavar="N|N%", help="So many hosts at a time.")
@click.option("--canary", type=WORDS, default="0", show_default=True, metavar="N|N%", help="So many first, alone.")
@click.option("--pause", type=WORDS, default="0s", show_default=True, metavar="DURATION", help="Between two batches.")
@click.option(
    "--max-failures",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    metavar="N",
    help="Halt when more hosts than this have failed.",
)
@click.option("--watch", "watching", is_flag=True, help="Stay until it is over or halts, as `watch` does.")
@global_flags
@click.pass_obj
def start(
    flags: Flags,
    operation: str,
    data: str | None,
    target: str,
    batch: str,
    canary: str,
    pause: str,
    max_failures: int,
    *,
    watching: bool,
) -> int:
    """Start a rollout and print its id."""
    plan = {"batch": batch, "canary": canary, "pause": pause}
    return work.rollout.start(flags, operation, target, data, plan, max_failures=max_failures, watching=watching)


@rollout.command("list", epilog=examples("osapi client rollout list --limit 3"))
@limit_option(10)
@global_flags
@click.pass_obj
def list_rollouts(flags: Flags, limit: int) -> int:
    """List rollouts, newest first."""
    return work.rollout.list_rollouts(flags, limit)


@rollout.command(epilog=examples(f"osapi client rollout get --rollout-id {EXAMPLE_ID}"))
@_rollout_id
@global_flags
@click.pass_obj
def get(flags: Flags, rollout_id: str) -> int:
    """Show one rollout: its batches, the hosts that failed, those that wait."""
    return work.rollout.get(flags, rollout_id)


@rollout.command(epilog=examples(f"osapi client rollout watch --rollout-id {EXAMPLE_ID}"))
@_rollout_id
@global_flags
@click.pass_obj
def watch(flags: Flags, rollout_id: str) -> int:
    """Follow a rollout until it is over or halts; exit status 1 if a host has failed, or it was aborted."""
    return work.rollout.watch(flags, rollout_id)


@rollout.command(epilog=examples(f"osapi client rollout pause --rollout-id {EXAMPLE_ID} --reason lunch"))
@_rollout_id
@_reason
@global_flags
@click.pass_obj
def pause(flags: Flags, rollout_id: str, reason: str | None) -> int:
    """Let no batch begin until it is resumed; the one that has begun goes on."""
    return work.rollout.order(flags, rollout_id, "pause", reason)


@rollout.command(epilog=examples(f"osapi client rollout resume --rollout-id {EXAMPLE_ID}"))
@_rollout_id
@_reason
@global_flags
@click.pass_obj
def resume(flags: Flags, rollout_id: str, reason: str | None) -> int:
    """Go on with a rollout that is paused or halted; hosts that have failed so far do not count any more."""
    return work.rollout.order(flags, rollout_id, "resume", reason)


@rollout.command(epilog=examples(f"osapi client rollout abort --rollout-id {EXAMPLE_ID} --reason 'wrong build'"))
@_rollout_id
@_reason
@global_flags
@click.pass_obj
def abort(flags: Flags, rollout_id: str, reason: str | None) -> int:
    """End a rollout for good, and cancel the job that is running."""
    return work.rollout.order(flags, rollout_id, "abort", reason)
