"""What a message may carry besides its payload, and how much room that takes on the wire of NATS."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from osapi.errors import InvalidSettingError

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = re.compile(r"[!-9;-~]+")
_VALUE = re.compile(r"[^\r\n\x00]*")
_MSG_ID = re.compile(r"[^\r\n\x00]+")

# The server counts nanoseconds since 1970 in 63 bits, which end in 2262: what lives so long ends before. In seconds.
LONGEST: Final = 3_155_760_000
_LAST_MOMENT = 253_402_300_799  # a year has four digits


def check_headers(headers: Mapping[str, str]) -> None:
    """Refuse headers that would not survive the wire, and those that the server would take for orders.

    Raises:
        InvalidSettingError

    """
    for name, value in headers.items():
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise InvalidSettingError({name: value}, "is not a header", "give a name without blanks and one line")
        if name.lower().startswith("nats-"):
            raise InvalidSettingError({name: value}, "is a header of the server's own", "take a name without Nats-")


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
    if type(ttl) is not int or not 1 <= ttl <= LONGEST:
        raise InvalidSettingError(
            ttl, "is not a lifetime of a message", f"give whole seconds, 1 to {LONGEST} (a hundred years), or None"
        )
    return ttl


def check_moment(at: float) -> None:
    """Refuse what cannot be written down as a moment at which a message is due.

    Raises:
        InvalidSettingError

    """
    if not 0 <= at <= _LAST_MOMENT:
        raise InvalidSettingError(at, "is not a moment", "give Unix seconds, before the year 10000")


def headers_size(headers: Mapping[str, str]) -> int:
    """Return the bytes headers take in a NATS message: a version line, a line for each, an empty one."""
    if not headers:
        return 0
    size = 12
    for name, value in headers.items():  # a plain loop: half the time of a generator on the path of every write
        size += len(name) + len(value if value.isascii() else value.encode()) + 4
    return size
