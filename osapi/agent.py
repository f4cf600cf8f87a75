"""The agent: receives jobs, claims them, runs their handlers, answers."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import trio

from osapi.block import Block
from osapi.errors import InvalidSettingError, RecordError, TransportError
from osapi.flow.attempts import Attempts
from osapi.flow.claim import Claims
from osapi.flow.counters import Counters
from osapi.flow.facts import HostFacts
from osapi.flow.identity import Identity
from osapi.flow.receive import Reception
from osapi.flow.register import Membership
from osapi.flow.sealed import check_keys
from osapi.flow.state import States
from osapi.flow.store import open_store
from osapi.flow.timeline import TimelineKeeper
from osapi.flow.vitals import HostVitals
from osapi.ids import Ids
from osapi.nursery import background
from osapi.rules.labels import normalise_labels
from osapi.rules.names import normalise_hostname
from osapi.rules.records import VERSION, Registration
from osapi.rules.timeline import Standing
from osapi.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from os import PathLike
    from typing import Any

    from osapi.flow.facts import FactSource
    from osapi.flow.vitals import VitalsSource
    from osapi.observing import Observer
    from osapi.operations import Operations
    from osapi.rules.records import AgentState
    from osapi.signer import Signer
    from osapi.transport import Transport
    from osapi.trust import Trust

_log = logging.getLogger("osapi.agent")

MAX_JOBS = 10_000


class Agent(Block):
    """An agent for the length of its block.

    `hostname` is its name, compared in lower case; `labels` are what jobs can be addressed to; `facts` are what it
    tells of its host, for selectors and for `@fact.NAME` in the data of jobs: a mapping, or an async function that
    returns one and is called every `settings.facts_interval`. `status` is an async function that returns its `Vitals`,
    called for every heartbeat: what it has not returned within a quarter of one stays as it was. At most `max_jobs`
    handlers run at once. `observer` is told of every attempt, to measure or to trace it.

    With a `signer` it signs what it writes. With `trust` besides, it obeys nobody else: jobs and orders that are not
    signed by a controller are refused by name, and it takes none before its own key is accepted (see
    `Client.enrolments`, which show the `machine_id`). What it has started it remembers, so that nobody can have it
    started again; in the file `journal`, if that is given, so that it remembers after a restart as well. Without one,
    it leaves jobs that are older than itself to others, or refuses them.

    Leaving the block drains: nothing new is taken, running handlers get `settings.drain` seconds, and what is left is
    given back to the others. When the block is cancelled or fails, running handlers are cancelled and given back at
    once.

    Raises:
        InvalidNameError, InvalidLabelError, InvalidSettingError: from the constructor.
        HostnameTakenError: when the block is entered, or from inside it if another agent takes the name over.
        KeyFileError, MismatchError, RecordError, DisconnectedError, UncertainError: when the block is entered.

    """

    def __init__(
        self,
        transport: Transport,
        operations: Operations,
        *,
        hostname: str,
        labels: Mapping[str, str] | None = None,
        facts: FactSource | None = None,
        status: VitalsSource | None = None,
        max_jobs: int = 10,
        settings: Settings | None = None,
        signer: Signer | None = None,
        trust: Trust | None = None,
        journal: str | PathLike[str] | None = None,
        machine_id: str = "",
        observer: Observer | None = None,
    ) -> None:
        check_keys(signer, trust)
        self.hostname = normalise_hostname(hostname)
        self.labels = normalise_labels(labels or {})
        self.counters = Counters()
        if not 1 <= max_jobs <= MAX_JOBS:
            raise InvalidSettingError(max_jobs, "is out of range for max_jobs", f"use 1 to {MAX_JOBS}")
        self._transport = transport
        self._operations = operations
        self._max_jobs = max_jobs
        self._settings = settings or Settings()
        self._session = Ids().token()
        self._drained = False
        self._order = ""
        self._leaving = False
        self._facts = HostFacts(self.hostname, facts)
        self._vitals = HostVitals(self.hostname, status)
        self._identity = Identity(self.hostname, machine_id, signer, trust, journal)
        attempts = Attempts(self.hostname, self._session, self._identity, self._facts, self.counters, observer)
        self._attempts = attempts
        self._reception = Reception(
            self.hostname, self.labels, max_jobs, attempts.start, attempts.begin, lambda: attempts.active
        )

    @asynccontextmanager
    async def _open(self) -> AsyncGenerator[None]:
        async with AsyncExitStack() as stack:
            transport = await stack.enter_async_context(self._identity.open(self._transport, self._settings))
            store = await open_store(transport, self._settings)
            self._store = store
            self._states = States(store)
            await self._learn()
            await self._vitals.renew(self._settings.heartbeat)
            registration = self._registration(store.now())
            self._membership = Membership(store, registration)
            await self._membership.join()
            stack.push_async_callback(self._membership.leave)
            await self._states.remember(registration)
            self._timeline = TimelineKeeper(store, self._states, self.hostname)
            await self._timeline.open(self._standing)
            stack.push_async_callback(self._stop)
            nursery = await stack.enter_async_context(background())
            claims = Claims(
                store,
                self._operations,
                self.hostname,
                self._reception.labels,
                self.counters,
                self._identity.passes_on,
            )
            self._attempts.place(store, nursery, claims, self._reception)
            self._reception.place(store, nursery)
            if self._facts.given:
                await self._facts.open(store)
                nursery.start_soon(self._facts.keep)
            if not self._shut:
                await self._reception.open()
            nursery.start_soon(self._timeline.keep)
            nursery.start_soon(self._beat)
            nursery.start_soon(self._attempts.look_after)
            nursery.start_soon(self._attempts.heed)
            yield
            with trio.move_on_after(self._settings.drain):
                await self.drain()

    async def drain(self) -> None:
        """Take no more jobs and wait until the running ones have ended.

        Deliveries that are not running are given back. Cancelled, the agent stays drained. It does not take
        jobs again: leave the block and open another agent.
        """
        self._leaving = True
        await self._reception.close()
        await self._membership.beat(self._attempts.active, "Draining")
        await self._attempts.over()

    @property
    def state(self) -> AgentState:
        """Return whether it takes jobs; what a client decides about that is heard with the next heartbeat."""
        if self._identity.pending:
            return "Pending"
        if not self._drained and not self._leaving:
            return "Ready"
        return "Draining" if self._attempts.active or self._leaving else "Cordoned"

    @property
    def facts(self) -> Mapping[str, Any]:
        """Return the facts as they were last collected; not to be changed."""
        return self._facts.known

    async def rotate(self, signer: Signer, *, grace: float = 3600.0) -> None:
        """Sign with another key from now on; what the one before signed counts for `grace` seconds more.

        The key before announces the one that follows, so that nobody has to accept it; it can do so once. Keep the
        key first, as with `Signer.open`: this is not undone. Cancelled, or failing, repeat it.

        Raises:
            InvalidSettingError: the agent has no signer, or the grace is no time.
            EnrolmentError: the key has announced another one before.
            LimitReachedError, DisconnectedError, UncertainError

        """
        await self._identity.rotate(signer, grace)

    async def tell_facts(self) -> None:
        """Collect the facts and tell them now, as when something is known to have changed.

        What cannot be collected stays as it was; what cannot be told, with the broker away, is told the next time.
        """
        if self._facts.given:
            await self._facts.tell()

    @property
    def heartbeat_age(self) -> float:
        """Return how many seconds ago the last heartbeat was stored that got through."""
        return max(0.0, self._store.now() - self._membership.told)

    @property
    def active(self) -> int:
        """Return how many jobs are being claimed, run or answered now."""
        return self._attempts.active

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
            state=self.state,
            machine_id=self._identity.machine_id,
            fingerprint=self._identity.fingerprint,
            vitals=self._vitals.known,
        )

    # --- In the background ---

    @property
    def _standing(self) -> Standing:
        vitals = self._vitals.known
        return Standing(self.state, () if vitals is None else vitals.conditions, self._order)

    async def _stop(self) -> None:
        # One that another has replaced has no say any more.
        if not self._membership.lost:
            await self._timeline.close()

    async def _beat(self) -> None:
        while True:
            await trio.sleep(self._settings.heartbeat)
            if not self._leaving:
                await self._obey()
            vitals = await self._vitals.renew(self._settings.heartbeat)
            await self._membership.beat(self._attempts.active, self.state, vitals)
            if not self._leaving:
                self._timeline.note(self._standing)

    async def _learn(self) -> None:
        order = await self._states.drained(self.hostname)
        self._drained = order is not None
        self._order = "" if order is None else ": ".join(filter(None, [order.by and f"by {order.by}", order.reason]))
        await self._identity.apply()

    @property
    def _shut(self) -> bool:
        return self._drained or self._identity.pending

    async def _obey(self) -> None:
        """Begin or cease to take jobs, as is ordered and allowed; while it cannot be known, all stays as it is."""
        try:
            await self._learn()
            if self._shut and self._reception.is_open:
                _log.info("%s takes no jobs: it is %s", self.hostname, self.state)
                await self._reception.close()
            elif not self._shut and not self._leaving and not self._reception.is_open:
                _log.info("%s takes jobs", self.hostname)
                await self._reception.open()
        except (TransportError, RecordError) as error:
            _log.warning("whether %s shall take jobs is not known: %s", self.hostname, error)
