"""How many bytes JetStream takes for headers, those of its own included: they count in every limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from osapi.rules.messages import headers_size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from osapi.transport import Change

# A moment is written to the microsecond, so each takes the same.
_AT = "@at 2026-01-01T00:00:00.000000Z"
_VERSION = len("NATS/1.0\r\n\r\n")
_TTL = len("Nats-TTL: s\r\n")
_EXPECTED = len("Nats-Expected-Last-Subject-Sequence: \r\n")
_CHANGES: dict[Change, int] = {
    "put": 0,
    "delete": len("KV-Operation: DEL\r\n"),
    "purge": len("KV-Operation: PURGE\r\nNats-Rollup: sub\r\n"),
    "expire": len("Nats-Marker-Reason: MaxAge\r\n"),
}


def entry_room(change: Change, ttl: int | None, expected: int | None) -> int:
    """Return the bytes for an entry of a bucket; a comparison is stored with what it let through."""
    size = _CHANGES[change]
    if ttl is not None:
        size += _TTL + len(str(ttl))
    if expected is not None:
        size += _EXPECTED + len(str(expected))
    return size + _VERSION if size else 0


def message_room(headers: Mapping[str, str], ttl: int | None, msg_id: str | None) -> int:
    """Return the bytes for a message."""
    kept = {**headers, **_lifetime("Nats-TTL", ttl)}
    return headers_size(kept if msg_id is None else {**kept, "Nats-Msg-Id": msg_id})


def schedule_room(headers: Mapping[str, str], target: str, ttl: int | None) -> int:
    """Return the bytes for a message that waits for its time."""
    plan = {"Nats-Schedule": _AT, "Nats-Schedule-Target": target, "Nats-Rollup": "sub"}
    return headers_size({**headers, **plan, **_lifetime("Nats-Schedule-TTL", ttl)})


def scheduled_room(headers: Mapping[str, str], schedule: str, ttl: int | None) -> int:
    """Return the bytes for a message whose time has come, from its schedule's subject."""
    told = {"Nats-Scheduler": schedule, "Nats-Schedule-Next": "purge"}
    return headers_size({**headers, **told, **_lifetime("Nats-TTL", ttl)})


def _lifetime(header: str, ttl: int | None) -> dict[str, str]:
    return {} if ttl is None else {header: f"{ttl}s"}
