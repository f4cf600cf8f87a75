"""Where a reader of several sequences stands, as one opaque word that it can give back."""

from __future__ import annotations

import struct
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from contextlib import suppress
from typing import TYPE_CHECKING

from osapi.errors import InvalidSettingError

if TYPE_CHECKING:
    from collections.abc import Sequence


def write_mark(numbers: Sequence[int]) -> str:
    """Write numbers below 2**64 as a word of URL-safe base64; many equal ones take little room."""
    packed = zlib.compress(struct.pack(f"<{len(numbers)}Q", *numbers), 1)
    return urlsafe_b64encode(packed).rstrip(b"=").decode()


def read_mark(mark: str, count: int) -> list[int]:
    """Read back so many numbers, and no fewer or more.

    Raises:
        InvalidSettingError: it is not a word that was written for as many.

    """
    with suppress(Error, zlib.error, struct.error, ValueError):
        reader = zlib.decompressobj()
        # A word of a kilobyte could unfold to a megabyte.
        unpacked = reader.decompress(urlsafe_b64decode(mark.encode() + b"=" * (-len(mark) % 4)), 8 * count + 1)
        if reader.eof and not reader.unused_data:
            return list(struct.unpack(f"<{count}Q", unpacked))
    raise InvalidSettingError(mark, "is no mark to go on from", "give one that was told, or none")
