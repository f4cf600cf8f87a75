"""Backends that break C1, C2 and C5 to C10."""

# Some faults are inside the broker's core, where nothing public reaches them.
# ruff: noqa: SLF001
# pyright: reportPrivateUsage=false
# mypy: disable-error-code="type-abstract"

from __future__ import annotations

from collections import deque
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import trio
from msgspec.structs import replace

from osapi.errors import ClosedError, InvalidSubjectError, MismatchError
from osapi.rules.subjects import covers
from osapi.transport import ConsumerConfig
from osapi_memory.consumer_core import ConsumerCore
from osapi_memory.pull import MemoryDelivery, MemoryPull
from tests.conformance.broken.proxy import (
    ConsumerProxy,
    DeliveryProxy,
    PullProxy,
    StreamProxy,
    TransportProxy,
    breaks,
    patched,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from osapi.transport import Consumer, Delivery, Pull


@breaks("C1")
class EveryPullReceivesEverything(ConsumerProxy):
    """Each pull reads the stream for itself."""

    def begin(self) -> None:
        self.pulls = 0

    @asynccontextmanager
    async def pull(self) -> AsyncGenerator[Pull]:
        self.pulls += 1
        own = await self.parent.inner.consumer(replace(self.inner.config, name=f"own-{self.pulls}"))
        async with own.pull() as pull:
            yield self.wrap(PullProxy, pull)


@breaks("C1")
class ConsumersStartAgain(StreamProxy):
    """Opening a consumer that exists makes it anew."""

    async def consumer(self, config: ConsumerConfig) -> Consumer:
        await self.inner.delete_consumer(config.name)
        return await super().consumer(config)


@breaks("C2")
class TheFirstToWaitIsServedFirst(TransportProxy):
    """A waiting pull receives all that it requested before the next one gets anything."""

    @classmethod
    @contextmanager
    def installed(cls) -> Generator[None]:
        class Unfair(deque[Any]):
            def append(self, pull: Any) -> None:
                self.appendleft(pull)

        sound = ConsumerCore.__init__

        def begin(self: ConsumerCore, *args: Any) -> None:
            sound(self, *args)
            self._waiting = Unfair()

        with patched(ConsumerCore, "__init__", begin):
            yield


@breaks("C5")
class AnyNumberIsUnanswered(StreamProxy):
    """`max_ack_pending` is forgotten."""

    async def consumer(self, config: ConsumerConfig) -> Consumer:
        return await super().consumer(replace(config, max_ack_pending=1000))


@breaks("C5")
class EachPullHasSlotsOfItsOwn(ConsumerProxy):
    """`max_ack_pending` counts for a pull, not for the consumer."""

    @asynccontextmanager
    async def pull(self) -> AsyncGenerator[Pull]:
        config = (await self.inner.info()).config
        await self.parent.inner.consumer(replace(config, max_ack_pending=2 * config.max_ack_pending))
        async with super().pull() as pull:
            yield pull


@breaks("C5")
class DelayedMessagesGiveTheirSlotBack(DeliveryProxy):
    """A nak with a delay makes room for another message."""

    def nak(self, delay: float = 0.0) -> None:
        if delay:
            # Seen from outside, a slot more for ever is the same as one more until the message returns.
            pull = _pull(self.inner)
            core = pull.consumer
            core.config = replace(core.config, max_ack_pending=core.config.max_ack_pending + 1)
            self.inner.nak(delay)
            core.dispatch(pull.connection.broker.now())
        else:
            self.inner.nak()


@breaks("C6")
class NewForgetsWhatCameBeforeThePull(ConsumerProxy):
    """A consumer of new messages starts with its first pull."""

    @asynccontextmanager
    async def pull(self) -> AsyncGenerator[Pull]:
        if self.inner.config.deliver == "new":
            await self.parent.inner.delete_consumer(self.inner.config.name)
            await self.parent.inner.consumer(self.inner.config)
        async with super().pull() as pull:
            yield pull


@breaks("C6")
class NewMeansAll(StreamProxy):
    """`deliver` is forgotten."""

    async def consumer(self, config: ConsumerConfig) -> Consumer:
        return await super().consumer(replace(config, deliver="all"))


@breaks("C6")
class AllMeansNew(StreamProxy):
    """A consumer starts at its creation, whatever was asked for."""

    async def consumer(self, config: ConsumerConfig) -> Consumer:
        return await super().consumer(replace(config, deliver="new"))


@breaks("C7")
class SettingsAreMerged(StreamProxy):
    """A setting that is not given keeps its old value."""

    def begin(self) -> None:
        self.known: dict[str, ConsumerConfig] = {}

    async def consumer(self, config: ConsumerConfig) -> Consumer:
        defaults, old = ConsumerConfig(name=config.name), self.known.get(config.name, config)
        kept = {
            field: getattr(old, field)
            for field in config.__struct_fields__
            if getattr(config, field) == getattr(defaults, field)
        }
        self.known[config.name] = replace(config, **kept)
        return await super().consumer(self.known[config.name])


@breaks("C7")
class SettingsAreKept(StreamProxy):
    """A consumer that exists is opened as it is."""

    def begin(self) -> None:
        self.known: dict[str, ConsumerConfig] = {}

    async def consumer(self, config: ConsumerConfig) -> Consumer:
        return await super().consumer(self.known.setdefault(config.name, config))


@breaks("C7")
class AnythingCanChange(StreamProxy):
    """A consumer is made anew where its settings cannot be changed."""

    async def consumer(self, config: ConsumerConfig) -> Consumer:
        try:
            return await super().consumer(config)
        except MismatchError:
            await self.inner.delete_consumer(config.name)
            return await super().consumer(config)


@breaks("C7")
class NewSettingsEndPulls(StreamProxy):
    """A consumer is deleted and made anew whenever it is opened."""

    async def consumer(self, config: ConsumerConfig) -> Consumer:
        await self.inner.delete_consumer(config.name)
        return await super().consumer(config)


@breaks("C8")
class OverlapsAreTaken(StreamProxy):
    """A filter that another one covers is left out."""

    async def consumer(self, config: ConsumerConfig) -> Consumer:
        filters = dict.fromkeys(config.filters)
        needed = tuple(one for one in filters if not any(covers(o, one) for o in filters if o != one))
        return await super().consumer(replace(config, filters=needed))


@breaks("C8")
class CrossingFiltersDeliverTwice(StreamProxy):
    """A message that matches two filters is delivered for each of them."""

    async def consumer(self, config: ConsumerConfig) -> Consumer:
        try:
            return await super().consumer(config)
        except InvalidSubjectError:
            if any(covers(a, b) for a in config.filters for b in config.filters if a is not b):
                raise
            consumer = await super().consumer(replace(config, filters=config.filters[:1]))
            assert isinstance(consumer, ConsumerProxy)
            return self.wrap(_Twice, consumer.inner)


class _Twice(ConsumerProxy):
    @asynccontextmanager
    async def pull(self) -> AsyncGenerator[Pull]:
        async with self.inner.pull() as pull:
            yield self.wrap(_TwicePull, pull)


class _TwicePull(PullProxy):
    async def receive(self) -> list[Delivery]:
        return [delivery for one in await super().receive() for delivery in (one, one)]


@breaks("C8")
class OnlyTheFirstFilterCounts(StreamProxy):
    """A broker that is too old ignores all filters but one."""

    async def consumer(self, config: ConsumerConfig) -> Consumer:
        return await super().consumer(replace(config, filters=config.filters[:1]))


@breaks("C9")
class OneMoreThanRequested(PullProxy):
    """A pull asks for a message ahead of its requests."""

    def request(self, count: int) -> None:
        self.inner.request(count + 1)


@breaks("C9")
class RequestsDoNotAddUp(PullProxy):
    """A request while another one waits is ignored."""

    def begin(self) -> None:
        self.wanted = 0

    def request(self, count: int) -> None:
        if not self.wanted:
            self.wanted = count
            self.inner.request(count)

    async def receive(self) -> list[Delivery]:
        deliveries = await super().receive()
        self.wanted = max(0, self.wanted - len(deliveries))
        return deliveries


@breaks("C9")
class RequestsEndWithABatch(PullProxy):
    """What a request has not received with the first messages is forgotten."""

    def begin(self) -> None:
        self.wanted = 0

    def request(self, count: int) -> None:
        self.wanted += count
        self.inner.request(count)

    async def receive(self) -> list[Delivery]:
        if not self.wanted:
            await trio.sleep_forever()
        deliveries = await super().receive()
        self.wanted = 0
        return deliveries


@breaks("C9")
class ClosedPullsKeepTheirRequests(ConsumerProxy):
    """The broker is not told that a pull was closed, and goes on to serve it."""

    @asynccontextmanager
    async def pull(self) -> AsyncGenerator[Pull]:
        transport: TransportProxy = self.parent.parent
        yield self.wrap(PullProxy, await transport.stack.enter_async_context(self.inner.pull()))


@breaks("C9")
class ClosedPullsKeepTheirMessages(ConsumerProxy):
    """What is on its way to a closed pull is acknowledged."""

    @asynccontextmanager
    async def pull(self) -> AsyncGenerator[Pull]:
        async with super().pull() as pull:
            yield pull
            with trio.move_on_after(0.01):
                while True:
                    for delivery in await pull.receive():
                        delivery.ack()


@breaks("C9")
class ClosedPullsForgetTheirMessages(ConsumerProxy):
    """What had come and was not received is not given back."""

    @asynccontextmanager
    async def pull(self) -> AsyncGenerator[Pull]:
        async with super().pull() as pull:
            yield pull
            with trio.move_on_after(0.01):
                while True:
                    await pull.receive()


@breaks("C9")
class AnswersAreLostWithTheirPull(DeliveryProxy):
    """An answer after its pull was closed goes nowhere."""

    def ack(self) -> None:
        pull = _pull(self.inner)
        if pull.core in pull.consumer.pulls:
            self.inner.ack()


@breaks("C9")
class DeletedConsumersLeavePullsWaiting(PullProxy):
    """A pull is not told that its consumer was deleted."""

    async def receive(self) -> list[Delivery]:
        try:
            return await super().receive()
        except ClosedError:
            await trio.sleep_forever()


@breaks("C10")
class ConsumersStay(StreamProxy):
    """`inactive_threshold` is forgotten."""

    async def consumer(self, config: ConsumerConfig) -> Consumer:
        return await super().consumer(replace(config, inactive_threshold=0.0))


@breaks("C10")
class AnyClosedPullRemovesTheConsumer(ConsumerProxy):
    """A consumer is removed when one of its pulls is closed, whether others are open or not."""

    @asynccontextmanager
    async def pull(self) -> AsyncGenerator[Pull]:
        async with super().pull() as pull:
            yield pull
        await self.parent.inner.delete_consumer(self.inner.config.name)


def _pull(delivery: Delivery) -> MemoryPull:
    assert isinstance(delivery, MemoryDelivery)
    return delivery._pull
