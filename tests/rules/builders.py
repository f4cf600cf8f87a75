"""Small records for the tests of the rules, and strategies that make them collide."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from msgspec import Raw

from osapi.rules.records import ANY_SLOT, VERSION, Definition, Record, SlotStatus


def definition(**changes: Any) -> Definition:
    fields: dict[str, Any] = {
        "v": VERSION,
        "id": "01",
        "operation": "node.hostname.get",
        "kind": "query",
        "target": "_any",
        "origin": "c0ffee",
        "data": Raw(b"null"),
        "created": 100.0,
        "finish_by": 200.0,
        "expires": 300.0,
    }
    return Definition(**{**fields, **changes})


def record(status: SlotStatus = SlotStatus.RUNNING, **changes: Any) -> Record:
    fields: dict[str, Any] = {
        "v": VERSION,
        "job": "01",
        "slot": ANY_SLOT,
        "host": "web-01",
        "status": status,
        "attempt": 1,
        "lease": "s.1",
        "lease_until": 120.0,
        "claimed": 110.0,
        "updated": 110.0,
    }
    return Record(**{**fields, **changes})


statuses = st.sampled_from(list(SlotStatus))
moments = st.sampled_from([100.0, 110.0, 119.9, 120.0, 150.0, 199.9, 200.0, 250.0])
