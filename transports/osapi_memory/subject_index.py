"""Which of many patterns match a subject: a trie by token, with a bounded cache of results in front.

The cache does not go by subject, for each job has subjects and keys of its own, but by what can make a difference: how
many tokens there are, and those in the places where any pattern has a literal. An id, where all have `*`, makes none.

A broker asks this for every message (which consumers?) and every change of a key (which watches?). The cost of a
match grows with the tokens of the subject, not with the number of patterns; benchmarks/subject_matching.py has the
figures. `osapi.rules.subjects.matches` is the meaning, and the tests compare the two.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable
from operator import itemgetter
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)

# Enough for every host and label that a large fleet is addressed by, at about 200 bytes each.
CACHED_RESULTS = 1 << 14


class _Node(Generic[T]):
    """One place in the trie: what ends here, what ends here with `>`, and the ways on."""

    __slots__ = ("ends", "literals", "rest", "star")

    def __init__(self) -> None:
        # Dicts serve as sets that keep their order, so that a run can be repeated exactly.
        self.ends: dict[T, None] = {}
        self.rest: dict[T, None] = {}
        self.star: _Node[T] | None = None
        self.literals: dict[str, _Node[T]] = {}

    def is_empty(self) -> bool:
        return not (self.ends or self.rest or self.literals or self.star)


class SubjectIndex(Generic[T]):
    """Values by pattern; `match` gives the values whose patterns match a subject."""

    __slots__ = ("_cache", "_cached", "_deepest", "_literals", "_pick", "_root", "_size")

    def __init__(self, cached: int = CACHED_RESULTS) -> None:
        self._root: _Node[T] = _Node()
        self._cache: dict[object, tuple[T, ...]] = {}
        self._literals: Counter[int] = Counter()  # by place, how many entries have a literal there
        self._deepest = -1
        self._pick: Callable[[list[str]], object] = _nothing
        self._cached = cached
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, pattern: str, value: T) -> None:
        """Add a value under a well-formed pattern; adding it there again changes nothing."""
        node = self._root
        tokens = pattern.split(".")
        for token in tokens:
            if token == ">":
                self._put(node.rest, value, tokens)
                return
            node = _descend(node, token)
        self._put(node.ends, value, tokens)

    def remove(self, pattern: str, value: T) -> None:
        """Remove a value from a pattern; nothing happens if it is not there."""
        path = [(self._root, "")]
        tokens = pattern.split(".")
        has_rest = tokens[-1] == ">"
        for token in tokens[:-1] if has_rest else tokens:
            node = path[-1][0]
            child = node.star if token == "*" else node.literals.get(token)
            if child is None:
                return
            path.append((child, token))
        values = path[-1][0].rest if has_rest else path[-1][0].ends
        if value in values:
            del values[value]
            self._size -= 1
            self._literals.subtract(_literal_places(tokens))
            self._look_at()
            _prune(path)

    def is_bare(self) -> bool:
        """Tell whether nothing is left of the trie but its root."""
        return self._root.is_empty()

    def match(self, subject: str) -> tuple[T, ...]:
        """Return the values whose patterns match, once for each such pattern."""
        tokens = subject.split(".")
        count = len(tokens)
        key = (count, self._pick(tokens)) if count > self._deepest else subject
        found = self._cache.get(key)
        if found is None:
            if len(self._cache) >= self._cached:
                self._cache.clear()
            found = self._cache[key] = self._walk(tokens)
        return found

    def _put(self, values: dict[T, None], value: T, tokens: list[str]) -> None:
        if value not in values:
            values[value] = None
            self._size += 1
            self._literals.update(_literal_places(tokens))
            self._look_at()

    def _look_at(self) -> None:
        """Note what makes a difference between subjects, now that the patterns are others."""
        self._cache.clear()
        places = sorted(place for place, count in self._literals.items() if count)
        self._deepest = places[-1] if places else -1
        self._pick = itemgetter(*places) if places else _nothing

    def _walk(self, tokens: list[str]) -> tuple[T, ...]:
        found: list[T] = []
        # Mostly there is one way to go, so that one is followed in place and only the others are kept for later.
        later: list[tuple[_Node[T], int]] = []
        node, depth, last = self._root, 0, len(tokens)
        while True:
            if depth == last:
                found.extend(node.ends)
            else:
                if node.rest:
                    found.extend(node.rest)
                literal = node.literals.get(tokens[depth])
                depth += 1
                if literal is not None:
                    if node.star is not None:
                        later.append((node.star, depth))
                    node = literal
                    continue
                if node.star is not None:
                    node = node.star
                    continue
            if not later:
                return tuple(found)
            node, depth = later.pop()


def _nothing(_: list[str]) -> object:
    return None


def _literal_places(tokens: list[str]) -> list[int]:
    return [place for place, token in enumerate(tokens) if token not in ("*", ">")]


def _descend(node: _Node[T], token: str) -> _Node[T]:
    """Return the way on for a token, making it where it is missing."""
    if token == "*":
        if node.star is None:
            node.star = _Node()
        return node.star
    child = node.literals.get(token)
    if child is None:
        child = node.literals[token] = _Node()
    return child


def _prune(path: list[tuple[_Node[T], str]]) -> None:
    """Cut off what became empty, from the end of the path up: churn must not grow the trie."""
    while len(path) > 1:
        node, token = path.pop()
        if not node.is_empty():
            return
        parent = path[-1][0]
        if token == "*":
            parent.star = None
        else:
            del parent.literals[token]


_TOKEN = r"[^\s.*>\x00-\x1f\x7f]+"


def matcher(*patterns: str) -> Callable[[str], bool]:
    """Return a test for "is well formed and matches one of these patterns", for one-off scans and for publishing.

    Where many subjects meet few patterns, one compiled expression beats a walk of the trie.
    """
    if not patterns:
        return lambda subject: False
    if len(patterns) == 1 and "*" not in patterns[0] and ">" not in patterns[0]:
        return patterns[0].__eq__
    match = re.compile("|".join(_expression(pattern) for pattern in patterns)).fullmatch
    return lambda subject: match(subject) is not None


def _expression(pattern: str) -> str:
    tokens = pattern.split(".")
    parts = [_TOKEN if token in ("*", ">") else re.escape(token) for token in tokens]
    if tokens[-1] == ">":
        parts[-1] = rf"{_TOKEN}(?:\.{_TOKEN})*"
    return r"\.".join(parts)
