"""Sealed buckets: a transport whose buckets seal what is written, and check what is read.

All that reads and writes jobs goes through it without knowing; without keys it is not there at all.
"""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Literal

from msgspec.structs import replace

from osapi.errors import InvalidSettingError
from osapi.flow.keyring import Keyring
from osapi.flow.persist import insist
from osapi.nursery import background
from osapi.rules.seals import SEAL_BYTES
from osapi.transport import Entry

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from osapi.errors import OsapiError
    from osapi.flow.keyring import Reading
    from osapi.settings import Settings
    from osapi.signer import Signer
    from osapi.transport import BrokerInfo, BucketConfig, KeyValue, Stream, StreamConfig, Transport, Watch, Write
    from osapi.trust import Trust


_log = logging.getLogger("osapi.keys")


class SignedEntry(Entry, frozen=True, gc=False):
    """An entry that the agent of `host` has signed."""

    host: str = ""


@asynccontextmanager
async def keyed(
    transport: Transport, settings: Settings, signer: Signer | None, trust: Trust | None
) -> AsyncGenerator[tuple[Transport, Keyring | None]]:
    """Return a transport that seals and checks for the length of the block, and its keyring; itself without keys.

    Raises:
        MismatchError, DisconnectedError, UncertainError

    """
    if signer is None:
        yield transport, None
        return
    keyring = Keyring(transport, settings, signer, None if trust is None else trust.ledger())
    async with background() as nursery:
        if trust is not None:
            await insist(partial(nursery.start, keyring.follow), settings.persist)
        yield SealedTransport(transport, keyring), keyring


def check_keys(signer: Signer | None, trust: Trust | None) -> None:
    """Refuse to check without signing: others would refuse all that is written.

    Raises:
        InvalidSettingError

    """
    if trust is not None and signer is None:
        raise InvalidSettingError("trust", "is given without a signer", "give both, or a signer alone")


class SealedTransport:
    """Implements `osapi.transport.Transport` over another one."""

    def __init__(self, inner: Transport, keyring: Keyring) -> None:
        self._inner = inner
        self._keyring = keyring

    @property
    def max_payload(self) -> int:
        """Return the largest payload, so that it and its seal are taken."""
        return self._inner.max_payload - SEAL_BYTES

    @property
    def broker(self) -> BrokerInfo:
        """Return where the broker is, and which version it is."""
        return self._inner.broker

    def now(self) -> float:
        """Return the broker's time."""
        return self._inner.now()

    async def bucket(self, config: BucketConfig) -> KeyValue:
        """Open a bucket."""
        return SealedBucket(await self._inner.bucket(config), self._keyring)

    async def stream(self, config: StreamConfig) -> Stream:
        """Open a stream: a notification only says where to look, and is not signed."""
        return await self._inner.stream(config)

    async def delete_bucket(self, name: str) -> bool:
        """Remove a bucket."""
        return await self._inner.delete_bucket(name)

    async def delete_stream(self, name: str) -> bool:
        """Remove a stream."""
        return await self._inner.delete_stream(name)


