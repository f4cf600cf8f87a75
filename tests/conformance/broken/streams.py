"""Backends that break S1 to S5."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import trio
from msgspec.structs import replace

from osapi.errors import OsapiError
from osapi.rules.subjects import matches
from tests.conformance.broken.proxy import StreamProxy, TransportProxy, breaks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from osapi.transport import Message, Outgoing, Published, Stream, StreamConfig, StreamInfo


@breaks("S1")
class SequencesPerSubject(StreamProxy):
    """Each subject counts its own messages."""

    def begin(self) -> None:
        self.counts: Counter[str] = Counter()

    async def publish(self, subject: str, payload: bytes, **options: Any) -> Published:
        receipt = await self.inner.publish(subject, payload, **options)
        self.counts[subject] += 1
        return replace(receipt, sequence=self.counts[subject])


@breaks("S1")
class HeadersAreLost(StreamProxy):
    """Headers are not kept."""

    async def publish(
        self, subject: str, payload: bytes, *, headers: Mapping[str, str] | None = None, **options: Any
    ) -> Published:
        return await self.inner.publish(subject, payload, **options)


@breaks("S1")
class LastTakesNoWildcards(StreamProxy):
    """A pattern is looked for as if it were a subject."""

    async def last(self, subject: str) -> Message | None:
        return None if "*" in subject or ">" in subject else await self.inner.last(subject)


@breaks("S1")
class PurgeTakesEverything(StreamProxy):
    """The subject given to a purge is forgotten."""

    async def purge(self, subject: str = ">") -> int:
        return await self.inner.purge()


@breaks("S1")
class InfoIsThatOfTheFirstLook(StreamProxy):
    """The figures are kept as they were when they were first asked for."""

    def begin(self) -> None:
        self.first: StreamInfo | None = None

    async def info(self) -> StreamInfo:
        self.first = self.first or await self.inner.info()
        return self.first


@breaks("S2")
class DuplicatesPerSubject(StreamProxy):
    """The same id on another subject is stored."""

    async def publish(self, subject: str, payload: bytes, *, msg_id: str | None = None, **options: Any) -> Published:
        msg_id = msg_id and f"{subject}:{msg_id}"
        return await self.inner.publish(subject, payload, msg_id=msg_id, **options)


@breaks("S2")
class PurgeForgetsIds(StreamProxy):
    """What was purged is stored again."""

    def begin(self) -> None:
        self.purges = 0

    async def purge(self, subject: str = ">") -> int:
        self.purges += 1
        return await self.inner.purge(subject)

    async def publish(self, subject: str, payload: bytes, *, msg_id: str | None = None, **options: Any) -> Published:
        msg_id = msg_id and f"{self.purges}:{msg_id}"
        return await self.inner.publish(subject, payload, msg_id=msg_id, **options)


@breaks("S2")
class IdsAreKeptForEver(TransportProxy):
    """The window is that of the default, whatever was asked for."""

    async def stream(self, config: StreamConfig) -> Stream:
        return await super().stream(replace(config, duplicate_window=120.0))


@breaks("S2")
class DuplicatesAreNotSaid(StreamProxy):
    """The receipt of a duplicate looks like that of a new message."""

    async def publish(self, subject: str, payload: bytes, **options: Any) -> Published:
        return replace(await self.inner.publish(subject, payload, **options), duplicate=False)


@breaks("S3")
class MessagesHaveNoTtl(StreamProxy):
    """The TTL of a message is forgotten."""

    async def publish(self, subject: str, payload: bytes, *, ttl: int | None = None, **options: Any) -> Published:
        return await self.inner.publish(subject, payload, **options)


@breaks("S3")
class MessagesDoNotAge(TransportProxy):
    """`max_age` is forgotten."""

    async def stream(self, config: StreamConfig) -> Stream:
        return await super().stream(replace(config, max_age=0.0))


@breaks("S3")
class ExpiredMessagesStayPending(StreamProxy):
    """Readers do not see an expired message any more, but consumers still deliver it and count it."""

    def begin(self) -> None:
        self.ends: dict[int, float] = {}

    async def publish(self, subject: str, payload: bytes, *, ttl: int | None = None, **options: Any) -> Published:
        receipt = await self.inner.publish(subject, payload, **options)
        if ttl:
            self.ends[receipt.sequence] = trio.current_time() + ttl
        return receipt

    async def get(self, sequence: int) -> Message | None:
        ended = self.ends.get(sequence, trio.current_time()) < trio.current_time()
        return None if ended else await self.inner.get(sequence)


@breaks("S4")
class StreamsAreNeverFull(TransportProxy):
    """Limits are forgotten."""

    async def stream(self, config: StreamConfig) -> Stream:
        return await super().stream(replace(config, max_msgs=-1, max_bytes=-1, max_msgs_per_subject=-1))


@breaks("S4")
class FullStreamsAlwaysDropTheOldest(TransportProxy):
    """`discard` is forgotten."""

    async def stream(self, config: StreamConfig) -> Stream:
        return await super().stream(replace(config, discard="old"))


@breaks("S4")
class FullSubjectsCountAsOne(TransportProxy):
    """The limit of a subject is taken for that of the stream."""

    async def stream(self, config: StreamConfig) -> Stream:
        if config.max_msgs_per_subject < 0:
            return await super().stream(config)
        return await super().stream(replace(config, max_msgs_per_subject=-1, max_msgs=config.max_msgs_per_subject))


@breaks("S5")
class SchedulesAppearWhereTheyWait(StreamProxy):
    """A scheduled message appears on the schedule's subject, not on its target."""

    async def schedule(self, subject: str, payload: bytes, *, target: str, **options: Any) -> Published:
        return await self.inner.schedule(target, payload, target=subject, **options)


