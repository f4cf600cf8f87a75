"""Rollouts: a broadcast in batches, which whoever conducts takes from one to the next."""

from __future__ import annotations

from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any

import trio

from osapi.errors import InvalidSettingError, InvalidTargetError
from osapi.flow.cancel import cancel
from osapi.flow.conduct import conduct_all
from osapi.flow.elect import serve
from osapi.flow.rollouts import RolloutStore
from osapi.rules import rollouts
from osapi.rules.cancellation import check_text
from osapi.rules.codec import ROLLOUT
from osapi.rules.keys import CONDUCTOR_KEY, rollout_key
from osapi.rules.records import VERSION, Order
from osapi.rules.requests import Request, check_request
from osapi.rules.rollout_records import Plan, Rollout, RolloutStatus
from osapi.rules.targets import parse_target

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from osapi.flow.store import Store
    from osapi.ids import Ids
    from osapi.rules.records import Policy
    from osapi.submitter import Submitter

MAX_LIMIT = 1000


class Rollouts:
    """The rollouts of a broker, as `Client.rollouts`.

    What is started here goes on wherever somebody conducts: see `conduct`.
    """

    def __init__(self, store: Store, submitter: Submitter, ids: Ids) -> None:
        self._store = store
        self._submitter = submitter
        self._ids = ids
        self._kept = RolloutStore(store)

    async def start(
        self,
        operation: str,
        data: Any = None,
        *,
        target: str = "_all",
        batch: int | str = 1,
        canary: int | str = 0,
        pause: float = 0.0,
        max_failures: int = 0,
        within: float | None = None,
        start_within: float | None = None,
        timeout: float | None = None,
        policy: Policy | None = None,
        by: str = "",
    ) -> Rollout:
        """Write down a rollout of a job to all that a target matches now, and return without waiting for any of them.

        The hosts are frozen, in the order of their names. First `canary` of them get the job, and all must do well;
        then `batch` at a time, with `pause` seconds between the end of one batch and the next. When more than
        `max_failures` hosts have failed, it halts. Numbers of hosts may be percentages, as "10%". The rest is as in
        `Client.submit`, and counts for each batch by itself; `by` says who started it.

        Nothing happens until somebody conducts. Cancelled, or failing, it is started or not.

        Raises:
            UnknownOperationError, InvalidPayloadError, InvalidTargetError, InvalidSettingError
            UnknownHostError, NoAgentsError: nobody is there to be frozen.
            PayloadTooLargeError, LimitReachedError, DisconnectedError, UncertainError

        """
        parsed = parse_target(target)
        if parsed.one:
            raise InvalidTargetError(target, "is for one host of many", "use _all, a host, a label or a selector")
        kind, raw = await self._submitter.encode(operation, data, parsed)
        hosts = (await self._submitter.freeze(parsed))[0] or ()
        request = Request(
            operation=operation,
            kind=kind,
            data=raw,
            target=str(parsed),
            within=within,
            start_within=start_within,
            timeout=timeout,
            policy=policy,
        )
        settings, now = self._store.settings, self._store.now()
        seconds = check_request(request, usual=settings.within, kept=settings.job_ttl)
        plan = Plan(
            id=self._ids.job_id(now),
            operation=operation,
            kind=kind,
            data=raw,
            target=request.target,
            origin=self._ids.token(),
            hosts=hosts,
            created=now,
            within=seconds,
            lifetime=settings.job_ttl,
            batch=rollouts.host_count("batch", batch, len(hosts), least=1),
            canary=rollouts.host_count("canary", canary, len(hosts), least=0),
            pause=rollouts.check_pause(pause),
            max_failures=_check_failures(max_failures),
            start_within=start_within,
            timeout=timeout,
            policy=policy,
            by=check_text("by", by),
        )
        rollout = Rollout(v=VERSION, plan=plan, status=RolloutStatus.RUNNING, updated=now, by=plan.by)
        await self._kept.write(rollout, 0)
        return rollout

    async def get(self, rollout_id: str) -> Rollout:
        """Return a rollout as it is stored.

        Raises:
            UnknownRolloutError, InvalidKeyError: the id; RecordError, DisconnectedError

        """
        return (await self._kept.read(rollout_id))[0]

    async def list(self, *, limit: int = 10) -> Sequence[Rollout]:
        """Return the newest rollouts, newest first; those that are over are kept for `settings.rollout_ttl`.

        Raises:
            InvalidSettingError: a limit that there is not.
            RecordError, DisconnectedError

        """
        if not 1 <= limit <= MAX_LIMIT:
            raise InvalidSettingError(limit, "is out of range for limit", f"use 1 to {MAX_LIMIT}")
        return await self._kept.newest(limit)

    async def pause(self, rollout_id: str, *, by: str = "", reason: str = "") -> Rollout:
        """Let no batch begin until somebody resumes the rollout; the one that has begun goes on.

        Raises:
            UnknownRolloutError, InvalidKeyError: the id; InvalidSettingError: what is told.
            IllegalTransitionError: it is not running.
            RecordError, LimitReachedError, DisconnectedError, UncertainError: it is done or not.

        """
        return await self._order(rollouts.pause, rollout_id, by, reason)

    async def resume(self, rollout_id: str, *, by: str = "", reason: str = "") -> Rollout:
        """Go on with a rollout that is paused or halted; hosts that have failed so far do not count any more.

        Raises:
            what `pause` raises; IllegalTransitionError: it is neither paused nor halted.

        """
        return await self._order(rollouts.resume, rollout_id, by, reason)

    async def abort(self, rollout_id: str, *, by: str = "", reason: str = "") -> Rollout:
        """End a rollout: no batch begins any more, and the job of the one that has begun is cancelled.

        Raises:
            what `pause` raises; IllegalTransitionError: it is over. If it fails after that, whoever conducts cancels.

        """
        aborted = await self._order(rollouts.abort, rollout_id, by, reason)
        if aborted.running is not None:
            await cancel(self._store, rollouts.definition_of(aborted), rollouts.abortion(aborted))
        return aborted

    async def _order(self, move: Callable[[Rollout, Order], Rollout], rollout_id: str, by: str, reason: str) -> Rollout:
        order = Order(by=check_text("by", by), at=self._store.now(), reason=check_text("reason", reason))
        return await self._kept.change(rollout_id, lambda rollout: move(rollout, order))

    async def follow(self, rollout_id: str) -> AsyncGenerator[Rollout]:
        """Follow a rollout: as it is now, then each change, until it is over or has outlived its lifetime.

        Raises:
            UnknownRolloutError, InvalidKeyError: the id; RecordError, DisconnectedError
            ClosedError: the transport has ended.

        """
        await self.get(rollout_id)
        bucket = await self._kept.bucket()
        async with bucket.watch(rollout_key(rollout_id)) as watch:
            while True:
                for entry in await watch.receive():
                    if entry.change != "put":
                        return
                    rollout = ROLLOUT.decode(entry.value)
                    yield rollout
                    if rollout.is_over:
                        return

    async def ended(self, rollout_id: str) -> Rollout:
        """Wait until a rollout is over, or halted, and return it. Cancelled, it goes on.

        Raises:
            what `follow` raises.

        """
        async with aclosing(self.follow(rollout_id)) as states:
            async for rollout in states:
                if rollout.is_over or (rollout.status is RolloutStatus.HALTED and rollout.running is None):
                    return rollout
        return await self.get(rollout_id)

    async def conduct(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Conduct all rollouts for as long as the task runs: `nursery.start_soon(client.rollouts.conduct)`.

        Any number of processes may, and one of them acts. If that ends, another takes over at once, if it dies,
        `settings.registry_ttl` later, and goes on where it stopped.

        Raises:
            MismatchError: the bucket exists with other settings.
            ClosedError: the transport has ended.

        """
        act = partial(conduct_all, self._store, self._kept, self._submitter, self._ids)
        await self._kept.bucket()
        await serve(self._store, CONDUCTOR_KEY, act, task_status=task_status)


def _check_failures(count: int) -> int:
    if count < 0:
        raise InvalidSettingError(count, "is out of range for max_failures", "use 0 or more")
    return count
