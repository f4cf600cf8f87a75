"""A bucket on JetStream: a stream whose subjects are keys, read and written with NATS's own conventions."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Literal

import trio

from osapi.configs import overlapping
from osapi.errors import ClosedError, ConflictError, InvalidKeyError, OsapiError, PayloadTooLargeError
from osapi.rules.messages import check_ttl, headers_size
from osapi.rules.subjects import check_key, check_key_pattern
from osapi.transport import BucketInfo
from osapi_nats.api import MESSAGE_TOO_LARGE, WRONG_LAST_SEQUENCE, StreamAnswer
from osapi_nats.documents import bucket_stream
from osapi_nats.reader import Reader
from osapi_nats.watch import NatsWatch

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from contextlib import AbstractAsyncContextManager

    from osapi.transport import BucketConfig, Entry, Write
    from osapi_nats.api import Api

# A new writer of a key that others write at the same time tries so often to get in before it says so.
_ATTEMPTS = 8


class NatsKeyValue:
    """Implements `osapi.transport.KeyValue`."""

    def __init__(self, api: Api, config: BucketConfig, name: str) -> None:
        self._api = api
        self._config = config
        self._name = bucket_stream(name)
        self._prefix = f"$KV.{name}."
        self._what = f"bucket {config.name}"
        self._reader = Reader(api, self._name, self._what, len(self._prefix), config.replicas)

    @property
    def config(self) -> BucketConfig:
        """Return the settings that the bucket was opened with."""
        return self._config

    # --- Reading -------------------------------------------------------------------------------------------

    async def get(self, key: str) -> Entry | None:
        """Return the newest entry of a key, None when there is no value."""
        check_key(key)
        return _value(await self._reader.newest(f"{self._prefix}{key}"))

    async def get_many(self, keys: Sequence[str]) -> list[Entry | None]:
        """Return the newest entries of several keys, in their order."""
        for key in keys:
            check_key(key)
        await trio.lowlevel.checkpoint_if_cancelled()
        found = await self._reader.newest_of([f"{self._prefix}{key}" for key in dict.fromkeys(keys)])
        return [_value(found.get(key)) for key in keys]

    async def history(self, key: str) -> list[Entry]:
        """Return the kept revisions of a key, oldest first, markers included."""
        check_key(key)
        return await self._reader.all_of(f"{self._prefix}{key}")

    async def keys(self, pattern: str = ">") -> list[str]:
        """Return the keys that have a value and match."""
        check_key_pattern(pattern)
        async with self._open_watch((pattern,), "all", headers_only=True) as watch:
            keys = [entry.key for entry in await watch.first_set() if entry.change == "put"]
        # A key that is written meanwhile may come twice.
        return list(dict.fromkeys(keys))

    async def info(self) -> BucketInfo:
        """Return the bucket's figures; keys that have only a marker count."""
        await trio.lowlevel.checkpoint_if_cancelled()
        state = (await self._api.read(f"STREAM.INFO.{self._name}", None, StreamAnswer, self._what)).state
        return BucketInfo(self._config, state.num_subjects, state.messages, state.bytes, state.last_seq)

    def watch(
        self, *patterns: str, start: Literal["all", "new"] | int = "all"
    ) -> AbstractAsyncContextManager[NatsWatch]:
        """Watch the keys that match any of the patterns."""
        return self._open_watch(patterns, start)

    @asynccontextmanager
    async def _open_watch(
        self, patterns: tuple[str, ...], start: Literal["all", "new"] | int, *, headers_only: bool = False
    ) -> AsyncGenerator[NatsWatch]:
        for pattern in patterns:
            check_key_pattern(pattern)
        if pair := overlapping(patterns):
            raise InvalidKeyError(pair[0], f"overlaps {pair[1]!r} of the same watch", "give disjoint patterns")
        filters = [f"{self._prefix}{pattern}" for pattern in patterns or (">",)]
        watch = NatsWatch(
            self._api, self._name, self._what, filters, len(self._prefix), start, headers_only=headers_only
        )
        try:
            await trio.lowlevel.checkpoint_if_cancelled()
            await watch.resume()
            self._api.link.add(watch)
            yield watch
        finally:
            self._api.link.remove(watch)
            watch.close(ClosedError("the watch's block has ended"))

    # --- Writing -------------------------------------------------------------------------------------------

    async def put(self, key: str, value: bytes, *, ttl: int | None = None) -> int:
        """Store a value and return its revision."""
        return await self._store(key, value, None, ttl)

    async def create(self, key: str, value: bytes, *, ttl: int | None = None) -> int:
        """Store a value where there is none and return its revision."""
        expected = 0
        for _ in range(_ATTEMPTS):
            try:
                return await self._store(key, value, expected, ttl)
            except ConflictError:
                # The comparison counts markers and what has expired; only a value is in the way.
                newest = await self._reader.newest(f"{self._prefix}{key}")
                if newest is not None and newest.change == "put":
                    raise ConflictError(key, 0, newest.revision) from None
                expected = newest.revision if newest is not None else 0
        raise ConflictError(key, 0, expected)

    async def update(self, key: str, value: bytes, revision: int, *, ttl: int | None = None) -> int:
        """Store a value if `revision` is the key's newest and return the new revision."""
        return await self._store(key, value, revision, ttl)

    async def write_many(self, writes: Sequence[Write]) -> list[int | OsapiError]:
        """Make several writes at once; return for each its revision, or what it is refused for."""
        await trio.lowlevel.checkpoint_if_cancelled()
        done: list[int | OsapiError] = []
        sent: list[tuple[str, bytes, dict[str, str] | None]] = []
        try:
            for write in writes:
                check_key(write.key)
                message = f"{self._prefix}{write.key}", write.value, _conditions(write.revision, write.ttl)
                self._api.link.check_size(write.key, write.value, message[2])
                sent.append(message)
        except OsapiError:
            # One by one, it is seen which.
            return [await self._write_one(write) for write in writes]
        for write, ack in zip(writes, await self._api.publish_many(sent), strict=True):
            if isinstance(ack, OsapiError):
                done.append(ack)
            elif ack.error is None:
                done.append(ack.seq)
            elif ack.error.err_code == WRONG_LAST_SEQUENCE and write.revision:
                done.append(ConflictError(write.key, write.revision, ack.error.last_sequence))
            else:
                # Nothing was stored. A marker may be in the way, or the server not know yet, or say more when asked.
                done.append(await self._write_one(write))
        return done

    async def _write_one(self, write: Write) -> int | OsapiError:
        try:
            if write.revision is None:
                return await self.put(write.key, write.value, ttl=write.ttl)
            if write.revision:
                return await self.update(write.key, write.value, write.revision, ttl=write.ttl)
            return await self.create(write.key, write.value, ttl=write.ttl)
        except OsapiError as error:
            return error

    async def delete(self, key: str, *, revision: int | None = None) -> int:
        """Add a delete marker and return its revision."""
        return await self._store(key, b"", revision, None, {"KV-Operation": "DEL"})

    async def purge(self, key: str, *, revision: int | None = None, ttl: int | None = None) -> int:
        """Replace the key and its history by one marker and return its revision."""
        return await self._store(key, b"", revision, ttl, {"KV-Operation": "PURGE", "Nats-Rollup": "sub"})

    async def _store(
        self, key: str, value: bytes, expected: int | None, ttl: int | None, headers: dict[str, str] | None = None
    ) -> int:
        check_key(key)
        sent = _conditions(expected, ttl, headers)
        await trio.lowlevel.checkpoint_if_cancelled()
        ack = await self._api.publish(f"{self._prefix}{key}", value, sent, f"value of {key}")
        if ack.error is None:
            return ack.seq
        if ack.error.err_code == WRONG_LAST_SEQUENCE:
            raise ConflictError(key, expected or 0, ack.error.last_sequence)
        if ack.error.err_code == MESSAGE_TOO_LARGE:
            size = len(value) + (headers_size(sent) if sent else 0)
            raise PayloadTooLargeError(f"value of {key}", size, self._config.max_value_size)
        raise await self._api.refused(ack.error, self._name, self._what)


def _conditions(expected: int | None, ttl: int | None, headers: dict[str, str] | None = None) -> dict[str, str] | None:
    """Return the headers of a write, those included that say what shall be."""
    sent = headers or {}
    if ttl is not None:
        sent["Nats-TTL"] = f"{check_ttl(ttl)}s"
    if expected is not None:
        sent["Nats-Expected-Last-Subject-Sequence"] = str(expected)
    return sent or None


def _value(entry: Entry | None) -> Entry | None:
    return None if entry is None or entry.change != "put" else entry
