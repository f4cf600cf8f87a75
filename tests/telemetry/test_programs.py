"""The port for probes tells the figures as well."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING

import httpx2
import trio
import trio.lowlevel
from hypercorn.events import RawData
from hypercorn.trio.tcp_server import TCPServer

import osapi
from osapi_cli.running.health import Health, Reached, probes
from osapi_cli.running.lifetime import Lifetime
from osapi_cli.running.systemd import Notifier
from osapi_cli.wiring import Listen
from osapi_memory import Broker
from tests.telemetry.test_metrics import asked, figures

if TYPE_CHECKING:
    import pytest


async def test_the_figures_say_whether_the_broker_answers(autojump_clock: object) -> None:
    lifetime = Lifetime(Notifier())
    reached = Reached(lifetime)
    app = Health(reached.trouble, reached.metrics.render)
    up = 'osapi_subsystem_up{subsystem="broker"}'
    assert figures((await asked(app, "GET", "/metrics"))[2])[up] == 0
    async with Broker() as broker, broker.connect() as transport:
        async with osapi.Client(transport):
            reached.place(transport, osapi.Settings())
            lifetime.is_ready("")
            assert figures((await asked(app, "GET", "/metrics"))[2])[up] == 1
            transport.disconnect()
            await trio.lowlevel.checkpoint()
            assert figures((await asked(app, "GET", "/metrics"))[2])[up] == 0
            transport.reconnect()
            assert figures((await asked(app, "GET", "/metrics"))[2])[up] == 1
    status, headers, body = await asked(app, "HEAD", "/metrics")
    assert (status, headers[b"content-type"][:10], body) == (200, b"text/plain", b"")


async def test_no_connection_ends_the_port_for_probes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def busy(self: object, event: object) -> None:
        if isinstance(event, RawData):
            raise trio.BusyResourceError("closing")

    async def fail(self: object) -> None:
        raise RuntimeError("broken")

    with socket.create_server(("127.0.0.1", 0)) as free:
        host, port = free.getsockname()
    asked = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

    async def annoy() -> None:
        stream = await trio.open_tcp_stream(host, port)
        async with stream:
            with suppress(trio.BrokenResourceError):
                await stream.send_all(asked + b"\0\xff nonsense\r\n\r\n")
                await stream.send_eof()
                await stream.receive_some(100)

    reached = Reached(Lifetime(Notifier()))
    async with probes(reached, Listen(host, port), "agent.health"), httpx2.AsyncClient() as client:
        # What Hypercorn raises where one task closes what another is sending on, and what it may raise besides.
        for name, broken in (("protocol_send", busy), ("_read_data", fail)):
            with monkeypatch.context() as patch:
                patch.setattr(TCPServer, name, broken)
                async with await trio.open_tcp_stream(host, port) as stream:
                    await stream.send_all(asked)
                    with trio.move_on_after(0.2):
                        await stream.receive_some(100)
            assert (await client.get(f"http://{host}:{port}/health")).json() == {"status": "ok"}
        assert ("osapi.health", "a connection failed and was closed: RuntimeError: broken") in {
            (record.name, record.getMessage()) for record in caplog.records
        }
        for _ in range(20):
            async with trio.open_nursery() as nursery:
                for _ in range(4):
                    nursery.start_soon(annoy)
        assert (await client.get(f"http://{host}:{port}/metrics")).status_code == 200
