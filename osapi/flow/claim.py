"""Claiming: read the definition, decide, and take the slot by compare-and-set."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from osapi.errors import ConflictError, InvalidKeyError, LimitReachedError, OsapiError, RecordError
from osapi.flow.cancel import read_orders
from osapi.flow.persist import insist, write
from osapi.rules import lifecycle
from osapi.rules.cancellation import order_for
from osapi.rules.claims import Claimant, Close, Drop, Take, Wait, decide, slot_of
from osapi.rules.codec import DEFINITION, RECORD
from osapi.rules.keys import job_key, response_key
from osapi.rules.lifecycle import MAX_EARLIER_ERROR
from osapi.rules.records import SlotStatus
from osapi.transport import Write

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from osapi.flow.counters import Counters
    from osapi.flow.store import Store
    from osapi.operations import Operation, Operations
    from osapi.rules.records import Definition, Policy, Record
    from osapi.transport import Delivery, Entry

_log = logging.getLogger("osapi.agent")

# While the bucket of answers is full, a job waits this long for another try.
_FULL_SECONDS = 5.0

# What this agent leaves to others is delivered again after so long.
_PASS_SECONDS = 1.0


def answer(delivery: Delivery, record: Record, *, given_up: bool) -> None:
    """Answer the delivery of a slot that has ended; what could have been tried again becomes a dead letter."""
    if given_up:
        delivery.term((record.error or "")[:MAX_EARLIER_ERROR])
    else:
        delivery.ack()


class Arrival(NamedTuple):
    """A delivery, the job that it is about, and the lease under which this agent would run it."""

    delivery: Delivery
    job_id: str
    lease: str


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


@dataclass(slots=True)
class Intent:
    """What there is to be claimed, by whom, and what it would be run with; without an operation it cannot be."""

    definition: Definition
    operation: Operation | None
    policy: Policy
    delivery: Delivery
    key: str
    me: Claimant

    def claimed(self, record: Record, revision: int) -> Claimed:
        """Return the slot as it is held."""
        assert self.operation is not None, "what is not offered is not taken"  # noqa: S101
        return Claimed(self.definition, self.operation, self.policy, self.delivery, self.key, record, revision)


@dataclass(slots=True)
class Proposal:
    """A claim that is to be written for the first time."""

    arrival: Arrival
    intent: Intent
    record: Record
    write: Write


@dataclass(frozen=True, slots=True)
class Claims:
    """One agent's way of claiming; `passes_on` tells of jobs that are left to others, if there are any."""

    store: Store
    operations: Operations
    host: str
    labels: frozenset[str]
    counters: Counters
    passes_on: Callable[[Definition], bool] | None = None

    async def claim(self, arrival: Arrival) -> Claimed | None:
        """Take the slot that a delivery is about; None if there is nothing to run, and then it is answered.

        Cancelled, it leaves the delivery unanswered, or a claim without a runner: either way it comes again.

        Raises:
            UntrustedError: nobody who may has signed the job; the delivery is unanswered.
            RecordError: what is stored cannot be read; the delivery is unanswered.
            DisconnectedError, UncertainError: the broker stayed away; the delivery is unanswered.

        """
        definition = await self._definition(arrival.job_id)
        if definition is None:
            self._be_late(arrival)
            return None
        if self.passes_on is not None and self.passes_on(definition):
            arrival.delivery.nak(_PASS_SECONDS)
            return None
        intent = self._intent(definition, arrival)
        held = await self._decide(intent)
        return None if held is None else intent.claimed(*held)

    async def claim_many(self, arrived: Sequence[Arrival]) -> list[Claimed | Arrival | None]:
        """Claim what arrived together: one request for all definitions, then all first attempts at once.

        What is not that simple comes back as it came, to be claimed by itself: a slot that has a record, a job that
        cannot be read, a broker that is away. Cancelled, it leaves what `claim` does.
        """
        try:
            entries = await self.store.jobs.get_many([job_key(arrival.job_id) for arrival in arrived])
        except OsapiError:
            return list(arrived)
        prepared = [self._prepare(arrival, entry) for arrival, entry in zip(arrived, entries, strict=True)]
        proposed = [item for item in prepared if isinstance(item, Proposal)]
        written = iter(await self.store.responses.write_many([item.write for item in proposed]) if proposed else ())
        claimed: list[Claimed | Arrival | None] = []
        for item in prepared:
            if isinstance(item, Proposal):
                revision = next(written)
                claimed.append(
                    item.intent.claimed(item.record, revision) if isinstance(revision, int) else item.arrival
                )
            else:
                claimed.append(item)
        return claimed

    def _prepare(self, arrival: Arrival, entry: Entry | None) -> Proposal | Arrival | None:
        """Return the claim to write; None if the delivery is answered, the arrival if more has to be known."""
        if entry is None:
            self._be_late(arrival)
            return None
        try:
            definition = DEFINITION.decode(entry.value)
            if self.passes_on is not None and self.passes_on(definition):
                return arrival
            intent = self._intent(definition, arrival)
        except (RecordError, InvalidKeyError):
            return arrival
        decision = decide(intent.definition, None, intent.me, intent.policy, now=self.store.now(), deliveries=1)
        if isinstance(decision, Drop):
            arrival.delivery.ack()
            return None
        if not isinstance(decision, Take):
            return arrival
        write = Write(intent.key, RECORD.encode(decision.record), 0, self.store.ttl(intent.definition))
        return Proposal(arrival, intent, decision.record, write)

    def _be_late(self, arrival: Arrival) -> None:
        self.counters.late += 1
        _log.info("job %s: its definition is gone, its late notification is not executed", arrival.job_id)
        arrival.delivery.ack()

    def _intent(self, definition: Definition, arrival: Arrival) -> Intent:
        operation = self.operations.get(definition.operation)
        policy = definition.policy or (operation.policy if operation else None) or self.store.settings.policy
        if definition.timeout is not None:
            policy = replace(policy, timeout=definition.timeout)
        me = Claimant(self.host, self.labels, arrival.lease, self.store.settings.ack_wait, operation is not None)
        key = response_key(definition.origin, arrival.job_id, slot_of(definition, self.host))
        return Intent(definition, operation, policy, arrival.delivery, key, me)

    async def _decide(self, intent: Intent) -> tuple[Record, int] | None:
        definition, delivery, key, me = intent.definition, intent.delivery, intent.key, intent.me
        # The first look is blind: most jobs have no record yet, and trying to create one tells if they have.
        before: Record | None = None
        revision = 0
        while True:
            if before is not None and before.lease == me.lease and before.status is SlotStatus.RUNNING:
                # Ours: it was stored, and the answer was lost.
                return before, revision
            now = self.store.now()
            decision = decide(definition, before, me, intent.policy, now=now, deliveries=delivery.deliveries)
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
