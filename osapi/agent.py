"""The agent: receives jobs, claims them, runs their handlers, answers."""

from __future__ import annotations

import logging
from collections import deque
from contextlib import AsyncExitStack
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Self

import trio

from osapi.errors import (
    ClosedError,
    DisconnectedError,
    InvalidKeyError,
    InvalidSettingError,
    MissingError,
    RecordError,
    TransportError,
)
from osapi.flow.cancel import LOOK_SECONDS, heed
from osapi.flow.claim import Claims
from osapi.flow.counters import Counters
from osapi.flow.execute import execute
from osapi.flow.facts import HostFacts
from osapi.flow.groups import Groups
from osapi.flow.inlet import Inlet
from osapi.flow.lease import Run
from osapi.flow.persist import insist
from osapi.flow.register import Membership
from osapi.flow.respond import release, respond
from osapi.flow.store import open_store
from osapi.ids import Ids
from osapi.nursery import background
from osapi.rules.keys import agent_filters, any_filter, consumer_name
from osapi.rules.labels import all_prefixes, normalise_labels
from osapi.rules.lifecycle import MAX_EARLIER_ERROR
from osapi.rules.names import normalise_hostname
from osapi.rules.records import VERSION, Registration
from osapi.settings import Settings, any_consumer, own_consumer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Any

    from osapi.flow.facts import FactSource
    from osapi.operations import Operations
    from osapi.transport import ConsumerConfig, Delivery, Transport

_log = logging.getLogger("osapi.agent")

MAX_JOBS = 10_000

# Unanswered deliveries and leases are looked after this often within one `ack_wait`.
_ROUNDS = 10


