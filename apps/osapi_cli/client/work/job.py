"""What `osapi client job` does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import click

from osapi_cli import exits, output
from osapi_cli.client import shapes
from osapi_cli.client.http import ask, part
from osapi_cli.client.tables import pretty
from osapi_cli.configuration.durations import parse_duration
from osapi_cli.output import Code, Heading, Paragraph, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from osapi_cli.group import Flags
    from osapi_cli.output import Block

_WELL: Final = frozenset({"completed", "skipped"})
_UNDER_WAY: Final = frozenset({"submitted", "processing", "retryable"})
_SUMMARY: Final = (("Submitted", "submitted"), ("Completed", "completed"), ("Failed", "failed"))


def list_jobs(
    flags: Flags, which: Mapping[str, str | None], *, since: str | None, until: str | None, limit: int, offset: int
) -> int:
    """Show a page of those jobs."""
    times = {"since": _moment("--since", since), "until": _moment("--until", until)}
    answer = ask(flags, "GET", "/job", query={**which, **times, "limit": limit, "offset": offset})
    jobs = answer.read(shapes.JobList)
    page = {
        "total_jobs": jobs.total_items,
        "displayed_jobs": len(jobs.items),
        "status_counts": jobs.status_counts,
        "filter_applied": which.get("status") or "",
        "limit_applied": limit,
        "offset_applied": offset,
        "jobs": answer.body["items"],
    }
    output.present(page, _list(jobs), as_json=flags.json)
    return exits.OK


def _moment(flag: str, given: str | None) -> str | None:
    """Return a moment (RFC 3339) that was given as such, or as how long ago it was."""
    if given is None:
        return None
    ago = parse_duration(given)
    try:
        moment = datetime.fromisoformat(given) if ago is None else datetime.now(UTC) - timedelta(seconds=ago)
    except (ValueError, OverflowError) as error:
        remedy = "write 2026-11-26T03:00:00Z, or how long ago it was, as 90m or 2h"
        raise click.BadParameter(f"{given!r} is no moment; {remedy}", param_hint=flag) from error
    # Without a zone it is what the clock on the wall says.
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _list(jobs: shapes.JobList) -> Iterator[Block]:
    counts = jobs.status_counts
    told = [("Total", str(jobs.total_items)), ("Showing", str(len(jobs.items)))]
    told += [(word, str(counts.get(status, 0))) for word, status in _SUMMARY]
    told.append(("Partial", str(counts.get("partial_failure", 0))))
    shown = {status for _, status in _SUMMARY} | {"partial_failure"}
    told += [(status.capitalize(), str(n)) for status, n in counts.items() if n and status not in shown]
    yield Paragraph(", ".join(f"{word}: {count}" for word, count in told))
    if jobs.items:
        yield Table(
            columns=("JOB ID", "STATUS", "CREATED", "TARGET", "OPERATION"),
            whole=frozenset({"JOB ID"}),
            times=frozenset({"CREATED"}),
            rows=[(job.id, job.status, job.created, job.target, job.operation.type) for job in jobs.items],
        )


def get(flags: Flags, job_id: str) -> int:
    """Show one job."""
    answer = ask(flags, "GET", f"/job/{part(job_id)}")
    job = answer.read(shapes.Job)
    output.present(answer.body, detail(job), as_json=flags.json)
    return exits.OK


def detail(job: shapes.Job) -> Iterator[Block]:
    """Yield what there is to see of a job."""
    yield Heading(f"Job {job.id}")
    yield Table(rows=[*_request(job)])
    if job.operation.data is not None:
        yield Heading("Request")
        yield Code(pretty(job.operation.data))
    if job.agent_states:
        yield Heading("Hosts")
        yield from _hosts(job)
    if job.timeline:
        yield Heading("Timeline")
        yield Table(
            columns=("TIME", "EVENT", "HOSTNAME", "MESSAGE"),
            rows=[(e.timestamp, e.event, e.hostname, e.error or e.message) for e in job.timeline],
        )
    yield from _results(job)


def _hosts(job: shapes.Job) -> Iterator[Block]:
    if job.agent_states:
        yield Table(
            columns=("HOSTNAME", "STATUS", "DURATION", "ERROR"),
            right=frozenset({"DURATION"}),
            rows=[(host, s.status, s.duration, s.error) for host, s in sorted(job.agent_states.items())],
        )


def _request(job: shapes.Job) -> Iterator[tuple[str, str]]:
    yield "Status", job.status
    yield "Operation", job.operation.type
    yield "Target", job.target
    if job.expected is not None:
        yield "Hosts", f"{len(job.expected)}: {', '.join(job.expected)}"
    yield "Created", job.created
    yield "Updated", job.updated_at
    yield "Deadline", job.deadline
    yield "Attempts", str(job.attempts)
    yield "Changed", "yes" if job.changed else "no"
    if job.retry_of:
        yield "Retry of", job.retry_of
    if job.retried_as:
        yield "Retried as", job.retried_as
    if job.error:
        yield "Error", job.error


def _results(job: shapes.Job) -> Iterator[Block]:
    for host, response in sorted(job.responses.items()):
        if response.data is not None:
            yield Heading(f"Result of {host}")
            yield Code(pretty(response.data))


def delete(flags: Flags, job_id: str) -> int:
    """Remove one job."""
    ask(flags, "DELETE", f"/job/{part(job_id)}")
    output.present({"job_id": job_id, "deleted": True}, [Paragraph(f"Job {job_id} is deleted.")], as_json=flags.json)
    return exits.OK


def cancel(flags: Flags, job_id: str, hosts: Sequence[str], reason: str) -> int:
    """Order the end of a job, and show where it stands."""
    body = {"reason": reason, **({"hosts": list(hosts)} if hosts else {})}
    answer = ask(flags, "POST", f"/job/{part(job_id)}/cancel", body=body)
    job = answer.read(shapes.Job)
    over = job.status not in _UNDER_WAY
    told = f"had ended already, and is {job.status}" if over else f"is told to end; it is {job.status}"
    output.present(answer.body, [Paragraph(f"Job {job.id} {told}."), *_hosts(job)], as_json=flags.json)
    return exits.OK


def retry(flags: Flags, job_id: str, target: str | None) -> int:
    """Submit a job once more."""
    body = {} if target is None else {"target_hostname": target}
    answer = ask(flags, "POST", f"/job/{part(job_id)}/retry", body=body)
    created = answer.read(shapes.JobCreated)
    output.present(answer.body, [Paragraph(f"Job {created.job_id} is submitted.")], as_json=flags.json)
    return exits.OK


def status_of(status: str) -> int:
    """Return the exit status for a job that ended so."""
    return exits.OK if status in _WELL else exits.FAILED
