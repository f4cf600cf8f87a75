"""What a bucket, stream or consumer may be configured to be: JetStream's own limits, refused before it would."""

from __future__ import annotations

import re
from itertools import chain, combinations, product
from typing import TYPE_CHECKING

from osapi.errors import InvalidSettingError, InvalidSubjectError, MismatchError
from osapi.rules.messages import LONGEST
from osapi.rules.subjects import check_filter, overlaps

if TYPE_CHECKING:
    from collections.abc import Iterable

    from osapi.transport import BucketConfig, ConsumerConfig, StreamConfig

_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
_CONSUMER_NAME = re.compile(r"[A-Za-z0-9_=-]{1,255}")
_LETTERS = "letters, digits, - and _"

# Subjects the server keeps to itself: a stream that overlaps them is refused (10052), or takes a bucket's keys.
_RESERVED = ("$JS.>", "$JSC.>", "$NRG.>", "$SYS.>", "$KV.>")


def check_bucket(config: BucketConfig) -> None:
    """Refuse a bucket's settings.

    Raises:
        InvalidSettingError

    """
    _check_name("bucket", config.name)
    _require(1 <= config.history <= 64, "history", config.history, "1 to 64 revisions")
    _check_duration("ttl", config.ttl)
    _check_duration("marker_ttl", config.marker_ttl)
    _require(config.marker_ttl == 0 or config.marker_ttl >= 1, "marker_ttl", config.marker_ttl, "0, or at least 1 s")
    _check_limits(config, ("max_bytes", "max_value_size"))
    _check_storage(config)


def check_stream(config: StreamConfig) -> None:
    """Refuse a stream's settings.

    Raises:
        InvalidSettingError, InvalidSubjectError

    """
    _check_name("stream", config.name)
    if config.dead_letters_of:
        _check_name("stream", config.dead_letters_of)
        _require(config.dead_letters_of != config.name, "dead_letters_of", config.name, "the name of another stream")
        _require(not config.subjects, "subjects", config.subjects, "none: a stream of dead letters has its own")
    else:
        _require(bool(config.subjects), "subjects", config.subjects, "at least one subject")
    for subject in config.subjects:
        check_filter(subject)
        for reserved in _RESERVED:
            if overlaps(subject, reserved):
                raise InvalidSubjectError(subject, f"overlaps {reserved}", "begin with a token of your own")
    _check_disjoint(config.subjects, "of the same stream")
    _check_duration("max_age", config.max_age)
    _check_duration("duplicate_window", config.duplicate_window)
    _check_limits(config, ("max_msgs", "max_bytes", "max_msg_size", "max_msgs_per_subject", "max_consumers"))
    _require(config.discard in ("old", "new"), "discard", config.discard, "'old' or 'new'")
    _check_storage(config)


def check_consumer(config: ConsumerConfig, subjects: Iterable[str]) -> None:
    """Refuse a consumer's settings on a stream of these subjects.

    Raises:
        InvalidSettingError, InvalidSubjectError

    """
    if not _CONSUMER_NAME.fullmatch(config.name):
        raise InvalidSettingError(config.name, "is not a consumer's name", f"use {_LETTERS} and =, at most 255")
    subjects = tuple(subjects)
    remedy = f"it has {', '.join(subjects)}" if subjects else "take every dead letter: give no filter"
    for pattern in config.filters:
        check_filter(pattern)
        if not any(overlaps(pattern, subject) for subject in subjects):
            raise InvalidSubjectError(pattern, "matches no subject of the stream", remedy)
    _check_disjoint(config.filters, "of the same consumer")
    _require(config.deliver in ("all", "new"), "deliver", config.deliver, "'all' or 'new'")
    for seconds in (config.ack_wait, *config.backoff):
        # Below a millisecond the floating-point clock would stand still between one delivery and the next.
        _require(0.001 <= seconds <= LONGEST, "ack_wait or backoff", seconds, f"at least 0.001 s, at most {LONGEST}")
    _check_limits(config, ("max_deliver", "max_ack_pending"))
    if 0 < config.max_deliver < len(config.backoff):
        raise InvalidSettingError(config.backoff, f"is longer than max_deliver {config.max_deliver}", "shorten it")
    _require(config.max_waiting >= 1, "max_waiting", config.max_waiting, "at least 1")
    _check_duration("inactive_threshold", config.inactive_threshold)


def check_same(kind: str, mine: BucketConfig | StreamConfig, theirs: BucketConfig | StreamConfig) -> None:
    """Refuse to open something under other settings than it has.

    Raises:
        MismatchError: lists each setting that differs.

    """
    differing = [
        f"{field} is {_comparable(getattr(theirs, field))!r}, not {_comparable(getattr(mine, field))!r}"
        for field in mine.__struct_fields__
        if _comparable(getattr(theirs, field)) != _comparable(getattr(mine, field))
    ]
    if differing:
        raise MismatchError(f"{kind} {mine.name} exists with other settings: {'; '.join(differing)}")


def check_apart(config: StreamConfig, others: Iterable[StreamConfig]) -> None:
    """Refuse subjects that another stream has, the dead letters of a stream included.

    Raises:
        MismatchError

    """
    for other in others:
        if config.dead_letters_of and config.dead_letters_of == other.dead_letters_of:
            raise MismatchError(
                f"stream {config.name}: the dead letters of {config.dead_letters_of} go to stream {other.name} already"
            )
        for mine in config.subjects:
            for theirs in other.subjects:
                if overlaps(mine, theirs):
                    raise MismatchError(
                        f"stream {config.name}: subject {mine!r} overlaps {theirs!r} of stream {other.name}"
                    )


def _comparable(value: object) -> object:
    """Return a setting so that the order of subjects makes no difference."""
    return sorted(map(str, value)) if isinstance(value, tuple) else value  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def _check_name(kind: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidSettingError(name, f"is not a {kind}'s name", f"use {_LETTERS}, at most 255 of them")


def overlapping(patterns: Iterable[str]) -> tuple[str, str] | None:
    """Return two patterns that some subject matches both of, None if there are none."""
    literal: set[str] = set()
    wild: list[str] = []
    for pattern in patterns:
        if pattern in literal:
            return pattern, pattern
        if "*" in pattern or ">" in pattern:
            wild.append(pattern)
        else:
            literal.add(pattern)
    pairs = chain(combinations(wild, 2), product(wild, sorted(literal)))
    return next(((one, other) for one, other in pairs if overlaps(one, other)), None)


def _check_disjoint(patterns: Iterable[str], whose: str) -> None:
    pair = overlapping(patterns)
    if pair:
        raise InvalidSubjectError(pair[0], f"overlaps {pair[1]!r} {whose}", "give patterns with no subject in common")


def _check_duration(setting: str, seconds: float) -> None:
    _require(0 <= seconds <= LONGEST, setting, seconds, f"seconds, 0 for none, at most {LONGEST}")


def _check_limits(config: object, settings: Iterable[str]) -> None:
    for setting in settings:
        limit = getattr(config, setting)
        _require(limit == -1 or limit >= 1, setting, limit, "-1 for no limit, or at least 1")


def _check_storage(config: BucketConfig | StreamConfig) -> None:
    _require(config.storage in ("file", "memory"), "storage", config.storage, "'file' or 'memory'")
    _require(1 <= config.replicas <= 5, "replicas", config.replicas, "1 to 5")


def _require(holds: bool, setting: str, value: object, allowed: str) -> None:  # noqa: FBT001 - the condition itself
    if not holds:
        raise InvalidSettingError(value, f"is no {setting}", f"give {allowed}")
