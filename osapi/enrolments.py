"""Enrolling: which keys of which agents wait to be accepted, and what a controller decides about them."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from osapi.errors import ConflictError, InvalidInputError, InvalidSettingError, RecordError
from osapi.flow.enrol import decided, write_decision
from osapi.flow.persist import insist
from osapi.rules.cancellation import check_text
from osapi.rules.codec import JOIN
from osapi.rules.enrolment import accepted, chosen, rejected
from osapi.rules.keys import join_key, join_pattern
from osapi.rules.names import normalise_hostname
from osapi.rules.public_keys import check_fingerprint, parse_public_key

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from osapi.flow.keyring import Keyring
    from osapi.rules.records import Enrolment, Join
    from osapi.transport import Entry

_log = logging.getLogger("osapi.keys")

# Requests that are read at once, and in all: anybody who can write to the broker can make some.
_PAGE = 500
_MOST = 10_000


class Applicant(Struct, frozen=True, kw_only=True):
    """A key that waits to be accepted as that of an agent; times in Unix seconds.

    Compare the `fingerprint` with the one that the agent itself shows, over another way than this broker.
    """

    hostname: str
    fingerprint: str
    machine_id: str
    requested_at: float


class Enrolments:
    """The requests and decisions that lie at one broker, as `Client.enrolments`.

    A request is removed after the decision; a process that dies between the two leaves one that `pending` does not
    show, since it is decided.
    """

    def __init__(self, keyring: Keyring | None) -> None:
        self._given = None if keyring is None or keyring.ledger is None else keyring

    @property
    def possible(self) -> bool:
        """Tell whether this client has trust, to see who is pending and to decide."""
        return self._given is not None

    async def pending(self) -> Sequence[Applicant]:
        """Return the keys that wait to be accepted as those of agents, by hostname, the oldest request first.

        Raises:
            InvalidSettingError: this client has no trust.
            DisconnectedError

        """
        found: list[Applicant] = []
        for join in await self._joins(None):
            decision, _ = await decided(self._keyring, join.hostname)
            if not _settles(decision, join):
                found.append(
                    Applicant(
                        hostname=join.hostname,
                        fingerprint=parse_public_key(join.public).fingerprint,
                        machine_id=join.machine_id,
                        requested_at=join.requested_at,
                    )
                )
        return sorted(found, key=lambda applicant: (applicant.hostname, applicant.requested_at))

    async def accept(self, hostname: str, *, fingerprint: str | None = None, by: str = "") -> None:
        """Accept a key as that of an agent: from then on it takes jobs, and its answers count.

        Without a `fingerprint` it is the one that waits; with it, also one that takes the place of another, or that was
        rejected. The agent hears of it with its next heartbeat. Cancelled, or failing, it is accepted or not.

        Raises:
            UnknownHostError: nobody waits under that hostname, or not with that key.
            EnrolmentError: several keys wait, or another one is accepted: give the fingerprint.
            InvalidNameError, InvalidSettingError: the hostname, the fingerprint, or this client has no trust.
            LimitReachedError, DisconnectedError, UncertainError

        """
        host, key, who = _checked(hostname, fingerprint, by)
        meant: list[Join] = []

        def decide(before: Enrolment | None, joins: list[Join]) -> Enrolment | None:
            # Somebody else may have accepted the very same meanwhile.
            if not (meant and before is not None and before.accepted == meant[0].public):
                meant[:] = [chosen(host, joins, before, key)]
            return accepted(before, meant[0], by=who, now=self._keyring.now())

        await self._decide(host, decide)

    async def reject(self, hostname: str, *, fingerprint: str | None = None, by: str = "") -> None:
        """Reject a key that waits, or the accepted one if none does: the agent takes no jobs, its answers do not count.

        Raises:
            what `accept` raises.

        """
        host, key, who = _checked(hostname, fingerprint, by)

        def decide(before: Enrolment | None, joins: list[Join]) -> Enrolment | None:
            return rejected(host, before, joins, key, by=who, now=self._keyring.now())

        await self._decide(host, decide)

    @property
    def _keyring(self) -> Keyring:
        if self._given is None:
            raise InvalidSettingError(
                "trust", "is not given to this client", "give it a signer and trust to enrol agents"
            )
        return self._given

    async def _decide(self, hostname: str, decide: Callable[[Enrolment | None, list[Join]], Enrolment | None]) -> None:
        while True:
            # In this order: whoever decides removes the request afterwards.
            joins = await self._joins(hostname)
            before, revision = await decided(self._keyring, hostname)
            after = decide(before, joins)
            if after is not None:
                try:
                    await write_decision(self._keyring, after, revision)
                except ConflictError:
                    # Somebody else has decided meanwhile: what that means is decided on what it says.
                    continue
            await self._remove([join for join in joins if _settles(after or before, join)])
            return

    async def _remove(self, joins: Sequence[Join]) -> None:
        bucket = await self._keyring.open()
        for join in joins:
            key = join_key(join.hostname, parse_public_key(join.public).fingerprint)
            await insist(partial(bucket.purge, key), self._keyring.settings.persist)

    async def _joins(self, hostname: str | None) -> list[Join]:
        bucket, patience = await self._keyring.open(), self._keyring.settings.persist
        keys = sorted(await insist(partial(bucket.keys, join_pattern(hostname)), patience))[:_MOST]
        found: list[Join] = []
        for start in range(0, len(keys), _PAGE):
            entries = await insist(partial(bucket.get_many, keys[start : start + _PAGE]), patience)
            found.extend(join for entry in entries if entry is not None and (join := self._join(entry)) is not None)
        return found

    def _join(self, entry: Entry) -> Join | None:
        """Return a request whose writer has the key that it is about."""
        seal = self._keyring.signed_by(self._keyring.settings.state_bucket, entry)
        try:
            join = None if seal is None else JOIN.decode(seal.value)
            if seal is None or join is None or parse_public_key(join.public).raw != seal.public:
                return None
            right = entry.key == join_key(join.hostname, parse_public_key(join.public).fingerprint)
        except (RecordError, InvalidInputError) as error:
            _log.warning("%s cannot be read: %s", entry.key, error)
            return None
        return join if right else None


def _checked(hostname: str, fingerprint: str | None, by: str) -> tuple[str, str | None, str]:
    key = None if fingerprint is None else check_fingerprint(fingerprint)
    return normalise_hostname(hostname), key, check_text("by", by)


def _settles(decision: Enrolment | None, join: Join) -> bool:
    return decision is not None and join.public in {decision.accepted, *decision.rejected}
