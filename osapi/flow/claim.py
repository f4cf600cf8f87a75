"""Claiming: read the definition, decide, and take the slot by compare-and-set."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from osapi.errors import ConflictError, LimitReachedError
from osapi.flow.cancel import read_orders
from osapi.flow.persist import insist, write
from osapi.rules import lifecycle
from osapi.rules.cancellation import order_for
from osapi.rules.claims import Claimant, Close, Drop, Take, Wait, decide, slot_of
from osapi.rules.codec import DEFINITION, RECORD
from osapi.rules.keys import job_key, response_key
from osapi.rules.lifecycle import MAX_EARLIER_ERROR

if TYPE_CHECKING:
    from osapi.flow.counters import Counters
    from osapi.flow.store import Store
    from osapi.operations import Operation, Operations
    from osapi.rules.records import Definition, Policy, Record
    from osapi.transport import Delivery

_log = logging.getLogger("osapi.agent")

# While the bucket of answers is full, a job waits this long for another try.
_FULL_SECONDS = 5.0


def answer(delivery: Delivery, record: Record, *, given_up: bool) -> None:
    """Answer the delivery of a slot that has ended; what could have been tried again becomes a dead letter."""
    if given_up:
        delivery.term((record.error or "")[:MAX_EARLIER_ERROR])
    else:
        delivery.ack()


@dataclass(slots=True)
class Claimed:
    """A slot that this agent holds: what to run, and the revision of its record that fences everybody else."""

    definition: Definition
    operation: Operation
    policy: Policy
    delivery: Delivery
    key: str
    record: Record
    revision: int


@dataclass(frozen=True, slots=True)
class Claims:
    """One agent's way of claiming."""

    store: Store
    operations: Operations
    host: str
    labels: frozenset[str]
    counters: Counters

    async def claim(self, delivery: Delivery, job_id: str, lease: str) -> Claimed | None:
        """Take the slot that a delivery is about; None if there is nothing to run, and then it is answered.

        Cancelled, it leaves the delivery unanswered, or a claim without a runner: either way it comes again.

        Raises:
            RecordError: what is stored cannot be read; the delivery is unanswered.
            DisconnectedError, UncertainError: the broker stayed away; the delivery is unanswered.

        """
        definition = await self._definition(job_id)
        if definition is None:
            self.counters.late += 1
            _log.info("job %s: its definition is gone, its late notification is not executed", job_id)
            delivery.ack()
            return None
        operation = self.operations.get(definition.operation)
        policy = definition.policy or (operation.policy if operation else None) or self.store.settings.policy
        if definition.timeout is not None:
            policy = replace(policy, timeout=definition.timeout)
        me = Claimant(self.host, self.labels, lease, self.store.settings.ack_wait, operation is not None)
        key = response_key(definition.origin, job_id, slot_of(definition, self.host))
        written = await self._decide(definition, delivery, key, me, policy)
        if written is None or operation is None:
            return None
        record, revision = written
        return Claimed(definition, operation, policy, delivery, key, record, revision)

    async def _decide(
        self, definition: Definition, delivery: Delivery, key: str, me: Claimant, policy: Policy
    ) -> tuple[Record, int] | None:
        # The first look is blind: most jobs have no record yet, and trying to create one tells if they have.
        before: Record | None = None
        revision = 0
        while True:
            decision = decide(definition, before, me, policy, now=self.store.now(), deliveries=delivery.deliveries)
            if isinstance(decision, Wait):
                delivery.nak(decision.delay)
                return None
            if isinstance(decision, Drop):
                delivery.ack()
                return None
            if before is not None:
                decision = await self._unless_cancelled(decision, definition, before)
            try:
                revision = await self._write(definition, key, decision.record, revision)
            except ConflictError:
                before, revision = await self._record(key)
                continue
            except LimitReachedError as error:
                _log.warning("job %s waits: %s", definition.id, error)
                delivery.nak(_FULL_SECONDS)
                return None
            if isinstance(decision, Take):
                return decision.record, revision
            self.counters.ended(decision.record.status)
            answer(delivery, decision.record, given_up=decision.given_up)
            return None

    async def _unless_cancelled(self, decision: Take | Close, definition: Definition, before: Record) -> Take | Close:
        """Ask for orders before a slot is started over: one that was never started is ended by who gives the order."""
        order = order_for(await read_orders(self.store, definition.id), before.slot)
        return decision if order is None else Close(lifecycle.cancel(before, order, now=self.store.now()))

    async def _definition(self, job_id: str) -> Definition | None:
        entry = await insist(partial(self.store.jobs.get, job_key(job_id)), self.store.settings.persist)
        return None if entry is None else DEFINITION.decode(entry.value)

    async def _record(self, key: str) -> tuple[Record | None, int]:
        entry = await insist(partial(self.store.responses.get, key), self.store.settings.persist)
        return (None, 0) if entry is None else (RECORD.decode(entry.value), entry.revision)

    async def _write(self, definition: Definition, key: str, record: Record, revision: int) -> int:
        return await write(
            self.store.responses,
            key,
            RECORD.encode(record),
            revision,
            ttl=self.store.ttl(definition),
            patience=self.store.settings.persist,
        )
