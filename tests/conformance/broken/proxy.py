"""Wrap a sound backend so that one method of one noun can be spoilt, and everything else stays as it is."""

# A proxy forwards what it does not override, so at run time it has no base; to a type checker it is what it wraps.
# mypy: disable-error-code="type-abstract"

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import osapi_memory

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from osapi.transport import (
        BucketConfig,
        Consumer,
        ConsumerConfig,
        Delivery,
        KeyValue,
        Pull,
        Stream,
        StreamConfig,
        Transport,
        Watch,
    )
else:
    KeyValue = Watch = Stream = Consumer = Pull = Delivery = Transport = object

P = TypeVar("P", bound="Proxy")


class Proxy:
    """Something that a backend handed out, together with the proxy that it came through."""

    breaks: ClassVar[tuple[str, ...]] = ()

    def __init__(self, inner: Any, parent: Any, fault: type[Proxy]) -> None:
        self.inner = inner
        self.parent = parent
        self.fault = fault
        self.begin()

    def begin(self) -> None:
        """Set up what a fault has to remember."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def wrap(self, kind: type[P], inner: object) -> P:
        """Wrap in a proxy of that kind, the faulty one if the fault is of that kind."""
        proxy = self.fault if issubclass(self.fault, kind) else kind
        return proxy(inner, self, self.fault)

    @classmethod
    def installed(cls) -> AbstractContextManager[object]:
        """Break the backend from within, for those faults that cannot be played from outside."""
        return nullcontext()


class TransportProxy(Proxy, Transport):
    inner: Transport

    def begin(self) -> None:
        self.stack = AsyncExitStack()

    async def bucket(self, config: BucketConfig) -> KeyValue:
        return self.wrap(BucketProxy, await self.inner.bucket(config))

    async def stream(self, config: StreamConfig) -> Stream:
        return self.wrap(StreamProxy, await self.inner.stream(config))


class BucketProxy(Proxy, KeyValue):
    inner: KeyValue

    @asynccontextmanager
    async def watch(self, *patterns: str, start: Any = "all") -> AsyncGenerator[Watch]:
        async with self.inner.watch(*patterns, start=start) as watch:
            yield self.wrap(WatchProxy, watch)


class WatchProxy(Proxy, Watch):
    inner: Watch


class StreamProxy(Proxy, Stream):
    inner: Stream
    parent: TransportProxy

    async def consumer(self, config: ConsumerConfig) -> Consumer:
        return self.wrap(ConsumerProxy, await self.inner.consumer(config))


class ConsumerProxy(Proxy, Consumer):
    inner: Consumer
    parent: StreamProxy

    @asynccontextmanager
    async def pull(self) -> AsyncGenerator[Pull]:
        async with self.inner.pull() as pull:
            yield self.wrap(PullProxy, pull)


class PullProxy(Proxy, Pull):
    inner: Pull
    parent: ConsumerProxy

    async def receive(self) -> list[Delivery]:
        return [self.wrap(DeliveryProxy, delivery) for delivery in await self.inner.receive()]


class DeliveryProxy(Proxy, Delivery):
    inner: Delivery
    parent: PullProxy


def breaks(*guarantees: str) -> Callable[[type[P]], type[P]]:
    """Say which guarantees a fault breaks; its docstring says how."""

    def marked(fault: type[P]) -> type[P]:
        fault.breaks = guarantees
        return fault

    return marked


def opener(fault: type[Proxy]) -> Callable[[], AbstractAsyncContextManager[Transport]]:
    """Return how to open an in-memory broker with one fault."""

    @asynccontextmanager
    async def open_transport() -> AsyncGenerator[Transport]:
        with fault.installed():
            async with osapi_memory.open_transport("memory://") as inner:
                transport = Proxy(inner, None, fault).wrap(TransportProxy, inner)
                async with transport.stack:
                    yield transport

    return open_transport


@contextmanager
def patched(owner: type, name: str, value: object) -> Generator[None]:
    """Replace a class's attribute for the length of the block."""
    original = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, original)
