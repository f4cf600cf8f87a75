"""Backends that break T1 to T5."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import trio
from msgspec.structs import replace

from osapi.errors import (
    ClosedError,
    ConflictError,
    InvalidKeyError,
    InvalidSettingError,
    InvalidSubjectError,
    LimitReachedError,
    MismatchError,
    MissingError,
    PayloadTooLargeError,
)
from osapi.transport import BrokerInfo, BucketInfo
from tests.conformance.broken.proxy import (
    BucketProxy,
    PullProxy,
    StreamProxy,
    TransportProxy,
    WatchProxy,
    breaks,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from osapi.transport import (
        BucketConfig,
        Consumer,
        ConsumerConfig,
        Delivery,
        Entry,
        KeyValue,
        Published,
        Stream,
        StreamConfig,
    )


@breaks("T1")
class CancelledReceiveLosesMessages(PullProxy):
    """A pull takes messages out of its queue before a checkpoint at which it can be cancelled."""

    async def receive(self) -> list[Delivery]:
        deliveries = await super().receive()
        await trio.lowlevel.checkpoint()
        return deliveries


@breaks("T1")
class CancelledReceiveLosesChanges(WatchProxy):
    """A watch takes entries out of its queue before a checkpoint at which it can be cancelled."""

    async def receive(self) -> Sequence[Entry]:
        entries = await self.inner.receive()
        await trio.lowlevel.checkpoint()
        return entries


@breaks("T1")
class CancelledWritesAreSent(BucketProxy):
    """A write in a cancelled scope is sent first, and cancelled while it waits for the answer."""

    async def put(self, key: str, value: bytes, *, ttl: int | None = None) -> int:
        revision = 0
        with trio.CancelScope(shield=True):
            revision = await self.inner.put(key, value, ttl=ttl)
        await trio.lowlevel.checkpoint()
        return revision


@breaks("T1")
class RemovalsCannotBeCancelled(TransportProxy):
    """A method without anything to wait for forgets to be a checkpoint."""

    async def delete_bucket(self, name: str) -> bool:
        removed: list[bool] = []
        with trio.CancelScope(shield=True):
            removed.append(await self.inner.delete_bucket(name))
        return removed[0]


@breaks("T1")
class ReadsAreRemembered(BucketProxy):
    """What was read once is returned without a checkpoint, so that a loop over it starves all other tasks."""

    def begin(self) -> None:
        self.answers: dict[str, Entry | None] = {}

    async def get(self, key: str) -> Entry | None:
        if key not in self.answers:
            self.answers[key] = await self.inner.get(key)
        return self.answers[key]


@breaks("T1")
class ReceiveIsNoCheckpoint(PullProxy):
    """A pull returns what has come at once, without looking whether it was cancelled."""

    async def receive(self) -> list[Delivery]:
        with trio.move_on_after(0.001, shield=True):
            return await super().receive()
        return await super().receive()


@breaks("T2")
class BadKeysAreMadeGood(BucketProxy):
    """Characters that a key cannot have are replaced, and two keys become one."""

    async def put(self, key: str, value: bytes, *, ttl: int | None = None) -> int:
        try:
            return await self.inner.put(key, value, ttl=ttl)
        except InvalidKeyError:
            return await self.inner.put(f"k{''.join(filter(str.isalnum, key.encode().hex()))}", value, ttl=ttl)


@breaks("T2")
class OverlappingWatchesAreOpened(BucketProxy):
    """A watch is opened on the first of several patterns that overlap."""

    def watch(self, *patterns: str, start: Any = "all") -> Any:
        return super().watch(*patterns[:1], start=start)


@breaks("T2")
class AnySubjectIsTaken(StreamProxy):
    """A message outside the stream's subjects is put on a subject inside."""

    async def publish(self, subject: str, payload: bytes, **options: Any) -> Published:
        try:
            return await self.inner.publish(subject, payload, **options)
        except InvalidSubjectError:
            return await self.inner.publish(f"{self.inner.config.name}.other", payload, **options)


@breaks("T2")
class BadFiltersMatchNothing(StreamProxy):
    """A malformed pattern is not refused but finds nothing."""

    async def purge(self, subject: str = ">") -> int:
        try:
            return await self.inner.purge(subject)
        except InvalidSubjectError:
            return 0


@breaks("T2")
class ZeroTtlMeansNone(StreamProxy):
    """A TTL of 0 is taken for no TTL."""

    async def publish(self, subject: str, payload: bytes, *, ttl: int | None = None, **options: Any) -> Published:
        return await self.inner.publish(subject, payload, ttl=ttl or None, **options)


@breaks("T2")
class HeadersThatAreNoneAreLeftOut(StreamProxy):
    """Headers that cannot be sent are not."""

    async def publish(self, subject: str, payload: bytes, **options: Any) -> Published:
        try:
            return await self.inner.publish(subject, payload, **options)
        except InvalidSettingError:
            return await self.inner.publish(subject, payload)


@breaks("T2")
class BadNamesAreEscaped(TransportProxy):
    """A bucket's name that cannot be is changed into one that can."""

    async def bucket(self, config: BucketConfig) -> KeyValue:
        try:
            return await super().bucket(config)
        except InvalidSettingError:
            return await super().bucket(replace(config, name="escaped", history=1, ttl=0, marker_ttl=0))


