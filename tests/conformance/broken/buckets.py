"""Backends that break K1 to K6."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import trio
from msgspec.structs import replace

from osapi.errors import ConflictError, LimitReachedError, OsapiError
from osapi.rules.subjects import matches
from tests.conformance.broken.proxy import BucketProxy, TransportProxy, breaks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from osapi.transport import BucketConfig, Entry, KeyValue, Write


@breaks("K1")
class RevisionsPerKey(BucketProxy):
    """Each key counts its own revisions."""

    def begin(self) -> None:
        self.counts: Counter[str] = Counter()

    async def put(self, key: str, value: bytes, *, ttl: int | None = None) -> int:
        await self.inner.put(key, value, ttl=ttl)
        self.counts[key] += 1
        return self.counts[key]


@breaks("K1")
class RefusalsUseARevision(BucketProxy):
    """A failed comparison has taken its revision already."""

    async def create(self, key: str, value: bytes, *, ttl: int | None = None) -> int:
        try:
            return await self.inner.create(key, value, ttl=ttl)
        except ConflictError:
            await self.inner.delete("elsewhere")
            raise


@breaks("K1")
class MarkersUseNoRevision(BucketProxy):
    """A delete returns the revision of what it deleted."""

    async def delete(self, key: str, *, revision: int | None = None) -> int:
        return await self.inner.delete(key, revision=revision) - 1


@breaks("K9")
class WritesStopAtTheFirstRefusal(BucketProxy):
    """What comes after a write that is refused is not made."""

    async def write_many(self, writes: Sequence[Write]) -> list[int | OsapiError]:
        done: list[int | OsapiError] = []
        for write in writes:
            done += await self.inner.write_many([write])
            if isinstance(done[-1], OsapiError):
                break
        return done + [done[-1]] * (len(writes) - len(done))


@breaks("K9")
class PutsOfManyCompare(BucketProxy):
    """A write that is for whatever is there is made only where nothing is."""

    async def write_many(self, writes: Sequence[Write]) -> list[int | OsapiError]:
        return await self.inner.write_many([replace(write, revision=write.revision or 0) for write in writes])


@breaks("K9")
class ManyWritesShareOneAnswer(BucketProxy):
    """The revision of the last of many counts for all of them."""

    async def write_many(self, writes: Sequence[Write]) -> list[int | OsapiError]:
        answers = await self.inner.write_many(writes)
        return answers if len(answers) < 100 else [answers[-1]] * len(answers)


@breaks("K1")
class GetManySkipsWhatIsMissing(BucketProxy):
    """The answers for keys without a value are left out, as in the broker's own answer."""

    async def get_many(self, keys: Sequence[str]) -> list[Entry | None]:
        return [entry for entry in await self.inner.get_many(keys) if entry is not None]


@breaks("K1")
class GetManyHasALimit(BucketProxy):
    """Only as many keys are answered for as one request can name."""

    async def get_many(self, keys: Sequence[str]) -> list[Entry | None]:
        return await self.inner.get_many(keys[:1024])


@breaks("K2")
class CreateOverwrites(BucketProxy):
    """Create does what put should do."""

    async def create(self, key: str, value: bytes, *, ttl: int | None = None) -> int:
        return await self.inner.put(key, value, ttl=ttl)


@breaks("K2")
class DeletedKeysCannotBeCreated(BucketProxy):
    """A marker counts as a value."""

    async def create(self, key: str, value: bytes, *, ttl: int | None = None) -> int:
        return await self.inner.update(key, value, 0, ttl=ttl)


@breaks("K2")
class ExpiredKeysCannotBeCreated(BucketProxy):
    """A key that was created once is remembered although it has expired."""

    def begin(self) -> None:
        self.created: dict[str, int] = {}

    async def create(self, key: str, value: bytes, *, ttl: int | None = None) -> int:
        if key in self.created and not await self.inner.history(key):
            raise ConflictError(key, 0, self.created[key])
        self.created[key] = await self.inner.create(key, value, ttl=ttl)
        return self.created[key]


