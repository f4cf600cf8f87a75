"""Receiving: how jobs come to one agent, how many it asks for, and what waits there for a free slot."""

from __future__ import annotations

import logging
from collections import deque
from functools import partial
from math import inf
from typing import TYPE_CHECKING

from osapi.errors import ClosedError, DisconnectedError, MissingError
from osapi.flow.groups import Groups
from osapi.flow.inlet import Inlet
from osapi.flow.persist import insist
from osapi.flow.waiting import call_waiting
from osapi.rules.keys import agent_filters, any_filter, consumer_name
from osapi.rules.labels import all_prefixes
from osapi.settings import any_consumer, own_consumer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import trio

    from osapi.flow.store import Store
    from osapi.transport import ConsumerConfig, Delivery

_log = logging.getLogger("osapi.agent")


class Reception:
    """The pulls of one agent; closed, it takes in nothing, and it may be opened again.

    `start` takes a delivery, for which a slot is free, `begin` processes those that were taken together, and `active`
    tells how many slots are taken.
    """

    def __init__(
        self,
        hostname: str,
        labels: Mapping[str, str],
        max_jobs: int,
        start: Callable[[Delivery], None],
        begin: Callable[[], None],
        active: Callable[[], int],
    ) -> None:
        self.labels = frozenset(all_prefixes(labels))
        self._hostname = hostname
        self._filters = agent_filters(hostname, labels)
        self._max_jobs = max_jobs
        self._start = start
        self._begin = begin
        self._active = active
        self._waiting: deque[Delivery] = deque()
        self._open = False

    def place(self, store: Store, nursery: trio.Nursery) -> None:
        """Say where the jobs are, and whose tasks receive them."""
        self._store = store
        self._nursery = nursery

    @property
    def is_open(self) -> bool:
        """Tell whether it takes in what comes."""
        return self._open

    async def open(self) -> None:
        """Begin to receive.

        Raises:
            MismatchError, LimitReachedError, DisconnectedError, UncertainError

        """
        settings = self._store.settings
        self._shared, self._own = Inlet(), Inlet()
        self._groups = Groups(self.labels, self._take_in)
        self._groups.open(self._store, self._nursery)
        self._open = True
        own = own_consumer(settings, consumer_name(self._hostname), self._filters)
        try:
            await self._nursery.start(self._listen, self._shared, any_consumer(settings, any_filter()))
            await self._nursery.start(self._listen, self._own, own)
        except BaseException:
            self._stop()
            raise

    async def close(self) -> None:
        """Receive nothing more, and give back what waits for a slot.

        What is given back before all pulls are closed would come straight back here.
        """
        if self._open:
            self._stop()
            await self.closed()
            while self._waiting:
                self._waiting.popleft().nak()

    def _stop(self) -> None:
        self._open = False
        self._shared.scope.cancel()
        self._own.scope.cancel()
        self._groups.close()

    async def closed(self) -> None:
        """Wait until all pulls are closed."""
        for inlet in (self._shared, self._own, *self._groups.inlets):
            await inlet.closed.wait()

    def next(self) -> None:
        """Fill the slots that have become free."""
        while self._waiting and self._active() < self._max_jobs and self._open:
            self._start(self._waiting.popleft())
        self._begin()
        self._ask()

    def keep_waiting(self) -> None:
        """Keep what waits for a slot from being delivered to others."""
        for delivery in self._waiting:
            delivery.in_progress()

    async def _listen(self, inlet: Inlet, config: ConsumerConfig, *, task_status: trio.TaskStatus[None]) -> None:
        try:
            with inlet.scope:
                await self._take_in(inlet, config, task_status)
            if not inlet.started:
                # Closed again before it was open: whoever waits for that waits for nothing more.
                task_status.started()
        finally:
            inlet.closed.set()

    async def _take_in(self, inlet: Inlet, config: ConsumerConfig, task_status: trio.TaskStatus[None] | None) -> None:
        """Admit what a consumer delivers, and open it again when it was lost; without a status, also the first time."""
        started = task_status is None
        while True:
            patience = inf if started else self._store.settings.persist
            consumer = await insist(partial(self._store.stream.consumer, config), patience)
            try:
                async with consumer.pull() as pull:
                    inlet.open(pull)
                    self._ask()
                    if inlet is self._own:
                        # While this agent was away, or not there yet, notices and jobs may have passed it by.
                        self._nursery.start_soon(self._groups.find)
                        self._nursery.start_soon(call_waiting, self._store, self._hostname)
                    if task_status is not None and not started:
                        task_status.started()
                        started = inlet.started = True
                    while True:
                        for delivery in await pull.receive():
                            self._admit(inlet, delivery)
                        self._begin()
                        self._ask()
            except (ClosedError, MissingError, DisconnectedError) as error:
                if not started:
                    raise
                # The consumer was removed, or the broker lost it. What it had not delivered comes again.
                _log.warning("consumer %s of %s is opened again: %s", config.name, self._hostname, error)
            finally:
                inlet.close()

    def _admit(self, inlet: Inlet, delivery: Delivery) -> None:
        inlet.requested -= 1
        if inlet is self._own and self._groups.hear(delivery):
            self._ask()
        elif self._active() < self._max_jobs:
            self._start(delivery)
        elif inlet is not self._own:
            # Its own jobs took the slots meanwhile: another agent may be free. It does not go round for ever: each
            # return uses up a request, and without a free slot none is made.
            delivery.nak()
        else:
            self._waiting.append(delivery)

    def _ask(self) -> None:
        """Request as many deliveries as there are free slots; a slot's worth of its own jobs may wait here."""
        if not self._open:
            return
        free = self._max_jobs - self._active() - len(self._waiting)
        self._shared.request(free)
        # One pull that stays silent must not keep its share of the slots from the others: each asks for all.
        for group in self._groups.inlets:
            group.request(free)
        self._own.request(self._max_jobs - len(self._waiting))
