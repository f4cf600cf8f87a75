"""What a dead letter says: read, told from mere deletions, and traced to its job."""

from __future__ import annotations

import msgspec

from osapi.errors import InvalidKeyError, InvalidSubjectError, RecordError
from osapi.rules.keys import parse_notification_subject

# The reason that nobody gave: the message was gone before it was answered (S7 of `osapi.transport`).
DELETED = "Unacknowledged message was deleted"


class Advisory(msgspec.Struct, frozen=True):
    """What the broker tells of a message that was given up (S7); other fields are ignored."""

    type: str
    consumer: str
    stream_seq: int
    deliveries: int
    reason: str = ""

    @property
    def is_given_up(self) -> bool:
        """Tell whether somebody gave the message up: it did not just end with its lifetime, or with its job."""
        return self.type.endswith(".max_deliver") or self.reason != DELETED

    @property
    def told(self) -> str:
        """Return the reason that was given, or what stands in its place."""
        if self.type.endswith(".max_deliver"):
            return f"none of its {self.deliveries} deliveries was acknowledged (max_deliver)"
        return self.reason


_decode = msgspec.json.Decoder(Advisory).decode


def parse_advisory(payload: bytes) -> Advisory:
    """Read a dead letter.

    Raises:
        RecordError: it is none.

    """
    try:
        return _decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecordError(f"the dead letter cannot be read: {error}") from error


def job_of(subject: str) -> str | None:
    """Return the id of the job that a message is the notification of, None if it is another message."""
    try:
        return parse_notification_subject(subject).job_id
    except (InvalidSubjectError, InvalidKeyError):
        return None
