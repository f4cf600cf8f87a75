"""Subjects and keys as a broker sees them: what is well formed, what matches, what overlaps.

Both are dot-separated tokens; a filter may hold `*` for one token and a final `>` for one or more. The naive
functions here are the meaning; an index (the in-memory broker's trie) is tested against them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from osapi.errors import InvalidKeyError, InvalidSubjectError

if TYPE_CHECKING:
    from collections.abc import Iterable

# NATS closes the connection on a control line above 4 KiB; a subject shares it with a reply subject and sizes.
MAX_SUBJECT_BYTES = 1024

_SUBJECT = re.compile(r"[^\s.*>\x00-\x1f\x7f]+(?:\.[^\s.*>\x00-\x1f\x7f]+)*")
# Most subjects, in a third of the time: the classes above are of Unicode.
_PLAIN_SUBJECT = re.compile(r"[-_=$A-Za-z0-9]+(?:\.[-_=$A-Za-z0-9]+)*")
_FILTER = re.compile(
    r"(?:(?:\*|[^\s.*>\x00-\x1f\x7f]+)\.)*(?:\*|>|[^\s.*>\x00-\x1f\x7f]+)",
)
_KEY = re.compile(r"[-/_=A-Za-z0-9]+(?:\.[-/_=A-Za-z0-9]+)*")
_KEY_PATTERN = re.compile(r"(?:(?:\*|[-/_=A-Za-z0-9]+)\.)*(?:\*|>|[-/_=A-Za-z0-9]+)")

_TOKENS = "write tokens without blanks, joined by single dots"
_FILTER_TOKENS = "write tokens joined by single dots, `*` for a whole token, `>` only as the last"
_KEY_TOKENS = "write tokens of letters, digits and - _ / = joined by single dots"
_KEY_PATTERN_TOKENS = f"{_KEY_TOKENS}, `*` for a whole token, `>` only as the last"


def check_subject(subject: str) -> None:
    """Refuse what cannot be published on.

    Raises:
        InvalidSubjectError

    """
    if _PLAIN_SUBJECT.fullmatch(subject) and len(subject) <= MAX_SUBJECT_BYTES:
        return
    if not _SUBJECT.fullmatch(subject) or _size(subject) > MAX_SUBJECT_BYTES:
        raise InvalidSubjectError(subject, _why(subject), _TOKENS)


def check_filter(pattern: str) -> None:
    """Refuse what is neither a subject nor a subject with wildcards.

    Raises:
        InvalidSubjectError

    """
    if not _FILTER.fullmatch(pattern) or _size(pattern) > MAX_SUBJECT_BYTES:
        raise InvalidSubjectError(pattern, _why(pattern), _FILTER_TOKENS)


def check_key(key: str) -> None:
    """Refuse what cannot be a key of a bucket.

    Raises:
        InvalidKeyError

    """
    if not _KEY.fullmatch(key) or len(key) > MAX_SUBJECT_BYTES:
        raise InvalidKeyError(key, _why(key), _KEY_TOKENS)


def check_key_pattern(pattern: str) -> None:
    """Refuse what is neither a key nor a key with wildcards.

    Raises:
        InvalidKeyError

    """
    if not _KEY_PATTERN.fullmatch(pattern) or len(pattern) > MAX_SUBJECT_BYTES:
        raise InvalidKeyError(pattern, _why(pattern), _KEY_PATTERN_TOKENS)


def _size(text: str) -> int:
    # A lone surrogate cannot be sent at all; it counts as too long, and so it is refused.
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        return MAX_SUBJECT_BYTES + 1


def _why(text: str) -> str:
    if not text:
        return "is empty"
    if _size(text) > MAX_SUBJECT_BYTES:
        return f"is longer than {MAX_SUBJECT_BYTES} bytes of UTF-8"
    if "" in text.split("."):
        return "starts or ends with a dot, or has two in a row"
    return "has a character or a wildcard that does not belong there"


def heads(patterns: Iterable[str]) -> tuple[str, ...]:
    """Return what every well-formed subject begins with that one of these matches; some of them are not told of.

    Of `jobs.>` it is `jobs.`: a look at the beginning is all it takes.
    """
    return tuple(pattern[:-1] for pattern in patterns if pattern.endswith(".>") and "*" not in pattern)


def matches(pattern: str, subject: str) -> bool:
    """Tell whether a subject matches a filter, token by token."""
    wanted, given = pattern.split("."), subject.split(".")
    if wanted[-1] == ">":
        wanted.pop()
        if len(given) <= len(wanted):
            return False
    elif len(given) != len(wanted):
        return False
    return all(want in ("*", have) for want, have in zip(wanted, given, strict=False))


def overlaps(one: str, other: str) -> bool:
    """Tell whether some subject would match both filters."""
    left, right = one.split("."), other.split(".")
    for a, b in zip(left, right, strict=False):
        if ">" in (a, b):
            return True
        if a != b and "*" not in (a, b):
            return False
    return len(left) == len(right)


def covers(wide: str, narrow: str) -> bool:
    """Tell whether every subject that matches `narrow` also matches `wide`."""
    left, right = wide.split("."), narrow.split(".")
    for i, token in enumerate(left):
        if token == ">":
            return len(right) > i
        if i >= len(right) or right[i] == ">" or (token != "*" and token != right[i]):
            return False
    return len(left) == len(right)