class Agent:
    """An agent for the length of its block.

    `hostname` is its name, compared in lower case; `labels` are what jobs can be addressed to; `facts` are what it
    tells of its host, for selectors and for `@fact.NAME` in the data of jobs: a mapping, or an async function that
    returns one and is called every `settings.facts_interval`. At most `max_jobs` handlers run at once.

    Leaving the block drains: nothing new is taken, running handlers get `settings.drain` seconds, and what is left is
    given back to the others. When the block is cancelled or fails, running handlers are cancelled and given back at
    once.

    Raises:
        InvalidNameError, InvalidLabelError, InvalidSettingError: from the constructor.
        HostnameTakenError: when the block is entered, or from inside it if another agent takes the name over.
        MismatchError, DisconnectedError, UncertainError: when the block is entered.

    """

    def __init__(
        self,
        transport: Transport,
        operations: Operations,
        *,
        hostname: str,
        labels: Mapping[str, str] | None = None,
        facts: FactSource | None = None,
        max_jobs: int = 10,
        settings: Settings | None = None,
    ) -> None:
        self.hostname = normalise_hostname(hostname)
        self.labels = normalise_labels(labels or {})
        self.counters = Counters()
        if not 1 <= max_jobs <= MAX_JOBS:
            raise InvalidSettingError(max_jobs, "is out of range for max_jobs", f"use 1 to {MAX_JOBS}")
        self._transport = transport
        self._operations = operations
        self._max_jobs = max_jobs
        self._settings = settings or Settings()
        self._ids = Ids()
        self._session = self._ids.token()
        self._attempts = 0
        self._block = AsyncExitStack()
        self._draining = False
        self._idle = trio.Event()
        self._active = 0
        self._runs: set[Run] = set()
        self._waiting: deque[Delivery] = deque()
        self._shared = Inlet()
        self._own = Inlet()
        self._groups = Groups(all_prefixes(self.labels), self._take_in)
        self._facts = HostFacts(self.hostname, facts)

    async def __aenter__(self) -> Self:
        store = await open_store(self._transport, self._settings)
        self._store = store
        self._claims = Claims(store, self._operations, self.hostname, self._groups.labels, self.counters)
        self._membership = Membership(store, self._registration(store.now()))
        async with AsyncExitStack() as stack:
            await self._membership.join()
            stack.push_async_callback(self._membership.leave)
            self._nursery = await stack.enter_async_context(background())
            self._groups.open(store, self._nursery)
            settings = self._settings
            if self._facts.given:
                await self._facts.open(store)
                self._nursery.start_soon(self._facts.keep)
            await self._nursery.start(self._listen, self._shared, any_consumer(settings, any_filter()))
            filters = agent_filters(self.hostname, self.labels)
            await self._nursery.start(
                self._listen, self._own, own_consumer(settings, consumer_name(self.hostname), filters)
            )
            self._nursery.start_soon(self._beat)
            self._nursery.start_soon(self._look_after)
            self._nursery.start_soon(self._heed)
            self._block = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        if error is None:
            try:
                with trio.move_on_after(self._settings.drain):
                    await self.drain()
            except BaseException as late:
                if not await self._block.__aexit__(type(late), late, late.__traceback__):
                    raise
                return None
        return await self._block.__aexit__(kind, error, trace)

    async def drain(self) -> None:
        """Take no more jobs and wait until the running ones have ended.

        Deliveries that are not running are given back. Cancelled, the agent stays drained. It does not take
        jobs again: leave the block and open another agent.
        """
        self._draining = True
        self._shared.scope.cancel()
        self._own.scope.cancel()
        self._groups.close()
        await self._deaf()
        self._give_back()
        await self._membership.beat(self._active, draining=True)
        if self._active:
            await self._idle.wait()

    @property
    def facts(self) -> Mapping[str, Any]:
        """Return the facts as they were last collected; not to be changed."""
        return self._facts.known

    async def tell_facts(self) -> None:
        """Collect the facts and tell them now, as when something is known to have changed.

        What cannot be collected stays as it was; what cannot be told, with the broker away, is told the next time.
        """
        if self._facts.given:
            await self._facts.tell()

    @property
    def active(self) -> int:
        """Return how many jobs are being claimed, run or answered now."""
        return self._active

    def _registration(self, now: float) -> Registration:
        return Registration(
            v=VERSION,
            hostname=self.hostname,
            session=self._session,
            labels=self.labels,
            operations=self._operations.kinds(),
            started=now,
            heartbeat=now,
            max_jobs=self._max_jobs,
        )

    # --- Receiving: how many deliveries may come, and what waits for a free slot ---

    async def _listen(self, inlet: Inlet, config: ConsumerConfig, *, task_status: trio.TaskStatus[None]) -> None:
        try:
            with inlet.scope:
                await self._take_in(inlet, config, task_status)
        finally:
            inlet.closed.set()

    async def _take_in(self, inlet: Inlet, config: ConsumerConfig, task_status: trio.TaskStatus[None] | None) -> None:
        """Admit what a consumer delivers, and open it again when it was lost; without a status, also the first time."""
        started = task_status is None
        while True:
            patience = inf if started else self._settings.persist
            consumer = await insist(partial(self._store.stream.consumer, config), patience)
            try:
                async with consumer.pull() as pull:
                    inlet.open(pull)
                    self._ask()
                    if inlet is self._own:
                        # While this agent was away, or not there yet, notices may have passed it by.
                        self._nursery.start_soon(self._groups.find)
                    if task_status is not None and not started:
                        task_status.started()
                        started = True
                    while True:
                        for delivery in await pull.receive():
                            self._admit(inlet, delivery)
            except (ClosedError, MissingError, DisconnectedError) as error:
                if not started:
                    raise
                # The consumer was removed, or the broker lost it. What it had not delivered comes again.
                _log.warning("consumer %s of %s is opened again: %s", config.name, self.hostname, error)
            finally:
                inlet.close()

    def _admit(self, inlet: Inlet, delivery: Delivery) -> None:
        inlet.requested -= 1
        if inlet is self._own and self._groups.hear(delivery):
            self._ask()
        elif self._active < self._max_jobs:
            self._start(delivery)
        elif inlet is not self._own:
            # Its own jobs took the slots meanwhile: another agent may be free. It does not go round for ever: each
            # return uses up a request, and without a free slot none is made.
            delivery.nak()
        else:
            self._waiting.append(delivery)

    def _start(self, delivery: Delivery) -> None:
        self._active += 1
        self._nursery.start_soon(self._process, delivery)

    def _ask(self) -> None:
        """Request as many deliveries as there are free slots; a slot's worth of its own jobs may wait here."""
        if self._draining:
            return
        free = self._max_jobs - self._active - len(self._waiting)
        self._shared.request(free)
        # One pull that stays silent must not keep its share of the slots from the others: each asks for all.
        for group in self._groups.inlets:
            group.request(free)
        self._own.request(self._max_jobs - len(self._waiting))

    async def _deaf(self) -> None:
        """Wait until all pulls are closed: what is given back before that would come straight back here."""
        for inlet in (self._shared, self._own, *self._groups.inlets):
            await inlet.closed.wait()

    def _give_back(self) -> None:
        while self._waiting:
            self._waiting.popleft().nak()

    # --- Processing one job ---

    async def _process(self, delivery: Delivery) -> None:
        try:
            await self._handle(delivery)
        except (RecordError, InvalidKeyError) as error:
            # What is stored cannot be read, or somebody published what is no notification.
            self.counters.unreadable += 1
            _log.exception("a job on %s cannot be read and will not be tried again", delivery.subject)
            delivery.term(str(error)[:MAX_EARLIER_ERROR])
        except TransportError as error:
            _log.warning("a job on %s is left to its next delivery: %s", delivery.subject, error)
        finally:
            self._active -= 1
            self._next()

    async def _handle(self, delivery: Delivery) -> None:
        self._attempts += 1
        lease = f"{self._session}.{self._attempts}"
        claimed = await self._claims.claim(delivery, delivery.subject.rpartition(".")[2], lease)
        if claimed is None:
            return
        run = Run(self._store, claimed)
        self._runs.add(run)
        try:
            outcome = await execute(run, self._facts.flat)
            await respond(self._store, self.counters, run, outcome, self._ids.draw())
        except BaseException as stopped:
            # Cancelled, or a group of that: a handler's own nursery wraps it.
            if not isinstance(stopped, Exception):
                await release(self._store, run, self._deaf)
            raise
        finally:
            self._runs.discard(run)

    def _next(self) -> None:
        if not self._active and self._draining:
            self._idle.set()
        while self._waiting and self._active < self._max_jobs and not self._draining:
            self._start(self._waiting.popleft())
        self._ask()

    # --- In the background ---

    async def _beat(self) -> None:
        while True:
            await trio.sleep(self._settings.heartbeat)
            await self._membership.beat(self._active, draining=self._draining)

    async def _heed(self) -> None:
        """Cancel what somebody ordered to be cancelled."""
        while True:
            await trio.sleep(LOOK_SECONDS)
            await heed(self._store, self._runs)

    async def _look_after(self) -> None:
        """Renew the leases that are due, and keep what waits for a slot from being delivered to others."""
        while True:
            await trio.sleep(self._settings.ack_wait / _ROUNDS)
            for delivery in self._waiting:
                delivery.in_progress()
            now = trio.current_time()
            for run in [run for run in self._runs if run.renew_at <= now]:
                self._nursery.start_soon(run.renew)
