"""Records to bytes and back: JSON, strict types, versioned.

A record carries the version of its format. A reader refuses versions it does not know; within a version, fields
may be added. Whether an unknown field is refused or ignored is each record's own decision (see `records`).
"""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

from osapi.errors import RecordError, UntrustedError
from osapi.rules import seals
from osapi.rules.alerts import Alerts
from osapi.rules.outlines import JobOutline, RecordOutline
from osapi.rules.records import (
    VERSION,
    Definition,
    Drain,
    Enrolment,
    Facts,
    Holder,
    Join,
    Known,
    Orders,
    Record,
    Registration,
    Story,
    Succession,
)
from osapi.rules.rollout_records import Rollout
from osapi.rules.schedule_records import Schedule
from osapi.rules.timeline import Timeline

T = TypeVar(
    "T",
    Definition,
    Record,
    Registration,
    Facts,
    Holder,
    Orders,
    Story,
    Known,
    Drain,
    Join,
    Enrolment,
    Succession,
    JobOutline,
    RecordOutline,
    Rollout,
    Schedule,
    Timeline,
    Alerts,
)


class _Version(msgspec.Struct):
    v: int


class Codec(Generic[T]):
    """Encode and decode one type of record.

    Its errors do not quote what they refuse: it may hold secrets.
    """

    def __init__(self, record_type: type[T]) -> None:
        self._name = record_type.__name__.lower()
        self._decoder: msgspec.json.Decoder[T] = msgspec.json.Decoder(record_type)
        self.encode = msgspec.json.Encoder().encode

    def decode(self, data: bytes) -> T:
        """Read a record.

        Raises:
            RecordError: it is damaged, of another version, or holds a field that must not be ignored.
            UntrustedError: it is not signed by who may write it.

        """
        try:
            record: T = self._decoder.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            refused = seals.refusal(data)
            if refused is not None:
                raise UntrustedError(f"the stored {self._name} is refused: {refused[0]}", refused[1]) from None
            sealed = seals.unpack(data)
            if sealed is not None and not sealed.value.startswith(seals.MAGIC):
                # This reader has no keys: it reads what it would have read before there were any.
                return self.decode(sealed.value)
            raise RecordError(f"the stored {self._name} {_why(data, error)}") from error
        if record.v != VERSION:
            raise RecordError(f"the stored {self._name} {_why(data, None)}")
        return record


def _why(data: bytes, error: Exception | None) -> str:
    try:
        version = msgspec.json.decode(data, type=_Version).v
    except (msgspec.DecodeError, UnicodeDecodeError):
        version = VERSION
    if version != VERSION:
        return f"has format {version}, this osapi reads format {VERSION}; upgrade the older side"
    return f"cannot be read: {error}"


DEFINITION = Codec(Definition)
RECORD = Codec(Record)
REGISTRATION = Codec(Registration)
FACTS = Codec(Facts)
HOLDER = Codec(Holder)
ORDERS = Codec(Orders)
STORY = Codec(Story)
KNOWN = Codec(Known)
DRAIN = Codec(Drain)
JOB_OUTLINE = Codec(JobOutline)
RECORD_OUTLINE = Codec(RecordOutline)
ROLLOUT = Codec(Rollout)
SCHEDULE = Codec(Schedule)
JOIN = Codec(Join)
ENROLMENT = Codec(Enrolment)
SUCCESSION = Codec(Succession)
TIMELINE = Codec(Timeline)
ALERTS = Codec(Alerts)
