"""The block of headers in front of a message's payload: a version with perhaps a status, then a line for each.

After ADR-4 of the NATS architecture decisions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_VERSION = "NATS/1.0"
_PLAIN = b"NATS/1.0\r\n"


class Headers(Mapping[str, str]):
    """The headers of a message, read when somebody asks for them: of most messages nobody does."""

    __slots__ = ("_read", "block")

    def __init__(self, block: bytes) -> None:
        self.block = block
        self._read: dict[str, str] | None = None

    def _all(self) -> dict[str, str]:
        if self._read is None:
            self._read = parse_headers(self.block)[2]
        return self._read

    def __getitem__(self, name: str) -> str:
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def __eq__(self, other: object) -> bool:
        return self._all() == (other._all() if isinstance(other, Headers) else other)

    __hash__ = None  # type: ignore[assignment]  # as that of a dict

    def __repr__(self) -> str:
        return repr(self._all())


def is_plain(block: bytes) -> bool:
    """Tell whether a block has no status: then `Headers` may read it later."""
    return block.startswith(_PLAIN)


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
    if len(headers) == 1:
        [(name, value)] = headers.items()
        return f"{_VERSION}\r\n{name}: {value}\r\n\r\n".encode()
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    return f"{_VERSION}\r\n{lines}\r\n".encode()
