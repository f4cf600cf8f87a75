"""A stream and its consumers as a client sees them: the calls of one connection."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

from osapi.configs import check_consumer
from osapi.errors import ClosedError, InvalidSubjectError, OsapiError, PayloadTooLargeError
from osapi.rules.messages import check_headers, check_moment, check_msg_id, check_ttl, headers_size
from osapi.rules.subjects import MAX_SUBJECT_BYTES, check_filter, check_subject, heads
from osapi_memory.pull import MemoryPull
from osapi_memory.subject_index import matcher

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from osapi.transport import (
        ConsumerConfig,
        ConsumerInfo,
        Message,
        Outgoing,
        Published,
        StreamConfig,
        StreamInfo,
    )
    from osapi_memory.connection import Connection
    from osapi_memory.stream_core import StreamCore

T = TypeVar("T")

MAX_PAYLOAD = 1 << 20


class MemoryStream:
    """Implements `osapi.transport.Stream`.

    Each method checks for cancellation first and then takes effect at once: a cancelled call has changed nothing.
    """

    __slots__ = ("_connection", "_core", "_has_subject", "_heads", "_now")

    def __init__(self, connection: Connection, core: StreamCore) -> None:
        self._connection = connection
        self._core = core
        self._now = connection.broker.now
        self._has_subject = matcher(*core.config.subjects)
        self._heads = heads(core.config.subjects)

    @property
    def config(self) -> StreamConfig:
        """Return the settings that the stream was opened with."""
        return self._core.config

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
        connection = self._connection
        await connection.turn()
        if connection.trouble is None:
            return self._publish(subject, payload, headers, msg_id, ttl)
        return await connection.trouble.write(partial(self._publish, subject, payload, headers, msg_id, ttl))

    async def publish_many(self, messages: Sequence[Outgoing]) -> list[Published | OsapiError]:
        """Store several messages at once; return for each its receipt, or what it is refused for."""
        connection = self._connection
        await connection.turn()
        done: list[Published | OsapiError] = []
        for one in messages:
            try:
                if connection.trouble is None:
                    done.append(self._publish(one.subject, one.payload, one.headers, one.msg_id, one.ttl))
                else:
                    publish = partial(self._publish, one.subject, one.payload, one.headers, one.msg_id, one.ttl)
                    done.append(await connection.trouble.write(publish))
            except OsapiError as error:
                done.append(error)
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

        def schedule() -> Published:
            core = self._found()
            self._check_subject(subject)
            self._check_subject(target)
            if subject == target:
                raise InvalidSubjectError(target, "is the schedule's own subject", "give another as the target")
            check_moment(at)
            kept = self._check(target, payload, headers, ttl, None)
            return core.schedule(subject, payload, kept, self._now(), target=target, at=at, ttl=ttl)

        return await self._write(schedule)

    async def get(self, sequence: int) -> Message | None:
        """Return a kept message by its sequence."""
        return await self._read(lambda: _copied(self._found().get(sequence, self._now())))

    async def last(self, subject: str) -> Message | None:
        """Return the newest kept message on a subject (wildcards allowed)."""

        def last() -> Message | None:
            check_filter(subject)
            return _copied(self._found().last(subject, self._now()))

        return await self._read(last)

    async def delete(self, sequence: int) -> bool:
        """Remove a kept message by its sequence and say whether it was there."""
        return await self._write(lambda: self._found().delete(sequence, self._now()))

    async def purge(self, subject: str = ">") -> int:
        """Remove every message that matches, pending schedules included, and return how many."""

        def purge() -> int:
            check_filter(subject)
            return self._found().purge(subject, self._now())

        return await self._write(purge)

    async def consumer(self, config: ConsumerConfig) -> MemoryConsumer:
        """Create a durable consumer, or open it and replace its settings."""

        def consumer() -> MemoryConsumer:
            core = self._found()
            check_consumer(config, core.config.subjects)
            core.consumer(config, self._now())
            return MemoryConsumer(self, config)

        return await self._write(consumer)

    async def consumers(self) -> list[ConsumerInfo]:
        """Return all consumers, by name."""

        def consumers() -> list[ConsumerInfo]:
            core, now = self._found(), self._now()
            return [core.consumer_info(name, now) for name in core.names(now)]

        return await self._read(consumers)

    async def delete_consumer(self, name: str) -> bool:
        """Remove a consumer and say whether it was there; its open pulls end with `ClosedError`."""
        return await self._write(lambda: self._found().delete_consumer(name, self._now()))

    async def info(self) -> StreamInfo:
        """Return the stream's figures."""
        return await self._read(lambda: self._found().info(self._now()))

    # --- For its consumers ---------------------------------------------------------------------------------

    async def consumer_info(self, name: str) -> ConsumerInfo:
        """Return where a consumer stands.

        Raises:
            MissingError, DisconnectedError

        """
        return await self._read(lambda: self._found().consumer_info(name, self._now()))

    async def open_pull(self, name: str) -> MemoryPull:
        """Open a receiver that ends with the connection or with `close_pull`.

        Raises:
            MissingError, LimitReachedError, DisconnectedError

        """
        await self._read(self._found)
        # Opened where nothing can be cancelled or fail any more, or nobody would be left to close it.
        pull = MemoryPull(self._connection, self._found(), name)
        self._connection.receivers[pull] = None
        return pull

    def close_pull(self, pull: MemoryPull) -> None:
        """End a receiver."""
        self._connection.receivers.pop(pull, None)
        pull.close(ClosedError("the pull's block has ended"))

    # --- Steps ---------------------------------------------------------------------------------------------

    def _publish(
        self, subject: str, payload: bytes, headers: Mapping[str, str] | None, msg_id: str | None, ttl: int | None
    ) -> Published:
        core = self._found()
        self._check_subject(subject)
        kept = self._check(subject, payload, headers, ttl, msg_id)
        return core.publish(subject, payload, kept, self._now(), msg_id, ttl)

    async def _read(self, call: Callable[[], T]) -> T:
        connection = self._connection
        await connection.turn()
        return call() if connection.trouble is None else await connection.trouble.read(call)

    async def _write(self, call: Callable[[], T]) -> T:
        connection = self._connection
        await connection.turn()
        return call() if connection.trouble is None else await connection.trouble.write(call)

    def _found(self) -> StreamCore:
        # A handle names a stream: it outlives the deletion if the stream is made again.
        if self._core.deleted:
            self._core = self._connection.broker.find_stream(self._core.config.name)
            self._has_subject = matcher(*self._core.config.subjects)
            self._heads = heads(self._core.config.subjects)
        return self._core

    def _check_subject(self, subject: str) -> None:
        if subject.startswith(self._heads):
            check_subject(subject)
            return
        # One compiled expression says "well formed, and the stream's"; four bytes a character is the worst of UTF-8.
        if self._has_subject(subject) and len(subject) <= MAX_SUBJECT_BYTES // 4:
            return
        check_subject(subject)
        if not self._has_subject(subject):
            subjects = ", ".join(self.config.subjects) or "none that can be published on"
            raise InvalidSubjectError(subject, f"is not of stream {self.config.name}", f"it has {subjects}")

    def _check(
        self, subject: str, payload: bytes, headers: Mapping[str, str] | None, ttl: int | None, msg_id: str | None
    ) -> dict[str, str]:
        """Refuse what would not survive the wire, and return the headers to keep."""
        if headers is None and msg_id is None and ttl is None and len(payload) <= MAX_PAYLOAD:
            return {}
        sent = kept = dict(headers or {})
        check_headers(kept)
        if ttl is not None:
            sent = {**sent, "Nats-TTL": f"{check_ttl(ttl)}s"}
        if msg_id is not None:
            check_msg_id(msg_id)
            sent = {**sent, "Nats-Msg-Id": msg_id}
        size = len(payload) + headers_size(sent)
        if size > MAX_PAYLOAD:
            raise PayloadTooLargeError(f"message on {subject}", size, MAX_PAYLOAD)
        return kept


class MemoryConsumer:
    """Implements `osapi.transport.Consumer`."""

    __slots__ = ("_config", "_stream")

    def __init__(self, stream: MemoryStream, config: ConsumerConfig) -> None:
        self._stream = stream
        self._config = config

    @property
    def config(self) -> ConsumerConfig:
        """Return the settings that it was opened with."""
        return self._config

    def pull(self) -> AbstractAsyncContextManager[MemoryPull]:
        """Open a receiver."""
        return self._pull()

    async def info(self) -> ConsumerInfo:
        """Return where it stands."""
        return replace(await self._stream.consumer_info(self._config.name), config=self._config)

    @asynccontextmanager
    async def _pull(self) -> AsyncGenerator[MemoryPull]:
        pull = await self._stream.open_pull(self._config.name)
        try:
            yield pull
        finally:
            self._stream.close_pull(pull)


def _copied(message: Message | None) -> Message | None:
    """Return a message whose headers the reader may change without changing the stream's."""
    return replace(message, headers=dict(message.headers)) if message is not None and message.headers else message
