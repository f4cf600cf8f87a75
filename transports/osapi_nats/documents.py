"""Our settings as JetStream's own configuration documents, and what differs between two of these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from osapi.errors import MismatchError
from osapi.transport import ConsumerConfig

if TYPE_CHECKING:
    from osapi.transport import BucketConfig, StreamConfig

# The server allows 1,000 consumers unless a stream says otherwise (10026), and each watch is one.
_MAX_CONSUMERS = 100_000
_DEFAULT_WINDOW = 120.0

_NANOSECONDS = ("max_age", "duplicate_window", "subject_delete_marker_ttl")


def ns(seconds: float) -> int:
    """Return nanoseconds, which is how the server counts."""
    return round(seconds * 1e9)


def bucket_stream(name: str) -> str:
    """Name the stream that is a bucket."""
    return f"KV_{name}"


def bucket_document(name: str, config: BucketConfig) -> dict[str, Any]:
    """Write a bucket's stream as nats-py, the Go client and the nats tool would make it and can read it."""
    return {
        "name": bucket_stream(name),
        "subjects": [f"$KV.{name}.>"],
        "retention": "limits",
        "max_consumers": _MAX_CONSUMERS,
        "max_msgs": -1,
        "max_bytes": config.max_bytes,
        "max_age": ns(config.ttl),
        "max_msgs_per_subject": config.history,
        "max_msg_size": config.max_value_size,
        "discard": "new",
        "storage": config.storage,
        "num_replicas": config.replicas,
        "duplicate_window": ns(min(config.ttl or _DEFAULT_WINDOW, _DEFAULT_WINDOW)),
        "allow_rollup_hdrs": True,
        "deny_delete": True,
        "allow_direct": True,
        "allow_msg_ttl": True,
        "subject_delete_marker_ttl": ns(config.marker_ttl),
    }


def dead_letter_subjects(stream: str) -> list[str]:
    """Return what the server tells on when a consumer of a stream gives a message up; `stream` with the namespace."""
    return [f"$JS.EVENT.ADVISORY.CONSUMER.{kind}.{stream}.*" for kind in ("MAX_DELIVERIES", "MSG_TERMINATED")]


def stream_document(name: str, subjects: list[str], config: StreamConfig) -> dict[str, Any]:
    """Write a stream's configuration; `name` and `subjects` with the namespace."""
    window = config.duplicate_window or _DEFAULT_WINDOW
    return {
        "name": name,
        "subjects": subjects,
        "retention": "limits",
        "max_consumers": config.max_consumers,
        "max_msgs": config.max_msgs,
        "max_bytes": config.max_bytes,
        "max_age": ns(config.max_age),
        "max_msgs_per_subject": config.max_msgs_per_subject,
        "max_msg_size": config.max_msg_size,
        "discard": config.discard,
        "discard_new_per_subject": config.discard == "new" and config.max_msgs_per_subject > 0,
        "storage": config.storage,
        "num_replicas": config.replicas,
        # The server refuses a window longer than the messages live.
        "duplicate_window": ns(min(config.max_age or window, window)),
        "allow_rollup_hdrs": True,
        "allow_direct": True,
        "allow_msg_ttl": True,
        # Schedules and discard new exclude each other at the server.
        "allow_msg_schedules": config.discard == "old",
    }


def consumer_document(config: ConsumerConfig, filters: list[str]) -> dict[str, Any]:
    """Write a durable pull consumer's configuration; `filters` with the namespace."""
    return {
        "name": config.name,
        "durable_name": config.name,
        "deliver_policy": config.deliver,
        "ack_policy": "explicit",
        "ack_wait": ns(config.backoff[0] if config.backoff else config.ack_wait),
        "backoff": [ns(seconds) for seconds in config.backoff],
        "max_deliver": config.max_deliver,
        "max_ack_pending": config.max_ack_pending,
        "max_waiting": config.max_waiting,
        "inactive_threshold": ns(config.inactive_threshold),
        "filter_subjects": filters,
        "replay_policy": "instant",
    }


def consumer_config(document: dict[str, Any], subjects: list[str], subject_at: int) -> ConsumerConfig:
    """Read a consumer's configuration back; what other programs may have set besides is left out.

    Who has all `subjects` of the stream has no filters. Our part of a subject begins at `subject_at`.
    """
    single = document.get("filter_subject")
    filters = document.get("filter_subjects") or ([single] if single else [])
    if set(filters) == set(subjects):
        filters = []
    return ConsumerConfig(
        name=document.get("durable_name") or document.get("name", ""),
        filters=tuple(pattern[subject_at:] for pattern in filters),
        deliver="new" if document.get("deliver_policy") == "new" else "all",
        ack_wait=document.get("ack_wait", 0) / 1e9,
        backoff=tuple(pause / 1e9 for pause in document.get("backoff") or ()),
        max_deliver=document.get("max_deliver", -1),
        max_ack_pending=document.get("max_ack_pending", -1),
        max_waiting=document.get("max_waiting", 512),
        inactive_threshold=document.get("inactive_threshold", 0) / 1e9,
    )


def check_document(what: str, mine: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Refuse to open something that has other settings; what mine leaves out is not compared.

    Raises:
        MismatchError: lists each setting that differs, under JetStream's name for it.

    """
    differing = [
        f"{field} is {_told(field, theirs.get(field))}, not {_told(field, value)}"
        for field, value in mine.items()
        if _comparable(theirs.get(field)) != _comparable(value)
    ]
    if differing:
        raise MismatchError(f"{what} exists with other settings: {'; '.join(differing)}")


def _comparable(value: Any) -> object:
    # The server leaves out what is empty; the order of subjects makes no difference.
    return sorted(value) if isinstance(value, list) else (value or None)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def _told(field: str, value: Any) -> str:
    return f"{(value or 0) / 1e9:g} s" if field in _NANOSECONDS else repr(value)
