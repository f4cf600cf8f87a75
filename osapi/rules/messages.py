"""What a message may carry besides its payload, and how much room that takes on the wire of NATS."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from osapi.errors import InvalidSettingError

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = re.compile(r"[!-9;-~]+")
_VALUE = re.compile(r"[^\r\n\x00]*")
_MSG_ID = re.compile(r"[^\r\n\x00]+")


def check_headers(headers: Mapping[str, str]) -> None:
    """Refuse headers that would not survive the wire.

    Raises:
        InvalidSettingError

    """
    for name, value in headers.items():
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise InvalidSettingError({name: value}, "is not a header", "give a name without blanks and one line")


def check_msg_id(msg_id: str) -> None:
    """Refuse what cannot be a message's id.

    Raises:
        InvalidSettingError

    """
    if not _MSG_ID.fullmatch(msg_id):
        raise InvalidSettingError(msg_id, "is not a message id", "give one line of text")


def check_ttl(ttl: int) -> int:
    """Return the lifetime of one message, or refuse what JetStream refuses (error 10165).

    Raises:
        InvalidSettingError

    """
    if type(ttl) is not int or ttl < 1:
        raise InvalidSettingError(ttl, "is not a lifetime of a message", "give whole seconds, at least 1, or None")
    return ttl


def headers_size(headers: Mapping[str, str]) -> int:
    """Return the bytes headers take in a NATS message: a version line, a line for each, an empty one."""
    if not headers:
        return 0
    size = 12
    for name, value in headers.items():  # a plain loop: half the time of a generator on the path of every write
        size += len(name) + len(value if value.isascii() else value.encode()) + 4
    return size
