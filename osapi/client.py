"""The client: submits jobs, follows them, looks at what is stored."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar

import msgspec
import trio

from osapi.dead_letters import DeadLetter, purge_dead_letter, read_dead_letters
from osapi.detail import JobDetail, read_details, retried_key
from osapi.errors import InvalidPayloadError, InvalidSettingError, UnknownJobError, shown
from osapi.flow.collect import Collector
from osapi.flow.notify import withdraw
from osapi.flow.persist import insist
from osapi.flow.store import open_store
from osapi.flow.submit import submit
from osapi.handle import JobHandle
from osapi.ids import Ids
from osapi.nursery import background
from osapi.operations import unknown_operation
from osapi.roster import Roster
from osapi.rules.keys import job_key, job_response_pattern, response_pattern
from osapi.rules.names import normalise_hostname
from osapi.rules.records import VERSION, Definition, JobStatus, Kind, Policy, Registration
from osapi.rules.retry import check_policy
from osapi.rules.targets import parse_target
from osapi.settings import Settings, facts_bucket

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
    from types import TracebackType

    from osapi.flow.store import Store
    from osapi.operations import Operations
    from osapi.transport import Transport

T = TypeVar("T")

_PAGE = 100
MAX_LIMIT = 10_000


class Client:
    """A client for the length of its block.

    With `operations`, payloads are checked before they are sent and results come back typed; without, the agents
    that are there tell which operations exist, and payloads are plain JSON values.

    Raises:
        MismatchError, DisconnectedError, UncertainError: when the block is entered.

    """

    def __init__(
        self, transport: Transport, operations: Operations | None = None, *, settings: Settings | None = None
    ) -> None:
        self._transport = transport
        self._operations = operations
        self._settings = settings or Settings()
        self._ids = Ids()
        self._block = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._open())
            self._block = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._block.__aexit__(kind, error, trace)

    @asynccontextmanager
    async def _open(self) -> AsyncGenerator[None]:
        store = await open_store(self._transport, self._settings)
        self._store: Store = store
        self._origin = self._ids.token()
        answers = store.responses.watch(response_pattern(self._origin), start="new")
        async with store.registry.watch() as agents, answers as watch, background() as nursery:
            self._nursery = nursery
            self._learning = trio.Lock()
            self._roster = Roster(agents)
            await self._roster.load()
            self._collector = Collector(store, self._roster)
            nursery.start_soon(self._roster.follow)
            nursery.start_soon(self._collector.follow, watch)
            nursery.start_soon(self._collector.settle_due)
            try:
                yield
            finally:
                self._collector.close()

    async def submit(
        self,
        operation: str,
        data: Any = None,
        *,
        target: str = "_any",
        within: float | None = None,
        policy: Policy | None = None,
    ) -> JobHandle:
        """Hand a job to the agents and return at once, without waiting for any of them.

        `within` is how many seconds it may take until it counts as expired, `policy` replaces the operation's.
        The hosts of a broadcast are frozen here; the first selector that asks for facts waits until they have been
        read. Cancelled before it returns, the job was not submitted, or is withdrawn, or (when the broker is away as
        well) expires.

        Raises:
            UnknownOperationError, InvalidPayloadError, InvalidTargetError, InvalidSettingError
            UnknownHostError, NoAgentsError: nobody is there to be frozen.
            PayloadTooLargeError, LimitReachedError, DisconnectedError, UncertainError: nothing was submitted.

        """
        kind, raw = self._encode(operation, data)
        return await self._submit(operation, kind, raw, target, self._seconds(within), policy)

    def _encode(self, operation: str, data: Any) -> tuple[Kind, msgspec.Raw]:
        known = self._operations.get(operation) if self._operations is not None else None
        if known is not None:
            return known.kind, known.encode_data(data)
        kind = self._roster.kind_of(operation)
        if kind is None:
            raise unknown_operation(operation, {*self._roster.offered(), *(self._operations or ())})
        try:
            return kind, msgspec.Raw(msgspec.json.encode(data))
        except (msgspec.MsgspecError, TypeError, ValueError, RecursionError, OverflowError) as error:
            raise InvalidPayloadError(operation, f"is not JSON ({error})", "send JSON values or a Struct") from error

    def _seconds(self, within: float | None) -> float:
        if within is None:
            return self._settings.within
        if not 0.0 < within <= self._settings.job_ttl:
            raise InvalidSettingError(
                within, "is no time that a job can take (within)", f"use more than 0, at most {self._settings.job_ttl}"
            )
        return within

    async def _submit(
        self,
        operation: str,
        kind: Kind,
        raw: msgspec.Raw,
        target: str,
        within: float,
        policy: Policy | None,
        retry_of: str | None = None,
    ) -> JobHandle:
        parsed = parse_target(target)
        if policy is not None:
            check_policy(policy)
        if parsed.selector is not None and parsed.selector.uses_facts and not self._roster.knows_facts:
            await self._learn_facts()
        now = self._store.now()
        definition = Definition(
            v=VERSION,
            id=self._ids.job_id(now),
            operation=operation,
            kind=kind,
            target=str(parsed),
            origin=self._origin,
            data=raw,
            created=now,
            finish_by=now + within,
            expires=now + self._settings.job_ttl,
            expected=self._roster.freeze(parsed),
            policy=policy,
            retry_of=retry_of,
        )
        handle = JobHandle(definition, self._operations.get(operation) if self._operations is not None else None)
        self._collector.track(handle)
        try:
            await submit(self._store, definition, parsed, agents=len(self._roster.agents))
        except BaseException:
            self._collector.forget(definition.id)
            raise
        return handle

    async def _learn_facts(self) -> None:
        """Follow the facts from here on: a watch of its own, and room for them, only for who selects by them."""
        async with self._learning:
            if not self._roster.knows_facts:
                bucket = await self._read(partial(self._transport.bucket, facts_bucket(self._settings)))
                await self._read(partial(self._nursery.start, self._roster.follow_facts, bucket))

    async def get(self, job_id: str) -> JobDetail:
        """Return a job as it is stored, whoever submitted it.

        Raises:
            UnknownJobError, InvalidKeyError: the id; RecordError, DisconnectedError

        """
        found = await read_details(self._store, [job_key(job_id)])
        if not found:
            raise _unknown_job(job_id)
        return found[0]

    async def list(
        self, *, status: JobStatus | str | None = None, limit: int = 10, offset: int = 0
    ) -> Sequence[JobDetail]:
        """Return the newest jobs, newest first, those of one status if it is given.

        Reads a page of 100 at a time, and with a status as many pages as it takes to find enough.

        Raises:
            InvalidSettingError: a limit, an offset or a status that there is not.
            RecordError, DisconnectedError

        """
        wanted = _status(status)
        _check_limit(limit)
        if offset < 0:
            raise InvalidSettingError(offset, "is out of range for offset", "use 0 or more")
        keys = sorted(await self._read(partial(self._store.jobs.keys, "jobs.*")), reverse=True)
        if wanted is None:
            return await read_details(self._store, keys[offset : offset + limit])
        found: list[JobDetail] = []
        for start in range(0, len(keys), _PAGE):
            page = await read_details(self._store, keys[start : start + _PAGE])
            found.extend(job for job in page if job.status is wanted)
            if len(found) >= offset + limit:
                break
        return found[offset : offset + limit]

    async def delete(self, job_id: str) -> None:
        """Remove a job: first its definition, so that it does not start any more, then all that speaks of it.

        What is running goes on, and its answer is refused. Cancelled, the rest is left to its lifetime.

        Raises:
            UnknownJobError, InvalidKeyError, DisconnectedError, UncertainError

        """
        key = job_key(job_id)
        if await self._read(partial(self._store.jobs.get, key)) is None:
            raise _unknown_job(job_id)
        await self._read(partial(self._store.jobs.purge, key))
        self._collector.forget(job_id, UnknownJobError(f"job {job_id} was deleted"))
        await withdraw(self._store, job_id)
        for record in await self._read(partial(self._store.responses.keys, job_response_pattern(job_id))):
            await self._read(partial(self._store.responses.purge, record))

    async def retry(self, job_id: str, *, target: str | None = None) -> JobHandle:
        """Submit a job once more, to its own target unless another is given; both jobs name each other.

        Raises:
            UnknownJobError, and all that `submit` raises.

        """
        old = (await self.get(job_id)).definition
        within = min(old.finish_by - old.created, self._settings.job_ttl)
        handle = await self._submit(
            old.operation, old.kind, old.data, target or old.target, within, old.policy, retry_of=old.id
        )
        link = partial(self._store.jobs.put, retried_key(old.id), handle.id.encode(), ttl=self._store.ttl(old))
        await self._read(link)
        return handle

    async def dead_letters(self, *, limit: int = 10) -> Sequence[DeadLetter]:
        """Return what the agents' consumers gave up, newest first; empty if nothing was.

        A notification that merely ended with its job's lifetime is none, but costs as much as one to pass over.

        Raises:
            InvalidSettingError: a limit that there is not.
            DisconnectedError

        """
        _check_limit(limit)
        return await read_dead_letters(self._store, limit)

    async def purge_dead_letter(self, sequence: int) -> None:
        """Remove a dead letter by its sequence; nothing happens if it is gone. Its job stays as it is.

        Raises:
            DisconnectedError, UncertainError

        """
        await purge_dead_letter(self._store, sequence)

    def agents(self) -> Sequence[Registration]:
        """Return the agents that are registered now, by hostname."""
        return [agent for _, agent in sorted(self._roster.agents.items())]

    def agent(self, hostname: str) -> Registration:
        """Return one agent.

        Raises:
            UnknownHostError, InvalidNameError

        """
        host = normalise_hostname(hostname)
        self._roster.freeze(parse_target(host))
        return self._roster.agents[host]

    async def _read(self, call: Callable[[], Awaitable[T]]) -> T:
        return await insist(call, self._settings.persist)


def _unknown_job(job_id: str) -> UnknownJobError:
    return UnknownJobError(f"there is no job {shown(job_id)}: it never was, was deleted, or has outlived its lifetime")


def _check_limit(limit: int) -> None:
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidSettingError(limit, "is out of range for limit", f"use 1 to {MAX_LIMIT}")


def _status(status: JobStatus | str | None) -> JobStatus | None:
    if status is None:
        return None
    try:
        return JobStatus(status)
    except ValueError:
        raise InvalidSettingError(status, "is no status of a job", f"use {', '.join(JobStatus)}") from None
