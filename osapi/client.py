"""The client: submits jobs, follows them, looks at what is stored."""

from __future__ import annotations

from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from osapi.block import Block
from osapi.changes import Changes, Chronicle
from osapi.dead_letters import DeadLetters
from osapi.detail import JobDetail, newest_details, read_details, with_results
from osapi.enrolments import Enrolments
from osapi.errors import InvalidSettingError, KeyReusedError, UnknownJobError, UntrustedError, shown
from osapi.fleet import Fleet
from osapi.flow.cancel import cancel
from osapi.flow.collect import Collector
from osapi.flow.notify import withdraw
from osapi.flow.persist import insist
from osapi.flow.reseal import seal_anew
from osapi.flow.sealed import check_keys, keyed
from osapi.flow.state import States
from osapi.flow.store import open_store
from osapi.following import following
from osapi.ids import Ids
from osapi.index import JobIndex, check_page, check_status
from osapi.nursery import background
from osapi.rollouts import Rollouts
from osapi.roster import Roster
from osapi.rules.cancellation import check_hosts, check_text
from osapi.rules.codec import DEFINITION
from osapi.rules.idempotency import holder_key
from osapi.rules.keys import job_key, job_response_pattern, response_pattern
from osapi.rules.records import JobStatus, Order
from osapi.rules.requests import Request
from osapi.rules.targets import parse_target
from osapi.schedules import Schedules
from osapi.settings import Settings
from osapi.submitter import Submitter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence

    from osapi.flow.store import Store
    from osapi.handle import JobHandle
    from osapi.operations import Operations
    from osapi.rules.output import Chunk
    from osapi.rules.records import Definition, Policy
    from osapi.signer import Signer
    from osapi.transport import Transport
    from osapi.trust import Trust

T = TypeVar("T")


