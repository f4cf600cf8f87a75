"""The keyring of one client, agent or sweeper: signs what it writes, and checks who wrote what it reads."""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import trio
from msgspec.structs import replace

from osapi.errors import (
    ClosedError,
    ConflictError,
    EnrolmentError,
    InvalidInputError,
    InvalidSettingError,
    RecordError,
    TransportError,
)
from osapi.flow.persist import insist, write
from osapi.rules import seals
from osapi.rules.codec import ENROLMENT, SUCCESSION
from osapi.rules.custody import Buckets, Party, custody_of, instead_of, objection, speaker
from osapi.rules.keys import enrolment_key, succession_key
from osapi.rules.public_keys import fingerprint
from osapi.rules.records import VERSION, Succession
from osapi.settings import state_bucket
from osapi.signer import verifies

if TYPE_CHECKING:
    from collections.abc import Iterable

    from osapi.rules.custody import Custody
    from osapi.rules.ledger import Ledger
    from osapi.settings import Settings
    from osapi.signer import Signer
    from osapi.transport import Entry, KeyValue, Transport, Watch

_log = logging.getLogger("osapi.keys")

# A key that is followed by another counts for a year at most.
MAX_GRACE = 366 * 86400.0

# What was decided is read anew so long after the watch was lost.
_PAUSE = 5.0

# Keys of which it is remembered why they were refused.
_TOLD = 1000

# Announcements that are looked through for a key that nobody knows.
_ANNOUNCEMENTS = 1000


class Reading(NamedTuple):
    """What an entry reads as, None if as nothing; with a `reason`, it is not what is stored.

    `stranger` is the key that signed it if that is nobody's, `host` the agent that signed it, or claims to have.
    """

    entry: Entry | None
    reason: str = ""
    stranger: bytes = b""
    host: str = ""


