"""What `osapi client job dlq` does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from osapi_cli import exits, output
from osapi_cli.client import shapes
from osapi_cli.client.http import ask
from osapi_cli.client.work.job import detail
from osapi_cli.output import Heading, Paragraph, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from osapi_cli.group import Flags
    from osapi_cli.output import Block


def list_letters(flags: Flags, which: Mapping[str, str | None], limit: int) -> int:
    """Show the newest of those dead letters."""
    answer = ask(flags, "GET", "/job/dlq", query={**which, "limit": limit})
    found = answer.read(shapes.DeadLetterList)
    output.present(answer.body, _list(found), as_json=flags.json)
    return exits.OK


def _list(found: shapes.DeadLetterList) -> Iterator[Block]:
    yield Paragraph(f"Total: {found.total_items}, Showing: {len(found.items)}")
    if found.items:
        yield Table(
            columns=("SEQUENCE", "TIME", "HOSTNAME", "OPERATION", "TARGET", "REASON"),
            right=frozenset({"SEQUENCE"}),
            times=frozenset({"TIME"}),
            rows=[
                (str(each.sequence), each.timestamp, each.hostname, each.operation, each.target, each.reason)
                for each in found.items
            ],
        )


def show(flags: Flags, sequence: int) -> int:
    """Show one dead letter."""
    answer = ask(flags, "GET", f"/job/dlq/{sequence}")
    letter = answer.read(shapes.DeadLetter)
    output.present(answer.body, _detail(letter), as_json=flags.json)
    return exits.OK


def _detail(letter: shapes.DeadLetter) -> Iterator[Block]:
    yield Heading(f"Dead letter {letter.sequence}")
    rows = [
        ("Given up", letter.timestamp),
        ("Reason", letter.reason),
        ("Hostname", letter.hostname),
        ("Consumer", letter.consumer),
        ("Deliveries", str(letter.deliveries)),
    ]
    yield Table(rows=[(name, value) for name, value in rows if value])
    if letter.job is None:
        yield Paragraph(f"Nothing is left of its job{f' {letter.job_id}' if letter.job_id else ''}.")
    else:
        yield from detail(letter.job)


def replay(flags: Flags, sequence: int) -> int:
    """Submit the job of a dead letter once more."""
    answer = ask(flags, "POST", f"/job/dlq/{sequence}/replay")
    created = answer.read(shapes.JobCreated)
    output.present(answer.body, [Paragraph(f"Job {created.job_id} is submitted.")], as_json=flags.json)
    return exits.OK


def purge_one(flags: Flags, sequence: int) -> int:
    """Remove one dead letter."""
    ask(flags, "DELETE", f"/job/dlq/{sequence}")
    return _purged(flags, 1)


def purge(flags: Flags, which: Mapping[str, str | None]) -> int:
    """Remove those dead letters."""
    return _purged(flags, ask(flags, "DELETE", "/job/dlq", query=which).read(shapes.Purged).purged)


def _purged(flags: Flags, count: int) -> int:
    output.present(
        {"purged": count},
        [Paragraph(f"{count} dead letter{' is' if count == 1 else 's are'} removed.")],
        as_json=flags.json,
    )
    return exits.OK
