"""Where many wait at one consumer: what each of them asks the server for."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import msgspec
import pytest

import osapi
from osapi.transport import ConsumerConfig, StreamConfig
from osapi_nats.native import open_connection
from osapi_nats.options import Options
from tests.nats.connections import record, until

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
