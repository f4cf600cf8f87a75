"""Reporting: what a handler says of itself, stored from time to time by the holder of its lease."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

import trio
from msgspec.structs import replace

from osapi.errors import LimitReachedError
from osapi.flow.persist import insist
from osapi.rules.keys import output_key
from osapi.rules.output import MAX_CHUNK, Gathered, pause, written
from osapi.rules.parts import part_size
from osapi.rules.records import Output
from osapi.rules.scrubbing import scrubbed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from osapi.flow.claim import Claimed
    from osapi.flow.store import Store
    from osapi.rules.reports import Stream

_log = logging.getLogger("osapi.agent")


class Reports:
    """What the handler of one run has reported; made at its first report.

    Progress and the number of chunks travel in the record of the slot, with the renewal of the lease, which a report
    only brings forward: so a report is fenced as the lease is.
    """

    def __init__(self, store: Store, claimed: Claimed, secrets: Collection[str] | None) -> None:
        self.scope = trio.CancelScope()
        self._store = store
        self._claimed = claimed
        self._is_open = True
        self._times = 0
        self._progress: tuple[float | None, str, float] | None = None
        self._secrets = secrets
        self._stored = Output()
        size = min(MAX_CHUNK, part_size(store.transport.max_payload) - 1)
        self._gathered = Gathered(store.settings.max_output - written(claimed.record), size, secrets)
        self._something = trio.Event()
        self._enough = trio.Event()

    def progress(self, fraction: float | None, message: str) -> None:
        """Take note of how far the handler has come."""
        message = scrubbed(message, self._secrets)
        if self._is_open and (self._progress is None or self._progress[:2] != (fraction, message)):
            self._progress = (fraction, message, self._store.now())
            self._something.set()

    def output(self, data: bytes, stream: Stream) -> None:
        """Take what the handler wrote."""
        if self._is_open and self._gathered.write(data, stream):
            self._something.set()
            if self._gathered.is_full:
                self._enough.set()

    async def keep(self, renew: Callable[[], Awaitable[None]]) -> None:
        """Renew the lease, and with it store what there is, some time after each report, until `scope` is cancelled."""
        with self.scope:
            while True:
                await self._something.wait()
                with trio.move_on_after(pause(self._times)):
                    await self._enough.wait()
                self._something, self._enough = trio.Event(), trio.Event()
                self._times += 1
                await renew()

    async def store(self, *, last: bool = False) -> None:
        """Store the chunks that there are, and change the record that is held: the caller writes it.

        With `last`, nothing is taken in any more. Failing or cancelled, the rest is stored the next time.

        Raises:
            DisconnectedError, UncertainError

        """
        self._is_open = self._is_open and not last
        self._gathered.cut(last=last)
        await self._store_chunks()
        claimed = self._claimed
        if self._progress is not None:
            fraction, message, at = self._progress
            claimed.record = replace(claimed.record, progress=fraction, message=message, progressed=at)
        told = replace(self._stored, dropped=self._gathered.dropped)
        claimed.record = replace(claimed.record, output=told if told != Output() else None)

    async def _store_chunks(self) -> None:
        store, claimed, chunks = self._store, self._claimed, self._gathered.chunks
        while chunks:
            key = output_key(claimed.key, claimed.record.attempt, self._stored.chunks)
            # Repeated, it is the same chunk under the same key, which no other attempt has.
            put = partial(store.responses.put, key, chunks[0], ttl=store.ttl(claimed.definition))
            try:
                await insist(put, store.settings.persist)
            except LimitReachedError as error:
                _log.warning("job %s: the rest of its output is dropped: %s", claimed.definition.id, error)
                self._gathered.give_up()
                return
            size = len(chunks.popleft()) - 1
            self._stored = Output(chunks=self._stored.chunks + 1, bytes=self._stored.bytes + size)
