"""A stream and its durable consumers on JetStream."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import trio

from osapi.configs import check_consumer
from osapi.errors import (
    ClosedError,
    InvalidSubjectError,
    LimitReachedError,
    OsapiError,
    PayloadTooLargeError,
)
from osapi.rules.messages import check_headers, check_moment, check_msg_id, check_ttl, headers_size
from osapi.rules.room import ROLLUP, scheduled_room, stored_size
from osapi.rules.subjects import check_filter, check_subject, heads, matches
from osapi.transport import ConsumerInfo, Published, StreamInfo
from osapi_nats.api import (
    Answer,
    ConsumerAnswer,
    ConsumerList,
    NoConsumerError,
    NoMessageError,
    Purged,
    StreamAnswer,
)
from osapi_nats.documents import consumer_config, consumer_document
from osapi_nats.pull import NatsPull
from osapi_nats.reader import Reader

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from osapi.transport import ConsumerConfig, Message, Outgoing, StreamConfig
    from osapi_nats.api import Api


class NatsStream:
    """Implements `osapi.transport.Stream`; `prefix` is the namespace with its dot, or nothing.

    `subjects` are the stream's at the server.
    """

    def __init__(self, api: Api, config: StreamConfig, name: str, prefix: str, subjects: list[str]) -> None:
        self.api = api
        self.name = name
        self.prefix = prefix
        self._subjects = subjects
        self._config = config
        self._what = f"stream {config.name}"
        self._heads = heads(config.subjects)
        self._reader = Reader(api, name, self._what, len(prefix), config.replicas)

    @property
    def config(self) -> StreamConfig:
        """Return the settings that the stream was opened with."""
        return self._config

    # --- Messages ------------------------------------------------------------------------------------------

    async def publish(
        self,
        subject: str,
        payload: bytes,
        *,
        headers: Mapping[str, str] | None = None,
        msg_id: str | None = None,
        ttl: int | None = None,
    ) -> Published:
        """Store a message and return its receipt."""
        return await self._publish(subject, payload, self._headers(subject, payload, headers, msg_id, ttl))

    async def publish_many(self, messages: Sequence[Outgoing]) -> list[Published | OsapiError]:
        """Store several messages at once; return for each its receipt, or what it is refused for."""
        await trio.lowlevel.checkpoint_if_cancelled()
        try:
            sent = [self._message(one) for one in messages]
        except OsapiError:
            # One by one, it is seen which.
            return [await self._publish_one(one) for one in messages]
        done: list[Published | OsapiError] = []
        for one, ack in zip(messages, await self.api.publish_many(sent), strict=True):
            if isinstance(ack, OsapiError):
                done.append(ack)
            elif ack.error is None:
                done.append(Published(ack.seq, ack.duplicate))
            else:
                # Nothing was stored. The server may not know yet, or say more when asked.
                done.append(await self._publish_one(one))
        return done

    async def schedule(
        self,
        subject: str,
        payload: bytes,
        *,
        target: str,
        at: float,
        headers: Mapping[str, str] | None = None,
        ttl: int | None = None,
    ) -> Published:
        """Keep a message on `subject` until `at` (Unix seconds), then publish it on `target`."""
        self._check_subject(subject)
        self._check_subject(target)
        if subject == target:
            raise InvalidSubjectError(target, "is the schedule's own subject", "give another as the target")
        check_moment(at)
        sent = _checked(headers)
        sent["Nats-Schedule"] = f"@at {_stamp(at)}"
        sent["Nats-Schedule-Target"] = f"{self.prefix}{target}"
        if ttl is not None:
            sent["Nats-Schedule-TTL"] = f"{check_ttl(ttl)}s"
        kept = headers or {}
        self._check_size(subject, payload, sent)
        self._check_fits(subject, payload, headers_size(sent) + ROLLUP)
        self._check_fits(target, payload, scheduled_room(kept, f"{self.prefix}{subject}", ttl))
        return await self._publish(subject, payload, sent)

    async def get(self, sequence: int) -> Message | None:
        """Return a kept message by its sequence."""
        if sequence < 1:
            await trio.lowlevel.checkpoint()
            return None
        return await self._reader.message({"seq": sequence})

    async def last(self, subject: str) -> Message | None:
        """Return the newest kept message on a subject (wildcards allowed)."""
        check_filter(subject)
        return await self._reader.message({"last_by_subj": f"{self.prefix}{subject}"})

    async def delete(self, sequence: int) -> bool:
        """Remove a kept message by its sequence and say whether it was there."""
        # Beyond the last sequence the server answers with an error that tells nothing (10057).
        if await self.get(sequence) is None:
            return False
        request = {"seq": sequence, "no_erase": True}
        try:
            await self.api.write(f"STREAM.MSG.DELETE.{self.name}", request, Answer, self._what)
        except NoMessageError:
            return False
        return True

    async def purge(self, subject: str = ">") -> int:
        """Remove every message that matches, pending schedules included, and return how many."""
        check_filter(subject)
        await trio.lowlevel.checkpoint_if_cancelled()
        request = {"filter": f"{self.prefix}{subject}"}
        return (await self.api.write(f"STREAM.PURGE.{self.name}", request, Purged, self._what)).purged

    async def info(self) -> StreamInfo:
        """Return the stream's figures."""
        await trio.lowlevel.checkpoint_if_cancelled()
        state = (await self.api.read(f"STREAM.INFO.{self.name}", None, StreamAnswer, self._what)).state
        return StreamInfo(
            self._config, state.messages, state.bytes, state.first_seq, state.last_seq, state.consumer_count
        )

    async def _publish(self, subject: str, payload: bytes, headers: dict[str, str]) -> Published:
        await trio.lowlevel.checkpoint_if_cancelled()
        what = f"message on {subject}"
        ack = await self.api.publish(f"{self.prefix}{subject}", payload, headers or None, what)
        if ack.error is None:
            return Published(ack.seq, ack.duplicate)
        raise await self.api.refused(ack.error, self.name, self._what)

    async def _publish_one(self, one: Outgoing) -> Published | OsapiError:
        try:
            return await self.publish(one.subject, one.payload, headers=one.headers, msg_id=one.msg_id, ttl=one.ttl)
        except OsapiError as error:
            return error

    def _message(self, one: Outgoing) -> tuple[str, bytes, dict[str, str] | None]:
        headers = self._headers(one.subject, one.payload, one.headers, one.msg_id, one.ttl)
        return f"{self.prefix}{one.subject}", one.payload, headers or None

    def _headers(
        self, subject: str, payload: bytes, headers: Mapping[str, str] | None, msg_id: str | None, ttl: int | None
    ) -> dict[str, str]:
        """Return the headers of a message that the stream takes; refuse any other."""
        self._check_subject(subject)
        sent = _checked(headers)
        if msg_id is not None:
            check_msg_id(msg_id)
            if self._config.duplicate_window:
                sent["Nats-Msg-Id"] = msg_id
        if ttl is not None:
            sent["Nats-TTL"] = f"{check_ttl(ttl)}s"
        self._check_size(subject, payload, sent)
        self._check_fits(subject, payload, headers_size(sent))
        return sent

    def _check_size(self, subject: str, payload: bytes, headers: dict[str, str]) -> None:
        what = f"message on {subject}"
        self.api.link.check_size(what, payload, headers)
        size = len(payload) + headers_size(headers)
        if 0 <= self._config.max_msg_size < size:
            raise PayloadTooLargeError(what, size, self._config.max_msg_size)

    def _check_fits(self, subject: str, payload: bytes, headers: int) -> None:
        # The server gives a receipt for a message that is larger than the stream may be, drops all others to make
        # room, and then that one too.
        config = self._config
        if config.max_bytes < 0 or config.discard == "new":
            return
        size = stored_size(config.storage, len(self.prefix) + len(subject.encode()), len(payload), headers)
        if size > config.max_bytes:
            raise LimitReachedError(f"{self._what}: {size} bytes do not fit, max_bytes is {config.max_bytes}")

    def _check_subject(self, subject: str) -> None:
        check_subject(subject)
        if subject.startswith(self._heads):
            return
        if not any(matches(own, subject) for own in self._config.subjects):
            subjects = ", ".join(self._config.subjects) or "none that can be published on"
            raise InvalidSubjectError(subject, f"is not of stream {self._config.name}", f"it has {subjects}")

    # --- Consumers -----------------------------------------------------------------------------------------

    async def consumer(self, config: ConsumerConfig) -> NatsConsumer:
        """Create a durable consumer, or open it and replace its settings."""
        check_consumer(config, self._config.subjects)
        await trio.lowlevel.checkpoint_if_cancelled()
        # A consumer whose filters are taken away does not hear of new messages (seen with 2.15.1): name all instead.
        filters = [f"{self.prefix}{pattern}" for pattern in config.filters] or self._subjects
        document = consumer_document(config, filters)
        request = {"stream_name": self.name, "config": document}
        await self.api.write(
            f"CONSUMER.CREATE.{self.name}.{config.name}", request, ConsumerAnswer, f"consumer {config.name}"
        )
        return NatsConsumer(self, config)

    async def consumers(self) -> list[ConsumerInfo]:
        """Return all consumers, by name."""
        await trio.lowlevel.checkpoint_if_cancelled()
        found: dict[str, ConsumerInfo] = {}
        offset = 0
        while True:
            page = await self.api.read(f"CONSUMER.LIST.{self.name}", {"offset": offset}, ConsumerList, self._what)
            for told in page.consumers:
                found[told.name] = _info(consumer_config(told.config, self._subjects, len(self.prefix)), told)
            offset += len(page.consumers)
            if not page.consumers or offset >= page.total:
                return [found[name] for name in sorted(found)]

    async def delete_consumer(self, name: str) -> bool:
        """Remove a consumer and say whether it was there; its open pulls end with `ClosedError`."""
        await trio.lowlevel.checkpoint_if_cancelled()
        try:
            await self.api.write(f"CONSUMER.DELETE.{self.name}.{name}", None, Answer, f"consumer {name}")
        except NoConsumerError:
            return False
        return True