class SealedBucket:
    """Implements `osapi.transport.KeyValue` over another one."""

    def __init__(self, inner: KeyValue, keyring: Keyring) -> None:
        self._inner = inner
        self._keyring = keyring
        self._name = inner.config.name
        self.delete = inner.delete
        self.purge = inner.purge
        self.keys = inner.keys
        self.info = inner.info

    @property
    def config(self) -> BucketConfig:
        """Return the settings that the bucket was opened with."""
        return self._inner.config

    async def get(self, key: str) -> Entry | None:
        """Return the newest entry of a key, opened."""
        entry = await self._inner.get(key)
        return None if entry is None else await self._opened(entry)

    async def get_many(self, keys: Sequence[str]) -> list[Entry | None]:
        """Return the newest entries of several keys, opened."""
        entries = await self._inner.get_many(keys)
        return [None if entry is None else await self._opened(entry) for entry in entries]

    async def put(self, key: str, value: bytes, *, ttl: int | None = None) -> int:
        """Store a value, sealed."""
        return await self._inner.put(key, self._sealed(key, value), ttl=ttl)

    async def create(self, key: str, value: bytes, *, ttl: int | None = None) -> int:
        """Store a value, sealed, where there is none."""
        return await self._inner.create(key, self._sealed(key, value), ttl=ttl)

    async def update(self, key: str, value: bytes, revision: int, *, ttl: int | None = None) -> int:
        """Store a value, sealed, in the place of one revision."""
        return await self._inner.update(key, self._sealed(key, value), revision, ttl=ttl)

    async def write_many(self, writes: Sequence[Write]) -> list[int | OsapiError]:
        """Make several writes at once, each sealed."""
        return await self._inner.write_many([replace(one, value=self._sealed(one.key, one.value)) for one in writes])

    async def history(self, key: str) -> list[Entry]:
        """Return the kept revisions of a key, opened."""
        opened = [await self._opened(entry) for entry in await self._inner.history(key)]
        return [entry for entry in opened if entry is not None]

    @asynccontextmanager
    async def watch(self, *patterns: str, start: Literal["all", "new"] | int = "all") -> AsyncGenerator[Watch]:
        """Watch the keys that match."""
        async with self._inner.watch(*patterns, start=start) as watch:
            yield SealedWatch(watch, self._keyring, self._name)

    def _sealed(self, key: str, value: bytes) -> bytes:
        return self._keyring.sealed(self._name, key, value)

    async def _opened(self, entry: Entry) -> Entry | None:
        return await opened(self._keyring, self._name, entry, self._keyring.settings.persist)


class SealedWatch:
    """Implements `osapi.transport.Watch` over another one."""

    def __init__(self, inner: Watch, keyring: Keyring, bucket: str) -> None:
        self._inner = inner
        self._keyring = keyring
        self._bucket = bucket
        self._held: Sequence[Entry] = ()

    @property
    def caught_up(self) -> bool:
        """Tell whether `receive` has given all of the first set."""
        return self._inner.caught_up and not self._held

    async def receive(self) -> Sequence[Entry]:
        """Wait for entries and return all that have come, opened."""
        while True:
            # Cancelled in here, they are held for the next call. The watch outlives an outage, and so does this.
            self._held = batch = self._held or await self._inner.receive()
            found = [await opened(self._keyring, self._bucket, entry, inf) or _gone(entry) for entry in batch]
            # If they are not held any more, somebody who would not wait has taken them meanwhile.
            if self._held is batch:
                self._held = ()
                return found

    def receive_nowait(self) -> Sequence[Entry]:
        """Return what has already come, opened; what is signed with a key that is not known yet is refused."""
        entries = [*self._held, *self._inner.receive_nowait()]
        self._held = ()
        return [self._read(entry) or _gone(entry) for entry in entries]

    def _read(self, entry: Entry) -> Entry | None:
        return _told(self._keyring, self._bucket, entry.key, self._keyring.read(self._bucket, entry))


async def opened(keyring: Keyring, bucket: str, entry: Entry, patience: float) -> Entry | None:
    """Return what an entry reads as; whose key it is signed with is looked for if that is not known.

    Raises:
        DisconnectedError

    """
    reading = keyring.read(bucket, entry)
    if reading.stranger:
        await insist(partial(keyring.learn, reading.stranger, reading.host), patience)
        reading = keyring.read(bucket, entry)
    found = _told(keyring, bucket, entry.key, reading)
    if found is None or reading.reason or not reading.host:
        return found
    return SignedEntry(found.key, found.value, found.revision, found.created, found.change, host=reading.host)


def _told(keyring: Keyring, bucket: str, key: str, reading: Reading) -> Entry | None:
    if reading.reason and keyring.is_news(bucket, key, reading.reason):
        _log.warning("%s of %s is refused: %s", key, bucket, reading.reason)
    return reading.entry


def _gone(entry: Entry) -> Entry:
    """Return what stands in a watch for a value that reads as nothing."""
    return replace(entry, value=b"", change="delete")
