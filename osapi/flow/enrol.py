"""Decisions about agents' keys: one record for each host, signed by the controller and written by compare-and-set.

Of two controllers that decide at once, one finds out that the other did.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from osapi.errors import RecordError
from osapi.flow.persist import insist, write
from osapi.rules.codec import ENROLMENT
from osapi.rules.keys import enrolment_key

if TYPE_CHECKING:
    from osapi.flow.keyring import Keyring
    from osapi.rules.records import Enrolment
    from osapi.transport import Entry

_log = logging.getLogger("osapi.keys")


async def decided(keyring: Keyring, hostname: str) -> tuple[Enrolment | None, int]:
    """Return what is decided about a host, None if nothing that counts, and the revision to put another in its place.

    Raises:
        DisconnectedError

    """
    bucket = await keyring.open()
    entry = await insist(partial(bucket.get, enrolment_key(hostname)), keyring.settings.persist)
    return (None, 0) if entry is None else (read_decision(keyring, entry), entry.revision)


def read_decision(keyring: Keyring, entry: Entry) -> Enrolment | None:
    """Return a decision that counts; what somebody else wrote in its place is as nothing, to be replaced."""
    keyring.apply([entry])
    seal = keyring.signed_by(keyring.settings.state_bucket, entry)
    if seal is None or keyring.ledger is None:
        return None
    try:
        told = ENROLMENT.decode(seal.value)
    except RecordError as error:
        _log.warning("%s cannot be read: %s", entry.key, error)
        return None
    known = keyring.ledger.enrolment(told.hostname)
    return known if entry.key == enrolment_key(told.hostname) else None


async def write_decision(keyring: Keyring, enrolment: Enrolment, revision: int) -> None:
    """Store a decision in the place of that revision, and take it in.

    Raises:
        ConflictError: somebody else has decided meanwhile.
        LimitReachedError, DisconnectedError, UncertainError

    """
    bucket, key, patience = await keyring.open(), enrolment_key(enrolment.hostname), keyring.settings.persist
    sealed = keyring.seal(keyring.settings.state_bucket, key, ENROLMENT.encode(enrolment))
    await write(bucket, key, sealed, revision, ttl=None, patience=patience)
    entry = await insist(partial(bucket.get, key), patience)
    if entry is not None:
        keyring.apply([entry])
