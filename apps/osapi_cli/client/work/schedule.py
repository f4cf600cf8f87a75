"""What `osapi client schedule` does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from osapi_cli import exits, output
from osapi_cli.client import shapes
from osapi_cli.client.given import read_data
from osapi_cli.client.http import ask, part
from osapi_cli.client.tables import pretty
from osapi_cli.configuration.durations import print_duration
from osapi_cli.output import Code, Heading, Paragraph, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from osapi_cli.group import Flags
    from osapi_cli.output import Block


def list_schedules(flags: Flags) -> int:
    """Show all schedules."""
    answer = ask(flags, "GET", "/schedule")
    found = answer.read(shapes.ScheduleList)
    table = Table(
        columns=("NAME", "WHEN", "TARGET", "OPERATION", "NEXT", "LAST"),
        whole=frozenset({"NAME"}),
        rows=[
            (each.name, _when(each), each.target, each.operation.type, _next(each), _last(each)) for each in found.items
        ],
    )
    count = Paragraph(f"{found.total} schedule{'' if found.total == 1 else 's'}")
    output.present(answer.body, [table, count] if found.items else [count], as_json=flags.json)
    return exits.OK


def get(flags: Flags, name: str) -> int:
    """Show one schedule."""
    answer = ask(flags, "GET", f"/schedule/{part(name)}")
    return _show(flags, answer.body, answer.read(shapes.Schedule))


def set_schedule(flags: Flags, name: str, data: str | None, given: Mapping[str, Any]) -> int:
    """Make a schedule, or replace it, and show it."""
    body = {key: value for key, value in given.items() if value is not None}
    if data is not None:
        body["data"] = read_data(data)
    answer = ask(flags, "PUT", f"/schedule/{part(name)}", body=body)
    return _show(flags, answer.body, answer.read(shapes.Schedule))


def order(flags: Flags, name: str, verb: str) -> int:
    """Pause or resume a schedule, and show it."""
    answer = ask(flags, "POST", f"/schedule/{part(name)}/{verb}")
    return _show(flags, answer.body, answer.read(shapes.Schedule))


def delete(flags: Flags, name: str) -> int:
    """Remove a schedule."""
    ask(flags, "DELETE", f"/schedule/{part(name)}")
    output.present(
        {"name": name, "deleted": True}, [Paragraph(f"Schedule {name} is removed; its jobs stay.")], as_json=flags.json
    )
    return exits.OK


def _show(flags: Flags, body: Any, schedule: shapes.Schedule) -> int:
    output.present(body, _detail(schedule), as_json=flags.json)
    return exits.OK


def _detail(schedule: shapes.Schedule) -> Iterator[Block]:
    yield Heading(f"Schedule {schedule.name}")
    yield Table(rows=[(name, value) for name, value in _facts(schedule) if value])
    if schedule.operation.data is not None:
        yield Heading("Request")
        yield Code(pretty(schedule.operation.data))
    if schedule.firings:
        yield Heading("Due times")
        yield Table(
            columns=("DUE", "OUTCOME", "COUNT", "JOB ID", "REASON"),
            right=frozenset({"COUNT"}),
            whole=frozenset({"JOB ID"}),
            rows=[(each.due, each.outcome, str(each.count), each.job_id, each.reason) for each in schedule.firings],
        )


def _facts(schedule: shapes.Schedule) -> Iterator[tuple[str, str]]:
    yield "Operation", schedule.operation.type
    yield "Target", schedule.target
    yield "When", _when(schedule)
    yield "Next", _next(schedule)
    yield "Catches up", print_duration(schedule.catch_up)
    yield "Overlap", schedule.overlap
    yield "Made by", schedule.by
    yield "Created", schedule.created
    yield "Updated", schedule.updated
    yield "Newest job", f"{schedule.job_id} {schedule.job_status or 'gone'}" if schedule.job_id else ""
    counts = {
        "submitted": schedule.submitted,
        "skipped": schedule.skipped,
        "missed": schedule.missed,
        "refused": schedule.refused,
    }
    yield "So far", ", ".join(f"{count} {outcome}" for outcome, count in counts.items())


def _when(schedule: shapes.Schedule) -> str:
    if schedule.cron is not None:
        return f"{schedule.cron} ({schedule.time_zone})"
    if schedule.every is not None:
        return f"every {print_duration(schedule.every)}"
    return f"at {schedule.at}"


def _next(schedule: shapes.Schedule) -> str:
    if schedule.paused:
        return "paused"
    return schedule.next_times[0] if schedule.next_times else "over"


def _last(schedule: shapes.Schedule) -> str:
    return schedule.firings[0].outcome if schedule.firings else ""
