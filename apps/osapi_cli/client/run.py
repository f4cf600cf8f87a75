"""The command `osapi client run`."""

from __future__ import annotations

import click

from osapi_cli.client import work
from osapi_cli.client.options import OPERATION, data_option, detach_option, examples, flags_of, target_of, target_option
from osapi_cli.group import global_flags


@click.command(
    epilog=examples(
        "osapi client run --list",
        "osapi client run --list network.ping.run",
        "osapi client run node.uptime.get -T _all",
        'osapi client run network.ping.run -T web-01 --data \'{"address": "192.0.2.1"}\'',
        "osapi client run backup.start -T group:db --data @request.json --detach",
    )
)
@click.argument("operation", type=OPERATION, required=False)
@data_option
@click.option("--list", "listing", is_flag=True, help="Show the operations that there are, or what this one takes.")
@detach_option
@target_option
@global_flags
@click.pass_context
def run(ctx: click.Context, operation: str | None, data: str | None, *, listing: bool, detach: bool) -> int:
    """Run any operation that the server offers, those of its own included."""
    if listing:
        return work.run.describe(flags_of(ctx), operation)
    if operation is None:
        raise click.UsageError("missing OPERATION; `osapi client run --list` shows those that there are", ctx)
    return work.run.run(flags_of(ctx), operation, target_of(ctx), data, detach=detach)
