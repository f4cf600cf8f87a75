"""Secrets in what a handler writes, which comes in pieces: hidden wherever they stand, over the cuts as well.

Rules:
  1. Every byte that lies in an occurrence of a secret is hidden; what is hidden in one stretch becomes one `***`.
  2. How the text was cut into pieces makes no difference: the end of a piece with which a secret may begin is kept
     back until more comes.
  3. What is kept back at the very end is shown, unless it is so much of a secret that it would be one by itself: then
     the rest was cut off, and it is hidden.
  4. A long secret is looked for part by part, so that little is ever kept back, and a large part of it hidden too.
  5. Of more secrets than can be looked for, and of those that cannot be told, all is hidden.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Final

from osapi.rules.secrets import HIDDEN, SHORTEST

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

_HIDDEN: Final = HIDDEN.encode()

# Of a secret twice as long, the parts; one part is far more than what somebody writes by chance.
_PART: Final = 256

# Each is looked for in every piece, which takes about a microsecond in a line of output.
_MOST: Final = 1000


class Scrubber:
    """Hides secrets in one stream; of secrets that are None, everything."""

    def __init__(self, secrets: Collection[str] | None) -> None:
        found = {part for secret in secrets or () for part in _parts(secret.encode())}
        self._everything = secrets is None or len(found) > _MOST
        self._secrets = sorted(found)
        self._firsts = [(secret[:1], len(secret) - 1, secret) for secret in self._secrets]
        self._kept = b""
        self._covered = 0  # so many bytes of what is kept lie in an occurrence that began before them
        self._hiding = False  # the last byte that left was hidden

    def take(self, data: bytes) -> bytes:
        """Return what can be shown once this piece has come."""
        if self._everything:
            shown = b"" if self._hiding or not data else _HIDDEN
            self._hiding = self._hiding or bool(data)
            return shown
        if not self._secrets:
            return data
        data = self._kept + data
        return self._leave(data, self._beginning(data))

    def end(self) -> bytes:
        """Return what is left when nothing more comes."""
        kept = self._kept
        if len(kept) >= SHORTEST:
            self._covered = len(kept)
        return self._leave(kept, len(kept))

    def _leave(self, data: bytes, until: int) -> bytes:
        shown: list[bytes] = []
        at = covered = 0
        hiding = self._hiding and until == 0
        for start, end in self._stretches(data):
            if start >= until:
                break
            shown.append(data[at:start])
            if start > 0 or not self._hiding:
                shown.append(_HIDDEN)
            at = min(end, until)
            hiding = at == until
            covered = end - at
        shown.append(data[at:until])
        self._kept = data[until:]
        self._covered = covered if until else self._covered
        self._hiding = hiding
        return b"".join(shown)

    def _stretches(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Return where to hide, in order: stretches that neither overlap nor touch."""
        covered = [(0, self._covered)] if self._covered else []
        each = (_joined(_occurrences(data, secret)) for secret in self._secrets if secret in data)
        return _joined(heapq.merge(covered, *each))

    def _beginning(self, data: bytes) -> int:
        """Return where the longest end of the data is with which a secret begins, and is not over."""
        size = first = len(data)
        for letter, most, secret in self._firsts:
            at = data.find(letter, max(0, size - most), first)
            while at >= 0:
                if secret.startswith(data[at:]):
                    first = at
                    break
                at = data.find(letter, at + 1, first)
        return first


def _occurrences(data: bytes, secret: bytes) -> Iterator[tuple[int, int]]:
    at = data.find(secret)
    while at >= 0:
        yield at, at + len(secret)
        at = data.find(secret, at + 1)


def _joined(stretches: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    start = end = -1
    for begin, until in stretches:
        if begin > end:
            if start >= 0:
                yield start, end
            start, end = begin, until
        else:
            end = max(end, until)
    if start >= 0:
        yield start, end


def _parts(secret: bytes) -> Iterator[bytes]:
    while len(secret) >= 2 * _PART:
        yield secret[:_PART]
        secret = secret[_PART:]
    yield secret


def scrubbed(text: str, secrets: Collection[str] | None) -> str:
    """Return a text, whose end may have been cut off, without the secrets."""
    scrubber = Scrubber(secrets)
    return (scrubber.take(text.encode()) + scrubber.end()).decode("utf-8", "replace")
