"""Which hosts have a fact, at the cost of one look-up from the second question about its name."""

from __future__ import annotations

from sys import intern
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from osapi.rules.facts import FlatFacts

_NOBODY: dict[str, None] = {}
_NOTHING: FlatFacts = {}


class FactIndex:
    """Know the facts of hosts; its views are live and read-only, as those of `LabelIndex`.

    Only names that somebody has asked for are indexed: a fleet has dozens of facts, most of them another on each host,
    and selects by a few.
    """

    __slots__ = ("_facts", "_members")

    def __init__(self) -> None:
        self._facts: dict[str, FlatFacts] = {}
        self._members: dict[str, dict[str, dict[str, None]]] = {}

    def set(self, host: str, facts: FlatFacts) -> None:
        """Take in what a host tells now, as `flatten` returns it; costs one step a name that is asked for."""
        before = self._facts.get(host, _NOTHING)
        # Names and values are the same on many hosts: kept once for all of them.
        now = {intern(name): intern(value) if isinstance(value, str) else value for name, value in facts.items()}
        self._facts[host] = now
        for name, members in self._members.items():
            _move(members, host, _values(before, name), _values(now, name))

    def discard(self, host: str) -> None:
        """Forget a host, if it is known."""
        before = self._facts.pop(host, _NOTHING)
        for name, members in self._members.items():
            _move(members, host, _values(before, name), ())

    def match(self, name: str, value: str) -> AbstractSet[str]:
        """Return the hosts of which a fact has this value; the first question about a name looks at all hosts."""
        return self._named(name).get(value, _NOBODY).keys()

    def names(self, hosts: int) -> list[str]:
        """Return the names of the facts of so many hosts, sorted: a look at all of them would take too long."""
        some = [facts for facts, _ in zip(self._facts.values(), range(hosts), strict=False)]
        return sorted({name for facts in some for name in facts})

    def values(self, name: str) -> AbstractSet[str]:
        """Return every value that a fact has somewhere."""
        return self._named(name).keys()

    def _named(self, name: str) -> Mapping[str, dict[str, None]]:
        members = self._members.get(name)
        if members is None:
            members = dict[str, dict[str, None]]()
            for host, facts in self._facts.items():
                _move(members, host, (), _values(facts, name))
            # A name that no host has is no fact, and a mistyped one should leave nothing behind.
            if members:
                self._members[name] = members
        return members


def _values(facts: FlatFacts, name: str) -> tuple[str, ...]:
    value = facts.get(name, ())
    return (value,) if isinstance(value, str) else value


def _move(members: dict[str, dict[str, None]], host: str, before: tuple[str, ...], after: tuple[str, ...]) -> None:
    if before == after:
        return
    for value in dict.fromkeys(before):
        del members[value][host]
        if not members[value]:
            del members[value]
    for value in after:
        members.setdefault(value, {})[host] = None
