"""The commands `osapi client schedule`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from osapi_cli.client import work
from osapi_cli.client.options import (
    MOMENT,
    OPERATION,
    SPAN,
    WORDS,
    AnyCommand,
    Span,
    data_option,
    examples,
    flags_of,
    target_of,
    target_option,
)
from osapi_cli.group import Program, global_flags

if TYPE_CHECKING:
    from osapi_cli.group import Flags


def name_option(command: AnyCommand) -> AnyCommand:
    """Give a command the flag --name."""
    return click.option("--name", type=WORDS, required=True, metavar="N", help="The name of the schedule.")(command)


@click.group(cls=Program)
@global_flags
def schedule() -> None:
    """Jobs that come again, or lie far ahead: list, show, make, pause, resume and remove them."""


@schedule.command("list", epilog=examples("osapi client schedule list"))
@global_flags
@click.pass_obj
def list_schedules(flags: Flags) -> int:
    """List all schedules, when they are due next, and what became of their newest due times."""
    return work.schedule.list_schedules(flags)


@schedule.command(epilog=examples("osapi client schedule get --name nightly"))
@name_option
@global_flags
@click.pass_obj
def get(flags: Flags, name: str) -> int:
    """Show one schedule: what it does, when it is due, and what became of the newest due times."""
    return work.schedule.get(flags, name)


@schedule.command(
    "set",
    epilog=examples(
        "osapi client schedule set --name uptime --operation node.uptime.get -T _all --every 10m",
        "osapi client schedule set --name nightly --operation node.disk.get --cron '0 3 * * mon-fri' "
        "--time-zone Europe/Berlin",
        'osapi client schedule set --name once --operation command.exec.run --data \'{"command": "date"}\' '
        "--at 2026-12-24T18:00:00+01:00",
    ),
)
@name_option
@click.option("--operation", type=OPERATION, required=True, metavar="NAME", help="What to run.")
@data_option
@click.option("--at", type=MOMENT, metavar="WHEN", help="Once, at a moment as 2026-12-24T18:00:00+01:00.")
@click.option("--every", type=Span(least=1.0), metavar="D", help="Every so long, as 90s or 1h30m; at least 1s.")
@click.option("--cron", type=WORDS, metavar="FIELDS", help="Minute, hour, day, month, weekday, or as @daily.")
@click.option("--time-zone", type=WORDS, metavar="ZONE", help="Whose clock --cron is about; UTC without it.")
@click.option("--catch-up", type=SPAN, metavar="D", help="Make up for what is not older; 1h without it.")
@click.option(
    "--overlap", type=click.Choice(("skip", "allow")), metavar="O", help="While the one before runs: skip or allow."
)
@click.option("--within", type=SPAN, metavar="D", help="How long each job may take.")
@click.option("--start-within", type=SPAN, metavar="D", help="How long until each host must have started it.")
@click.option("--timeout", type=SPAN, metavar="D", help="How long one attempt may take.")
@target_option
@global_flags
@click.pass_context
def set_schedule(ctx: click.Context, /, name: str, data: str | None, **given: Any) -> int:
    """Make a schedule, or replace the one of that name; what is due at the same times as before is not put off."""
    return work.schedule.set_schedule(flags_of(ctx), name, data, {"target": target_of(ctx), **given})


@schedule.command(epilog=examples("osapi client schedule pause --name nightly"))
@name_option
@global_flags
@click.pass_obj
def pause(flags: Flags, name: str) -> int:
    """Let a schedule be due no more until it is resumed."""
    return work.schedule.order(flags, name, "pause")


@schedule.command(epilog=examples("osapi client schedule resume --name nightly"))
@name_option
@global_flags
@click.pass_obj
def resume(flags: Flags, name: str) -> int:
    """Let a paused schedule be due again; what passed meanwhile is not made up for."""
    return work.schedule.order(flags, name, "resume")


@schedule.command(epilog=examples("osapi client schedule delete --name nightly"))
@name_option
@global_flags
@click.pass_obj
def delete(flags: Flags, name: str) -> int:
    """Remove a schedule; its jobs stay."""
    return work.schedule.delete(flags, name)
