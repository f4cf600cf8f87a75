"""A bucket as a client sees it: the calls and watches of one connection."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeVar

from osapi.configs import overlapping
from osapi.errors import ClosedError, InvalidKeyError, OsapiError, PayloadTooLargeError
from osapi.rules.messages import check_ttl
from osapi.rules.subjects import check_key, check_key_pattern
from osapi_memory.watch import MemoryWatch

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from osapi.transport import BucketConfig, BucketInfo, Entry, Write
    from osapi_memory.bucket_core import BucketCore
    from osapi_memory.connection import Connection

MAX_PAYLOAD = 1 << 20
T = TypeVar("T")


class MemoryKeyValue:
    """Implements `osapi.transport.KeyValue`.

    Each method checks for cancellation first and then takes effect at once: a cancelled call has changed nothing.
    """

    __slots__ = ("_connection", "_core", "_now")

    def __init__(self, connection: Connection, core: BucketCore) -> None:
        self._connection = connection
        self._core = core
        self._now = connection.broker.now

    @property
    def config(self) -> BucketConfig:
        """Return the settings that the bucket was opened with."""
        return self._core.config

    async def get(self, key: str) -> Entry | None:
        """Return the newest entry of a key, None when there is no value."""
        connection = self._connection
        await connection.turn()
        if connection.trouble is None:
            return self._get(key)
        return await connection.trouble.read(partial(self._get, key))

    async def get_many(self, keys: Sequence[str]) -> list[Entry | None]:
        """Return the newest entries of several keys, in their order."""
        return await self._read(lambda: [self._get(key) for key in keys])

    async def put(self, key: str, value: bytes, *, ttl: int | None = None) -> int:
        """Store a value and return its revision."""
        connection = self._connection
        await connection.turn()
        if connection.trouble is None:
            return self._put(key, value, ttl)
        return await connection.trouble.write(partial(self._put, key, value, ttl))

    async def create(self, key: str, value: bytes, *, ttl: int | None = None) -> int:
        """Store a value where there is none and return its revision."""
        connection = self._connection
        await connection.turn()
        if connection.trouble is None:
            return self._create(key, value, ttl)
        return await connection.trouble.write(partial(self._create, key, value, ttl))

    async def update(self, key: str, value: bytes, revision: int, *, ttl: int | None = None) -> int:
        """Store a value if `revision` is the key's newest and return the new revision."""
        connection = self._connection
        await connection.turn()
        if connection.trouble is None:
            return self._update(key, value, revision, ttl)
        return await connection.trouble.write(partial(self._update, key, value, revision, ttl))

    async def write_many(self, writes: Sequence[Write]) -> list[int | OsapiError]:
        """Make several writes at once; return for each its revision, or what it is refused for."""
        connection = self._connection
        await connection.turn()
        done: list[int | OsapiError] = []
        for write in writes:
            try:
                if connection.trouble is None:
                    done.append(self._write_one(write))
                else:
                    done.append(await connection.trouble.write(partial(self._write_one, write)))
            except OsapiError as error:
                done.append(error)
        return done

    async def delete(self, key: str, *, revision: int | None = None) -> int:
        """Add a delete marker and return its revision."""
        return await self._write(lambda: self._checked(key).delete(key, self._now(), revision))

    async def purge(self, key: str, *, revision: int | None = None, ttl: int | None = None) -> int:
        """Replace the key and its history by one marker and return its revision."""

        def purge() -> int:
            core = self._checked(key)
            if ttl is not None:
                check_ttl(ttl)
            return core.purge(key, self._now(), revision, ttl)

        return await self._write(purge)

    async def history(self, key: str) -> list[Entry]:
        """Return the kept revisions of a key, oldest first, markers included."""
        return await self._read(lambda: self._checked(key).history(key, self._now()))

    async def keys(self, pattern: str = ">") -> list[str]:
        """Return the keys that have a value and match."""

        def keys() -> list[str]:
            check_key_pattern(pattern)
            return self._found().keys(pattern, self._now())

        return await self._read(keys)

    async def info(self) -> BucketInfo:
        """Return the bucket's figures; keys that have only a marker count, as in JetStream."""
        return await self._read(lambda: self._found().info(self._now()))

    def watch(
        self, *patterns: str, start: Literal["all", "new"] | int = "all"
    ) -> AbstractAsyncContextManager[MemoryWatch]:
        """Watch the keys that match any of the patterns."""
        return self._watch(patterns, start)

    @asynccontextmanager
    async def _watch(
        self, patterns: tuple[str, ...], start: Literal["all", "new"] | int
    ) -> AsyncGenerator[MemoryWatch]:
        for pattern in patterns:
            check_key_pattern(pattern)
        if pair := overlapping(patterns):
            raise InvalidKeyError(pair[0], f"overlaps {pair[1]!r} of the same watch", "give disjoint patterns")
        await self._read(self._found)
        # Opened where nothing can be cancelled or fail any more, or nobody would be left to close it.
        watch = MemoryWatch(self._connection, self._found(), patterns, start)
        self._connection.receivers[watch] = None
        try:
            yield watch
        finally:
            self._connection.receivers.pop(watch, None)
            watch.close(ClosedError("the watch's block has ended"))

    # --- Steps ---------------------------------------------------------------------------------------------

    async def _read(self, call: Callable[[], T]) -> T:
        connection = self._connection
        await connection.turn()
        return call() if connection.trouble is None else await connection.trouble.read(call)

    async def _write(self, call: Callable[[], T]) -> T:
        connection = self._connection
        await connection.turn()
        return call() if connection.trouble is None else await connection.trouble.write(call)

    def _found(self) -> BucketCore:
        # A handle names a bucket: it outlives the deletion if the bucket is made again.
        if self._core.deleted:
            self._core = self._connection.broker.find_bucket(self._core.config.name)
        return self._core

    def _checked(self, key: str) -> BucketCore:
        core = self._found()
        if not core.knows(key):
            check_key(key)
        return core

    def _get(self, key: str) -> Entry | None:
        core = self._found()
        entry = core.get(key, self._now())
        if entry is None and not core.knows(key):
            check_key(key)
        return entry

    def _put(self, key: str, value: bytes, ttl: int | None) -> int:
        return self._for_value(key, value, ttl).put(key, value, self._now(), ttl)

    def _create(self, key: str, value: bytes, ttl: int | None) -> int:
        return self._for_value(key, value, ttl).create(key, value, self._now(), ttl)

    def _update(self, key: str, value: bytes, revision: int, ttl: int | None) -> int:
        return self._for_value(key, value, ttl).update(key, value, revision, self._now(), ttl)

    def _write_one(self, write: Write) -> int:
        if write.revision is None:
            return self._put(write.key, write.value, write.ttl)
        if write.revision:
            return self._update(write.key, write.value, write.revision, write.ttl)
        return self._create(write.key, write.value, write.ttl)

    def _for_value(self, key: str, value: bytes, ttl: int | None) -> BucketCore:
        core = self._core
        if core.deleted:
            core = self._found()
        if not core.knows(key):
            check_key(key)
        if ttl is not None:
            check_ttl(ttl)
        if len(value) > MAX_PAYLOAD:
            raise PayloadTooLargeError(f"value of {key}", len(value), MAX_PAYLOAD)
        return core
