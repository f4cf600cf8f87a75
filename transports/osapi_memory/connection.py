"""One client's connection to the broker: its state, its open pulls and watches, and how a task waits on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from osapi.errors import ClosedError, DisconnectedError
from osapi_memory.faults import FaultyWire

if TYPE_CHECKING:
    from collections.abc import Callable

    from osapi_memory.broker import Broker
    from osapi_memory.faults import Faults

T = TypeVar("T")

# Of so many calls one yields to the scheduler, the others only look whether they were cancelled. A full checkpoint
# costs 2.7 us, a look 0.15 us, the rest of a call 1 to 2 us, and a job makes six to eight calls. Measured, puts of a
# kept key a second: 209k if each call yields, 353k if every second does, 471k with 4, 670k with 16, 700k with 32. The
# count is the broker's: no task makes more than 16 calls in one turn of the scheduler, whichever buckets it talks to.
CALLS_PER_YIELD = 16


class Trouble(Protocol):
    """What stands between a connection and its broker; a healthy connection has none and pays for none."""

    async def read(self, call: Callable[[], T]) -> T:
        """Make a call that changes nothing."""
        ...

    async def write(self, call: Callable[[], T]) -> T:
        """Make a call that changes something."""
        ...

    def post(self, call: Callable[[], None]) -> None:
        """Send something that gets no answer."""
        ...


class Severed:
    """A connection that is down, cut for good, or closed: nothing gets through."""

    def __init__(self, error: Callable[[], Exception]) -> None:
        self.error = error

    async def read(self, call: Callable[[], T]) -> T:
        """Refuse the call."""
        raise self.error()

    async def write(self, call: Callable[[], T]) -> T:
        """Refuse the call."""
        raise self.error()

    def post(self, call: Callable[[], None]) -> None:
        """Lose it, as a wire that is cut does."""


class Receiver(Protocol):
    """A pull or a watch, as its connection sees it."""

    def detach(self) -> None:
        """Leave the broker: the connection is down."""
        ...

    def attach(self) -> None:
        """Come back where it left off."""
        ...

    def close(self, error: Exception) -> None:
        """End for good; what was not yet received is dropped."""
        ...


class Connection:
    """The state that all handles of one transport share."""

    __slots__ = ("_has_ended", "breaks", "broker", "receivers", "trouble", "turn", "wire")

    def __init__(self, broker: Broker, faults: Faults | None) -> None:
        self.broker = broker
        self.turn = broker.turn  # the checkpoint of a call; after it nothing may be cancelled until the call returns
        self.breaks = 0  # how often it was cut
        self.receivers: dict[Receiver, None] = {}
        self.wire = None if faults is None else FaultyWire(faults, self)
        self.trouble: Trouble | None = self.wire
        self._has_ended = False

    @property
    def is_up(self) -> bool:
        """Tell whether anything gets through."""
        return not isinstance(self.trouble, Severed)

    def disconnect(self) -> None:
        """Go down; receivers wait for better times."""
        if self.is_up:
            self._sever(lambda: DisconnectedError("the connection to the broker is down"))

    def reconnect(self) -> None:
        """Come back up; receivers go on where they were."""
        if isinstance(self.trouble, Severed):
            if self._has_ended:
                raise self.trouble.error()
            self.trouble = self.wire
            for receiver in list(self.receivers):
                receiver.attach()

    def end(self, error: Callable[[], Exception]) -> None:
        """Cut everything off for good; calls raise `error`."""
        self._sever(error)
        self._has_ended = True
        for receiver in self.receivers:
            receiver.close(ClosedError("the transport has ended"))
        self.receivers.clear()

    def _sever(self, error: Callable[[], Exception]) -> None:
        self.breaks += 1
        self.trouble = Severed(error)
        for receiver in self.receivers:
            receiver.detach()
