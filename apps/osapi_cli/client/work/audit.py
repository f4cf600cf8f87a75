"""What `osapi client audit` does."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

import msgspec

from osapi_cli import exits, output
from osapi_cli.client import shapes
from osapi_cli.client.http import ask, download, part
from osapi_cli.output import Heading, Paragraph, Table
from osapi_cli.problems import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from osapi_cli.group import Flags
    from osapi_cli.output import Block


def list_entries(flags: Flags, limit: int, offset: int) -> int:
    """Show a page of the log."""
    answer = ask(flags, "GET", "/audit", query={"limit": limit, "offset": offset})
    found = answer.read(shapes.AuditList)
    output.present(answer.body, _list(found), as_json=flags.json)
    return exits.OK


def _list(found: shapes.AuditList) -> Iterator[Block]:
    yield Paragraph(f"Total: {found.total_items}, Showing: {len(found.items)}")
    if found.items:
        yield Table(
            columns=("ID", "TIME", "USER", "STATUS", "REQUEST", "FROM"),
            whole=frozenset({"ID"}),
            times=frozenset({"TIME"}),
            spare=frozenset({"FROM"}),
            rows=[
                (
                    each.id,
                    each.timestamp,
                    each.user,
                    str(each.response_code),
                    f"{each.method} {each.path}",
                    each.source_ip,
                )
                for each in found.items
            ],
        )


def get(flags: Flags, audit_id: str) -> int:
    """Show one entry."""
    answer = ask(flags, "GET", f"/audit/{part(audit_id)}")
    entry = answer.read(shapes.AuditOne).entry
    output.present(
        answer.body,
        [Heading(f"Audit entry {entry.id}"), Table(rows=[row for row in _rows(entry) if row[1]])],
        as_json=flags.json,
    )
    return exits.OK


def _rows(entry: shapes.AuditEntry) -> Sequence[tuple[str, str]]:
    return (
        ("Time", entry.timestamp),
        ("User", entry.user),
        ("Roles", ", ".join(entry.roles)),
        ("Request", f"{entry.method} {entry.path}"),
        ("Operation", entry.operation_id),
        ("From", entry.source_ip),
        ("Status", str(entry.response_code)),
        ("Duration", f"{entry.duration_ms:g} ms"),
        ("Trace", entry.trace_id),
    )


def export(flags: Flags, file: str | None) -> int:
    """Write the whole log, one entry a line."""
    lines = b"".join(line + b"\n" for line in _entries(download(flags, "/audit/export")))
    if file is None:
        output.write_raw(lines.decode(), "")
        return exits.OK
    _write(Path(file), lines)
    count = lines.count(b"\n")
    output.present(
        {"file": file, "entries": count},
        [Paragraph(f"{count} entr{'y is' if count == 1 else 'ies are'} written to {file}.")],
        as_json=flags.json,
    )
    return exits.OK


def _entries(told: bytes) -> Iterator[bytes]:
    """Yield the entries of an export: a page of all of them, or a line for each."""
    try:
        whole = msgspec.json.decode(told, type=_Export)
    except msgspec.DecodeError:
        whole = None
    if whole is not None:
        yield from map(bytes, whole.items)
        return
    try:
        for line in filter(None, told.splitlines()):
            yield msgspec.json.encode(msgspec.json.decode(line, type=dict))
    except msgspec.DecodeError as error:
        raise RefusedError(f"the server's export cannot be understood: {error}", exits.FAILED) from error


class _Export(msgspec.Struct, frozen=True):
    items: list[msgspec.Raw]


def _write(file: Path, content: bytes) -> None:
    # Whole or not at all: what is replaced may be the only copy of yesterday.
    try:
        with NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}.", delete=False) as made:
            try:
                made.write(content)
                made.flush()
                os.fsync(made.fileno())
                Path(made.name).replace(file)
            except BaseException:
                Path(made.name).unlink()
                raise
    except OSError as error:
        # Nobody has named the file that was to take its place.
        raise OSError(error.errno, error.strerror, str(file)) from error
