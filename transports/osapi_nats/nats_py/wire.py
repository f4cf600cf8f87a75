"""The commands of the NATS protocol that we send, and the headers that come back, as bytes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from osapi.errors import InvalidInputError, InvalidSubjectError

if TYPE_CHECKING:
    from collections.abc import Mapping

PING = b"PING\r\n"

_BLANK = re.compile(r"[\s\x00]")
_BREAK = re.compile(r"[\r\n\x00]")


def publish_command(subject: str, payload: bytes, reply: str, headers: Mapping[str, str] | None) -> bytes:
    """Return the command that publishes a message.

    Raises:
        InvalidSubjectError, InvalidInputError: a subject or header would be read as a command of its own.

    """
    check_subject(subject)
    if reply:
        check_subject(reply)
        subject = f"{subject} {reply}"
    if not headers:
        return b"PUB %b %d\r\n%b\r\n" % (subject.encode(), len(payload), payload)
    block = _header_block(headers)
    size = len(block)
    return b"HPUB %b %d %d\r\n%b%b\r\n" % (subject.encode(), size, size + len(payload), block, payload)


def subscribe_command(subject: str, number: int) -> bytes:
    """Return the command that subscribes to a subject under a number."""
    return b"SUB %b %d\r\n" % (subject.encode(), number)


def unsubscribe_command(number: int) -> bytes:
    """Return the command that ends the subscription of that number."""
    return b"UNSUB %d\r\n" % number


def check_subject(subject: str) -> None:
    """Refuse what would not be one word of a command.

    Raises:
        InvalidSubjectError

    """
    if not subject or _BLANK.search(subject):
        raise InvalidSubjectError(subject, "is empty or has a blank or a line end", "use tokens with dots between")


def _header_block(headers: Mapping[str, str]) -> bytes:
    lines = ["NATS/1.0"]
    for name, value in headers.items():
        if not name or _BLANK.search(name) or ":" in name or _BREAK.search(value):
            raise InvalidInputError({name: value}, "is not a header", "give a name without blanks and one line")
        lines.append(f"{name}: {value}")
    return "\r\n".join((*lines, "", "")).encode()


def parse_headers(block: bytes) -> tuple[dict[str, str], int, str]:
    """Return headers, status and description of a block; of two headers alike the last counts."""
    first, *lines = block.decode("utf-8", "replace").split("\r\n")
    status, _, description = first.removeprefix("NATS/1.0").strip().partition(" ")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            headers[name] = value.removeprefix(" ")
    return headers, int(status) if status.isdecimal() else 0, description