class Client(Block):
    """A client for the length of its block.

    What it does with jobs are its own methods; all else has an object for each noun: `fleet`, `enrolments`, `rollouts`,
    `schedules` and `dead_letters`.

    With `operations`, payloads are checked before they are sent and results come back typed; without, the agents
    that are there tell which operations exist, and payloads are plain JSON values.

    With a `signer` it signs what it writes. With `trust` besides, it believes nobody else: an answer that is not signed
    by the key of the agent that it is from is `untrusted`, and so is a job that no controller has signed.

    Raises:
        MismatchError, DisconnectedError, UncertainError: when the block is entered.

    """

    def __init__(
        self,
        transport: Transport,
        operations: Operations | None = None,
        *,
        settings: Settings | None = None,
        signer: Signer | None = None,
        trust: Trust | None = None,
    ) -> None:
        check_keys(signer, trust)
        self._signer = signer
        self._trust = trust
        self._transport = transport
        self._operations = operations
        self._settings = settings or Settings()

    @asynccontextmanager
    async def _open(self) -> AsyncGenerator[None]:
        async with keyed(self._transport, self._settings, self._signer, self._trust) as (transport, self._keyring):
            store = await open_store(transport, self._settings)
            self._store: Store = store
            states = States(store)
            ids = Ids()
            origin = ids.token()
            answers = store.responses.watch(response_pattern(origin), start="new")
            async with store.registry.watch() as agents, answers as watch, background() as nursery:
                self._roster = Roster(agents)
                await self._roster.load()
                self._collector = Collector(store, self._roster)
                self._submitter = Submitter(
                    store, self._operations, self._roster, states, self._collector, ids, origin, nursery
                )
                self._fleet = Fleet(store, self._roster, states, self._submitter)
                self._nursery = nursery
                self._index = JobIndex(store)
                self._has_index = False
                self._chronicle = Chronicle(ids.token(), self._index, self._roster)
                self._rollouts = Rollouts(store, self._submitter, ids)
                self._schedules = Schedules(store, self._submitter)
                self._dead_letters = DeadLetters(store, self._submitter)
                self._enrolments = Enrolments(self._keyring)
                nursery.start_soon(self._roster.follow)
                nursery.start_soon(self._collector.follow, watch)
                nursery.start_soon(self._collector.settle_due)
                try:
                    yield
                finally:
                    self._collector.close()

    @property
    def fleet(self) -> Fleet:
        """Return the fleet: all agents, those that are away included, with what they tell of their hosts."""
        return self._fleet

    @property
    def rollouts(self) -> Rollouts:
        """Return the rollouts: broadcasts in batches."""
        return self._rollouts

    @property
    def schedules(self) -> Schedules:
        """Return the schedules: jobs that come again, and those that lie far ahead."""
        return self._schedules

    @property
    def dead_letters(self) -> DeadLetters:
        """Return the dead letters: what was given up, to be looked at, replayed or purged."""
        return self._dead_letters

    @property
    def enrolments(self) -> Enrolments:
        """Return the enrolments: agents whose keys wait to be accepted, and what is decided about them."""
        return self._enrolments

    async def submit(
        self,
        operation: str,
        data: Any = None,
        *,
        target: str = "_any",
        within: float | None = None,
        start_within: float | None = None,
        delay: float | None = None,
        timeout: float | None = None,
        policy: Policy | None = None,
        key: str | None = None,
    ) -> JobHandle:
        """Hand a job to the agents and return at once, without waiting for any of them.

        `within` is how many seconds it may take until it counts as expired, `start_within` how many until each host
        must have started it. `policy` replaces the operation's, `timeout` only what that says of one attempt.

        With a `delay` the job is there at once, and can be cancelled, but is due only so many seconds from now: agents
        hear of it then, and `within` and `start_within` count from then on. `delay` and `within` together are at most
        `job_ttl`, for which a job is kept; what lies further ahead is for `schedules`.

        The hosts of a broadcast are frozen here; the first selector that asks for facts waits until they have been
        read. Cancelled before it returns, the job was not submitted, or is withdrawn, or (when the broker is away as
        well) expires.

        With an idempotency `key` the job is submitted once, however often and by whomever this is called, for as long
        as the job is kept: the same operation, target and data give the same job. A call that failed or was cancelled
        is not undone, but goes on where it stopped when it is repeated.

        Raises:
            UnknownOperationError, InvalidPayloadError, InvalidTargetError, InvalidSettingError
            UnknownHostError, NoAgentsError: nobody is there to be frozen. A host that is known and away is waited for.
            KeyReusedError: the key stands for another operation, target or data.
            PayloadTooLargeError, LimitReachedError, DisconnectedError, UncertainError: nothing was submitted.
            ClosedError: the client's block has ended.

        """
        kind, raw = await self._submitter.encode(operation, data, parse_target(target))
        return await self._submitter.submit(
            Request(
                operation=operation,
                kind=kind,
                data=raw,
                target=target,
                within=within,
                start_within=start_within,
                delay=delay,
                timeout=timeout,
                policy=policy,
                key=key,
            )
        )

    @property
    def submitted(self) -> int:
        """Return how many jobs this client has submitted; those that a key stood for already are not among them."""
        return self._submitter.submitted

    async def follow(self, job_id: str) -> JobHandle:
        """Return a handle of a job, whoever submitted it; it stays current as those that `submit` returns.

        Costs a watch of its own until the job has ended.

        Raises:
            UnknownJobError, InvalidKeyError: the id; RecordError, DisconnectedError

        """
        return await self._submitter.follow(await self.definition(job_id))

    @asynccontextmanager
    async def following(self, job_id: str) -> AsyncGenerator[JobHandle]:
        """Follow a job for the length of a block, whoever submitted it: `async with client.following(id) as handle`.

        The handle stays current in the block, and its watch ends with it. A job that is deleted meanwhile, or outlives
        its lifetime, ends the handle within 15 seconds.

        Raises:
            UnknownJobError, InvalidKeyError: the id; RecordError, DisconnectedError

        """
        definition = await self.definition(job_id)
        async with following(self._store, self._roster, definition, self._submitter.operation(definition)) as handle:
            yield handle

    async def cancel(
        self, job_id: str, *, hosts: Sequence[str] | None = None, by: str = "", reason: str = ""
    ) -> JobDetail:
        """Order a job's end, or that of what it is for some of its hosts, and return it as it is now.

        What has not started never does. What runs is cancelled within a second: its handler's scope, and the process
        group of a command. What has ended stays as it is. The records say `by` whom, why and how far it had come.
        Ordered twice, the first order counts. Cancelled, or failing, the order is given or not.

        Raises:
            UnknownJobError, InvalidKeyError: the id.
            UnknownHostError, InvalidNameError, InvalidSettingError: the hosts, or what is told.
            RecordError, LimitReachedError, DisconnectedError, UncertainError

        """
        definition = await self.definition(job_id)
        order = Order(
            by=check_text("by", by),
            at=self._store.now(),
            reason=check_text("reason", reason),
            hosts=check_hosts(definition, hosts),
        )
        await cancel(self._store, definition, order)
        return await self.get(job_id)

    async def definition(self, job_id: str) -> Definition:
        """Return a job as it was submitted, without reading what became of it.

        Raises:
            UnknownJobError, InvalidKeyError: the id; RecordError, DisconnectedError

        """
        entry = await self._read(partial(self._store.jobs.get, job_key(job_id)))
        if entry is None:
            raise _unknown_job(job_id)
        return DEFINITION.decode(entry.value)

    async def get(self, job_id: str) -> JobDetail:
        """Return a job as it is stored, whoever submitted it.

        Raises:
            UnknownJobError, InvalidKeyError: the id; RecordError, DisconnectedError

        """
        found = await read_details(self._store, [job_key(job_id)])
        if not found:
            raise _unknown_job(job_id)
        return await with_results(self._store, found[0])

    async def output(
        self, job_id: str, *, host: str | None = None, after: Mapping[str, int] | None = None
    ) -> AsyncGenerator[Chunk]:
        """Follow what a job writes, whoever submitted it; as `JobHandle.output`, of the handle that `follow` returns.

        Raises:
            what `follow` and `JobHandle.output` raise.

        """
        handle = await self.follow(job_id)
        async with aclosing(handle.output(host=host, after=after)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def list(
        self, *, status: JobStatus | str | None = None, limit: int = 10, offset: int = 0
    ) -> Sequence[JobDetail]:
        """Return the newest jobs, newest first, those of one status if it is given.

        Reads from the newest on, and with a status as far back as it takes to find enough; `index` answers at once.
        With trust, jobs that no controller has signed are left out, and the log names them.

        Raises:
            InvalidSettingError: a limit, an offset or a status that there is not.
            RecordError, DisconnectedError

        """
        check_page(limit, offset)
        return await newest_details(self._store, check_status(status), limit, offset)

    async def index(self) -> JobIndex:
        """Return the index of all jobs, once it has read those that are there; the same one each time.

        Its two watches are open from the first call to the end of the client's block. Cancelled, it goes on reading.
        """
        if not self._has_index:
            self._has_index = True
            self._nursery.start_soon(self._index.run)
        await self._index.loaded()
        return self._index

    async def changes(self, after: str = "") -> Changes:
        """Follow the changes of all jobs and agents: `async for change in await client.changes()`.

        Tells a `JobChange` for each status that a job comes to, and an `AgentChange` for each agent that comes, changes
        its state or goes; `after` is the `position` of earlier ones to go on from. Opens the index.

        Raises:
            InvalidSettingError: the position.
            RecordError, DisconnectedError

        """
        await self.index()
        return self._chronicle.find(after) or self._chronicle.catch_up(after, await self._fleet.known())

    async def delete(self, job_id: str) -> None:
        """Remove a job: first its definition, so that it does not start any more, then all that speaks of it.

        What is running goes on, and its answer is refused. Cancelled, the rest is left to its lifetime.

        Raises:
            UnknownJobError, InvalidKeyError, DisconnectedError, UncertainError

        """
        try:
            key = (await self.definition(job_id)).key
        except UntrustedError:
            # Whoever wrote it, it can be removed.
            key = None
        await self._read(partial(self._store.jobs.purge, job_key(job_id)))
        self._collector.forget(job_id, UnknownJobError(f"job {job_id} was deleted"))
        if key is not None:
            await self._read(partial(self._store.jobs.purge, holder_key(key)))
        await withdraw(self._store, job_id)
        for record in await self._read(partial(self._store.responses.keys, job_response_pattern(job_id))):
            await self._read(partial(self._store.responses.purge, record))

    async def retry(self, job_id: str, *, target: str | None = None, key: str | None = None) -> JobHandle:
        """Submit a job once more, to its own target unless another is given; both jobs name each other.

        With an idempotency `key`, which must be another than the job's own, it is retried once, as with `submit`.

        Raises:
            UnknownJobError, and all that `submit` raises.

        """
        definition = await self.definition(job_id)
        if key is not None and key == definition.key:
            raise KeyReusedError(f"idempotency key {shown(key)} stands for job {job_id} itself; use another key")
        return await self._submitter.again(definition, target, key)

    async def rotate(self, signer: Signer, *, grace: float = 3600.0) -> None:
        """Sign with another key from now on; what the one before signed counts for `grace` seconds more.

        The key before announces the one that follows, to all who trust it; it can do so once. What it had accepted, and
        drains, schedules, rollouts and the stories of dead letters, are signed anew. A grace of at least `job_ttl`
        keeps the jobs that are stored readable. Keep the key first, as with `Signer.open`: this is not undone.
        Cancelled, or failing, repeat it with the same key.

        Raises:
            InvalidSettingError: this client has no trust, or the grace is no time.
            EnrolmentError: the key has announced another one before.
            LimitReachedError, DisconnectedError, UncertainError

        """
        if self._keyring is None or self._keyring.ledger is None:
            raise InvalidSettingError(
                "trust", "is not given to this client", "give it a signer and trust to rotate its key"
            )
        await self._keyring.succeed(signer, grace)
        await seal_anew(self._store, self._keyring)

    async def _read(self, call: Callable[[], Awaitable[T]]) -> T:
        return await insist(call, self._settings.persist)


def _unknown_job(job_id: str) -> UnknownJobError:
    return UnknownJobError(f"there is no job {shown(job_id)}: it never was, was deleted, or has outlived its lifetime")