class Keyring:
    """A key to sign with, and the ledger of whose signatures count; without a ledger all of them do."""

    def __init__(self, transport: Transport, settings: Settings, signer: Signer, ledger: Ledger | None) -> None:
        self.signer = signer
        self.ledger = ledger
        self.settings = settings
        self._buckets = Buckets(
            jobs=settings.job_bucket,
            responses=settings.response_bucket,
            registry=settings.registry_bucket,
            facts=settings.facts_bucket,
            state=settings.state_bucket,
            stories=settings.story_bucket,
        )
        self._transport = transport
        self._watch: Watch | None = None
        self._state: KeyValue | None = None
        self._told: dict[tuple[str, str], str] = {}

    def now(self) -> float:
        """Return the broker's time in Unix seconds."""
        return self._transport.now()

    # --- Writing ---

    def sealed(self, bucket: str, key: str, value: bytes) -> bytes:
        """Return a value as it is stored: sealed, unless its key is nobody's."""
        return value if custody_of(self._buckets, bucket, key) is None else self.seal(bucket, key, value)

    def seal(self, bucket: str, key: str, value: bytes, signer: Signer | None = None) -> bytes:
        """Return a value sealed with this key, or with another."""
        signer = signer or self.signer
        signed = signer.sign(seals.statement(self.settings.fleet, bucket, key, value))
        return seals.pack(signer.public.raw, signed, value)

    # --- Reading ---

    def read(self, bucket: str, entry: Entry) -> Reading:
        """Return what an entry reads as here."""
        custody = custody_of(self._buckets, bucket, entry.key) if entry.change == "put" else None
        if custody is None:
            return Reading(entry)
        if self.ledger is None:
            return Reading(replace(entry, value=seals.without_seal(entry.value)))
        seal = seals.unpack(entry.value)
        if seal is None:
            return self._refused(custody, entry, "it is not signed")
        parties = self.ledger.parties(seal.public, self.now())
        if not parties:
            refused = self._refused(custody, entry, self.ledger.why_not(seal.public, self.now()))
            return refused._replace(stranger=seal.public, host=speaker(custody, seal.value))
        why = objection(custody, parties, seal.value)
        if not why and not self._is_signed(bucket, entry.key, seal):
            why = "its signature is not that of its content, or it was signed for another place"
        if why:
            return self._refused(custody, entry, why)
        return Reading(replace(entry, value=seal.value), host=next((p.host for p in parties if p.host), ""))

    def signed_by(self, bucket: str, entry: Entry) -> seals.Seal | None:
        """Return the seal of an entry if its signature is right, whoever's it is."""
        seal = seals.unpack(entry.value)
        return seal if seal is not None and self._is_signed(bucket, entry.key, seal) else None

    def _is_signed(self, bucket: str, key: str, seal: seals.Seal) -> bool:
        signed = seals.statement(self.settings.fleet, bucket, key, seal.value)
        return verifies(seal.public, seal.signature, signed)

    def _refused(self, custody: Custody, entry: Entry, reason: str) -> Reading:
        value = instead_of(custody, entry.key, entry.value, reason, entry.created)
        return Reading(None if value is None else replace(entry, value=value), reason)

    def is_news(self, bucket: str, key: str, reason: str) -> bool:
        """Tell whether this has not been told lately: what is refused may be read over and over."""
        if self._told.get((bucket, key)) == reason:
            return False
        if len(self._told) >= _TOLD:
            self._told.clear()
        self._told[bucket, key] = reason
        return True

    # --- Whose keys are whose ---

    async def open(self) -> KeyValue:
        """Return the bucket in which decisions and announcements lie, as it is stored.

        Raises:
            MismatchError, DisconnectedError, UncertainError

        """
        if self._state is None:
            opened = partial(self._transport.bucket, state_bucket(self.settings))
            self._state = await insist(opened, self.settings.persist)
        return self._state

    async def follow(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Read what was decided and announced, report that, and keep up for as long as the task runs.

        A watch that is lost later on is opened anew, and all is read again; so is a bucket that was removed.

        Raises:
            MismatchError, DisconnectedError, UncertainError: before it was read.

        """
        told = False
        while True:
            try:
                async with (await self.open()).watch("enrolment.*", "succession.*") as watch:
                    await self._catch_up(watch)
                    if not told:
                        task_status.started()
                        told = True
                    while True:
                        self.apply(await watch.receive())
            except TransportError as error:
                if not told:
                    raise
                _log.warning("what is decided about keys is read anew: %s", error)
            finally:
                self._watch = self._state = None
            await trio.sleep(_PAUSE)

    async def _catch_up(self, watch: Watch) -> None:
        first: list[Entry] = []
        while not watch.caught_up:
            first.extend(await watch.receive())
        self.apply(first)
        self._watch = watch

    async def is_ours(self, hostname: str) -> bool:
        """Tell whether our own key is that of this agent; what may have been decided meanwhile is looked for.

        Raises:
            DisconnectedError

        """
        public = self.signer.public.raw
        await self.learn(public, hostname)
        return self.ledger is None or Party(hostname) in self.ledger.parties(public, self.now())

    async def succeed(self, new: Signer, grace: float) -> None:
        """Announce the key that follows ours, and sign with it from now on.

        Raises:
            InvalidSettingError: the grace.
            EnrolmentError: another one was announced before.
            LimitReachedError, DisconnectedError, UncertainError

        """
        if not 0.0 <= grace <= MAX_GRACE:
            raise InvalidSettingError(grace, "is out of range for grace", f"use 0 to {MAX_GRACE:g} seconds")
        if new.public != self.signer.public:
            await self._announce(new, grace)
            self.signer = new

    async def _announce(self, new: Signer, grace: float) -> None:
        name, key = self.settings.state_bucket, succession_key(self.signer.fingerprint)
        bucket, patience = await self.open(), self.settings.persist
        now = self.now()
        succession = Succession(v=VERSION, new=str(new.public), at=now, until=now + grace)
        sealed = self.seal(name, key, SUCCESSION.encode(succession))
        with suppress(ConflictError):
            await write(bucket, key, sealed, 0, ttl=None, patience=patience)
        entry = await insist(partial(bucket.get, key), patience)
        seal = None if entry is None else self.signed_by(name, entry)
        if entry is None or seal is None or SUCCESSION.decode(seal.value).new != str(new.public):
            raise EnrolmentError(
                f"key {self.signer.fingerprint} has announced another key already, or somebody wrote in its place; "
                f"go on with that one, or have a new key accepted"
            )
        self.apply([entry])

    async def learn(self, stranger: bytes, host: str) -> None:
        """Look for what would say whose key this is, in case that it has not come yet.

        Raises:
            DisconnectedError

        """
        if self._watch is not None:
            with suppress(ClosedError):
                self.apply(self._watch.receive_nowait())
        if self.ledger is None or self.ledger.parties(stranger, self.now()):
            return
        bucket, patience = await self.open(), self.settings.persist
        keys = await insist(partial(bucket.keys, "succession.*"), patience)
        wanted = [*keys[:_ANNOUNCEMENTS]]
        try:
            wanted.extend([enrolment_key(host)] if host else [])
        except InvalidInputError:
            _log.debug("no agent can have the name %r", host)
        found = await insist(partial(bucket.get_many, wanted), patience)
        self.apply([entry for entry in found if entry is not None])

    def apply(self, entries: Iterable[Entry]) -> None:
        """Take in decisions and announcements, in whichever order they come."""
        left = [entry for entry in entries if entry.change == "put"]
        while left:
            again = [entry for entry in left if not self._apply(entry)]
            if len(again) == len(left):
                for entry in left:
                    _log.debug("%s does not count", entry.key)
                return
            left = again

    def _apply(self, entry: Entry) -> bool:
        seal = self.signed_by(self.settings.state_bucket, entry)
        if seal is None or self.ledger is None:
            return False
        try:
            if entry.key == succession_key(fingerprint(seal.public)):
                return self.ledger.announce(SUCCESSION.decode(seal.value), seal.public)
            enrolment = ENROLMENT.decode(seal.value)
            if entry.key == enrolment_key(enrolment.hostname):
                return self.ledger.decide(enrolment, seal.public, self.now())
        except (RecordError, InvalidInputError) as error:
            _log.warning("%s cannot be read: %s", entry.key, error)
        return False
