"""The endpoints under /audit."""

from __future__ import annotations

import re
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Meta, Struct

from osapi_api.audit import Audit, Entry
from osapi_api.endpoints import Endpoint, Reply
from osapi_api.problems import Problem, ProblemError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from osapi_api.endpoints import Call

_ID = re.compile(r"[0-9a-f-]{1,36}")


class AuditQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which entries to list."""

    limit: Annotated[int, Meta(ge=1, le=100)] = 10
    offset: Annotated[int, Meta(ge=0, le=2**53)] = 0


class EntryList(Struct, frozen=True, kw_only=True):
    """Entries of the audit, newest first; `total_items` counts all there are."""

    total_items: int
    items: tuple[Entry, ...]


class OneEntry(Struct, frozen=True, kw_only=True):
    """One entry of the audit."""

    entry: Entry


async def list_entries(call: Call) -> Reply:
    """Return the newest entries, and how many there are."""
    query: AuditQuery = call.query
    total, items = await _audit(call).newest(query.limit, query.offset)
    return Reply(EntryList(total_items=total, items=tuple(items)))


async def get_entry(call: Call) -> Reply:
    """Return one entry."""
    audit, entry_id = _audit(call), call.path["entry_id"]
    if not _ID.fullmatch(entry_id):
        raise ProblemError(400, f"{entry_id[:40]!r} is no id of an entry; give one that /audit has told")
    entry = await audit.get(entry_id)
    if entry is None:
        raise ProblemError(404, f"there is no entry {entry_id}: it never was, or has outlived its lifetime")
    return Reply(OneEntry(entry=entry))


async def export_entries(call: Call) -> Reply:
    """Return all entries, oldest first, one a line."""
    return Reply(_lines(_audit(call)), content_type="application/jsonl")


async def _lines(audit: Audit) -> AsyncGenerator[bytes]:
    async with aclosing(audit.pages()) as pages:
        async for page in pages:
            yield msgspec.json.Encoder().encode_lines(page)


def _audit(call: Call) -> Audit:
    if call.api.audit is None:
        raise ProblemError(404, "no audit is kept here")
    return call.api.audit


_READ = partial(Endpoint, method="GET", permission="audit:read")

ENDPOINTS: Final = (
    _READ(
        name="list_audit",
        path="/audit",
        summary="List who asked for what, newest first",
        handler=list_entries,
        query=AuditQuery,
        answers={200: EntryList, 400: Problem, 404: Problem},
    ),
    _READ(
        name="export_audit",
        path="/audit/export",
        summary="Export all entries of the audit as JSON lines, oldest first",
        handler=export_entries,
        answers={200: None, 404: Problem},
    ),
    _READ(
        name="get_audit",
        path="/audit/<entry_id>",
        summary="Show one entry of the audit",
        handler=get_entry,
        answers={200: OneEntry, 400: Problem, 404: Problem},
    ),
)
