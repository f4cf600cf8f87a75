"""A running attempt and its lease: renewed while it runs, and over for good once somebody else has taken it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import trio

from osapi.errors import ConflictError, TransportError
from osapi.flow.persist import write
from osapi.rules import lifecycle
from osapi.rules.codec import RECORD

if TYPE_CHECKING:
    from osapi.flow.claim import Claimed
    from osapi.flow.store import Store
    from osapi.rules.records import Order, Record

_log = logging.getLogger("osapi.agent")

# A lease is renewed when a third of it has passed, so that one renewal may fail without harm.
RENEW_AFTER = 1 / 3


class Run:
    """One attempt of one slot, held under a lease.

    `scope` is the handler's: it ends with the attempt's own time, with the job's, or with the lease, whichever
    is first. Times are of Trio's clock.
    """

    def __init__(self, store: Store, claimed: Claimed) -> None:
        self.claimed = claimed
        self.lost = False
        self._store = store
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
        self._ending = False
        self._writing: trio.Lock | None = None

    async def renew(self) -> None:
        """Prolong the lease, here and at the broker.

        When somebody else has taken the slot, the handler is cancelled. When the broker is away, the lease runs
        on to its end.
        """
        if self._writing is None:
            self._writing = trio.Lock()
        async with self._writing:
            if self.lost or self._ending:
                return
            # Counted from before the write: the others count from when it arrives.
            now = trio.current_time()
            self.renew_at = now + self._length * RENEW_AFTER
            until = self._store.now() + self._length
            try:
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

    def cancel(self, order: Order) -> None:
        """Stop the handler because somebody ordered it; what it has already done, it has done."""
        if self.order is None:
            self.order = order
            self.scope.cancel()

    def lose(self, why: str) -> None:
        """Stop the handler: the slot is not ours any more."""
        _log.warning(
            "job %s: the lease of attempt %d is lost: %s", self.claimed.definition.id, self.claimed.record.attempt, why
        )
        self.lost = True
        self.scope.cancel()

    async def _write(self, record: Record) -> None:
        claimed = self.claimed
        claimed.revision = await write(
            self._store.responses,
            claimed.key,
            RECORD.encode(record),
            claimed.revision,
            ttl=self._store.ttl(claimed.definition),
            patience=self._store.settings.persist,
        )
        claimed.record = record