class NatsConsumer:
    """Implements `osapi.transport.Consumer`."""

    def __init__(self, stream: NatsStream, config: ConsumerConfig) -> None:
        self._stream = stream
        self._config = config

    @property
    def config(self) -> ConsumerConfig:
        """Return the settings that it was opened with."""
        return self._config

    def pull(self) -> AbstractAsyncContextManager[NatsPull]:
        """Open a receiver."""
        return self._pull()

    async def info(self) -> ConsumerInfo:
        """Return where it stands."""
        await trio.lowlevel.checkpoint_if_cancelled()
        return _info(self._config, await self._read())

    async def _read(self) -> ConsumerAnswer:
        name = self._config.name
        return await self._stream.api.read(
            f"CONSUMER.INFO.{self._stream.name}.{name}", None, ConsumerAnswer, f"consumer {name}"
        )

    @asynccontextmanager
    async def _pull(self) -> AsyncGenerator[NatsPull]:
        stream = self._stream
        link = stream.api.link
        config, replicas = self._config, stream.config.replicas
        pull = NatsPull(
            stream.api,
            stream.name,
            config.name,
            len(stream.prefix),
            replicas=replicas,
            max_waiting=config.max_waiting,
        )
        await trio.lowlevel.checkpoint_if_cancelled()
        if (await self._read()).num_waiting >= config.max_waiting:
            raise LimitReachedError(f"consumer {config.name}: {config.max_waiting} (max_waiting) wait")
        try:
            await pull.resume()
            link.add(pull)
            yield pull
        finally:
            link.remove(pull)
            pull.close(ClosedError("the pull's block has ended"))


def _info(config: ConsumerConfig, told: ConsumerAnswer) -> ConsumerInfo:
    return ConsumerInfo(config, told.num_pending, told.num_ack_pending, told.num_redelivered, told.num_waiting)


def _checked(headers: Mapping[str, str] | None) -> dict[str, str]:
    if not headers:
        return {}
    check_headers(headers)
    return dict(headers)


def _stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
