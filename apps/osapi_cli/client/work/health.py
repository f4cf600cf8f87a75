"""What `osapi client health` does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from osapi_cli import exits, output
from osapi_cli.client import health_shapes as shapes
from osapi_cli.client.http import ask
from osapi_cli.human import size
from osapi_cli.output import Heading, Paragraph, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from osapi_cli.group import Flags
    from osapi_cli.output import Block

_WELL: Final = frozenset({"ok", "ready"})


def probe(flags: Flags, path: str) -> int:
    """Show one word, and why if it is not well."""
    answer = ask(flags, "GET", path, also=(503,))
    health = answer.read(shapes.Health)
    output.present(
        answer.body,
        [Paragraph(f"{health.status}: {health.error}" if health.error else health.status)],
        as_json=flags.json,
    )
    return exits.OK if health.status in _WELL else exits.FAILED


def status(flags: Flags) -> int:
    """Show all there is to see."""
    answer = ask(flags, "GET", "/health/status", also=(503,))
    found = answer.read(shapes.HealthStatus)
    output.present(answer.body, _status(found), as_json=flags.json)
    return exits.OK if found.status in _WELL else exits.FAILED


def _status(found: shapes.HealthStatus) -> Iterator[Block]:
    yield Heading("Server")
    server = [("Status", found.status), ("Version", found.version), ("Uptime", found.uptime)]
    if found.nats.url:
        server.append(("Broker", f"{found.nats.url}, version {found.nats.version}"))
    yield Table(rows=server)
    yield Heading("Components")
    yield Table(
        columns=("COMPONENT", "STATUS", "ERROR"),
        rows=[(name, component.status, component.error) for name, component in found.components.items()],
    )
    if found.jobs:
        yield Heading("Jobs")
        yield Table(rows=[(name, str(count)) for name, count in found.jobs.items()])
    yield Heading("Agents")
    yield Paragraph(f"{found.agents.ready} of {found.agents.total} ready")
    if found.registry:
        rows = [_entry(line) for line in found.registry]
        columns = [name for name in rows[0] if any(row[name] for row in rows)]
        yield Table(
            columns=columns, right=frozenset({"CPU", "MEMORY"}), rows=[[row[name] for name in columns] for row in rows]
        )
    yield from _broker(found)


def _entry(line: shapes.RegistryLine) -> dict[str, str]:
    return {
        "TYPE": line.type,
        "HOSTNAME": line.hostname,
        "STATUS": line.status,
        "CONDITIONS": ", ".join(line.conditions),
        "CPU": "" if line.cpu_percent is None else f"{line.cpu_percent:g} %",
        "MEMORY": "" if line.mem_bytes is None else size(line.mem_bytes),
        "AGE": line.age,
    }


def _broker(found: shapes.HealthStatus) -> Iterator[Block]:
    yield from _figures(
        "Streams",
        ("STREAM", "MESSAGES", "SIZE", "CONSUMERS"),
        [(each.name, str(each.messages), size(each.bytes), str(each.consumers)) for each in found.streams],
    )
    yield from _figures(
        "Buckets",
        ("BUCKET", "KEYS", "SIZE"),
        [(each.name, str(each.keys), size(each.bytes)) for each in found.kv_buckets],
    )
    if found.consumers:
        yield from _figures(
            "Consumers",
            ("CONSUMER", "PENDING", "UNACKNOWLEDGED", "REDELIVERED"),
            [
                (each.name, str(each.pending), str(each.ack_pending), str(each.redelivered))
                for each in found.consumers.consumers
            ],
        )


def _figures(name: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[Block]:
    if rows:
        yield Heading(name)
        yield Table(columns=columns, rows=rows, right=frozenset(columns[1:]))
