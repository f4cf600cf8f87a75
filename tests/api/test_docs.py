"""The tables of the reference show what is served."""

from __future__ import annotations

import re
from pathlib import Path

import osapi_api
from osapi_api.offered import FIXED
from osapi_api.routes import ROUTES

DOCS = Path(__file__).parents[2] / "docs"


def told(page: str, pattern: str) -> list[tuple[str, ...]]:
    return re.findall(pattern, (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE)


def shown(path: str) -> str:
    for name in ("job_id", "rollout_id", "entry_id"):
        path = path.replace(f"<{name}>", "<id>")
    return path.replace("<", "{").replace(">", "}")


def test_the_table_of_operations_is_complete() -> None:
    rows = told("reference/rest.md", r"^\| `(\w+) (\S+)` \| `([\w.]+)` \| ([\d ]+) \|")
    assert rows == [
        (r.method, shown(r.path), r.operation, f"{r.status} 404" if r.missing else f"{r.status}") for r in ROUTES
    ]


def test_the_tables_of_the_other_endpoints_are_complete() -> None:
    rows = told("reference/rest.md", r"^\| `(\w+) ([^`?]+)[^`]*` \| (?:`([\w:]+)`|none)[^|]* \| ([\d ]+) \| ")
    assert rows == [
        (e.method, shown(e.path), e.permission or "", " ".join(str(status) for status in sorted(e.answers)))
        for e in FIXED
    ]


def test_the_table_of_options_is_complete() -> None:
    rows = told("howto/mount-the-api.md", r"^\| `(\w+)` \| `?(.*?)`? \|")
    options = osapi_api.Options()
    assert rows == [(name, repr(getattr(options, name))) for name in options.__struct_fields__]
