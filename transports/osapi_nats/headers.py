"""The block of headers in front of a message's payload: a version with perhaps a status, then a line for each.

After ADR-4 of the NATS architecture decisions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_VERSION = "NATS/1.0"


def parse_headers(block: bytes) -> tuple[int, str, dict[str, str]]:
    """Return the status (0 for none), its description, and the headers; of two alike the last counts.

    Raises:
        ValueError: it is no such block.

    """
    first, *lines = block.decode("utf-8", "replace").split("\r\n")
    if not first.startswith(_VERSION):
        raise ValueError(f"no headers: {block[:80]!r}")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            headers[name] = value.removeprefix(" ")
    if len(first) == len(_VERSION):
        return 0, "", headers
    status, _, description = first[len(_VERSION) :].strip().partition(" ")
    return int(status) if status.isdecimal() else 0, description.strip(), headers


def encode_headers(headers: Mapping[str, str]) -> bytes:
    """Return the block; names and values are checked already."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    return f"{_VERSION}\r\n{lines}\r\n".encode()