@breaks("K2")
class CreateLooksAndThenPuts(BucketProxy):
    """Between the look and the write somebody else may write."""

    async def create(self, key: str, value: bytes, *, ttl: int | None = None) -> int:
        if entry := await self.inner.get(key):
            raise ConflictError(key, 0, entry.revision)
        await trio.lowlevel.checkpoint()
        return await self.inner.put(key, value, ttl=ttl)


@breaks("K3")
class UpdateComparesWithTheBucket(BucketProxy):
    """The newest revision of all keys is expected, not that of the key."""

    async def update(self, key: str, value: bytes, revision: int, *, ttl: int | None = None) -> int:
        newest = (await self.inner.info()).revision
        if revision != newest:
            raise ConflictError(key, revision, newest)
        return await self.inner.put(key, value, ttl=ttl)


@breaks("K3")
class UpdateLooksAndThenPuts(BucketProxy):
    """Between the look and the write somebody else may write."""

    async def update(self, key: str, value: bytes, revision: int, *, ttl: int | None = None) -> int:
        newest = (await self.inner.history(key))[-1:]
        actual = newest[0].revision if newest else 0
        if revision != actual:
            raise ConflictError(key, revision, actual)
        await trio.lowlevel.checkpoint()
        return await self.inner.put(key, value, ttl=ttl)


@breaks("K3")
class MarkersAreLeftOutOfComparisons(BucketProxy):
    """Where a key was deleted, 0 is taken for its newest revision."""

    async def update(self, key: str, value: bytes, revision: int, *, ttl: int | None = None) -> int:
        if revision == 0:
            return await self.inner.create(key, value, ttl=ttl)
        return await self.inner.update(key, value, revision, ttl=ttl)


@breaks("K3")
class AnyKeptRevisionWillDo(BucketProxy):
    """An update over a revision of the history is taken."""

    async def update(self, key: str, value: bytes, revision: int, *, ttl: int | None = None) -> int:
        if revision in [entry.revision for entry in await self.inner.history(key)]:
            return await self.inner.put(key, value, ttl=ttl)
        return await self.inner.update(key, value, revision, ttl=ttl)


@breaks("K3")
class RemovalsDoNotCompare(BucketProxy):
    """The revision given to a purge is forgotten."""

    async def purge(self, key: str, *, revision: int | None = None, ttl: int | None = None) -> int:
        return await self.inner.purge(key, ttl=ttl)


@breaks("K3")
class ExpiredRevisionsAreTheNewest(BucketProxy):
    """After an expiry the revision that has expired can still be updated."""

    async def update(self, key: str, value: bytes, revision: int, *, ttl: int | None = None) -> int:
        if revision and not await self.inner.history(key):
            return await self.inner.create(key, value, ttl=ttl)
        return await self.inner.update(key, value, revision, ttl=ttl)


@breaks("K4")
class DeleteDropsTheHistory(BucketProxy):
    """Delete does what purge should do."""

    async def delete(self, key: str, *, revision: int | None = None) -> int:
        return await self.inner.purge(key, revision=revision)


@breaks("K4")
class PurgeKeepsTheHistory(BucketProxy):
    """Purge does what delete should do."""

    async def purge(self, key: str, *, revision: int | None = None, ttl: int | None = None) -> int:
        return await self.inner.delete(key, revision=revision)


@breaks("K4")
class MissingKeysLeaveNoMarker(BucketProxy):
    """Deleting what is not there does nothing."""

    async def delete(self, key: str, *, revision: int | None = None) -> int:
        if await self.inner.get(key) is None:
            return 0
        return await self.inner.delete(key, revision=revision)


@breaks("K4")
class RemovedKeysAreListed(BucketProxy):
    """Keys are those that were ever written."""

    def begin(self) -> None:
        self.written: dict[str, None] = {}

    async def put(self, key: str, value: bytes, *, ttl: int | None = None) -> int:
        self.written[key] = None
        return await self.inner.put(key, value, ttl=ttl)

    async def keys(self, pattern: str = ">") -> list[str]:
        return [key for key in self.written if matches(pattern, key)]


@breaks("K4")
class EmptyValuesAreMarkers(BucketProxy):
    """A value without bytes reads as none."""

    async def get(self, key: str) -> Entry | None:
        entry = await self.inner.get(key)
        return entry if entry and entry.value else None


