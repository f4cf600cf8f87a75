"""Enrolling: which keys of which agents wait to be accepted, and what a controller decides about them.

A decision is one record for each host, signed by the controller and written by compare-and-set: of two controllers that
decide at once, one finds out that the other did. The request is removed after the decision; a process that dies between
the two leaves a request that `pending` does not show, since it is decided.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from osapi.errors import ConflictError, InvalidInputError, RecordError
from osapi.flow.persist import insist, write
from osapi.rules.codec import ENROLMENT, JOIN
from osapi.rules.enrolment import accepted, chosen, rejected
from osapi.rules.keys import enrolment_key, join_key, join_pattern
from osapi.rules.public_keys import parse_public_key

if TYPE_CHECKING:
    from collections.abc import Callable

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
    """The requests and decisions that lie at one broker, as one controller sees and makes them."""

    def __init__(self, keyring: Keyring) -> None:
        self.keyring = keyring
        self._name = keyring.settings.state_bucket
        self._patience = keyring.settings.persist

    async def pending(self) -> list[Applicant]:
        """Return who waits, by hostname, the oldest request first.

        Raises:
            DisconnectedError

        """
        found: list[Applicant] = []
        for join in await self._joins(None):
            decided, _ = await self._decided(join.hostname)
            if decided is None or join.public not in {decided.accepted, *decided.rejected}:
                found.append(
                    Applicant(
                        hostname=join.hostname,
                        fingerprint=parse_public_key(join.public).fingerprint,
                        machine_id=join.machine_id,
                        requested_at=join.requested_at,
                    )
                )
        return sorted(found, key=lambda applicant: (applicant.hostname, applicant.requested_at))

    async def accept(self, hostname: str, fingerprint: str | None, by: str) -> None:
        """Accept a key as the agent's.

        Raises:
            UnknownHostError, EnrolmentError, LimitReachedError, DisconnectedError, UncertainError

        """
        meant: list[Join] = []

        def decide(before: Enrolment | None, joins: list[Join]) -> Enrolment | None:
            # Somebody else may have accepted the very same meanwhile.
            if not (meant and before is not None and before.accepted == meant[0].public):
                meant[:] = [chosen(hostname, joins, before, fingerprint)]
            return accepted(before, meant[0], by=by, now=self.keyring.now())

        await self._decide(hostname, decide)

    async def reject(self, hostname: str, fingerprint: str | None, by: str) -> None:
        """Reject a key that waits, or take the acceptance of one back.

        Raises:
            UnknownHostError, EnrolmentError, LimitReachedError, DisconnectedError, UncertainError

        """

        def decide(before: Enrolment | None, joins: list[Join]) -> Enrolment | None:
            return rejected(hostname, before, joins, fingerprint, by=by, now=self.keyring.now())

        await self._decide(hostname, decide)

    async def seal_anew(self) -> None:
        """Sign all decisions with the key that signs now, so that they outlive the one before.

        Raises:
            LimitReachedError, DisconnectedError, UncertainError

        """
        bucket = await self.keyring.open()
        for key in sorted(await insist(partial(bucket.keys, "enrolment.*"), self._patience)):
            entry = await insist(partial(bucket.get, key), self._patience)
            decided = None if entry is None else self._read(entry)
            if entry is not None and decided is not None:
                try:
                    await self._write(replace(decided, number=decided.number + 1), entry.revision)
                except ConflictError:
                    _log.info("%s was decided anew meanwhile", key)

    async def _decide(self, hostname: str, decide: Callable[[Enrolment | None, list[Join]], Enrolment | None]) -> None:
        while True:
            # In this order: whoever decides removes the request afterwards.
            joins = await self._joins(hostname)
            before, revision = await self._decided(hostname)
            after = decide(before, joins)
            if after is not None:
                try:
                    await self._write(after, revision)
                except ConflictError:
                    # Somebody else has decided meanwhile: what that means is decided on what it says.
                    continue
            decided = before if after is None else after
            bucket = await self.keyring.open()
            for join in joins:
                if decided is not None and join.public in {decided.accepted, *decided.rejected}:
                    key = join_key(hostname, parse_public_key(join.public).fingerprint)
                    await insist(partial(bucket.purge, key), self._patience)
            return

    async def _write(self, enrolment: Enrolment, revision: int) -> None:
        bucket, key = await self.keyring.open(), enrolment_key(enrolment.hostname)
        sealed = self.keyring.seal(self._name, key, ENROLMENT.encode(enrolment))
        await write(bucket, key, sealed, revision, ttl=None, patience=self._patience)
        entry = await insist(partial(bucket.get, key), self._patience)
        if entry is not None:
            self.keyring.apply([entry])

    async def _decided(self, hostname: str) -> tuple[Enrolment | None, int]:
        bucket = await self.keyring.open()
        entry = await insist(partial(bucket.get, enrolment_key(hostname)), self._patience)
        return (None, 0) if entry is None else (self._read(entry), entry.revision)

    def _read(self, entry: Entry) -> Enrolment | None:
        """Return a decision that counts; what somebody else wrote in its place is as nothing, to be replaced."""
        self.keyring.apply([entry])
        seal = self.keyring.signed_by(self._name, entry)
        if seal is None or self.keyring.ledger is None:
            return None
        try:
            told = ENROLMENT.decode(seal.value)
        except RecordError as error:
            _log.warning("%s cannot be read: %s", entry.key, error)
            return None
        known = self.keyring.ledger.enrolment(told.hostname)
        return known if entry.key == enrolment_key(told.hostname) else None

    async def _joins(self, hostname: str | None) -> list[Join]:
        bucket = await self.keyring.open()
        keys = sorted(await insist(partial(bucket.keys, join_pattern(hostname)), self._patience))[:_MOST]
        found: list[Join] = []
        for start in range(0, len(keys), _PAGE):
            entries = await insist(partial(bucket.get_many, keys[start : start + _PAGE]), self._patience)
            found.extend(join for entry in entries if entry is not None and (join := self._join(entry)) is not None)
        return found

    def _join(self, entry: Entry) -> Join | None:
        """Return a request whose writer has the key that it is about."""
        seal = self.keyring.signed_by(self._name, entry)
        try:
            join = None if seal is None else JOIN.decode(seal.value)
            if seal is None or join is None or parse_public_key(join.public).raw != seal.public:
                return None
            right = entry.key == join_key(join.hostname, parse_public_key(join.public).fingerprint)
        except (RecordError, InvalidInputError) as error:
            _log.warning("%s cannot be read: %s", entry.key, error)
            return None
        return join if right else None
