"""The figures are those of client and agent, under the names of the contract."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import osapi
from osapi_memory import Broker
from osapi_telemetry import CONTENT_TYPE, Metrics, metrics_app
from tests.library import operations as ops
from tests.library.operations import operations
from tests.promises.conftest import until


def figures(text: bytes) -> dict[str, float]:
    """Return each sample by its name and labels."""
    lines = re.findall(r"^([a-z_]+(?:\{[^}]*\})?) (\S+)$", text.decode(), re.MULTILINE)
    return {name: float(value) for name, value in lines}


async def test_the_figures_are_those_of_client_and_agent() -> None:
    metrics = Metrics()
    metrics.subsystem("broker", lambda: True)
    metrics.subsystem("audit", lambda: False)
    async with Broker() as broker, broker.connect() as one, broker.connect() as two:
        agent = osapi.Agent(one, operations, hostname="a", observer=metrics.observe)
        async with agent, osapi.Client(two, operations) as client:
            metrics.watch_agent(agent)
            metrics.watch_client(client)
            for failures in (0, 0, 9):
                await (await client.submit("test.flaky", ops.Flaky(failures=failures, error="bug"))).result()
            await client.submit("test.sleep", ops.Sleep(60.0))
            await until(lambda: agent.active == 1)
            found = figures(metrics.render())
            assert found["osapi_component_up"] == 1
            assert found['osapi_subsystem_up{subsystem="broker"}'] == 1
            assert found['osapi_subsystem_up{subsystem="audit"}'] == 0
            assert found["osapi_jobs_created_total"] == client.submitted == 4
            assert found['osapi_jobs_processed_total{status="completed"}'] == 2
            assert found['osapi_jobs_processed_total{status="failed"}'] == 1
            assert found["osapi_jobs_active"] == 1
            assert found["osapi_job_duration_seconds_count"] == 3
            assert 0.0 <= found["osapi_heartbeat_age_seconds"] < 20.0


async def asked(app: Any, method: str, path: str) -> tuple[int, dict[bytes, bytes], bytes]:
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(message)

    await app({"type": "http", "method": method, "path": path}, receive, send)
    start, body = sent
    return start["status"], dict(start["headers"]), body["body"]


async def test_they_are_served_beside_liveness_and_nothing_else_is() -> None:
    app = metrics_app(Metrics())
    status, headers, body = await asked(app, "GET", "/metrics")
    assert (status, headers[b"content-type"]) == (200, CONTENT_TYPE.encode())
    assert figures(body) == {"osapi_component_up": 1.0} | {
        name: value for name, value in figures(body).items() if name.startswith("osapi_job_duration")
    }
    assert await asked(app, "HEAD", "/metrics") == (200, headers, b"")
    assert (await asked(app, "GET", "/health"))[2] == b'{"status":"ok"}'
    assert (await asked(app, "GET", "/"))[0] == 404
    status, headers, _ = await asked(app, "POST", "/metrics")
    assert (status, headers[b"allow"]) == (405, b"GET, HEAD")


async def test_a_server_may_start_and_stop_it() -> None:
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await metrics_app(Metrics())({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


def test_the_library_imports_neither_prometheus_nor_opentelemetry() -> None:
    told = "import sys, osapi, osapi_agent, osapi_memory; print(*{n.partition('.')[0] for n in sys.modules})"
    names = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True).stdout.split()  # noqa: S603
    assert not {"prometheus_client", "opentelemetry"} & {*names}
