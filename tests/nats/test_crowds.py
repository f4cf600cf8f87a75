"""Where many wait at one consumer: what each of them asks the server for, and how it learns that it was forgotten."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

import msgspec
import pytest
import trio

import osapi
from osapi.nursery import background
from osapi.transport import ConsumerConfig, StreamConfig
from osapi_nats.link import Link
from osapi_nats.native import open_connection
from osapi_nats.options import Options
from tests.nats.connections import record, until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from trio.testing import MockClock

    from osapi_nats.connection import Connection, Incoming

CROWD = 100_000


@pytest.mark.parametrize(("max_waiting", "asks"), [(512, True), (CROWD, False)])
async def test_who_waits_in_a_crowd_asks_for_no_heartbeats(nats_server: str, max_waiting: int, *, asks: bool) -> None:
    name = f"crowd-{uuid4().hex[:8]}"
    options = Options(servers=(nats_server.removeprefix("nats://"),))
    async with open_connection(options) as listening, osapi.connect(nats_server) as transport:
        requests = record(listening, f"$JS.API.CONSUMER.MSG.NEXT.{name}.>")
        await listening.flush()
        stream = await transport.stream(StreamConfig(name=name, subjects=(f"{name}.>",), storage="memory"))
        try:
            consumer = await stream.consumer(ConsumerConfig(name="shared", max_waiting=max_waiting))
            async with consumer.pull() as pull:
                pull.request(10)
                await until(lambda: requests)
                await stream.publish(f"{name}.1", b"")
                assert [delivery.subject for delivery in await pull.receive()] == [f"{name}.1"]
        finally:
            await transport.delete_stream(name)
    asked = [msgspec.json.decode(request.payload, type=dict[str, Any]) for request in requests]
    assert [("idle_heartbeat" in request, request["batch"]) for request in asked] == [(asks, 10)]


class Silent:
    """Receives nothing, for ever."""

    def __init__(self, *, goes_by_others: bool, patience: float) -> None:
        self.goes_by_others = goes_by_others
        self.resumed: list[float] = []
        self._patience = patience
        self._heard = trio.current_time()

    async def resume(self) -> None:
        await trio.lowlevel.checkpoint()
        self._heard = trio.current_time()
        self.resumed.append(self._heard)

    def is_deaf(self, now: float) -> bool:
        return now > self._heard + self._patience

    def end(self, error: Exception) -> None:
        raise error


class Up:
    """A connection that is up, over which nothing comes."""

    is_up = True

    def subscribe(self, subject: str, handler: Callable[[Incoming], None]) -> None: ...

    def watch_state(self, callback: Callable[[bool], None]) -> None: ...


@asynccontextmanager
async def link_of(*receivers: Silent) -> AsyncGenerator[None]:
    async with background() as nursery:
        link = Link(cast("Connection", Up()), 5.0, nursery)
        for receiver in receivers:
            link.add(receiver)
        yield


async def test_who_asks_for_no_heartbeats_goes_by_those_of_the_others(autojump_clock: MockClock) -> None:
    own = Silent(goes_by_others=False, patience=10.5)
    crowd = Silent(goes_by_others=True, patience=70.0)
    watch = Silent(goes_by_others=False, patience=1000.0)
    async with link_of(own, crowd, watch):
        await trio.sleep(20)
    assert len(own.resumed) == 1
    assert crowd.resumed == pytest.approx(own.resumed)
    assert not watch.resumed


async def test_alone_it_goes_by_the_end_of_its_request(autojump_clock: MockClock) -> None:
    crowd = Silent(goes_by_others=True, patience=70.0)
    async with link_of(crowd):
        await trio.sleep(70)
        assert not crowd.resumed
        await trio.sleep(5)
    assert len(crowd.resumed) == 1