@breaks("T2")
class SizesAreNotLimited(TransportProxy):
    """`max_value_size` and `max_msg_size` are forgotten."""

    async def bucket(self, config: BucketConfig) -> KeyValue:
        return await super().bucket(replace(config, max_value_size=-1))

    async def stream(self, config: StreamConfig) -> Stream:
        return await super().stream(replace(config, max_msg_size=-1))


@breaks("T2")
class OpeningAgainMakesItAnew(TransportProxy):
    """A bucket that exists is replaced by an empty one."""

    async def bucket(self, config: BucketConfig) -> KeyValue:
        await self.inner.delete_bucket(config.name)
        return await super().bucket(config)


@breaks("T2")
class OtherSettingsAreIgnored(TransportProxy):
    """A bucket that exists is opened as it is, whatever settings were asked for."""

    def begin(self) -> None:
        super().begin()
        self.known: dict[str, BucketConfig] = {}

    async def bucket(self, config: BucketConfig) -> KeyValue:
        return await super().bucket(self.known.setdefault(config.name, config))


@breaks("T2")
class SubjectsMayBeShared(TransportProxy):
    """A stream is made without the subjects that another one has."""

    async def stream(self, config: StreamConfig) -> Stream:
        try:
            return await super().stream(config)
        except MismatchError:
            return await super().stream(replace(config, subjects=config.subjects[:1]))


@breaks("T2")
class DeletedIsEmpty(BucketProxy):
    """A bucket that was deleted is taken for one that holds nothing."""

    async def info(self) -> BucketInfo:
        try:
            return await self.inner.info()
        except MissingError:
            return BucketInfo(config=self.inner.config, keys=0, values=0, bytes=0, revision=0)


@breaks("T2")
class DeletingAlwaysFinds(TransportProxy):
    """Deleting what is not there says that it was."""

    async def delete_stream(self, name: str) -> bool:
        await self.inner.delete_stream(name)
        return True


@breaks("T2")
class ConsumersAreNotLimited(TransportProxy):
    """`max_consumers` is forgotten."""

    async def stream(self, config: StreamConfig) -> Stream:
        return await super().stream(replace(config, max_consumers=-1))


@breaks("T2")
class PullsAreNotLimited(StreamProxy):
    """`max_waiting` is forgotten."""

    async def consumer(self, config: ConsumerConfig) -> Consumer:
        return await super().consumer(replace(config, max_waiting=512))


@breaks("T2")
class TheWrongErrorIsRaised(StreamProxy):
    """A limit is reported with an error that the method does not name."""

    async def consumer(self, config: ConsumerConfig) -> Consumer:
        try:
            return await super().consumer(config)
        except LimitReachedError as error:
            raise ClosedError(str(error)) from error


@breaks("T3")
class ConflictsDoNotTell(BucketProxy):
    """A conflict names the revision that was expected as the one that is there."""

    async def update(self, key: str, value: bytes, revision: int, *, ttl: int | None = None) -> int:
        try:
            return await self.inner.update(key, value, revision, ttl=ttl)
        except ConflictError as conflict:
            raise ConflictError(key, conflict.expected, conflict.expected) from conflict


@breaks("T3", "S2")
class MsgIdsAreNotSent(StreamProxy):
    """A `msg_id` is dropped, so that a repeated publish is stored twice."""

    async def publish(self, subject: str, payload: bytes, *, msg_id: str | None = None, **options: Any) -> Published:
        return await self.inner.publish(subject, payload, **options)


@breaks("T4")
class HeadersAreNotCounted(StreamProxy):
    """A payload is checked without its headers."""

    async def publish(
        self, subject: str, payload: bytes, *, headers: Mapping[str, str] | None = None, **options: Any
    ) -> Published:
        try:
            return await self.inner.publish(subject, payload, headers=headers, **options)
        except PayloadTooLargeError as error:
            if len(payload) > error.limit:
                raise
            return await self.inner.publish(subject, payload, **options)


@breaks("T4")
class LargePayloadsAreCut(BucketProxy):
    """What does not fit is cut off."""

    async def create(self, key: str, value: bytes, *, ttl: int | None = None) -> int:
        try:
            return await self.inner.create(key, value, ttl=ttl)
        except PayloadTooLargeError as error:
            return await self.inner.create(key, value[: error.limit], ttl=ttl)


@breaks("T4")
class TheLimitIsOffByOne(StreamProxy):
    """The largest payload that fits is refused."""

    async def publish(self, subject: str, payload: bytes, **options: Any) -> Published:
        limit = self.parent.max_payload - 1
        if len(payload) > limit:
            raise PayloadTooLargeError("message", len(payload), limit)
        return await self.inner.publish(subject, payload, **options)


@breaks("T4")
class ALargePayloadBreaksTheConnection(StreamProxy):
    """A payload is not checked before it is sent, and the broker hangs up."""

    def begin(self) -> None:
        self.down = False

    async def publish(self, subject: str, payload: bytes, **options: Any) -> Published:
        if self.down:
            raise ClosedError("the broker has closed the connection")
        try:
            return await self.inner.publish(subject, payload, **options)
        except PayloadTooLargeError:
            self.down = True
            raise


@breaks("T5")
class TheUrlNamesAUser(TransportProxy):
    """The URL is the one that was given, with the password in it."""

    @property
    def broker(self) -> BrokerInfo:
        return BrokerInfo(url="mine://anna:hunter22@localhost", version="1.0")


@breaks("T5")
class TheVersionIsNotKnown(TransportProxy):
    """The version is only known once somebody has asked for it."""

    @property
    def broker(self) -> BrokerInfo:
        return BrokerInfo(url="mine://localhost", version="")
