"""Spans of the program: as lines on stdout, and to a collector."""

from __future__ import annotations

import json
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from signal import SIGTERM
from typing import TYPE_CHECKING, Any

import pytest

from osapi_cli.client.http import connect
from osapi_cli.client.server import Server
from osapi_cli.configuration import ConfigurationError
from tests.cli.services import Service

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from tests.cli.configurations import Files

TRACE = "0af7651916cd43dd8448eb211c80319c"
METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


def run_a_job(tmp_path: Path, service: Service) -> None:
    """Ask for the time a host is up, as part of a trace, and let the program end."""
    url = service.url("ready: ")
    token = (tmp_path / "state" / "osapi" / "token").read_text().strip()
    headers = {"Authorization": f"Bearer {token}", "traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
    request = urllib.request.Request(f"{url}/api/node/_any/uptime", headers=headers)  # noqa: S310 - our own
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        assert answer.status == 200


def test_spans_are_lines_on_stdout(tmp_path: Path) -> None:
    there = {"OSAPI_TELEMETRY_TRACING_ENABLED": "true", "OSAPI_TELEMETRY_TRACING_EXPORTER": "stdout"}
    with Service(tmp_path, "start", OSAPI_AGENT_HOSTNAME="web-01", **there) as service:
        run_a_job(tmp_path, service)
        ended = service.ended(SIGTERM)
    assert ended.status == 0
    told = [json.loads(line) for line in ended.out.splitlines() if line.startswith('{"name"')]
    spans = {span["name"]: span for span in told}
    request, attempt = spans.pop("GET /api/node/{target}/uptime"), spans.pop("job.process")
    assert not spans
    assert request["context"]["trace_id"] == attempt["context"]["trace_id"] == f"0x{TRACE}"
    assert attempt["parent_id"] == request["context"]["span_id"]
    assert request["attributes"]["http.response.status_code"] == 200
    assert request["resource"]["attributes"]["service.name"] == "osapi-api"
    assert attempt["attributes"]["host.name"] == "web-01"
    assert attempt["attributes"]["job.status"] == "completed"
    assert attempt["resource"]["attributes"]["service.name"] == "osapi-agent"


def test_spans_go_to_a_collector(tmp_path: Path) -> None:
    with collector() as (port, received):
        there = {
            "OSAPI_TELEMETRY_TRACING_ENABLED": "true",
            "OSAPI_TELEMETRY_TRACING_EXPORTER": "otlp",
            "OSAPI_TELEMETRY_TRACING_OTLP_ENDPOINT": f"127.0.0.1:{port}",
        }
        with Service(tmp_path, "start", **there) as service:
            run_a_job(tmp_path, service)
            assert service.ended(SIGTERM).status == 0
    for name in (b"GET /api/node/{target}/uptime", b"job.process"):
        assert any(bytes.fromhex(TRACE) in message and name in message for message in received)


@contextmanager
def collector() -> Generator[tuple[int, list[bytes]]]:
    """Run what takes spans over OTLP, and keeps the messages as they come."""
    grpc: Any = pytest.importorskip("grpc", reason="needs the extra otlp")
    received: list[bytes] = []
    lock = threading.Lock()

    def export(message: bytes, _: object) -> bytes:
        with lock:
            received.append(message)
        return b""

    _, service, method = METHOD.split("/")
    handlers = {method: grpc.unary_unary_rpc_method_handler(export)}
    with ThreadPoolExecutor(2) as pool:
        server = grpc.server(pool)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield port, received
        finally:
            server.stop(grace=1).wait()


@pytest.mark.parametrize("endpoint", ["", "localhost", "http://localhost", "localhost:4317/x", "a b:1"])
def test_a_collector_needs_an_address(files: Files, endpoint: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        files.load(f"telemetry: {{tracing: {{enabled: true, exporter: otlp, otlp_endpoint: '{endpoint}'}}}}")
    (told,) = map(str, caught.value.exceptions)
    assert "telemetry.tracing.otlp_endpoint: is " in told


@pytest.mark.parametrize(
    "endpoint", ["localhost:4317", "http://10.0.0.1:4317", "https://otel.example.com:443", "[::1]:1"]
)
def test_an_address_of_a_collector_is_taken(files: Files, endpoint: str) -> None:
    text = f"telemetry: {{tracing: {{enabled: true, exporter: otlp, otlp_endpoint: '{endpoint}'}}}}"
    assert files.load(text).warnings == []


@pytest.mark.parametrize(("given", "sent"), [(f"00-{TRACE}-b7ad6b7169203331-01",) * 2, ("nonsense", None)])
async def test_the_client_passes_on_the_trace_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, given: str, sent: str | None
) -> None:
    monkeypatch.setenv("TRACEPARENT", given)
    async with connect(Server(url="http://127.0.0.1:1", token="", url_from="", token_from="")) as http:
        assert http.headers.get("traceparent") == sent
