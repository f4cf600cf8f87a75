"""A bad wire, on purpose: the same seed gives the same faults, so that a failing run can be repeated."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from random import Random
from typing import TYPE_CHECKING, TypeVar

import trio
from msgspec import Struct

from osapi.errors import DisconnectedError, InvalidSettingError, TransportError, UncertainError
from osapi_memory.agenda import Agenda

if TYPE_CHECKING:
    from collections.abc import Callable

    from osapi.transport import Entry, Message
    from osapi_memory.connection import Connection
    from osapi_memory.pull import MemoryPull

T = TypeVar("T")


class Faults(Struct, frozen=True):
    """What goes wrong on a connection, given to `Broker.connect`; each is a probability but for `delay`.

    `lose`: a delivery counts as delivered but never arrives, or an answer to one vanishes: it is delivered again
    after `ack_wait`. `duplicate`: a delivery is handed over twice (the copy counts against the next request).
    `delay`: up to so many seconds for everything that travels, in Trio's time. `reorder`: a delivery or an answer
    may overtake those sent before it, where there is a delay. `uncertain`: a write raises `UncertainError`, stored
    in one half of the cases. Watches and reads only suffer the delay, as backends resume the ones and repeat the
    others.

    Same seed, same order of calls: same faults. Trio itself runs tasks of one moment in random order; seed that too
    (`trio._core._run._r`, which Hypothesis does) where several tasks share a connection.
    """

    seed: int
    lose: float = 0.0
    duplicate: float = 0.0
    delay: float = 0.0
    reorder: float = 0.0
    uncertain: float = 0.0

    def __post_init__(self) -> None:
        for name in ("lose", "duplicate", "reorder", "uncertain"):
            if not 0 <= getattr(self, name) <= 1:
                raise InvalidSettingError(getattr(self, name), f"is no probability for {name}", "give 0 to 1")
        if not 0 <= self.delay < float("inf"):
            raise InvalidSettingError(self.delay, "is no delay", "give seconds, 0 for none")


class FaultyWire:
    """One connection's wire under faults; a `connection.Trouble` that lets most things through."""

    def __init__(self, faults: Faults, connection: Connection) -> None:
        self._faults = faults
        self._connection = connection
        self._random = Random(faults.seed)  # noqa: S311 - repeatable is the point
        self._travelling: Agenda[partial[None]] = Agenda(partial(connection.broker.arm, self))
        self._latest = 0.0  # when the last one sent in order arrives

    # --- Calls ---------------------------------------------------------------------------------------------

    async def read(self, call: Callable[[], T]) -> T:
        """Make a call that may take its time; a break of the connection ends it.

        Raises:
            DisconnectedError

        """
        await self._travel(DisconnectedError)
        result = call()
        await self._travel(DisconnectedError)
        return result

    async def write(self, call: Callable[[], T]) -> T:
        """Make a call whose answer may be lost, or the call itself; cancelled, it may have happened or not.

        Raises:
            UncertainError

        """
        await self._travel(UncertainError)
        if self._happens(self._faults.uncertain):
            if self._happens(0.5):
                with suppress(TransportError):
                    call()
            raise UncertainError("the answer was lost: it may have been stored or not")
        result = call()
        await self._travel(UncertainError)
        return result

    async def _travel(self, error: type[TransportError]) -> None:
        if self._faults.delay:
            breaks = self._connection.breaks
            await trio.sleep(self._random.uniform(0, self._faults.delay))
            if breaks != self._connection.breaks:
                raise error("the connection broke before the answer")

    # --- What gets no answer -------------------------------------------------------------------------------

    def post(self, call: Callable[[], None]) -> None:
        """Send an answer to a delivery; it may get lost, late, or ahead of others."""
        if not self._happens(self._faults.lose):
            self._send(call)

    def unreliable(self, pull: MemoryPull) -> Callable[[Message, int], None]:
        """Return where the broker puts what is for a pull."""

        def arrive(message: Message, deliveries: int) -> None:
            if self._happens(self._faults.lose):
                pull.miss()
                return
            self._send(partial(pull.arrive, message, deliveries))
            if self._happens(self._faults.duplicate):
                pull.copy(message, deliveries)

        return arrive

    def in_order(self, arrive: Callable[[Entry], None]) -> Callable[[Entry], None]:
        """Return where the broker puts what is for a watch."""
        latest = 0.0

        def send(entry: Entry) -> None:
            nonlocal latest
            if self._faults.delay:
                latest = max(latest, self._arrival())
                self._send_at(latest, partial(arrive, entry))
            else:
                arrive(entry)

        return send

    def _send(self, call: Callable[[], None]) -> None:
        if not self._faults.delay:
            call()
            return
        when = self._arrival()
        if not self._happens(self._faults.reorder):
            self._latest = when = max(when, self._latest)
        self._send_at(when, call)

    def _send_at(self, when: float, call: Callable[[], None]) -> None:
        self._travelling.set(partial(self._hand_over, self._connection.breaks, call), when)

    def _hand_over(self, breaks: int, call: Callable[[], None]) -> None:
        if breaks == self._connection.breaks:
            call()

    def _arrival(self) -> float:
        return self._connection.broker.now() + self._random.uniform(0, self._faults.delay)

    def _happens(self, probability: float) -> bool:
        return probability > 0 and self._random.random() < probability

    # --- Time ----------------------------------------------------------------------------------------------

    def next_due(self) -> float:
        """Return when the next of what travels arrives, infinity if nothing does."""
        return self._travelling.next_due()

    def advance(self, now: float) -> None:
        """Hand over what has arrived, unless the connection broke meanwhile."""
        while due := self._travelling.pop(now):
            due[1]()
