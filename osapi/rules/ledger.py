"""The ledger: whose a public key is, from what was given, what controllers decided, and what keys announced.

Rules:
  1. A key that was given (`Trust`) is whose it was given for, from its `not_before` until its `not_after`.
  2. A key that a controller accepted for a host is that agent's, as long as the controller's own key counts.
     A later decision about the host takes its place; an earlier one that is shown again does not.
  3. A key may announce one successor. From then on the successor is whose it was, and it counts until the grace
     ends. The first announcement that is heard stands; a chain has at most 16 of them.
  4. A fingerprint that was given as refused counts for nothing, whatever anybody decides or announces.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final, NamedTuple

from osapi.rules.custody import Party
from osapi.rules.public_keys import fingerprint, parse_public_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from osapi.rules.records import Enrolment, Succession

# Whoever announces or decides has a clock of its own; so much may ours be behind it, in seconds.
SKEW: Final = 5.0

_LONGEST_CHAIN: Final = 16


class Given(NamedTuple):
    """A key that was given, for a party and a time, in Unix seconds."""

    party: Party
    not_before: float = 0.0
    not_after: float = inf


class _Accepted(NamedTuple):
    host: str
    by: bytes


class _Announced(NamedTuple):
    other: bytes
    at: float
    until: float


class Ledger:
    """Whose key is whose; every look-up costs a few dictionary accesses, however many agents there are."""

    def __init__(self, given: Mapping[bytes, list[Given]], refused: frozenset[str] = frozenset()) -> None:
        self._given = given
        self._refused = refused
        self._enrolments: dict[str, tuple[Enrolment, bytes]] = {}
        self._accepted: dict[bytes, _Accepted] = {}
        self._next: dict[bytes, _Announced] = {}
        self._before: dict[bytes, _Announced] = {}

    def decide(self, enrolment: Enrolment, by: bytes, now: float) -> bool:
        """Take in what a controller decided, its signature checked, and say whether it counts."""
        if Party() not in self.parties(by, now):
            return False
        known = self._enrolments.get(enrolment.hostname)
        if known is not None and known[0].number > enrolment.number:
            return False
        if known is not None and known[0].accepted:
            self._accepted.pop(parse_public_key(known[0].accepted).raw, None)
        self._enrolments[enrolment.hostname] = enrolment, by
        if enrolment.accepted:
            self._accepted[parse_public_key(enrolment.accepted).raw] = _Accepted(enrolment.hostname, by)
        return True

    def announce(self, succession: Succession, by: bytes) -> bool:
        """Take in a key's announcement of its successor, its signature checked, and say whether it stands."""
        new = parse_public_key(succession.new).raw
        announced = _Announced(new, succession.at, succession.until)
        if by in self._next or new in self._before or new == by:
            return self._next.get(by) == announced
        if not self.parties(by, succession.at):
            return False
        self._next[by] = announced
        self._before[new] = _Announced(by, succession.at, succession.until)
        return True

    def enrolment(self, hostname: str) -> Enrolment | None:
        """Return the newest decision about a host."""
        known = self._enrolments.get(hostname)
        return None if known is None else known[0]

    def parties(self, public: bytes, now: float) -> tuple[Party, ...]:
        """Return whose key it is now: nobody's, one party's, or several parties'."""
        return tuple(self._parties(public, now, _LONGEST_CHAIN))

    def _parties(self, public: bytes, now: float, chain: int) -> Iterator[Party]:
        if fingerprint(public) in self._refused:
            return
        following = self._next.get(public)
        if following is not None and now > following.until:
            return
        for given in self._given.get(public, ()):
            if given.not_before <= now <= given.not_after:
                yield given.party
        accepted = self._accepted.get(public)
        if accepted is not None and chain and Party() in self._parties(accepted.by, now, chain - 1):
            yield Party(accepted.host)
        before = self._before.get(public)
        if before is not None and chain and before.at <= now + SKEW:
            # It had to count when it made the announcement, not now: that is what a grace period is.
            yield from self._parties(before.other, min(before.at, before.until), chain - 1)

    def why_not(self, public: bytes, now: float) -> str:
        """Say why a key is nobody's."""
        shown = fingerprint(public)
        following = self._next.get(public)
        if shown in self._refused:
            return f"it is signed with key {shown}, which is refused"
        if following is not None and now > following.until:
            return f"it is signed with key {shown}, whose time ended when another took its place"
        if any(given.not_after < now for given in self._given.get(public, ())):
            return f"it is signed with key {shown}, whose time is over"
        if any(given.not_before > now for given in self._given.get(public, ())):
            return f"it is signed with key {shown}, whose time has not come"
        return f"it is signed with key {shown}, which nobody has accepted"
