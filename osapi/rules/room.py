"""How many bytes JetStream takes for what it stores, headers of its own included: they count in every limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from osapi.rules.messages import headers_size

if TYPE_CHECKING:
    from collections.abc import Mapping


Storage = Literal["file", "memory"]
Change = Literal["put", "delete", "purge", "expire"]

# What is added to a stored message, and to one that has headers (filestore.go, memstore.go).
OVERHEAD: dict[Storage, int] = {"file": 30, "memory": 16}
OVERHEAD_OF_HEADERS: dict[Storage, int] = {"file": 4, "memory": 0}

# The server adds it to a schedule, after it has looked at the size.
ROLLUP = len("Nats-Rollup: sub\r\n")

# A moment is written to the microsecond, so each takes the same.
_AT = "@at 2026-01-01T00:00:00.000000Z"
_VERSION = len("NATS/1.0\r\n\r\n")
_TTL = len("Nats-TTL: s\r\n")
_EXPECTED = len("Nats-Expected-Last-Subject-Sequence: \r\n")
_CHANGES: dict[Change, int] = {
    "put": 0,
    "delete": len("KV-Operation: DEL\r\n"),
    "purge": len("KV-Operation: PURGE\r\nNats-Rollup: sub\r\n"),
    "expire": len("Nats-Marker-Reason: MaxAge\r\nNats-Rollup: sub\r\n"),
}


def stored_size(storage: Storage, subject: int, payload: int, headers: int) -> int:
    """Return the bytes that a message takes of `max_bytes`, from the lengths of its parts."""
    return OVERHEAD[storage] + subject + payload + (headers + OVERHEAD_OF_HEADERS[storage] if headers else 0)


def entry_room(change: Change, ttl: int | None, expected: int | None) -> int:
    """Return the bytes for an entry of a bucket; a comparison is stored with what it let through."""
    size = _CHANGES[change]
    if ttl is not None:
        size += _TTL + len(_duration(ttl) if change == "expire" else str(ttl))
    if expected is not None:
        size += _EXPECTED + len(str(expected))
    return size + _VERSION if size else 0


def message_room(headers: Mapping[str, str], ttl: int | None, msg_id: str | None) -> int:
    """Return the bytes for a message."""
    kept = {**headers, **_lifetime("Nats-TTL", ttl)}
    return headers_size(kept if msg_id is None else {**kept, "Nats-Msg-Id": msg_id})


def schedule_room(headers: Mapping[str, str], target: str, ttl: int | None) -> int:
    """Return the bytes for a message that waits for its time; the server adds `ROLLUP` when it stores it."""
    plan = {"Nats-Schedule": _AT, "Nats-Schedule-Target": target}
    return headers_size({**headers, **plan, **_lifetime("Nats-Schedule-TTL", ttl)})


def scheduled_room(headers: Mapping[str, str], schedule: str, ttl: int | None) -> int:
    """Return the bytes for a message whose time has come, from its schedule's subject."""
    told = {"Nats-Scheduler": schedule, "Nats-Schedule-Next": "purge"}
    return headers_size({**headers, **told, **_lifetime("Nats-TTL", ttl)})


def _duration(seconds: int) -> str:
    """Return a lifetime as Go writes it, without its last letter: 90 is 1m30s."""
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{seconds}" if hours else f"{minutes}m{seconds}" if minutes else str(seconds)


def _lifetime(header: str, ttl: int | None) -> dict[str, str]:
    return {} if ttl is None else {header: f"{ttl}s"}
