"""A running attempt and its lease: renewed while it runs, and over for good once somebody else has taken it."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

import trio

from osapi.errors import ConflictError, TransportError
from osapi.flow.persist import insist, write
from osapi.flow.reports import Reports
from osapi.rules import lifecycle
from osapi.rules.codec import RECORD
from osapi.rules.records import SlotStatus
from osapi.transport import Write

if TYPE_CHECKING:
    from collections.abc import Collection

    from osapi.flow.claim import Claimed
    from osapi.flow.store import Store
    from osapi.rules.records import Order, Record
    from osapi.rules.reports import Stream

_log = logging.getLogger("osapi.agent")

# A lease is renewed when a third of it has passed, so that one renewal may fail without harm.
RENEW_AFTER = 1 / 3


class Run:
    """One attempt of one slot, held under a lease.

    `scope` is the handler's: it ends with the attempt's own time, with the job's, or with the lease, whichever
    is first. Times are of Trio's clock. `nursery` gets a task if the handler reports something, of which `secrets` are
    hidden.
    """

    def __init__(self, store: Store, claimed: Claimed, nursery: trio.Nursery) -> None:
        self.claimed = claimed
        self.lost = False
        self._store = store
        self._nursery = nursery
        self._length = store.settings.ack_wait
        now = trio.current_time()
        left = claimed.definition.finish_by - store.now()
        self.started_at = now
        self.order: Order | None = None
        self.timeout_is_first = claimed.policy.timeout < left
        self.ends_at = now + min(left, claimed.policy.timeout)
        self.lease_ends_at = now + self._length
        self.renew_at = now + self._length * RENEW_AFTER
        self.scope = trio.CancelScope(deadline=min(self.ends_at, self.lease_ends_at))
        self.secrets: Collection[str] | None = ()
        self._ending = False
        self._writing: trio.Lock | None = None
        self._reports: Reports | None = None
        self._in_doubt = False
        self.over: trio.Event | None = None  # set at its end, if somebody put it there

    def take_progress(self, fraction: float | None, message: str) -> None:
        """Take how far the handler has come, unless the attempt is over."""
        if not self._ending:
            self._reporting().progress(fraction, message)

    def take_output(self, data: bytes, stream: Stream) -> None:
        """Take what the handler wrote, unless the attempt is over."""
        if not self._ending:
            self._reporting().output(data, stream)

    def _reporting(self) -> Reports:
        # Most handlers report nothing, and pay nothing.
        if self._reports is None:
            self._reports = Reports(self._store, self.claimed, self.secrets)
            self._nursery.start_soon(self._reports.keep, self.renew)
        return self._reports

    async def renew(self) -> None:
        """Prolong the lease, here and at the broker, and store what the handler has reported.

        When somebody else has taken the slot, the handler is cancelled. When the broker is away, the lease runs
        on to its end.
        """
        async with self._lock():
            if self.lost or self._ending:
                return
            self.renew_at = trio.current_time() + self._length * RENEW_AFTER
            try:
                if self._reports is not None:
                    await self._reports.store()
                # Counted from before the write: the others count from when it arrives.
                now = trio.current_time()
                self.renew_at = now + self._length * RENEW_AFTER
                until = self._store.now() + self._length
                await self._write(lifecycle.renew(self.claimed.record, until=until, now=self._store.now()))
            except ConflictError:
                self.lose("somebody else took it over")
                return
            except TransportError as error:
                _log.warning("job %s: its lease could not be renewed: %s", self.claimed.definition.id, error)
                return
            self.claimed.delivery.in_progress()
            self.lease_ends_at = now + self._length
            self.scope.deadline = min(self.ends_at, self.lease_ends_at)

    async def conclude_reports(self) -> None:
        """Store what the handler reported last, so that the record that ends the attempt tells of it.

        Raises:
            DisconnectedError, UncertainError

        """
        if self._reports is not None and not self.lost:
            async with self._lock():
                await self._reports.store(last=True)

    async def finish(self, record: Record) -> None:
        """Write the record that ends the attempt.

        Raises:
            ConflictError: the lease was lost, and the result is refused.
            PayloadTooLargeError, LimitReachedError, DisconnectedError, UncertainError

        """
        # From here on nobody renews: two writers of one record would each take the other for a stranger.
        self._ending = True
        if self._writing is None:
            await self._write(record)
            return
        async with self._writing:
            await self._write(record)

    @property
    def status(self) -> SlotStatus | None:
        """Return how its record was stored when it ended; None before, and if the lease was lost."""
        status = self.claimed.record.status
        return None if status is SlotStatus.RUNNING else status

    @property
    def is_plain(self) -> bool:
        """Tell whether nothing was written of it but the claim, and nothing reported."""
        return self._writing is None and self._reports is None and not self.lost

    def last_write(self, record: Record) -> Write:
        """Return the write of the record that ends a plain attempt; from here on nobody renews.

        Whoever makes it calls `written`; if it is refused, or in doubt, `finish` finds out.
        """
        self._ending = True
        self._in_doubt = True
        claimed = self.claimed
        return Write(claimed.key, RECORD.encode(record), claimed.revision, self._store.ttl(claimed.definition))

    def written(self, record: Record, revision: int) -> None:
        """Take note that a record was stored."""
        self.claimed.record = record
        self.claimed.revision = revision
        self._in_doubt = False

    def cancel(self, order: Order) -> None:
        """Stop the handler because somebody ordered it; what it has already done, it has done."""
        if self.order is None:
            self.order = order
            self.scope.cancel()

    def end(self) -> None:
        """Take no more reports, and let no task of the run outlive it."""
        self._ending = True
        if self._reports is not None:
            self._reports.scope.cancel()
        if self.over is not None:
            self.over.set()

    def lose(self, why: str) -> None:
        """Stop the handler: the slot is not ours any more."""
        _log.warning(
            "job %s: the lease of attempt %d is lost: %s", self.claimed.definition.id, self.claimed.record.attempt, why
        )
        self.lost = True
        self.scope.cancel()

    def _lock(self) -> trio.Lock:
        if self._writing is None:
            self._writing = trio.Lock()
        return self._writing

    async def _write(self, record: Record) -> None:
        claimed = self.claimed
        value = RECORD.encode(record)
        if self._in_doubt and await self._is_stored(value):
            self.written(record, claimed.revision)
            return
        self._in_doubt = True
        revision = await write(
            self._store.responses,
            claimed.key,
            value,
            claimed.revision,
            ttl=self._store.ttl(claimed.definition),
            patience=self._store.settings.persist,
        )
        self.written(record, revision)

    async def _is_stored(self, value: bytes) -> bool:
        """Learn what became of a write of ours that was cancelled, or had no answer.

        If it was this one, it is done; if another, it is to be replaced.
        """
        claimed = self.claimed
        entry = await insist(partial(self._store.responses.get, claimed.key), self._store.settings.persist)
        if entry is None:
            return False
        stored = RECORD.decode(entry.value)
        is_this = entry.value == value
        if is_this or (stored.lease == claimed.record.lease and stored.status is SlotStatus.RUNNING):
            claimed.revision = entry.revision
        return is_this
