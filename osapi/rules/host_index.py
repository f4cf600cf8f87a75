"""Which hostnames look like a glob, at the cost of those that share its beginning or its end."""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet

    from osapi.rules.selectors import HostLike

# Above every character of a hostname.
_ABOVE = "\x7f"


@dataclass(frozen=True, slots=True)
class Span:
    """Some neighbours in a sorted list of names, perhaps spelt backwards; nothing is copied before it is read."""

    names: list[str]
    low: int
    high: int
    backwards: bool

    @property
    def size(self) -> int:
        """How many names there are."""
        return self.high - self.low

    def __iter__(self) -> Iterator[str]:
        step = -1 if self.backwards else 1
        return (name[::step] for name in self.names[self.low : self.high])


class HostIndex:
    """Keep the names of a live set of hosts sorted, forwards and backwards, from the first glob that needs it."""

    __slots__ = ("_backward", "_forward", "_hosts")

    def __init__(self, hosts: AbstractSet[str]) -> None:
        self._hosts = hosts
        self._forward: list[str] | None = None
        self._backward: list[str] | None = None

    def add(self, host: str) -> None:
        """Take in a name that is new to the set."""
        if self._forward is not None:
            insort(self._forward, host)
        if self._backward is not None:
            insort(self._backward, host[::-1])

    def discard(self, host: str) -> None:
        """Drop a name that has left the set."""
        if self._forward is not None:
            del self._forward[bisect_left(self._forward, host)]
        if self._backward is not None:
            del self._backward[bisect_left(self._backward, host[::-1])]

    def near(self, like: HostLike) -> Span:
        """Return the names among which all that match are: those with its beginning or its end, if it has one.

        Costs two or four bisections; the first call sorts the fleet.
        """
        spans: list[Span] = []
        if like.prefix or not like.suffix:
            if self._forward is None:
                self._forward = sorted(self._hosts)
            spans.append(_span(self._forward, like.prefix, backwards=False))
        if like.suffix:
            if self._backward is None:
                self._backward = sorted([host[::-1] for host in self._hosts])
            spans.append(_span(self._backward, like.suffix[::-1], backwards=True))
        return min(spans, key=lambda span: span.size)


def _span(names: list[str], start: str, *, backwards: bool) -> Span:
    low = bisect_left(names, start)
    return Span(names, low, bisect_left(names, start + _ABOVE, low), backwards)
