"""Making jobs of what callers ask for: checked, resolved, written, announced, and followed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import trio

from osapi.errors import InvalidPayloadError, UnknownHostError
from osapi.flow.persist import insist
from osapi.flow.submissions import Submissions
from osapi.flow.submit import submit_known, submit_once
from osapi.handle import JobHandle
from osapi.operations import unknown_operation
from osapi.rules.keys import retried_key
from osapi.rules.records import VERSION, Definition
from osapi.rules.requests import again, check_request
from osapi.rules.targets import parse_target
from osapi.settings import facts_bucket

if TYPE_CHECKING:
    from osapi.flow.collect import Collector
    from osapi.flow.state import States
    from osapi.flow.store import Store
    from osapi.ids import Ids
    from osapi.operations import Operation, Operations
    from osapi.roster import Roster
    from osapi.rules.records import Kind
    from osapi.rules.requests import Request
    from osapi.rules.targets import Target


class Submitter:
    """Submits for one client; what it starts in the client's nursery ends with that."""

    def __init__(
        self,
        store: Store,
        operations: Operations | None,
        roster: Roster,
        states: States,
        collector: Collector,
        ids: Ids,
        origin: str,
        nursery: trio.Nursery,
    ) -> None:
        self._origin = origin
        self._store = store
        self._operations = operations
        self._roster = roster
        self._states = states
        self._collector = collector
        self._ids = ids
        self._nursery = nursery
        self._submissions = Submissions(store, nursery)
        self.submitted = 0
        self._learning = trio.Lock()
        self._following = trio.Lock()

    async def encode(self, operation: str, data: Any, target: Target) -> tuple[Kind, msgspec.Raw]:
        """Check a payload and return it as JSON, with the kind of its operation.

        Raises:
            UnknownOperationError, InvalidPayloadError, RecordError, DisconnectedError

        """
        known = self._operation(operation)
        if known is not None:
            return known.kind, known.encode_data(data)
        kind = self._roster.kind_of(operation)
        if kind is None and target.host:
            away = await self._states.known(target.host)
            kind = None if away is None else away.operations.get(operation)
        if kind is None:
            raise unknown_operation(operation, {*self._roster.offered(), *(self._operations or ())})
        try:
            return kind, msgspec.Raw(msgspec.json.encode(data))
        except (msgspec.MsgspecError, TypeError, ValueError, RecursionError, OverflowError) as error:
            raise InvalidPayloadError(operation, f"is not JSON ({error})", "send JSON values or a Struct") from error

    async def submit(self, request: Request) -> JobHandle:
        """Submit a job, or with a key that stands for one already, follow that.

        Raises:
            what `Client.submit` raises.

        """
        target = parse_target(request.target)
        hosts, away = (request.hosts, False) if request.hosts else await self.freeze(target)
        definition = self._define(request, target, hosts)
        handle = JobHandle(definition, self._operation(definition.operation), self._store)
        self._collector.track(handle)
        try:
            standing = await self._write(definition, target, away=away)
        except BaseException:
            self._collector.forget(definition.id)
            raise
        if standing.id == definition.id:
            self.submitted += 1
            return handle
        self._collector.forget(definition.id)
        return await self.follow(standing)

    async def again(self, old: Definition, target: str | None, key: str | None) -> JobHandle:
        """Submit a job once more, for its own target unless another is given, and let the old one name the new.

        Raises:
            what `Client.submit` raises.

        """
        handle = await self.submit(again(old, target, self._store.settings.job_ttl, key))
        link = partial(self._store.jobs.put, retried_key(old.id), handle.id.encode(), ttl=self._store.ttl(old))
        await insist(link, self._store.settings.persist)
        return handle

    async def follow(self, definition: Definition) -> JobHandle:
        """Return a current handle of a job, whoever submitted it.

        Raises:
            DisconnectedError

        """
        # One after the other: two who follow the same job share one handle.
        async with self._following:
            known = self._collector.known(definition.id)
            if known is not None:
                return known
            handle = JobHandle(definition, self._operation(definition.operation), self._store)
            start = partial(self._nursery.start, self._collector.follow_job, handle)
            await insist(start, self._store.settings.persist)
            return handle

    def operation(self, definition: Definition) -> Operation | None:
        """Return the operation of a job, if it is a known one."""
        return self._operation(definition.operation)

    def _operation(self, name: str) -> Operation | None:
        return None if self._operations is None else self._operations.get(name)

    async def freeze(self, target: Target) -> tuple[tuple[str, ...] | None, bool]:
        """Return the hosts that a job is for, and whether it is one that is known and away.

        Raises:
            UnknownHostError, NoAgentsError
            RecordError, DisconnectedError

        """
        if target.selector is not None and target.selector.uses_facts and not self._roster.knows_facts:
            await self.learn_facts()
        try:
            return self._roster.freeze(target), False
        except UnknownHostError:
            if await self._states.known(target.host) is not None:
                return (target.host,), True
            away = [known.hostname for known in await self._states.all_known()]
            raise self._roster.unknown_host(target.host, away) from None

    def _define(self, request: Request, target: Target, hosts: tuple[str, ...] | None) -> Definition:
        settings, now = self._store.settings, self._store.now()
        within = check_request(request, usual=settings.within, kept=settings.job_ttl)
        due = now + (request.delay or 0.0)
        return Definition(
            v=VERSION,
            id=self._ids.job_id(now),
            operation=request.operation,
            kind=request.kind,
            target=str(target),
            origin=self._origin,
            data=request.data,
            created=now,
            finish_by=due + within,
            expires=now + settings.job_ttl,
            expected=hosts,
            policy=request.policy,
            timeout=request.timeout,
            due=due if request.delay else None,
            start_by=None if request.start_within is None else due + request.start_within,
            key=request.key,
            retry_of=request.retry_of,
            rollout=request.rollout,
        )

    async def resume(self, definition: Definition) -> Definition:
        """Submit a job that is written down elsewhere, as far as that is not done, and return it as it stands.

        Raises:
            RecordError, PayloadTooLargeError, LimitReachedError, DisconnectedError, UncertainError

        """
        target = parse_target(definition.target)
        return await submit_known(self._store, definition, target, agents=len(self._roster.agents))

    async def _write(self, definition: Definition, target: Target, *, away: bool) -> Definition:
        # Only a selector's notification depends on how many there are.
        agents = 0 if target.selector is None else len(self._roster.agents)
        if definition.key is not None:
            return await submit_once(self._store, definition, definition.key, target, agents=agents, away=away)
        await self._submissions.submit(definition, target, agents=agents, away=away)
        return definition

    async def learn_facts(self) -> None:
        """Follow the facts from here on: a watch of its own, and room for them, only for who selects by them."""
        async with self._learning:
            if not self._roster.knows_facts:
                settings, transport = self._store.settings, self._store.transport
                bucket = await insist(partial(transport.bucket, facts_bucket(settings)), settings.persist)
                await insist(partial(self._nursery.start, self._roster.follow_facts, bucket), settings.persist)
