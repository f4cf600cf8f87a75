"""Enrolment: what accepting and rejecting a key makes of what was decided about its host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from osapi.errors import EnrolmentError, UnknownHostError, shown
from osapi.rules.public_keys import parse_public_key
from osapi.rules.records import VERSION, Enrolment, Join

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Rejected keys that are remembered of one host, the newest.
MAX_REJECTED: Final = 20


def fingerprint_of(public: str) -> str:
    """Return the fingerprint of a key that is written as text."""
    return parse_public_key(public).fingerprint


def undecided(joins: Iterable[Join], before: Enrolment | None) -> list[Join]:
    """Return the requests about which nothing is decided."""
    decided = () if before is None else (before.accepted, *before.rejected)
    return [join for join in joins if join.public not in decided]


def chosen(hostname: str, joins: Sequence[Join], before: Enrolment | None, fingerprint: str | None) -> Join:
    """Return the request that is meant; with a fingerprint also one that was decided otherwise.

    Without a fingerprint it is the one that waits, of a host that has no accepted key; if none does, the accepted one.

    Raises:
        UnknownHostError: nobody asks.
        EnrolmentError: several do, or one does and another is accepted.

    """
    if fingerprint is not None:
        return _named(hostname, joins, before, fingerprint)
    open_ = undecided(joins, before)
    if before is not None and before.accepted:
        if not open_:
            return _named(hostname, joins, before, fingerprint_of(before.accepted))
        raise EnrolmentError(
            f"{hostname} is accepted with key {fingerprint_of(before.accepted)}; to accept another in its place, give "
            f"its fingerprint: {_listed(open_)}"
        )
    return _only(hostname, open_)


def _named(hostname: str, joins: Sequence[Join], before: Enrolment | None, fingerprint: str) -> Join:
    for join in joins:
        if fingerprint_of(join.public) == fingerprint:
            return join
    for public in () if before is None else (before.accepted, *before.rejected):
        if public and fingerprint_of(public) == fingerprint:
            return Join(v=VERSION, hostname=hostname, public=public, machine_id="", requested_at=0.0)
    asking = f"; those that do: {_listed(joins)}" if joins else ""
    raise UnknownHostError(f"no key {shown(fingerprint)} asks to be accepted for {hostname}{asking}")


def _only(hostname: str, joins: Sequence[Join]) -> Join:
    if not joins:
        raise UnknownHostError(f"no agent asks to be accepted as {shown(hostname)}; see who is pending")
    if len(joins) > 1:
        raise EnrolmentError(
            f"{len(joins)} keys ask to be accepted as {hostname}; give the fingerprint of the right one: "
            f"{_listed(joins)}"
        )
    return joins[0]


def _listed(joins: Iterable[Join]) -> str:
    return ", ".join([fingerprint_of(join.public) for join in joins][:5])


def accepted(before: Enrolment | None, join: Join, *, by: str, now: float) -> Enrolment | None:
    """Return what accepting a key makes of what was decided, None if that is what was decided."""
    if before is not None and before.accepted == join.public:
        return None
    rejected_keys = () if before is None else tuple(key for key in before.rejected if key != join.public)
    return Enrolment(
        v=VERSION,
        hostname=join.hostname,
        number=_number(before),
        at=now,
        accepted=join.public,
        machine_id=join.machine_id,
        rejected=rejected_keys,
        by=by,
    )


def rejected(
    hostname: str, before: Enrolment | None, joins: Sequence[Join], fingerprint: str | None, *, by: str, now: float
) -> Enrolment | None:
    """Return what rejecting a key makes of what was decided, None if that is what was decided.

    Without a fingerprint it is the one that waits; if none does, the one that is accepted, which then is not any more.

    Raises:
        UnknownHostError: nobody asks, and nobody is accepted.
        EnrolmentError: several ask.

    """
    open_ = undecided(joins, before)
    if fingerprint is None and not open_ and before is not None and before.accepted:
        public = before.accepted
    elif fingerprint is None:
        public = _only(hostname, open_).public
    else:
        public = _named(hostname, joins, before, fingerprint).public
    if before is not None and public in before.rejected:
        return None
    base = before or Enrolment(v=VERSION, hostname=hostname, number=0, at=now)
    return replace(
        base,
        number=_number(before),
        at=now,
        accepted="" if base.accepted == public else base.accepted,
        rejected=(*base.rejected, public)[-MAX_REJECTED:],
        by=by,
    )


def _number(before: Enrolment | None) -> int:
    return 1 if before is None else before.number + 1
