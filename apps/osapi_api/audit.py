"""The audit: who asked for what, kept in a stream of its own, written beside the requests and never in their way."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Final, Self

import msgspec
import trio

from osapi.errors import InvalidSettingError, OsapiError
from osapi.flow.persist import insist
from osapi.nursery import background
from osapi.transport import Storage, StreamConfig

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from types import TracebackType

    from osapi.transport import Message, Stream, Transport

_log = logging.getLogger("osapi.api.audit")

# How long an entry is written again and again while the broker is away, and what waits may take at the end.
_PATIENCE: Final = 10.0
_FLUSH_SECONDS: Final = 5.0
_LAST_SECONDS: Final = 1.0

# Entries that are asked for at once.
_PAGE: Final = 100


class AuditSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the audit is kept, and for how long; seconds, bytes, and how many entries may wait to be written.

    Raises:
        InvalidSettingError

    """

    stream: str = "AUDIT"
    subject: str = "audit"
    max_age: float = 30 * 24 * 3600.0
    max_bytes: int = 50 * 1024 * 1024
    storage: Storage = "file"
    replicas: int = 1
    queue: int = 1000

    def __post_init__(self) -> None:
        """Check the ranges; the broker checks the rest."""
        if not 1 <= self.queue <= 1_000_000:
            raise InvalidSettingError(self.queue, "is out of range for queue", "use 1 to 1000000")


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One request of somebody with a valid token; without its query, its body and its answer."""

    id: str
    timestamp: str
    user: str
    roles: tuple[str, ...]
    method: str
    path: str
    operation_id: str
    source_ip: str
    response_code: int
    duration_ms: float
    trace_id: str


_encode: Final = msgspec.json.Encoder().encode
_decoder: Final = msgspec.json.Decoder(Entry)


class Audit:
    """An audit for the length of its block: open it around the server, so that leaving it writes what still waits.

    While the broker is away, entries wait, as many as `queue`; what does not fit, or waits too long, is dropped,
    counted in `dropped` and told to the log. Leaving the block gives those that wait five seconds, one if it was
    cancelled.

    Raises:
        MismatchError, InvalidSettingError, DisconnectedError, UncertainError: when the block is entered.

    """

    def __init__(self, transport: Transport, settings: AuditSettings | None = None) -> None:
        self.dropped = 0
        self._transport = transport
        self._settings = settings or AuditSettings()
        self._told = 0
        self._send, self._receive = trio.open_memory_channel[Entry](self._settings.queue)
        self._written = trio.Event()
        # The writer hears of the block's end by `__aexit__` alone, which bounds what it may take from then on.
        self._writing = trio.CancelScope(shield=True)
        self._current: Entry | None = None
        self._block = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._stream: Stream = await insist(partial(self._transport.stream, self._config()), _PATIENCE)
        async with AsyncExitStack() as stack:
            nursery = await stack.enter_async_context(background())
            nursery.start_soon(self._write_all)
            self._block = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._send.close()
        # Who was cancelled has a moment for what it has done before.
        seconds = _FLUSH_SECONDS if error is None else _LAST_SECONDS
        with trio.CancelScope(shield=error is not None, deadline=trio.current_time() + seconds):
            await self._written.wait()
        self._writing.cancel()
        left = self._receive.statistics().current_buffer_used + (self._current is not None)
        self._drop(left, "the audit has ended")
        return await self._block.__aexit__(kind, error, trace)

    def _config(self) -> StreamConfig:
        settings = self._settings
        return StreamConfig(
            name=settings.stream,
            subjects=(settings.subject, f"{settings.subject}.>"),
            max_age=settings.max_age,
            max_bytes=settings.max_bytes,
            storage=settings.storage,
            replicas=settings.replicas,
        )

    # --- Writing ---

    def record(self, entry: Entry) -> None:
        """Keep an entry, some time soon. Never waits, and never fails."""
        try:
            self._send.send_nowait(entry)
        except (trio.WouldBlock, trio.ClosedResourceError):
            self._drop(1, "too many wait")

    async def _write_all(self) -> None:
        with self._writing:
            async for entry in self._receive:
                self._current = entry
                try:
                    await insist(partial(self._write, entry), _PATIENCE)
                except OsapiError as error:
                    self._drop(1, str(error))
                else:
                    self._resume()
                self._current = None
            self._written.set()

    async def _write(self, entry: Entry) -> None:
        # Under a subject of its own it is found by its id; written twice, it is there once.
        await self._stream.publish(f"{self._settings.subject}.{entry.id}", _encode(entry), msg_id=entry.id)

    def _drop(self, count: int, reason: str) -> None:
        if count and self.dropped == self._told:
            _log.warning("entries of the audit are dropped: %s", reason)
        self.dropped += count

    def _resume(self) -> None:
        if self.dropped > self._told:
            _log.warning("the audit goes on; %d of its entries were dropped", self.dropped - self._told)
            self._told = self.dropped

    # --- Reading ---

    async def newest(self, limit: int, offset: int) -> tuple[int, list[Entry]]:
        """Return how many entries there are, and some of them, newest first.

        Raises:
            DisconnectedError

        """
        info = await self._stream.info()
        newest = info.last_sequence - offset
        oldest = max(info.first_sequence, newest - limit + 1, 1)
        return info.messages, await self._read(range(newest, oldest - 1, -1))

    async def get(self, entry_id: str) -> Entry | None:
        """Return one entry, None if it is not there.

        Raises:
            DisconnectedError

        """
        message = await self._stream.last(f"{self._settings.subject}.{entry_id}")
        return None if message is None else _entry(message)

    async def pages(self) -> AsyncGenerator[list[Entry]]:
        """Yield all entries that are there now, oldest first, as many at once as are read at once.

        Raises:
            DisconnectedError

        """
        info = await self._stream.info()
        for start in range(max(info.first_sequence, 1), info.last_sequence + 1, _PAGE):
            yield await self._read(range(start, min(start + _PAGE, info.last_sequence + 1)))

    async def _read(self, sequences: Sequence[int]) -> list[Entry]:
        found: dict[int, Message] = {}
        failed: list[OsapiError] = []

        async def read(sequence: int) -> None:
            try:
                message = await self._stream.get(sequence)
            except OsapiError as error:
                failed.append(error)
                nursery.cancel_scope.cancel()
                return
            if message is not None:
                found[sequence] = message

        async with trio.open_nursery() as nursery:
            for sequence in sequences:
                nursery.start_soon(read, sequence)
        if failed:
            raise failed[0]
        entries = (_entry(found[sequence]) for sequence in sequences if sequence in found)
        return [entry for entry in entries if entry is not None]


def _entry(message: Message) -> Entry | None:
    try:
        return _decoder.decode(message.payload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        _log.warning("message %d of the audit is passed over: %s", message.sequence, error)
        return None
