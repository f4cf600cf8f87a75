"""Answering together: results that come while others are on their way are written by the next round.

Most attempts end in one way: the handler returned, nothing was reported, the lease was never renewed. Their records are
written many at once, and their deliveries answered when they are stored. One alone goes by `respond`, and so does all
else, and what the broker does not take at once.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

import trio

from osapi.errors import RecordError, TransportError, UntrustedError
from osapi.flow.execute import Completed
from osapi.flow.respond import release, settle
from osapi.rules import lifecycle
from osapi.rules.parts import part_size

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from osapi.flow.counters import Counters
    from osapi.flow.execute import Outcome
    from osapi.flow.lease import Run
    from osapi.flow.store import Store
    from osapi.rules.records import Record
    from osapi.transport import Write

_log = logging.getLogger("osapi.agent")


class Answer(NamedTuple):
    """What ends an attempt, and the write that says so."""

    run: Run
    record: Record
    write: Write


class Answers:
    """The results of one agent that are to be written.

    `ended` is called once for each run that was taken, however it ended; `deaf` returns when it receives nothing.
    `alone` is kept by the agent: so many answers are on their way by themselves.
    """

    def __init__(
        self,
        store: Store,
        counters: Counters,
        nursery: trio.Nursery,
        ended: Callable[[Run], None],
        deaf: Callable[[], Awaitable[None]],
    ) -> None:
        self._store = store
        self._counters = counters
        self._nursery = nursery
        self._ended = ended
        self._deaf = deaf
        self._waiting: list[Answer] = []
        self._writing = False
        self.alone = 0
        self._largest = min(part_size(store.transport.max_payload), store.settings.max_result)

    def take(self, run: Run, outcome: Outcome) -> bool:
        """Take over a run that ended as most do, while others are on their way, and tell whether this one did."""
        if not self.alone and not self._writing:
            # Nothing to wait for: it is there a turn of Trio's loop sooner by itself.
            return False
        if type(outcome) is not Completed or not run.is_plain or len(outcome.result) > self._largest:
            return False
        record = lifecycle.complete(run.claimed.record, outcome.result, changed=outcome.changed, now=self._store.now())
        self._waiting.append(Answer(run, record, run.last_write(record)))
        if not self._writing:
            self._writing = True
            self._nursery.start_soon(self._write)
        return True

    async def _write(self) -> None:
        """Write what waits, and what comes meanwhile; cancelled, give all of it back."""
        batch: list[Answer] = []
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                written = await self._store.responses.write_many([answer.write for answer in batch])
                for answer, revision in zip(batch, written, strict=True):
                    if isinstance(revision, int):
                        self._stored(answer, revision)
                    else:
                        self._nursery.start_soon(self._write_alone, answer)
                batch = []
        except BaseException:
            left = batch + self._waiting
            self._waiting = []
            async with trio.open_nursery() as releasing:
                for answer in left:
                    releasing.start_soon(self._release, answer.run)
            raise
        finally:
            self._writing = False

    def _stored(self, answer: Answer, revision: int) -> None:
        run, record, _ = answer
        run.written(record, revision)
        self._counters.ended(record.status)
        run.claimed.delivery.ack()
        self._ended(run)

    async def _write_alone(self, answer: Answer) -> None:
        """Write what was refused, or is in doubt, as `respond` does."""
        run = answer.run
        try:
            await settle(self._store, self._counters, run, answer.record)
        except (TransportError, RecordError, UntrustedError) as error:
            _log.warning("job %s is left to its next delivery: %s", answer.record.job, error)
        except BaseException:
            await release(self._store, run, self._deaf)
            raise
        finally:
            self._ended(run)

    async def _release(self, run: Run) -> None:
        try:
            await release(self._store, run, self._deaf)
        finally:
            self._ended(run)
