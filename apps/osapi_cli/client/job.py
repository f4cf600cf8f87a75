"""The commands `osapi client job`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from osapi_cli.client import work
from osapi_cli.client.options import (
    EXAMPLE_ID,
    HOSTNAME,
    OPERATION,
    TARGET,
    WORDS,
    examples,
    job_id_option,
    limit_option,
)
from osapi_cli.group import Program, global_flags

if TYPE_CHECKING:
    from osapi_cli.group import Flags

_STATES = (
    "submitted",
    "processing",
    "retryable",
    "completed",
    "failed",
    "partial_failure",
    "skipped",
    "cancelled",
    "expired",
)
_WHEN = "a moment as 2026-11-26T03:00:00Z, or how long ago as 90m or 2h"


@click.group(cls=Program, lazy={"dlq": "osapi_cli.client.dlq:dlq"})
@global_flags
def job() -> None:
    """List jobs, look at one, follow it, cancel it, run it once more or remove it."""


@job.command(
    "list",
    epilog=examples(
        "osapi client job list --status failed",
        "osapi client job list --operation command.exec.run --since 2h",
        "osapi client job list --limit 100 --json | jq -r '.jobs[].id'",
    ),
)
@click.option("--status", type=click.Choice(_STATES), metavar="S", help=f"Only these: {', '.join(_STATES)}.")
@click.option("--operation", type=OPERATION, metavar="NAME", help="Only those of this operation.")
@click.option("--target", type=TARGET, metavar="T", help="Only those that were sent to exactly this target.")
@click.option("--since", type=WORDS, metavar="WHEN", help=f"Only those created from then on: {_WHEN}.")
@click.option("--until", type=WORDS, metavar="WHEN", help="Only those created before then.")
@limit_option(10)
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
def list_jobs(
    flags: Flags,
    status: str | None,
    operation: str | None,
    target: str | None,
    since: str | None,
    until: str | None,
    limit: int,
    offset: int,
) -> int:
    """List jobs, newest first, and how many there are of each status."""
    which = {"status": status, "operation": operation, "target": target}
    return work.job.list_jobs(flags, which, since=since, until=until, limit=limit, offset=offset)


@job.command(epilog=examples(f"osapi client job get --job-id {EXAMPLE_ID}"))
@job_id_option
@global_flags
@click.pass_obj
def get(flags: Flags, job_id: str) -> int:
    """Show one job: the request, where each host stands, the timeline and the result."""
    return work.job.get(flags, job_id)


@job.command(epilog=examples(f"osapi client job delete --job-id {EXAMPLE_ID}"))
@job_id_option
@global_flags
@click.pass_obj
def delete(flags: Flags, job_id: str) -> int:
    """Remove a job and its answers. One that still runs is not stopped: cancel it first."""
    return work.job.delete(flags, job_id)


@job.command(
    epilog=examples(
        f"osapi client job watch --job-id {EXAMPLE_ID}",
        f"osapi client job watch --job-id {EXAMPLE_ID} --output",
        f"osapi client job watch --job-id {EXAMPLE_ID} --json | jq -r .event",
    )
)
@job_id_option
@click.option("--output", "written", is_flag=True, help="Show what its commands write instead, as it is written.")
@global_flags
@click.pass_obj
def watch(flags: Flags, job_id: str, *, written: bool) -> int:
    """Follow a job until it has ended, a line an event; status 1 unless it has ended well."""
    return work.watch.watch(flags, job_id, written=written)


@job.command(
    epilog=examples(
        f"osapi client job cancel --job-id {EXAMPLE_ID}",
        f"osapi client job cancel --job-id {EXAMPLE_ID} --host web-01 --host web-02 --reason 'wrong file'",
    )
)
@job_id_option
@click.option("--host", "hosts", type=HOSTNAME, multiple=True, metavar="H", help="Only there. May be repeated.")
@click.option("--reason", default="", metavar="TEXT", help="Why; it is kept with the job.")
@global_flags
@click.pass_obj
def cancel(flags: Flags, job_id: str, hosts: tuple[str, ...], reason: str) -> int:
    """End a job, and what runs of it; what its hosts have ended already stays as it is."""
    return work.job.cancel(flags, job_id, hosts, reason)


@job.command(
    epilog=examples(
        f"osapi client job retry --job-id {EXAMPLE_ID}",
        f"osapi client job retry --job-id {EXAMPLE_ID} --target-hostname web-02",
    )
)
@job_id_option
@click.option("--target-hostname", type=TARGET, metavar="T", help="Send it there, not to the job's own target.")
@global_flags
@click.pass_obj
def retry(flags: Flags, job_id: str, target_hostname: str | None) -> int:
    """Submit a job once more, as a new one, and print its id."""
    return work.job.retry(flags, job_id, target_hostname)