@breaks("K4")
class KeysMatchParts(BucketProxy):
    """A pattern is looked for anywhere in a key."""

    async def keys(self, pattern: str = ">") -> list[str]:
        return [key for key in await self.inner.keys() if pattern.strip("*.>") in key]


@breaks("K4")
class PurgeMarkersStay(BucketProxy):
    """The TTL of a purge marker is forgotten."""

    async def purge(self, key: str, *, revision: int | None = None, ttl: int | None = None) -> int:
        return await self.inner.purge(key, revision=revision)


@breaks("K5")
class TtlIsForgotten(BucketProxy):
    """A value created with a TTL stays."""

    async def create(self, key: str, value: bytes, *, ttl: int | None = None) -> int:
        return await self.inner.create(key, value)


@breaks("K5")
class TtlIsThatOfTheKey(BucketProxy):
    """A TTL goes on for later values of the key."""

    def begin(self) -> None:
        self.ttls: dict[str, int | None] = {}

    async def put(self, key: str, value: bytes, *, ttl: int | None = None) -> int:
        self.ttls[key] = ttl or self.ttls.get(key)
        return await self.inner.put(key, value, ttl=self.ttls[key])


@breaks("K5")
class BucketsHaveNoTtl(TransportProxy):
    """The TTL of a bucket is forgotten."""

    async def bucket(self, config: BucketConfig) -> KeyValue:
        return await super().bucket(replace(config, ttl=0))


@breaks("K5")
class ExpiryIsAnnouncedUnasked(TransportProxy):
    """Every expiry leaves a marker, with `marker_ttl` and without."""

    async def bucket(self, config: BucketConfig) -> KeyValue:
        return await super().bucket(replace(config, marker_ttl=config.marker_ttl or 1.0))


@breaks("K5")
class ExpiryIsNeverAnnounced(TransportProxy):
    """No expiry leaves a marker, without `marker_ttl` and with it."""

    async def bucket(self, config: BucketConfig) -> KeyValue:
        return await super().bucket(replace(config, marker_ttl=0))


@breaks("K5")
class NoResurrection(BucketProxy):
    """When the newest value expires, those before it are gone as well."""

    def begin(self) -> None:
        self.newest: dict[str, int] = {}

    async def put(self, key: str, value: bytes, *, ttl: int | None = None) -> int:
        self.newest[key] = await self.inner.put(key, value, ttl=ttl)
        return self.newest[key]

    async def get(self, key: str) -> Entry | None:
        entry = await self.inner.get(key)
        return entry if entry and entry.revision >= self.newest.get(key, 0) else None


@breaks("K5")
class ExpiryMarkersAreValues(BucketProxy):
    """A marker without the header that markers of removals have is given out as a value."""

    async def get(self, key: str) -> Entry | None:
        newest = (await self.inner.history(key))[-1:]
        if newest and newest[0].change == "expire":
            return newest[0]
        return await self.inner.get(key)


@breaks("K6")
class BucketsAreNeverFull(TransportProxy):
    """`max_bytes` is forgotten."""

    async def bucket(self, config: BucketConfig) -> KeyValue:
        return await super().bucket(replace(config, max_bytes=-1))


@breaks("K6")
class AFullBucketRefusesEverything(BucketProxy):
    """A write needs room for itself beside what it replaces."""

    async def update(self, key: str, value: bytes, revision: int, *, ttl: int | None = None) -> int:
        limit, used = self.inner.config.max_bytes, (await self.inner.info()).bytes
        if 0 < limit < used + len(value):
            raise LimitReachedError(f"max_bytes is {limit}")
        return await self.inner.update(key, value, revision, ttl=ttl)


@breaks("K6")
class OldKeysMakeRoomForNewOnes(BucketProxy):
    """A full bucket drops its oldest key instead of refusing."""

    async def create(self, key: str, value: bytes, *, ttl: int | None = None) -> int:
        try:
            return await self.inner.create(key, value, ttl=ttl)
        except LimitReachedError:
            await self.inner.purge((await self.inner.keys())[0])
            return await self.inner.create(key, value, ttl=ttl)
