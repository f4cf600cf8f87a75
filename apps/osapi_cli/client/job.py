"""The commands `osapi client job`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from osapi_cli.client import work
from osapi_cli.client.options import WORDS, examples, job_id_option
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
_ID = "0199c0de-7a11-7abc-8def-0123456789ab"


@click.group(cls=Program)
@global_flags
def job() -> None:
    """List jobs, look at one, remove it or run it once more."""


@job.command(
    "list",
    epilog=examples(
        "osapi client job list --status failed",
        "osapi client job list --limit 100 --json | jq -r '.jobs[].id'",
    ),
)
@click.option("--status", type=click.Choice(_STATES), metavar="S", help=f"Only these: {', '.join(_STATES)}.")
@click.option(
    "--limit", type=click.IntRange(1, 100), default=10, show_default=True, metavar="N", help="At most so many."
)
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
def list_jobs(flags: Flags, status: str | None, limit: int, offset: int) -> int:
    """List jobs, newest first, and how many there are of each status."""
    return work.job.list_jobs(flags, status=status, limit=limit, offset=offset)


@job.command(epilog=examples(f"osapi client job get --job-id {_ID}"))
@job_id_option
@global_flags
@click.pass_obj
def get(flags: Flags, job_id: str) -> int:
    """Show one job: the request, where each host stands, the timeline and the result."""
    return work.job.get(flags, job_id)


@job.command(epilog=examples(f"osapi client job delete --job-id {_ID}"))
@job_id_option
@global_flags
@click.pass_obj
def delete(flags: Flags, job_id: str) -> int:
    """Remove a job and its answers. One that still runs is not stopped: cancel it first."""
    return work.job.delete(flags, job_id)


@job.command(
    epilog=examples(
        f"osapi client job retry --job-id {_ID}",
        f"osapi client job retry --job-id {_ID} --target-hostname web-02",
    )
)
@job_id_option
@click.option("--target-hostname", type=WORDS, metavar="T", help="Send it there, not to the job's own target.")
@global_flags
@click.pass_obj
def retry(flags: Flags, job_id: str, target_hostname: str | None) -> int:
    """Submit a job once more, as a new one, and print its id."""
    return work.job.retry(flags, job_id, target_hostname)
