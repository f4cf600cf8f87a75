"""What the broker tells of a message that was given up, as JetStream writes it (S7 of `osapi.transport`)."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec import Struct, json

from osapi.errors import LimitReachedError, PayloadTooLargeError

if TYPE_CHECKING:
    from osapi_memory.stream_core import StreamCore

_SUBJECT = "$JS.EVENT.ADVISORY.CONSUMER"
_TYPE = "io.nats.jetstream.advisory.v1"

_encode = json.Encoder().encode


class _Advisory(Struct, frozen=True, omit_defaults=True):
    type: str
    timestamp: str
    stream: str
    consumer: str
    stream_seq: int
    deliveries: int
    reason: str = ""


class GivenUp(Struct, frozen=True):
    """A message that a consumer will not deliver any more; `reason` is None where `max_deliver` was reached."""

    consumer: str
    sequence: int
    deliveries: int
    reason: str | None = None


def unheard(given_up: GivenUp) -> None:
    """Tell nobody: the stream has no dead letters."""


def bury(letters: StreamCore, stream: str, given_up: GivenUp, now: float) -> None:
    """Store what happened in a stream of dead letters; if that is full, it is lost, as on the server."""
    name, kind = ("MAX_DELIVERIES", "max_deliver") if given_up.reason is None else ("MSG_TERMINATED", "terminated")
    told = _Advisory(
        type=f"{_TYPE}.{kind}",
        timestamp=datetime.fromtimestamp(now, UTC).isoformat().replace("+00:00", "Z"),
        stream=stream,
        consumer=given_up.consumer,
        stream_seq=given_up.sequence,
        deliveries=given_up.deliveries,
        reason=(given_up.reason or "").strip(),
    )
    with suppress(LimitReachedError, PayloadTooLargeError):
        letters.publish(f"{_SUBJECT}.{name}.{stream}.{given_up.consumer}", _encode(told), {}, now)
