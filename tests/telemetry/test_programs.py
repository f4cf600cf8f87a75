"""The port for probes tells the figures as well."""

from __future__ import annotations

import trio
import trio.lowlevel

import osapi
from osapi_cli.running.health import Health, Reached
from osapi_cli.running.lifetime import Lifetime
from osapi_cli.running.systemd import Notifier
from osapi_memory import Broker
from tests.telemetry.test_metrics import asked, figures


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