@breaks("S5")
class SchedulesAppearAtOnce(StreamProxy):
    """The time of a schedule is forgotten."""

    async def schedule(self, subject: str, payload: bytes, *, at: float, **options: Any) -> Published:
        return await self.inner.schedule(subject, payload, at=0.0, **options)


@breaks("S5")
class PastSchedulesAreForgotten(StreamProxy):
    """A schedule whose time has passed waits for it for ever."""

    async def schedule(self, subject: str, payload: bytes, *, at: float, **options: Any) -> Published:
        at = at if at > self.parent.now() else at + 1e6
        return await self.inner.schedule(subject, payload, at=at, **options)


@breaks("S5")
class PurgeLeavesSchedules(StreamProxy):
    """A purge removes messages, not schedules."""

    def begin(self) -> None:
        self.schedules: set[str] = set()

    async def schedule(self, subject: str, payload: bytes, **options: Any) -> Published:
        self.schedules.add(subject)
        return await self.inner.schedule(subject, payload, **options)

    async def purge(self, subject: str = ">") -> int:
        return 0 if any(matches(subject, one) for one in self.schedules) else await self.inner.purge(subject)


@breaks("S5")
class SchedulesPileUp(StreamProxy):
    """A schedule on the subject of another one is kept beside it."""

    def begin(self) -> None:
        self.count = 0

    async def schedule(self, subject: str, payload: bytes, **options: Any) -> Published:
        self.count += 1
        return await self.inner.schedule(f"{subject}.{self.count}", payload, **options)


@breaks("S5")
class ScheduledMessagesHaveNoTtl(StreamProxy):
    """The TTL of a scheduled message is forgotten."""

    async def schedule(self, subject: str, payload: bytes, *, ttl: int | None = None, **options: Any) -> Published:
        return await self.inner.schedule(subject, payload, **options)


@breaks("S5")
class ScheduledMessagesLoseTheirHeaders(StreamProxy):
    """The headers of a scheduled message are forgotten."""

    async def schedule(
        self, subject: str, payload: bytes, *, headers: Mapping[str, str] | None = None, **options: Any
    ) -> Published:
        return await self.inner.schedule(subject, payload, **options)


@breaks("S8")
class PublishesStopAtTheFirstRefusal(StreamProxy):
    """What comes after a message that is refused is not stored."""

    async def publish_many(self, messages: Sequence[Outgoing]) -> list[Published | OsapiError]:
        done: list[Published | OsapiError] = []
        for message in messages:
            done += await self.inner.publish_many([message])
            if isinstance(done[-1], OsapiError):
                break
        return done + [done[-1]] * (len(messages) - len(done))


@breaks("S8")
class ManyPublishesHaveALimit(StreamProxy):
    """Only the first 256 are stored; the receipt of the last of them counts for the rest."""

    async def publish_many(self, messages: Sequence[Outgoing]) -> list[Published | OsapiError]:
        done = await self.inner.publish_many(messages[:256])
        return done + done[-1:] * (len(messages) - len(done))
