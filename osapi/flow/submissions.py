"""Submitting together: jobs that come while others are on their way are written, and then announced, by the next round.

One job at a time goes the way of `submit`, and so does what takes more than a definition and one notification, and
what the broker does not take at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from osapi.errors import OsapiError
from osapi.flow.notify import notification
from osapi.flow.submit import UNDO_SECONDS, submit, undo
from osapi.rules.codec import DEFINITION
from osapi.rules.keys import job_key
from osapi.transport import Write

if TYPE_CHECKING:
    from osapi.flow.store import Store
    from osapi.rules.records import Definition
    from osapi.rules.targets import Target
    from osapi.transport import Outgoing


class _Submission:
    """A job that somebody waits for until it is announced, or this round is over."""

    __slots__ = ("announced", "message", "over", "withdrawn", "write")

    def __init__(self, write: Write, message: Outgoing) -> None:
        self.write = write
        self.message = message
        self.announced = False
        self.withdrawn = False
        self.over = trio.Event()


class Submissions:
    """The jobs of one client that are to be written and announced."""

    def __init__(self, store: Store, nursery: trio.Nursery) -> None:
        self._store = store
        self._nursery = nursery
        self._waiting: list[_Submission] = []
        self._is_alone = False  # one that came first is on its way by itself
        self._writing = False

    async def submit(self, definition: Definition, target: Target, *, agents: int = 0, away: bool = False) -> None:
        """Write a job and announce it, as `osapi.flow.submit.submit` does.

        Raises:
            PayloadTooLargeError, LimitReachedError, DisconnectedError, UncertainError

        """
        if not self._is_alone and not self._writing:
            self._is_alone = True
            try:
                await submit(self._store, definition, target, agents=agents, away=away)
            finally:
                self._is_alone = False
            return
        message = None if away else notification(self._store, definition, target, agents=agents)
        if message is None or not await self._together(definition, message):
            await submit(self._store, definition, target, agents=agents, away=away)

    async def _together(self, definition: Definition, message: Outgoing) -> bool:
        """Write and announce a job with others, and tell whether that was done."""
        write = Write(job_key(definition.id), DEFINITION.encode(definition), None, self._store.ttl(definition))
        submission = _Submission(write, message)
        self._waiting.append(submission)
        if not self._writing:
            self._writing = True
            self._nursery.start_soon(self._write)
        try:
            await submission.over.wait()
        except BaseException:
            submission.withdrawn = True
            if submission in self._waiting:
                self._waiting.remove(submission)
            else:
                # On its way, and removed again by who writes it; a second is what a withdrawal may take.
                with trio.CancelScope(shield=True, deadline=trio.current_time() + UNDO_SECONDS):
                    await submission.over.wait()
            raise
        return submission.announced

    async def _write(self) -> None:
        """Write and announce what waits, and what comes meanwhile; cancelled, leave the rest to who waits for it."""
        batch: list[_Submission] = []
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                await self._write_batch(batch)
        finally:
            self._writing = False
            left, self._waiting = [*batch, *self._waiting], []
            await self._end(left)

    async def _write_batch(self, batch: list[_Submission]) -> None:
        written = await self._store.jobs.write_many([submission.write for submission in batch])
        ready = [
            submission
            for submission, revision in zip(batch, written, strict=True)
            if isinstance(revision, int) and not submission.withdrawn
        ]
        if ready:
            receipts = await self._store.stream.publish_many([submission.message for submission in ready])
            for submission, receipt in zip(ready, receipts, strict=True):
                submission.announced = not isinstance(receipt, OsapiError)
        await self._end(batch)

    async def _end(self, batch: list[_Submission]) -> None:
        """Let everybody go; first is removed again what was withdrawn while it was on its way."""
        withdrawn: list[_Submission] = []
        for submission in batch:
            if not submission.withdrawn:
                # At once: who is cancelled while others are removed has a job already.
                submission.over.set()
            elif not submission.over.is_set():
                withdrawn.append(submission)
        if withdrawn:
            async with trio.open_nursery() as nursery:
                for submission in withdrawn:
                    nursery.start_soon(self._remove, submission)

    async def _remove(self, submission: _Submission) -> None:
        try:
            await undo(self._store, submission.write.key)
        finally:
            submission.over.set()
