"""Custody: who may write which key of which bucket, and what is read in the place of what somebody else wrote.

    bucket            key                      written by                    else it reads as
    job-queue         jobs.<id>                a controller                  refused: it cannot be decoded, and says why
    job-queue         cancelled.<id>           a controller                  no orders
    job-queue         waiting.*, retried.*     a controller                  nothing
    job-queue         anything else            a controller                  refused
    job-responses     <origin>.<id>.<slot>     the agent, or a controller    the state `untrusted`
    job-responses     ...out...                the agent                     refused
    job-responses     ...part...               nobody's: its record holds the digest
    agent-registry    a hostname               that agent                    refused
    agent-registry    a post, as _sweeper      nobody's: who has one settles what is due, which it signs itself
    agent-facts       a hostname               that agent                    refused
    agent-state       known, timeline.<host>   that agent                    nothing
    agent-state       drain, alerts.<host>     a controller                  nothing
    agent-state       join, enrolment, succession                            see `osapi.rules.ledger`
    job-stories       anything                 a controller                  nothing
    any other         anything                 a controller                  refused

A controller ends slots in nobody's name only: expired, unreachable, cancelled. An agent writes the slot of its own
host, and that of a job for one of N; there it speaks for itself, unless it ends without a result what another left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from osapi.errors import InvalidKeyError, RecordError
from osapi.rules.codec import ORDERS, RECORD
from osapi.rules.keys import decode_token
from osapi.rules.records import ANY_SLOT, VERSION, Orders, Record, SlotStatus
from osapi.rules.seals import refused

if TYPE_CHECKING:
    from collections.abc import Iterable

Instead = Literal["refused", "nothing", "no orders", "untrusted"]

# What a controller may say of a slot, and what an agent may of another's.
_SETTLED: Final = frozenset({SlotStatus.EXPIRED, SlotStatus.UNREACHABLE, SlotStatus.CANCELLED})
_LEFT: Final = frozenset({SlotStatus.EXPIRED, SlotStatus.CANCELLED, SlotStatus.FAILED})

_ENROLMENT: Final = frozenset({"join", "enrolment", "succession"})


class Buckets(NamedTuple):
    """The names of the buckets."""

    jobs: str
    responses: str
    registry: str
    facts: str
    state: str
    stories: str


class Party(NamedTuple):
    """Whose key it is: an agent's by its hostname, or a controller's, which has none."""

    host: str = ""

    @property
    def told(self) -> str:
        """Say whose it is."""
        return f"the agent {self.host}" if self.host else "a controller"


class Custody(NamedTuple):
    """Who writes one key: the agent of `host` (any agent, if it is `_any`), or a controller."""

    instead: Instead
    host: str = ""
    controller: bool = False


_CONTROLLER: Final = Custody("refused", controller=True)
_ORDERS: Final = Custody("no orders", controller=True)
_GONE: Final = Custody("nothing", controller=True)

_JOBS: Final = {"cancelled": _ORDERS, "waiting": _GONE, "retried": _GONE}


def custody_of(buckets: Buckets, bucket: str, key: str) -> Custody | None:
    """Return who writes a key; None if it is stored as it is."""
    head = key.partition(".")[0]
    if bucket == buckets.responses:
        return _of_response(key.split("."))
    if bucket == buckets.jobs:
        return _JOBS.get(head, _CONTROLLER)
    if bucket in {buckets.registry, buckets.facts}:
        return None if key.startswith("_") else Custody("refused", host=_host(key))
    if bucket == buckets.state:
        return _of_state(head, key)
    return _GONE if bucket == buckets.stories else _CONTROLLER


def _of_response(parts: list[str]) -> Custody | None:
    if len(parts) < 3:
        return _CONTROLLER
    host = _host(parts[2])
    if len(parts) == 3:
        return Custody("untrusted", host=host, controller=True)
    return None if parts[3] == "part" else Custody("refused", host=host)


def _of_state(head: str, key: str) -> Custody | None:
    if head in _ENROLMENT:
        return None
    if head in {"known", "timeline"}:
        return Custody("nothing", host=_host(key.partition(".")[2]))
    return _GONE if head in {"drain", "alerts"} else _CONTROLLER


def _host(token: str) -> str:
    if token == ANY_SLOT:
        return ANY_SLOT
    try:
        return decode_token(token)
    except InvalidKeyError:
        # No agent has this name, so nobody may write it.
        return f"?{token}"


def objection(custody: Custody, parties: Iterable[Party], value: bytes) -> str:
    """Return why none of these may have written this value, empty if one of them may."""
    told = ""
    for party in parties:
        told = _objection(custody, party, value)
        if not told:
            return ""
    return told


def _objection(custody: Custody, party: Party, value: bytes) -> str:
    if not party.host:
        if not custody.controller:
            return "it is signed by a controller and not by its agent"
    elif custody.host not in {party.host, ANY_SLOT}:
        return f"it is signed by {party.told}, which may not write it"
    return _misspoken(party, value) if custody.instead == "untrusted" else ""


def _misspoken(party: Party, value: bytes) -> str:
    try:
        record = RECORD.decode(value)
    except RecordError:
        # Whoever reads it says so.
        return ""
    empty = not len(record.result) and record.parts is None
    if not party.host:
        ended = record.status in _SETTLED and empty
        return "" if ended else f"it is signed by a controller, which cannot tell that a slot is {record.status}"
    if record.host == party.host or (record.status in _LEFT and empty):
        return ""
    return f"it speaks for {record.host or 'nobody'} and is signed by {party.told}"


def speaker(custody: Custody, value: bytes) -> str:
    """Return the host whose answer this claims to be, empty if it is none's: a hint where to look for its key."""
    if custody.host != ANY_SLOT:
        return custody.host
    try:
        return RECORD.decode(value).host if custody.instead == "untrusted" else ""
    except RecordError:
        return ""


def instead_of(custody: Custody, key: str, stored: bytes, reason: str, at: float) -> bytes | None:
    """Return what a value reads as that cannot be trusted; None if it is as if it were not there."""
    if custody.instead == "nothing":
        return None
    if custody.instead == "no orders":
        return ORDERS.encode(Orders(v=VERSION, orders=()))
    if custody.instead == "untrusted":
        return RECORD.encode(_untrusted(key, reason, at))
    return refused(reason, stored)


def _untrusted(key: str, reason: str, at: float) -> Record:
    _, job_id, token = key.split(".")
    slot = _host(token)
    return Record(
        v=VERSION,
        job=job_id,
        slot=slot,
        host="" if slot == ANY_SLOT else slot,
        status=SlotStatus.UNTRUSTED,
        attempt=0,
        updated=at,
        error=f"the answer cannot be trusted: {reason}",
    )
