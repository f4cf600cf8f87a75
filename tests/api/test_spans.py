"""A span for each request, from its caller's to its jobs', and none for probes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

import osapi
import osapi_api
from osapi_telemetry.spans import trace_attempt_with, trace_request, trace_request_with
from tests.api.conftest import SECURITY, Rest
from tests.api.operations import operations
from tests.promises.conftest import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.trace import Tracer

    from osapi_telemetry import RequestObserver

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{CALLER}-01"


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    yield exporter
    exporter.shutdown()


@pytest.fixture
def tracer(spans: InMemorySpanExporter) -> Iterator[Tracer]:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    yield provider.get_tracer("test")
    provider.shutdown()


def observed(api: Rest, observer: RequestObserver, audit: osapi_api.Audit | None = None) -> Rest:
    """Return the same API with an observer."""
    app = osapi_api.create_app(
        api.client, transport=api.transport, operations=operations, security=SECURITY, audit=audit, observer=observer
    )
    return Rest(app, api.client, api.transport)


def ids(span: ReadableSpan) -> tuple[str, str, str]:
    """Return the trace, the parent and the id of a span."""
    parent = f"{span.parent.span_id:016x}" if span.parent else ""
    context: Any = span.context
    return f"{context.trace_id:032x}", parent, f"{context.span_id:016x}"


async def test_a_request_stands_between_its_caller_and_its_attempts(
    both: Rest, spans: InMemorySpanExporter, tracer: Tracer
) -> None:
    api = observed(both, partial(trace_request_with, tracer))
    observe = partial(trace_attempt_with, tracer)
    quick = osapi.Settings(heartbeat=0.1, storage="memory")
    async with osapi.Agent(both.transport, operations, hostname="traced-01", observer=observe, settings=quick):
        assert (await api("GET", "/node/traced-01/hostname", traceparent=PARENT)).status == 200
        await until(lambda: len(spans.get_finished_spans()) == 2)
    told = {span.kind: span for span in spans.get_finished_spans()}
    request, attempt = told[SpanKind.SERVER], told[SpanKind.CONSUMER]
    assert ids(request)[:2] == (TRACE, CALLER)
    assert ids(attempt)[:2] == (TRACE, ids(request)[2])
    assert request.name == "GET /api/node/{target}/hostname"
    assert request.attributes == {
        "http.request.method": "GET",
        "http.route": "/api/node/{target}/hostname",
        "http.response.status_code": 200,
        "url.path": "/api/node/traced-01/hostname",
        "url.scheme": "http",
    }
    assert request.status.status_code is StatusCode.UNSET


async def test_without_a_caller_s_trace_the_span_begins_one_which_the_audit_names(
    api: Rest, spans: InMemorySpanExporter, tracer: Tracer
) -> None:
    async with osapi_api.Audit(api.transport) as audit:
        await observed(api, partial(trace_request_with, tracer), audit)("GET", "/agent", traceparent="nonsense")
        (span,) = spans.get_finished_spans()
    _, (entry,) = await audit.newest(10, 0)
    assert ids(span)[:2] == (entry.trace_id, "")


async def test_what_a_request_failed_with_is_on_its_span(
    api: Rest, spans: InMemorySpanExporter, tracer: Tracer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def break_it() -> None:
        raise RuntimeError("hunter22")

    monkeypatch.setattr(api.client, "index", break_it)
    traced = observed(api, partial(trace_request_with, tracer))
    assert (await traced("GET", "/job", token="")).status == 401
    assert (await traced("GET", "/nowhere/secret")).status == 404
    assert (await traced("BREW", "/job")).status == 501
    assert (await traced("GET", "/job")).status == 500
    refused, nowhere, unknown, broken = spans.get_finished_spans()
    told: list[Any] = [(span.name, dict(span.attributes or {})) for span in (refused, nowhere, unknown, broken)]
    assert [name for name, _ in told] == ["GET /api/job", "GET", "HTTP", "GET /api/job"]
    assert [found["http.response.status_code"] for _, found in told] == [401, 404, 501, 500]
    assert [found.get("error.type") for _, found in told] == [None, None, "501", "500"]
    assert "http.route" not in told[1][1]
    assert told[2][1]["http.request.method"] == "_OTHER"
    assert [span.status.status_code for span in (refused, broken)] == [StatusCode.UNSET, StatusCode.ERROR]
    assert "hunter22" not in broken.to_json()


async def test_probes_make_no_spans(api: Rest, spans: InMemorySpanExporter, tracer: Tracer) -> None:
    traced = observed(api, partial(trace_request_with, tracer))
    for path in ("/health", "/health/ready", "/health/status"):
        assert (await traced("GET", path)).status == 200
    traced.prefix = ""
    assert (await traced("GET", "/health")).status == 200
    assert spans.get_finished_spans() == ()


async def test_without_an_sdk_the_trace_is_handed_on_as_it_came(api: Rest) -> None:
    async with osapi_api.Audit(api.transport) as audit:
        await observed(api, trace_request, audit)("GET", "/agent", traceparent=PARENT)
    _, (entry,) = await audit.newest(10, 0)
    assert entry.trace_id == TRACE
