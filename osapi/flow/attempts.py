"""Attempts: what becomes of each delivery that an agent takes, from the claim to the answer."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import trio

from osapi import tracing
from osapi.errors import InvalidKeyError, RecordError, TransportError, UntrustedError
from osapi.flow.answers import Answers
from osapi.flow.cancel import LOOK_SECONDS, heed
from osapi.flow.claim import Arrival, Claimed
from osapi.flow.execute import execute
from osapi.flow.lease import Run
from osapi.flow.refuse import refuse
from osapi.flow.respond import release, respond
from osapi.ids import Ids
from osapi.observing import attempt_of
from osapi.rules.lifecycle import MAX_EARLIER_ERROR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from osapi.flow.claim import Claims
    from osapi.flow.counters import Counters
    from osapi.flow.facts import HostFacts
    from osapi.flow.identity import Identity
    from osapi.flow.receive import Reception
    from osapi.flow.store import Store
    from osapi.observing import Observer
    from osapi.transport import Delivery

_log = logging.getLogger("osapi.agent")

# Leases are looked after this often within one `ack_wait`.
_ROUNDS = 10


class Attempts:
    """The attempts of one agent; `active` are being claimed, run or answered now.

    `session` begins the name of each lease, so that it is nobody else's.
    """

    def __init__(
        self,
        hostname: str,
        session: str,
        identity: Identity,
        facts: HostFacts,
        counters: Counters,
        observer: Observer | None,
    ) -> None:
        self.active = 0
        self._hostname = hostname
        self._session = session
        self._identity = identity
        self._facts = facts
        self._counters = counters
        self._observer = observer
        self._ids = Ids()
        self._number = 0
        self._arrived: list[Arrival] = []
        self._runs: set[Run] = set()
        self._working = trio.Event()
        self._over: trio.Event | None = None

    def place(self, store: Store, nursery: trio.Nursery, claims: Claims, reception: Reception) -> None:
        """Say where the jobs are, and whose tasks run them; `reception` is told of each slot that is free again."""
        self._store = store
        self._nursery = nursery
        self._claims = claims
        self._reception = reception
        self._answers = Answers(store, self._counters, nursery, self._answered, reception.closed)

    async def over(self) -> None:
        """Wait until none is active."""
        if self.active:
            self._over = self._over or trio.Event()
            await self._over.wait()

    def start(self, delivery: Delivery) -> None:
        """Take a delivery into a slot; `begin` processes what was taken together."""
        self.active += 1
        self._number += 1
        job_id = delivery.subject.rpartition(".")[2]
        self._arrived.append(Arrival(delivery, job_id, f"{self._session}.{self._number}"))

    def begin(self) -> None:
        """Process what was taken."""
        arrived, self._arrived = self._arrived, []
        if len(arrived) == 1:
            self._nursery.start_soon(self._process, arrived[0])
        elif arrived:
            self._nursery.start_soon(self._process_many, arrived)

    async def _process_many(self, arrived: Sequence[Arrival]) -> None:
        """Claim together, then run each in a task of its own."""
        waiting = list(arrived)
        try:
            for claimed in await self._claims.claim_many(arrived):
                arrival = waiting.pop(0)
                if claimed is None:
                    self._free(1)
                else:
                    self._nursery.start_soon(self._process, arrival, claimed)
        finally:
            self._free(len(waiting))
        self._reception.next()

    async def _process(self, arrival: Arrival, claimed: Claimed | Arrival | None = None) -> None:
        delivery = arrival.delivery
        held = False
        try:
            if not isinstance(claimed, Claimed):
                claimed = await self._claims.claim(arrival)
            if claimed is not None:
                held = True
                await self._handle(claimed)
        except UntrustedError as error:
            await self._refuse(arrival, error)
        except (RecordError, InvalidKeyError) as error:
            # What is stored cannot be read, or somebody published what is no notification.
            self._counters.unreadable += 1
            _log.exception("a job on %s cannot be read and will not be tried again", delivery.subject)
            delivery.term(str(error)[:MAX_EARLIER_ERROR])
        except TransportError as error:
            _log.warning("a job on %s is left to its next delivery: %s", delivery.subject, error)
        finally:
            if not held:
                self._free(1)
                self._reception.next()

    def _free(self, slots: int) -> None:
        self.active -= slots
        if not self.active and self._over is not None:
            self._over.set()

    async def _refuse(self, arrival: Arrival, error: UntrustedError) -> None:
        self._counters.refused += 1
        try:
            await refuse(self._store, arrival.delivery, self._hostname, arrival.job_id, error)
        except TransportError as away:
            _log.warning("a refusal of job %s is left to its next delivery: %s", arrival.job_id, away)

    async def _handle(self, claimed: Claimed) -> None:
        """Run a handler and answer, or leave the answer to those that are written together."""
        taken_over = False
        run = Run(self._store, claimed, self._nursery)
        self._runs.add(run)
        self._working.set()
        # What the handler submits, and a retry's notification, belong to the trace of this one.
        trace = claimed.delivery.headers.get(tracing.HEADER, "")
        if trace:
            tracing.traceparent.set(trace)
        try:
            if self._observer is None:
                taken_over = await self._run(run)
            else:
                run.over = trio.Event()
                attempt = attempt_of(claimed, trace)
                with self._observer(attempt):
                    taken_over = await self._run(run)
                    if taken_over:
                        await run.over.wait()
                    attempt.status = run.status
        except BaseException as stopped:
            # Cancelled, or a group of that: a handler's own nursery wraps it.
            if not taken_over and not isinstance(stopped, Exception):
                await release(self._store, run, self._reception.closed)
            raise
        finally:
            if not taken_over:
                self._end(run)

    async def _run(self, run: Run) -> bool:
        """Execute and answer; tell whether the answer was taken over by those that are written together."""
        outcome = self._identity.refusal(run.claimed) or await execute(run, self._facts.flat)
        if self._answers.take(run, outcome):
            return True
        self._answers.alone += 1
        try:
            await respond(self._store, self._counters, run, outcome, self._ids.draw())
        finally:
            self._answers.alone -= 1
        self._identity.ended(run.claimed)
        return False

    def _answered(self, run: Run) -> None:
        self._identity.ended(run.claimed)
        self._end(run)

    def _end(self, run: Run) -> None:
        self._runs.discard(run)
        run.end()
        self._free(1)
        self._reception.next()

    # --- In the background ---

    async def heed(self) -> None:
        """Cancel what somebody ordered to be cancelled; with nothing that runs, wake for nothing."""
        while True:
            if not self._runs:
                self._working = trio.Event()
                await self._working.wait()
            await trio.sleep(LOOK_SECONDS)
            await heed(self._store, self._runs)

    async def look_after(self) -> None:
        """Renew the leases that are due, and keep what waits for a slot from being delivered to others."""
        while True:
            await trio.sleep(self._store.settings.ack_wait / _ROUNDS)
            self._reception.keep_waiting()
            now = trio.current_time()
            for run in [run for run in self._runs if run.renew_at <= now]:
                self._nursery.start_soon(run.renew)
