"""Backends that break C3 and C4."""

# These faults are inside the broker's core, where nothing public reaches them.
# ruff: noqa: SLF001
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections import OrderedDict
from contextlib import contextmanager
from typing import TYPE_CHECKING

import trio
from msgspec.structs import replace

from osapi_memory.consumer_core import ConsumerCore
from tests.conformance.broken.proxy import DeliveryProxy, StreamProxy, TransportProxy, breaks, patched

if TYPE_CHECKING:
    from collections.abc import Generator

    from osapi.transport import Consumer, ConsumerConfig, Message


@breaks("C3")
class NothingComesAgain(StreamProxy):
    """`ack_wait` is forgotten."""

    async def consumer(self, config: ConsumerConfig) -> Consumer:
        return await super().consumer(replace(config, ack_wait=3600.0))


@breaks("C3")
class BackoffIsForgotten(StreamProxy):
    """`ack_wait` counts although there is a `backoff`."""

    async def consumer(self, config: ConsumerConfig) -> Consumer:
        return await super().consumer(replace(config, backoff=()))


@breaks("C3")
class BackoffIsItsFirst(StreamProxy):
    """Every redelivery waits as long as the first one."""

    async def consumer(self, config: ConsumerConfig) -> Consumer:
        return await super().consumer(replace(config, backoff=config.backoff[:1]))


@breaks("C3")
class BackoffEndsDelivery(StreamProxy):
    """A message is given up when its `backoff` is used up."""

    async def consumer(self, config: ConsumerConfig) -> Consumer:
        return await super().consumer(replace(config, max_deliver=len(config.backoff) or -1))


@breaks("C3")
class NakUsesBackoff(DeliveryProxy):
    """A message that is given back waits for its `backoff`."""

    def nak(self, delay: float = 0.0) -> None:
        backoff = self.parent.parent.config.backoff
        self.inner.nak(delay or (backoff[min(self.deliveries, len(backoff)) - 1] if backoff else 0.0))


@breaks("C3")
class NakIsNotSent(DeliveryProxy):
    """A message that is given back waits for `ack_wait`."""

    def nak(self, delay: float = 0.0) -> None:
        pass


@breaks("C3")
class NakHasNoDelay(DeliveryProxy):
    """A message that is given back with a delay returns at once."""

    def nak(self, delay: float = 0.0) -> None:
        self.inner.nak()


@breaks("C3")
class AckWaitCutsTheDelay(DeliveryProxy):
    """A message that is given back with a delay returns after `ack_wait` all the same."""

    def nak(self, delay: float = 0.0) -> None:
        self.inner.nak(min(delay, self.parent.parent.config.ack_wait))


@breaks("C3")
class InProgressIsNotSent(DeliveryProxy):
    """A message in progress is delivered again after `ack_wait`."""

    def in_progress(self) -> None:
        pass


@breaks("C3")
class InProgressIsForEver(DeliveryProxy):
    """A message that was once in progress is never delivered again."""

    def in_progress(self) -> None:
        self.inner.nak(3600.0)


@breaks("C3")
class TermIsNak(DeliveryProxy):
    """A message that shall not be delivered again is."""

    def term(self, reason: str = "") -> None:
        self.inner.nak()


@breaks("C3")
class AnswersCanBeTakenBack(DeliveryProxy):
    """The last answer counts: a nak after an ack brings the message back."""

    def begin(self) -> None:
        self.acked = False

    def ack(self) -> None:
        self.acked = True
        self.inner.nak(1.0)

    def nak(self, delay: float = 0.0) -> None:
        self.inner.nak(delay)

    def in_progress(self) -> None:
        if not self.acked:
            self.inner.in_progress()


@breaks("C3")
class LateAnswersAreRefused(DeliveryProxy):
    """An ack after `ack_wait` goes nowhere."""

    def begin(self) -> None:
        self.end = trio.current_time() + self.parent.parent.config.ack_wait

    def ack(self) -> None:
        if trio.current_time() < self.end:
            self.inner.ack()


@breaks("C3")
class OnlyTheLastDeliveryAnswers(DeliveryProxy):
    """An answer to an older delivery is fenced off."""

    def begin(self) -> None:
        self.latest: dict[int, int] = vars(self.parent.parent).setdefault("latest", {})
        self.latest[self.sequence] = self.deliveries

    def ack(self) -> None:
        if self.latest[self.sequence] == self.deliveries:
            self.inner.ack()

    def term(self, reason: str = "") -> None:
        if self.latest[self.sequence] == self.deliveries:
            self.inner.term(reason)


@breaks("C3")
class RedeliveriesComeLast(TransportProxy):
    """A message that is due again waits until there are no new ones."""

    @classmethod
    @contextmanager
    def installed(cls) -> Generator[None]:
        sound = ConsumerCore._next

        def new_ones_first(self: ConsumerCore) -> tuple[Message, int] | None:
            due, self._again = self._again, OrderedDict()
            found = sound(self)
            self._again = due
            return found or sound(self)

        with patched(ConsumerCore, "_next", new_ones_first):
            yield


@breaks("C4")
class MaxDeliverIsForgotten(StreamProxy):
    """A message is delivered again for ever."""

    async def consumer(self, config: ConsumerConfig) -> Consumer:
        return await super().consumer(replace(config, max_deliver=-1))


@breaks("C4")
class RedeliveriesAreCounted(StreamProxy):
    """`max_deliver` is taken for how often a message is delivered again."""

    async def consumer(self, config: ConsumerConfig) -> Consumer:
        most = config.max_deliver
        return await super().consumer(replace(config, max_deliver=most + 1 if most > 0 else most))


@breaks("C4")
class NaksAreNotCounted(TransportProxy):
    """A message that is given back counts as not delivered."""

    @classmethod
    @contextmanager
    def installed(cls) -> Generator[None]:
        sound = ConsumerCore.nak

        def uncounted(self: ConsumerCore, sequence: int, delay: float, now: float) -> None:
            sound(self, sequence, delay, now)
            if sequence in self._pending:
                self._pending[sequence] -= 1

        with patched(ConsumerCore, "nak", uncounted):
            yield


@breaks("C4")
class MessagesGivenUpKeepTheirSlot(TransportProxy):
    """A message that is not delivered any more counts as unanswered for ever."""

    @classmethod
    @contextmanager
    def installed(cls) -> Generator[None]:
        sound = ConsumerCore._next

        def forgetful(self: ConsumerCore) -> tuple[Message, int] | None:
            for sequence in list(self._again):
                if 0 < self.config.max_deliver <= self._pending[sequence]:
                    del self._again[sequence]
            return sound(self)

        with patched(ConsumerCore, "_next", forgetful):
            yield
