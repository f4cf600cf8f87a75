"""Conducting: taking a rollout from batch to batch, from wherever it stands."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

import trio

from osapi.errors import ClosedError, ConflictError, OsapiError, RecordError, TransportError, UnknownRolloutError
from osapi.flow.cancel import cancel
from osapi.rules import rollouts
from osapi.rules.codec import ROLLOUT
from osapi.rules.keys import ROLLOUT_PATTERN
from osapi.rules.rollout_records import RolloutStatus
from osapi.rules.rollouts import Begin, Drive, Rest, Wait

if TYPE_CHECKING:
    from collections.abc import Callable

    from osapi.flow.rollouts import RolloutStore
    from osapi.flow.store import Store
    from osapi.ids import Ids
    from osapi.rules.rollout_records import Rollout
    from osapi.submitter import Submitter
    from osapi.transport import Entry

_log = logging.getLogger("osapi.rollouts")

# What cannot be done now is tried again after so many seconds.
_PAUSE = 1.0


async def conduct_all(store: Store, kept: RolloutStore, submitter: Submitter, ids: Ids) -> None:
    """Conduct every rollout that has something to be done, for as long as the task runs.

    Raises:
        MismatchError: the bucket exists with other settings.
        ClosedError: the transport has ended.
        DisconnectedError, UncertainError: the broker stayed away for longer than `settings.persist`.

    """
    bucket = await kept.bucket()
    under_way: dict[str, Conduct] = {}

    async def conduct(one: Conduct, rollout_id: str) -> None:
        try:
            await one.run()
        finally:
            del under_way[rollout_id]

    def take(entry: Entry) -> None:
        try:
            rollout = ROLLOUT.decode(entry.value)
        except RecordError:
            _log.exception("a rollout cannot be conducted")
            return
        known = under_way.get(rollout.id)
        if known is not None:
            known.take(rollout, entry.revision)
        elif not isinstance(rollouts.next_step(rollout, store.now()), Rest):
            one = under_way[rollout.id] = Conduct(store, kept, submitter, ids, rollout, entry.revision)
            nursery.start_soon(conduct, one, rollout.id)

    async with bucket.watch(ROLLOUT_PATTERN) as watch, trio.open_nursery() as nursery:
        while True:
            for entry in await watch.receive():
                if entry.change == "put":
                    take(entry)


class Conduct:
    """One rollout that somebody conducts.

    Two processes that both think they are the one are harmless: what each does follows from the record, which is
    changed by compare-and-set, and a job is submitted under the id that the record names.
    """

    def __init__(
        self, store: Store, kept: RolloutStore, submitter: Submitter, ids: Ids, rollout: Rollout, revision: int
    ) -> None:
        self._store = store
        self._kept = kept
        self._submitter = submitter
        self._ids = ids
        self._rollout = rollout
        self._revision = revision
        self._changed = trio.Event()

    def take(self, rollout: Rollout, revision: int) -> None:
        """Take in the record as it is stored now; what is older changes nothing."""
        if revision > self._revision:
            self._rollout, self._revision = rollout, revision
            self._changed.set()
            self._changed = trio.Event()

    async def run(self) -> None:
        """Go on until there is nothing to be done before somebody changes the rollout.

        Cancelled, it leaves a record from which another goes on.

        Raises:
            ClosedError: the transport has ended.

        """
        while True:
            try:
                if not await self._step():
                    return
            except ClosedError:
                raise
            except UnknownRolloutError:
                return
            except ConflictError:
                await self._read_again()
            except OsapiError as error:
                _log.warning("rollout %s cannot go on now: %s", self._rollout.id, error)
                await trio.sleep(_PAUSE)

    async def _read_again(self) -> None:
        try:
            self.take(*await self._kept.read(self._rollout.id))
        except TransportError as error:
            _log.warning("rollout %s cannot be read now: %s", self._rollout.id, error)
            await trio.sleep(_PAUSE)

    async def _step(self) -> bool:
        step = rollouts.next_step(self._rollout, self._store.now())
        if isinstance(step, Rest):
            return False
        if isinstance(step, Wait):
            with trio.move_on_after(step.until - self._store.now()):
                await self._changed.wait()
        elif isinstance(step, Begin):
            await self._make(partial(rollouts.begin, job=self._ids.job_id(self._store.now())))
        else:
            await self._drive(step)
        return True

    async def _drive(self, step: Drive) -> None:
        """See to the job of the batch until it has ended, or the rollout is aborted meanwhile."""
        rollout, definition = self._rollout, rollouts.definition_of(self._rollout)
        aborted = rollout.status is RolloutStatus.ABORTED
        if aborted:
            # The order lies there before the job, if that is not submitted yet: then none of it ever starts.
            await cancel(self._store, definition, rollouts.abortion(rollout))
        elif not step.batch.submitted:
            await self._submitter.resume(definition)
            await self._make(rollouts.submitted)
            return
        handle = await self._submitter.follow(definition)
        async with trio.open_nursery() as nursery:
            if not aborted:
                nursery.start_soon(self._until_aborted, nursery.cancel_scope)
            await handle.ended()
            nursery.cancel_scope.cancel()
        if handle.done:
            await self._make(partial(rollouts.end_batch, records=handle.records))

    async def _until_aborted(self, scope: trio.CancelScope) -> None:
        while self._rollout.status is not RolloutStatus.ABORTED:
            await self._changed.wait()
        scope.cancel()

    async def _make(self, move: Callable[..., Rollout]) -> None:
        # Of what is known now, at its own revision: it may have changed since the step began.
        after = move(self._rollout, now=self._store.now())
        self.take(after, await self._kept.write(after, self._revision))
