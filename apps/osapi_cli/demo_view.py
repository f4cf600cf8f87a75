"""What the demo shows: a document for people, one object for programs."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from osapi_agent.results import Status
from osapi_cli.human import duration, share, size
from osapi_cli.output import Code, Heading, Paragraph, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    import osapi
    from osapi.rules.targets import Target
    from osapi_agent.results import Disk
    from osapi_cli.demo import Asked, Played
    from osapi_cli.output import Block, Document

EXAMPLE: Final = """\
import osapi, trio
from osapi_agent.node import operations

async def main():
    async with (
        osapi.connect("memory://") as transport,
        osapi.Agent(transport, operations, hostname="web-01"),
        osapi.Client(transport) as client,
    ):
        job = await client.submit("node.uptime.get", target="_all")
        print(await job.result())

trio.run(main)"""

COMMANDS: Final = (
    ("osapi demo --target group:db", "ask a target of your own"),
    ("osapi demo --target web-99", "see what a wrong one is told"),
    ("osapi demo --json", "all of this, for a program"),
)


def for_people(played: Played) -> Document:
    """Return the demo as a document: who is there, what was asked, how one job went, what this host said."""
    return [
        *_agents(played),
        *_jobs(played),
        *_timeline(max(played.jobs, key=lambda job: len(job.answers))),
        *_this_host(played),
        Heading("Try next"),
        Table(rows=COMMANDS),
        Heading("The same in a program of yours"),
        Code(EXAMPLE),
    ]


def _agents(played: Played) -> Iterator[Block]:
    yield Heading("Agents")
    yield Paragraph("Three agents and a client, all in this process, over a broker in memory.")
    yield Table(
        columns=("HOSTNAME", "LABEL", "OFFERS"),
        rows=[
            (agent.hostname, _labels(agent), f"{len(agent.operations)} operations, node.*.get")
            for agent in played.agents
        ],
    )


def _labels(agent: osapi.Registration) -> str:
    return ", ".join(f"{key}:{value}" for key, value in agent.labels.items())


def _jobs(played: Played) -> Iterator[Block]:
    yield Heading("Jobs")
    yield Paragraph("Each job goes to a target, and the agents that match it answer.")
    yield Table(
        columns=("TARGET", "MEANS", "OPERATION", "HOST", "STATUS", "MS"),
        right=frozenset({"MS"}),
        grouped=3,
        rows=[
            (str(job.target), _meaning(job.target), job.operation, host, answer.status, _milliseconds(answer.seconds))
            for job in played.jobs
            for host, answer in job.answers.items()
        ],
    )
    for answer in played.answers:
        if answer.error:
            yield Paragraph(f"{answer.host or 'nobody'}: {answer.status}: {answer.error}")
    yield Paragraph(_summary(played))


def _summary(played: Played) -> str:
    statuses = Counter(answer.status for answer in played.answers)
    told = ", ".join(f"{count} {status}" for status, count in sorted(statuses.items()))
    return f"{_count(len(played.jobs), 'job')}, {_count(len(played.answers), 'answer')}: {told}."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _meaning(target: Target) -> str:
    if target.label:
        return f"all of {'.'.join(target.label.segments)}"
    return {"any": "any one agent", "all": "all agents", "host": "that agent"}[target.route]


def _timeline(job: Asked) -> Iterator[Block]:
    yield Heading("Timeline")
    yield Paragraph(f"How {job.operation} to {job.target} went, as the client's handle tells it.")
    yield Paragraph(f"Job {job.id}")
    yield Table(
        columns=("MS", "EVENT", "HOST", "MESSAGE"),
        right=frozenset({"MS"}),
        rows=[
            (_milliseconds(event.at - job.created), event.event, event.host, event.error or event.message)
            for event in job.timeline
        ],
    )


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f}"


def _this_host(played: Played) -> Iterator[Block]:
    found = next((answer.data for answer in played.answers if isinstance(answer.data, Status)), None)
    if found is None:
        return
    yield Heading("This host")
    yield Paragraph("All three agents run here, so this is what each of them has answered.")
    yield Table(rows=list(_facts(found)))


def _facts(found: Status) -> Iterator[tuple[str, str]]:
    memory, load = found.memory, found.load_average
    yield "Hostname", found.hostname
    yield "System", f"{found.os_info.distribution} {found.os_info.version}".rstrip()
    yield "Uptime", duration(found.uptime)
    if load is not None:
        yield "Load", f"{load.one:.2f}, {load.five:.2f}, {load.fifteen:.2f} over 1, 5, 15 minutes"
    yield "Memory", _usage(memory.used, memory.total, share(memory.used, memory.total))
    for disk in found.disks:
        yield f"Disk {disk.name}", _usage(disk.used, disk.total, _fill(disk))
    for unreadable in found.unreadable_disks:
        yield f"Disk {unreadable.name}", unreadable.error


def _usage(used: int, total: int, part: str) -> str:
    return f"{size(used)} of {size(total)} used, {part}"


def _fill(disk: Disk) -> str:
    # As `df` has it: of what people may fill, without what is kept for the superuser.
    return share(disk.used, disk.used + disk.free)


# --- For programs ------------------------------------------------------------------------------------------


def for_programs(played: Played) -> dict[str, Any]:
    """Return the demo as one JSON object; times are RFC 3339, `seconds` durations, sizes raw bytes.

        {"agents": [{hostname, labels{}, operations[]}],
         "jobs": [{id, status, created, target, expected[] | null, operation{type, data},
                   responses{host: {hostname, status, data, changed, error, attempts, seconds}},
                   timeline[{timestamp, event, hostname, message, error}]}]}

    A job has the fields of the REST API's JobDetail; `expected` is null for a job to any one agent.
    """
    return {
        "agents": [
            {"hostname": agent.hostname, "labels": agent.labels, "operations": sorted(agent.operations)}
            for agent in played.agents
        ],
        "jobs": [_job(job) for job in played.jobs],
    }


def _job(job: Asked) -> dict[str, Any]:
    return {
        "id": job.id,
        "status": job.status,
        "created": _timestamp(job.created),
        "target": str(job.target),
        "expected": job.expected,
        "operation": {"type": job.operation, "data": None},
        "responses": {host: _response(answer) for host, answer in job.answers.items()},
        "timeline": [
            {
                "timestamp": _timestamp(event.at),
                "event": event.event,
                "hostname": event.host,
                "message": event.message,
                "error": event.error,
            }
            for event in job.timeline
        ],
    }


def _response(answer: osapi.Response) -> dict[str, Any]:
    return {
        "hostname": answer.host,
        "status": answer.status,
        "data": answer.data,
        "changed": answer.changed,
        "error": answer.error,
        "attempts": answer.attempts,
        "seconds": answer.seconds,
    }


def _timestamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
