"""The broker: its buckets and streams, its clock, and the one task that keeps time for all of them."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Protocol, Self

import trio

from osapi.configs import check_apart, check_bucket, check_same, check_stream
from osapi.errors import ClosedError, MissingError
from osapi_memory.agenda import Agenda
from osapi_memory.background import Background
from osapi_memory.bucket_core import BucketCore
from osapi_memory.connection import CALLS_PER_YIELD
from osapi_memory.dead_letters import bury
from osapi_memory.stream_core import StreamCore
from osapi_memory.transport import MemoryTransport

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from types import TracebackType

    from osapi.transport import BucketConfig, StreamConfig
    from osapi_memory.dead_letters import GivenUp
    from osapi_memory.faults import Faults


class Timed(Protocol):
    """Something in which things fall due."""

    def advance(self, now: float) -> None:
        """Do what is due."""
        ...

    def __hash__(self) -> int:
        """Serve as an item of an agenda."""
        ...

    def next_due(self) -> float:
        """Return when that will be next, infinity for never."""
        ...


class Broker:
    """An in-process broker; open for the length of its block, in whose nursery its one task runs.

    Several transports may connect to one broker, each as a client of its own.
    """

    def __init__(self) -> None:
        self._buckets: dict[str, BucketCore] = {}
        self._streams: dict[str, StreamCore] = {}
        self._dead_letters: dict[str, StreamCore] = {}  # by the name of the stream that they are of
        self._times: Agenda[Timed] = Agenda(self._set_alarm)
        self._timekeeper = trio.Lock()
        self._sleep: trio.CancelScope | None = None
        self._wake_at = inf
        self._keepers = 0
        self._calls = 0
        self._clock: Callable[[], float] = lambda: 0.0
        self._epoch = 0.0
        self._block = self.kept()

    async def __aenter__(self) -> Self:
        await self._block.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._block.__aexit__(kind, error, trace)

    @asynccontextmanager
    async def kept(self) -> AsyncGenerator[None]:
        """Keep the broker going for a block; several blocks may, in any order, and the last one ends it."""
        if not self._keepers:
            self._clock = trio.lowlevel.current_clock().current_time
            self._epoch = time.time() - self._clock()
        self._keepers += 1
        try:
            async with Background(self._keep_time):
                yield
        finally:
            self._keepers -= 1

    @asynccontextmanager
    async def connect(self, *, faults: Faults | None = None) -> AsyncGenerator[MemoryTransport]:
        """Open a connection; with `faults` one over a bad wire.

        Raises:
            ClosedError: the broker's block has ended, or not begun.

        """
        if not self._keepers:
            raise ClosedError("the broker is not running: connect within its `async with` block")
        transport = MemoryTransport(self, faults)
        try:
            yield transport
        finally:
            transport.close()

    # --- Time ----------------------------------------------------------------------------------------------

    def now(self) -> float:
        """Return the time in Unix seconds; it moves with Trio's clock, a virtual one included."""
        return self._epoch + self._clock()

    def turn(self) -> Awaitable[None]:
        """Return the checkpoint of a call: one in a few yields to the scheduler, the others only can be cancelled."""
        self._calls += 1
        if self._calls % CALLS_PER_YIELD:
            return trio.lowlevel.checkpoint_if_cancelled()  # noqa: ASYNC105 - the caller awaits it
        return trio.lowlevel.checkpoint()  # noqa: ASYNC105 - the caller awaits it

    def arm(self, timed: Timed, when: float) -> None:
        """See to it that something is advanced at a moment."""
        self._times.set(timed, when)

    async def _keep_time(self) -> None:
        # Of several blocks that keep one broker, one keeps the time; when it ends, the next takes over.
        async with self._timekeeper:
            while True:
                self._wake_at = self._times.next_due()
                with trio.CancelScope(deadline=self._wake_at - self._epoch) as self._sleep:
                    await trio.sleep_forever()
                # The sum of epoch and clock is rounded and may fall just short of the moment that was slept for.
                self._advance(max(self.now(), self._wake_at))

    def _advance(self, now: float) -> None:
        while due := self._times.pop(now):
            timed = due[1]
            timed.advance(now)
            when = timed.next_due()
            if when != inf:
                self._times.set(timed, when)

    def _set_alarm(self, when: float) -> None:
        self._wake_at = when
        if self._sleep is not None:
            self._sleep.deadline = when - self._epoch

    # --- What there is -------------------------------------------------------------------------------------

    def bucket(self, config: BucketConfig) -> BucketCore:
        """Open or create a bucket.

        Raises:
            InvalidSettingError, MismatchError

        """
        check_bucket(config)
        core = self._buckets.get(config.name)
        if core is None:
            core = self._buckets[config.name] = BucketCore(config)
            core.set_alarm(partial(self.arm, core))
        else:
            check_same("bucket", config, core.config)
        return core

    def stream(self, config: StreamConfig) -> StreamCore:
        """Open or create a stream.

        Raises:
            InvalidSettingError, InvalidSubjectError, MismatchError

        """
        check_stream(config)
        core = self._streams.get(config.name)
        if core is None:
            check_apart(config, (other.config for other in self._streams.values()))
            core = self._streams[config.name] = StreamCore(config)
            core.set_alarm(partial(self.arm, core))
            core.gave_up = partial(self._bury, config.name)
            if config.dead_letters_of:
                self._dead_letters[config.dead_letters_of] = core
        else:
            check_same("stream", config, core.config)
        return core

    def find_bucket(self, name: str) -> BucketCore:
        """Return a bucket that exists.

        Raises:
            MissingError

        """
        core = self._buckets.get(name)
        if core is None:
            raise MissingError(f"there is no bucket {name}: it was deleted")
        return core

    def find_stream(self, name: str) -> StreamCore:
        """Return a stream that exists.

        Raises:
            MissingError

        """
        core = self._streams.get(name)
        if core is None:
            raise MissingError(f"there is no stream {name}: it was deleted")
        return core

    def delete_bucket(self, name: str) -> bool:
        """Remove a bucket, end its watches, and say whether it was there."""
        return self._delete(self._buckets.pop(name, None))

    def delete_stream(self, name: str) -> bool:
        """Remove a stream, end its pulls, and say whether it was there."""
        core = self._streams.pop(name, None)
        if core is not None:
            self._dead_letters.pop(core.config.dead_letters_of, None)
        return self._delete(core)

    def _bury(self, stream: str, given_up: GivenUp) -> None:
        letters = self._dead_letters.get(stream)
        if letters is not None:
            bury(letters, stream, given_up, self.now())

    def _delete(self, core: BucketCore | StreamCore | None) -> bool:
        if core is None:
            return False
        core.end()
        self._times.cancel(core)
        return True
