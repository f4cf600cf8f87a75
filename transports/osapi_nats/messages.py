"""Stored messages as JetStream hands them out: direct, read out by the leader, or delivered."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from osapi.transport import Entry, Message
from osapi_nats.api import unix
from osapi_nats.headers import Headers, parse_headers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from osapi.transport import Change
    from osapi_nats.api import StoredMessage
    from osapi_nats.connection import Incoming

_OPERATIONS: dict[str, Change] = {"DEL": "delete", "PURGE": "purge"}
# What the server writes by itself when a value's time is up, or its key is purged or removed.
_REASONS: dict[str, Change] = {"MaxAge": "expire", "Purge": "purge", "Remove": "delete"}

# A direct read of what was stored without headers.
_DIRECT = re.compile(
    rb"NATS/1\.0\r\nNats-Stream: [^\r\n]*\r\nNats-Subject: ([^\r\n]*)\r\nNats-Sequence: (\d+)\r\n"
    rb"Nats-Time-Stamp: ([^\r\n]*)\r\n(?:Nats-Num-Pending: \d+\r\nNats-Last-Sequence: \d+\r\n)?\r\n"
).fullmatch


def change_of(headers: Mapping[str, str]) -> Change:
    """Tell a value from the markers by its headers."""
    if isinstance(headers, Headers):
        # A comparison or a lifetime is all that most values have.
        block = headers.block
        if b"\r\nKV-Operation:" not in block and b"\r\nNats-Marker-Reason:" not in block:
            return "put"
    if not headers:
        return "put"
    if reason := headers.get("Nats-Marker-Reason"):
        return _REASONS.get(reason, "expire")
    return _OPERATIONS.get(headers.get("KV-Operation", ""), "put")


class Place(NamedTuple):
    """Where a delivered message stands: counts, its sequence in the stream, Unix seconds, how many are to come."""

    deliveries: int
    sequence: int
    number: int  # in the order in which the consumer delivered
    created: float
    pending: int


def place_of(reply: str) -> Place:
    """Read the reply subject of a delivery, in the server's older form or the newer one with domain and account.

    $JS.ACK.<stream>.<consumer>.<deliveries>.<sequence>.<number>.<nanoseconds>.<pending>
    """
    tokens = reply.split(".")
    at = _place_at(tokens)
    deliveries, sequence, number, created, pending = tokens[at : at + 5]
    return Place(int(deliveries), int(sequence), int(number), int(created) / 1e9, int(pending))


def delivery_of(reply: str) -> tuple[int, int]:
    """Read only how often a delivery was made, and its sequence in the stream."""
    tokens = reply.split(".")
    at = _place_at(tokens)
    return int(tokens[at]), int(tokens[at + 1])


def _place_at(tokens: list[str]) -> int:
    return 4 if len(tokens) == 9 else 6


def entry_of(key_at: int, told: Incoming) -> Entry:
    """Return the entry of a direct read; a key begins at this place of its subject."""
    headers = told.headers
    if isinstance(headers, Headers) and (plain := _DIRECT(headers.block)):
        subject, sequence, stamp = plain.groups()
        return Entry(subject.decode()[key_at:], told.payload, int(sequence), unix(stamp.decode()))
    change = change_of(headers)
    return Entry(
        headers["Nats-Subject"][key_at:],
        told.payload if change == "put" else b"",
        int(headers["Nats-Sequence"]),
        unix(headers["Nats-Time-Stamp"]),
        change,
    )


def stored_entry(key_at: int, stored: StoredMessage) -> Entry:
    """Return the entry of what the leader read out."""
    change = change_of(_headers(stored))
    value = stored.data if change == "put" else b""
    return Entry(stored.subject[key_at:], value, stored.seq, unix(stored.time), change)


def message_of(subject_at: int, told: Incoming) -> Message:
    """Return the message of a direct read; its subject begins after the namespace."""
    headers = told.headers
    return Message(
        headers["Nats-Subject"][subject_at:],
        told.payload,
        int(headers["Nats-Sequence"]),
        unix(headers["Nats-Time-Stamp"]),
        users(headers),
    )


def stored_message(subject_at: int, stored: StoredMessage) -> Message:
    """Return the message that the leader read out."""
    headers = users(_headers(stored))
    return Message(stored.subject[subject_at:], stored.data, stored.seq, unix(stored.time), headers)


def users(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that whoever published gave; all of the server's own begin with `Nats-`."""
    if not headers:
        return {}
    return {name: value for name, value in headers.items() if not name.startswith("Nats-")}


def _headers(stored: StoredMessage) -> dict[str, str]:
    return parse_headers(stored.hdrs)[2] if stored.hdrs else {}
